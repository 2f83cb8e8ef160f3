package padding

import (
	"slices"

	"jitc/ir"
)

// cumulativeIdentities are what the combinations of cumulative ignore.
var cumulativeIdentities = map[string]identity{"add": {0, 0}, "mul": {1, 1}, "min": highest, "max": lowest}

// cumulative: padding comes after what is kept, so that nothing kept carries it;
// where it comes before (from the end, or between kept elements) it is masked.
func cumulative(w *walker, v *ir.Value) ([]axis, error) {
	at, combine := int(v.Attrs.Int("axis", 0)), v.Attrs.Str("combine", "")
	c := cumulativeIdentities[combine].of(v.Type.DType)
	rounds := combine == "add" || combine == "mul"
	if of := w.axes[v.Args[0]][at]; of.padded() {
		if v.Attrs.Bool("reverse", false) || of.interleaved() {
			if err := w.mask(v, 0, at, of.parts, c, "carries along the axis"); err != nil {
				return nil, err
			}
		}
		w.rounds(v, rounds) // an executor may combine in an order that depends on the size
	}
	out := slices.Clone(w.axes[v.Args[0]])
	for i, a := range out {
		switch {
		case i == at:
			out[i] = a.withFill(nil)
			for j := range out[i].parts {
				out[i].parts[j].uniform = false
			}
		case rounds: // of other elements than the identity each is another one
			out[i] = fillOnly(a, c)
		}
	}
	return out, nil
}
