package conformance_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/executors/conformance"
	"jitc/executors/reference"
	"jitc/ir"
	"jitc/ir/tensor"
)

// placing is a launch that says where its results may lie.
type placing struct {
	executors.Launch
	operand int
	before  func(bufs [][]byte, same bool)
}

func (p *placing) InPlace(int) int { return p.operand }

func (p *placing) Run(bufs [][]byte, scratch []byte, w executors.Workers) error {
	last := len(bufs) - 1
	same := len(bufs[0]) > 0 && len(bufs[last]) > 0 && &bufs[0][0] == &bufs[last][0]
	p.before(bufs, same)
	return p.Launch.Run(bufs, scratch, w)
}

// placer is the reference with launches of that kind.
type placer struct {
	reference.Executor
	operand int
	before  func(bufs [][]byte, same bool)
}

func (p placer) Compile(ctx context.Context, region *ir.Func, o executors.Options) (executors.Kernel, error) {
	k, err := p.Executor.Compile(ctx, region, o)
	return placed{k, p}, err
}

type placed struct {
	executors.Kernel
	placer placer
}

func (p placed) Bind(sizes map[string]int64) (executors.Launch, error) {
	l, err := p.Kernel.Bind(sizes)
	return &placing{l, p.placer.operand, p.placer.before}, err
}

// Of the reference, which keeps no result in an operand's memory until it is done,
// the suite believes that it may; not of executors with a mistake.
func TestInPlaceMistakesAreFound(t *testing.T) {
	for _, c := range []struct {
		name    string
		operand int
		before  func(bufs [][]byte, same bool)
		want    string
	}{
		{"none", 0, func([][]byte, bool) {}, ""},
		{"nowhere", -1, func([][]byte, bool) {}, ""},
		{"no such operand", 7, func([][]byte, bool) {}, "may lie in operand 7, of"},
		{"another type", 1, func([][]byte, bool) {}, "which is of another type"},
		{"spoils the operand first", 0, func(bufs [][]byte, same bool) {
			if same {
				lastByte(bufs[0], func(b byte) byte { return b ^ 1 })
			}
		}, "result 0 in operand 0: result 0 depends on more than the operands"},
		{"writes the update", 0, func(bufs [][]byte, same bool) {
			if same {
				lastByte(bufs[2], func(b byte) byte { return b ^ 1 })
			}
		}, "operand 2 was modified"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := placer{operand: c.operand, before: c.before}
			r := &recorder{}
			conformance.Check(r, e, conformance.Options{Ops: []ir.Op{ir.OpScatter}, DTypes: []tensor.DType{tensor.F32}})
			text := strings.Join(r.errors, "\n")
			if c.want == "" {
				require.Empty(t, text)
				return
			}
			require.Contains(t, text, c.want)
		})
	}
}
