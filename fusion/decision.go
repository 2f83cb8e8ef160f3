package fusion

import (
	"fmt"
	"strings"

	"jitc/ir"
)

// Verdict is what became of a value, or of a producer and its consumer.
type Verdict uint8

const (
	// Merged: producer and consumer are in one region.
	Merged Verdict = iota
	// KeptApart: the consumer reads the producer's result from memory.
	KeptApart
	// Recomputed: the consumer's region computes the producer again.
	Recomputed
	// Claimed: an executor takes the value (noted where it is not the first in
	// the list, or takes it alone).
	Claimed
	// RefusedBy: an executor does not take the value.
	RefusedBy
)

var verdictNames = [...]string{"merged", "kept apart", "recomputed", "claimed", "refused"}

// String is the verdict's name in reports.
func (v Verdict) String() string { return verdictNames[v] }

// Decision is one decision of the partition; Result.Reason says why.
type Decision struct {
	Verdict  Verdict
	why      reason
	Producer *ir.Value // of the input; for Claimed and RefusedBy the value itself
	Consumer *ir.Value // of the input; nil for Claimed and RefusedBy
	Region   int       // the consumer's (or the value's) region in Result.Regions, -1 for none
	via      *ir.Value // a third value that the reason mentions
	text     string    // the reason, where it is an executor's
}

// reason is why two clusters may not be merged, or why they were. Reasons that
// name values are completed in Result.Reason.
type reason uint8

const (
	fits reason = iota // not a refusal
	sameSpace
	backBroadcast
	onOuter
	inlined
	epilogue
	inOrder
	together
	siblings
	recomputed
	arranged
	otherOwner
	takenAlone
	fromMemory
	searchBudget
	cycle
	opLimit
	operandLimit
	otherAxes
	otherSpace
	contractionEnds
	twoContractions
	reductionFirst
	otherReaders
	isResult
	repeated
	wrongRows
	fewRows
	differentWays
	littleShared
	switchedOff
	controlFlow
	numReasons
)

// reasonTexts have one row per reason; %p is the producer, %c the consumer and
// %v a value that the reason mentions.
var reasonTexts = [numReasons]string{
	fits:            "nothing speaks against it",
	sameSpace:       "%c reads %p in the same iteration space",
	backBroadcast:   "%p is broadcast back over the axes that it was reduced over",
	onOuter:         "%p is computed once per row of the region",
	inlined:         "%p has no other readers and is computed where %c needs it",
	epilogue:        "%c is applied to the product %p before it is stored",
	inOrder:         "%c reads the elements of %p in order, under another shape",
	together:        "other values had brought %p and %c together",
	siblings:        "%p and %c read %v in the same iteration space",
	recomputed:      "computing %p again moves fewer bytes than reading it",
	arranged:        "%c is how the result of %p is stored",
	otherOwner:      "another executor computes %p",
	takenAlone:      "an executor takes one of them as a region of its own",
	fromMemory:      "%c reads %p at places that need it in memory",
	searchBudget:    "the search for a cycle ran out of its budget",
	cycle:           "merging would close a cycle through %v",
	opLimit:         "the region would hold too many values",
	operandLimit:    "the region would have too many operands and results",
	otherAxes:       "%p and %c belong to reductions over other axes",
	otherSpace:      "%p and %c have different iteration spaces",
	contractionEnds: "a contraction ends at %p: a reduction starts a new region",
	twoContractions: "a region holds one contraction",
	reductionFirst:  "%p comes after a reduction and cannot be moved to the places where %c reads it",
	otherReaders:    "%p has readers in other regions, and %c reads it in another iteration space",
	isResult:        "%p is in a region with a result of the function, and %c reads it in another iteration space",
	repeated:        "%p would be computed again for every repeat of the broadcast",
	wrongRows:       "%p is not broadcast back over the axes that it was reduced over",
	fewRows:         "there are too few rows to run in parallel",
	differentWays:   "%c reads %p in several ways, and would compute it for each",
	littleShared:    "they share too little of what they read",
	switchedOff:     "fusion is off",
	controlFlow:     "control flow is in no region",
}

// mergeReasons are the reasons for a merge.
var mergeReasons = [numReasons]bool{sameSpace: true, backBroadcast: true, onOuter: true, inlined: true,
	epilogue: true, inOrder: true, together: true, siblings: true, arranged: true}

// Name is the text form's name of a value of the input: "%h", "%12".
func (r *Result) Name(v *ir.Value) string { return r.names()[v.ID] }

// Report prints the regions with their members, then the decisions, one per line,
// and then the same of each body of control flow. The text is the same for the same input and claimers.
func (r *Result) Report() string {
	var b strings.Builder
	for i, g := range r.Regions {
		names := make([]string, len(g.Members))
		for j, m := range g.Members {
			names[j] = r.Name(m)
		}
		fmt.Fprintf(&b, "region %d (%s, %s): %s: %s\n", i, g.Kind, g.Owner, strings.Join(names, " "), g.Why)
	}
	for _, d := range r.Decisions {
		fmt.Fprintf(&b, "%s\n", r.describe(d))
	}
	for _, c := range r.Control {
		for i, body := range c.Bodies {
			fmt.Fprintf(&b, "%s\n", r.bodyName(c, i))
			for line := range strings.Lines(body.Report()) {
				b.WriteString("  " + line)
			}
		}
	}
	return b.String()
}

// bodyName names a body of control flow: "%r, cond: then".
func (r *Result) bodyName(c Control, i int) string {
	return fmt.Sprintf("%s, %s: %s", r.Name(c.Of), c.Of.Op, ir.BodyRole(c.Of.Op, i))
}

func (r *Result) describe(d Decision) string {
	if d.Consumer == nil {
		return fmt.Sprintf("%s %s: %s", r.Name(d.Producer), d.Verdict, r.Reason(d))
	}
	return fmt.Sprintf("%s -> %s %s: %s", r.Name(d.Producer), r.Name(d.Consumer), d.Verdict, r.Reason(d))
}
