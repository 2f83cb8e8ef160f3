package conformance

import (
	"encoding/binary"
	"fmt"
	"math"

	"jitc/executors"
	"jitc/fusion"
	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// batchChecks run small programs of additions on the device's memory, as single
// launches and as batches. They are left out for an accelerator that does not take
// the addition.
func (s *suite) batchChecks() []check {
	add := addition()
	if s.e.Claim(add.Values[0]).Level == fusion.Refused {
		return nil
	}
	k, err := s.compile(testCase{op: ir.OpAdd, region: add})
	if k == nil {
		return []check{{"addition", func() error { return err }}}
	}
	var checks []check
	for _, p := range batchPrograms {
		checks = append(checks,
			check{"launches one by one, " + p.name, func() error { return s.checkProgram(k, p, false) }},
			check{"batch, " + p.name, func() error { return s.checkProgram(k, p, true) }})
	}
	return append(checks, check{"batch of impossible order", func() error { return s.checkImpossible(k) }})
}

// addition is the region x + y, of any length.
func addition() *ir.Func {
	facts := dim.NewFacts()
	if err := facts.Declare("N", 0, 1<<20); err != nil {
		panic("BUG: conformance: " + err.Error())
	}
	b := ir.NewBuilder(ir.NewFunc("add", facts))
	t := ir.Type{DType: tensor.F32}.WithShape([]dim.Expr{dim.Sym("N")})
	x, y := b.F.AddParam("x", t, nil), b.F.AddParam("y", t, nil)
	b.F.Results = []*ir.Value{b.EmitAttrs(ir.OpAdd, []*ir.Value{x, y}, nil)}
	return b.F
}

// program is a list of additions. Its places 0 and 1 are given, every addition
// makes the next one.
type program struct {
	name  string
	adds  []addOf
	order [][]int // of the batch; nil: in order
}

// addOf adds two places of the first n elements.
type addOf struct{ a, b, n int }

const batchLength = 67

var batchPrograms = []program{
	{"a chain", []addOf{{0, 1, batchLength}, {2, 0, batchLength}, {3, 3, batchLength}}, nil},
	{"a diamond", []addOf{{0, 1, batchLength}, {2, 0, batchLength}, {2, 1, batchLength}, {3, 4, batchLength}},
		[][]int{nil, {0}, {0}, {1, 2}}},
	{"launches that do not wait", []addOf{{0, 1, batchLength}, {0, 0, batchLength}, {1, 1, batchLength}, {2, 3, batchLength}, {5, 4, batchLength}},
		[][]int{{}, {}, {}, {1, 0}, {3, 2}}},
	{"order through a launch of nothing", []addOf{{0, 1, batchLength}, {0, 1, 0}, {2, 2, batchLength}},
		[][]int{nil, {0}, {1}}},
	{"one launch", []addOf{{0, 1, batchLength}}, nil},
	{"nothing", nil, nil},
}

// checkProgram runs a program a few times: on the same memory, on other inputs, on
// other memory throughout, and back.
func (s *suite) checkProgram(k executors.Kernel, p program, asBatch bool) (err error) {
	defer recovered(&err, "Batch or Run")
	var launches []executors.Launch
	for _, a := range p.adds {
		l, err := bind(k, map[string]int64{"N": int64(a.n)})
		if err != nil {
			return err
		}
		launches = append(launches, l)
	}
	run := func(args [][][]byte, scratch [][]byte) error { return runEach(launches, args, scratch) }
	if asBatch {
		b, err := s.q.Batch(launches, p.order)
		if err != nil {
			return err
		}
		run = b.Run
		defer func() { _ = b.Recorded() }() // may be asked at any time
	}
	var first, second slots
	defer first.free(s.q)
	defer second.free(s.q)
	for i, turn := range []struct {
		on   *slots
		move []int // places that get other memory before
	}{{&first, nil}, {&first, nil}, {&first, []int{0}}, {&second, nil}, {&first, nil}, {&second, []int{1, len(p.adds) + 1}}} {
		if err := turn.on.prepare(s.q, len(p.adds)+2, turn.move, i); err != nil {
			return err
		}
		if err := s.runProgram(launches, p, turn.on, run, i); err != nil {
			return fmt.Errorf("run %d: %w", i, err)
		}
	}
	return s.q.Sync()
}

func runEach(launches []executors.Launch, args [][][]byte, scratch [][]byte) error {
	for i, l := range launches {
		if err := l.Run(args[i], scratch[i], serial{}); err != nil {
			return err
		}
	}
	return nil
}

// slots is the memory of a program's places.
type slots struct{ mems [][]byte }

// prepare allocates what is missing, or is to move, and fills all of it.
func (m *slots) prepare(q executors.Queue, n int, move []int, seed int) (err error) {
	const size = batchLength * 4
	for len(m.mems) < n {
		m.mems = append(m.mems, nil)
	}
	for _, i := range move {
		old := m.mems[i]
		if m.mems[i], err = q.Alloc(size); err != nil {
			return err
		}
		q.Free(old)
	}
	for i := range m.mems {
		if m.mems[i] == nil {
			if m.mems[i], err = q.Alloc(size); err != nil {
				return err
			}
		}
		if err := q.Upload(m.mems[i], floats(input(i, seed))); err != nil {
			return err
		}
	}
	return nil
}

func (m *slots) free(q executors.Queue) {
	for _, mem := range m.mems {
		if mem != nil {
			q.Free(mem)
		}
	}
}

// input is what a place holds before a run: small integers, whose sums are exact.
func input(place, seed int) []float32 {
	out := make([]float32, batchLength)
	for i := range out {
		out[i] = float32(i%13 + 17*place + 5*seed)
	}
	return out
}

func floats(x []float32) []byte {
	var out []byte
	for _, v := range x {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
	}
	return out
}

// runProgram runs once and compares every place.
func (s *suite) runProgram(launches []executors.Launch, p program, m *slots, run func([][][]byte, [][]byte) error, seed int) error {
	want := [][]float32{input(0, seed), input(1, seed)}
	args, scratch := make([][][]byte, len(p.adds)), make([][]byte, len(p.adds))
	for i, a := range p.adds {
		bytes := 4 * a.n
		args[i] = [][]byte{m.mems[a.a][:bytes], m.mems[a.b][:bytes], m.mems[i+2][:bytes]}
		mem, err := s.q.Alloc(launches[i].ScratchBytes(1))
		if err != nil {
			return err
		}
		scratch[i] = mem
		sum := input(i+2, seed)
		for j := range a.n {
			sum[j] = want[a.a][j] + want[a.b][j]
		}
		want = append(want, sum)
	}
	err := run(args, scratch)
	for _, mem := range scratch {
		s.q.Free(mem) // behind the run
	}
	if err != nil {
		return err
	}
	for i := len(want) - 1; i >= 0; i-- {
		if err := s.holds(m.mems[i], floats(want[i]), fmt.Sprintf("place %d", i)); err != nil {
			return err
		}
	}
	return nil
}

// checkImpossible: a launch cannot wait for itself, for one behind it, or for one
// that is not there.
func (s *suite) checkImpossible(k executors.Kernel) (err error) {
	defer recovered(&err, "Batch")
	l, err := bind(k, map[string]int64{"N": batchLength})
	if err != nil {
		return err
	}
	two := []executors.Launch{l, l}
	for _, after := range [][][]int{{{0}, nil}, {{1}, nil}, {nil, {2}}, {nil, {-1}}, {nil}} {
		if _, err := s.q.Batch(two, after); err == nil {
			return fmt.Errorf("a batch of 2 launches in the order %v gives no error", after)
		}
	}
	return nil
}
