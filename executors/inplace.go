package executors

// InPlacer is a Launch that writes only parts of a result where the rest is an
// operand's already:
//
//	%1 = dynamic_update_slice(%cache, %row, %at)
//
// Run with the result's buffer apart from the operand's, it copies the operand
// first; run with the same memory for both, it writes the row alone. Nothing else
// may overlap.
type InPlacer interface {
	Launch
	// InPlace is the operand, by its number among the region's parameters, in whose
	// memory that result may lie, or -1. They are of one element type and have as many
	// elements.
	InPlace(result int) (operand int)
}
