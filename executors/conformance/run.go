package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"jitc/executors"
	"jitc/fusion"
	"jitc/ir"
	"jitc/ir/tensor"
)

// run compiles a case and runs it at each of its sizes. An error is a failure.
func (s *suite) run(c testCase) error {
	if c.plain {
		claim := s.e.Claim(c.at)
		s.claims.add(c.op, claim, c.at)
		if claim.Level == fusion.Refused {
			return s.refused(c, claim)
		}
	}
	k, err := s.compile(c)
	if err != nil || k == nil {
		return err
	}
	sizes := c.sizes
	if sizes == nil {
		sizes = []map[string]int64{nil}
	}
	for i, at := range sizes {
		if err := s.runAt(c, k, at, uint64(i)); err != nil {
			return fmt.Errorf("sizes %v: %w\n%s", at, err, c.region)
		}
	}
	return nil
}

// refused runs a composite's parts in one region instead. It is an error where
// the executor may not refuse, or gives no reason.
func (s *suite) refused(c testCase, claim fusion.Claim) error {
	switch {
	case claim.Why == "":
		return errors.New("refused without a reason")
	case s.o.MustClaim != nil && s.o.MustClaim(c.at):
		return errors.New("refused, but must be claimed: " + claim.Why)
	}
	if parts, ok := s.expand(c); ok {
		parts.plain = false
		return s.run(parts)
	}
	return nil
}

// compile compiles a region; a nil kernel without an error is one that the
// executor does not support.
func (s *suite) compile(c testCase) (k executors.Kernel, err error) {
	defer recovered(&err, "Compile")
	k, err = s.e.Compile(context.Background(), c.region, s.o.Compile)
	var unsupported *executors.UnsupportedError
	switch {
	case errors.As(err, &unsupported):
		s.claims.unsupported(c.op, unsupported.Reason, c.plain)
		if c.plain && s.o.MustClaim != nil && s.o.MustClaim(c.at) {
			return nil, fmt.Errorf("claimed, then not compiled: %w", err)
		}
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("compile: %w\n%s", err, c.region)
	case k == nil:
		return nil, errors.New("neither a kernel nor an error")
	}
	return k, nil
}

// recovered turns a panic into an error.
func recovered(err *error, where string) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%s panicked: %v", where, p)
	}
}

// runAt binds a kernel and holds its runs to the reference and to the contract.
func (s *suite) runAt(c testCase, k executors.Kernel, sizes map[string]int64, seed uint64) error {
	if tooLarge(c.region, sizes) {
		return nil
	}
	args, err := c.fill.operands(c.region, sizes, seed)
	if err != nil {
		return nil // the sample cannot take these sizes
	}
	want, scale, err := evaluate(c.region, args, sizes)
	if err != nil {
		return nil // nor can the op
	}
	l, err := bind(k, sizes)
	if err != nil {
		return err
	}
	if err := checkAssumes(l, sizes); err != nil {
		return err
	}
	first, err := s.launch(l, args, want, serial{}, 0, 0x5A)
	if err != nil {
		return err
	}
	if err := s.compare(c, first, want, scale); err != nil {
		return err
	}
	again, err := s.launch(l, args, want, crew(2), 1, 0xC3)
	if err != nil {
		return err
	}
	if err := sameBits(again, first, "2 workers, other alignment and other garbage in the results"); err != nil {
		return err
	}
	if err := s.checkInPlace(l, args, first); err != nil {
		return err
	}
	if c.repeat {
		return s.repeat(c, l, args, want, first, sizes)
	}
	return nil
}

func bind(k executors.Kernel, sizes map[string]int64) (l executors.Launch, err error) {
	defer recovered(&err, "Bind")
	if l, err = k.Bind(sizes); err != nil {
		return nil, fmt.Errorf("bind: %w", err)
	}
	return l, nil
}

// checkAssumes: what a launch says that it chose by its sizes has a name, and its
// conditions hold at them.
func checkAssumes(l executors.Launch, sizes map[string]int64) (err error) {
	a, ok := l.(executors.Assumer)
	if !ok {
		return nil
	}
	defer recovered(&err, "Assumes")
	for _, x := range a.Assumes() {
		if x.What == "" {
			return fmt.Errorf("assumes %v, but does not say what for", x.Conds)
		}
		for _, c := range x.Conds {
			if holds, err := c.Holds(sizes); err != nil || !holds {
				return fmt.Errorf("assumes %s at %v, where it does not hold (%s)", c, sizes, x.What)
			}
		}
	}
	return nil
}

// tooLarge bounds what evaluating a symbolic region takes.
func tooLarge(region *ir.Func, sizes map[string]int64) bool {
	if sizes == nil {
		return false
	}
	elements := map[*ir.Value]int{}
	for _, v := range append(append([]*ir.Value{}, region.Params...), region.Values...) {
		shape, err := ir.EvalShape(v.Type.Shape, sizes)
		if err != nil {
			return true
		}
		n, err := tensor.CheckedElements(shape)
		if err != nil || n > maxElements || v.Is(ir.Contract) && n*elements[v.Args[0]] > maxWork {
			return true
		}
		elements[v] = n
	}
	return false
}

// compare holds results to the reference.
func (s *suite) compare(c testCase, got, want []*tensor.Tensor, scale float64) error {
	tol := toleranceOf(c.region, scale)
	if s.o.Tolerance != nil {
		if t, ok := s.o.Tolerance(c.region); ok {
			tol = t
		}
	}
	for i := range want {
		t := tol
		if !want[i].DType().IsFloat() {
			t = tensor.Exact
		}
		if m := tensor.Compare(got[i], want[i], t); m != nil {
			return fmt.Errorf("result %d: %w", i, m)
		}
	}
	return nil
}

// launch runs once on copies of args: aligned to 64 bytes plus shift elements,
// results filled with a byte before. It checks that the run wrote its results
// only. Buffers of an accelerator are copied to its memory and back.
func (s *suite) launch(l executors.Launch, args, like []*tensor.Tensor, w executors.Workers, shift int, garbage byte) (results []*tensor.Tensor, err error) {
	slabs := newSlabs(args, like, shift, garbage)
	scratch := newSlab(l.ScratchBytes(w.Workers()), 0)
	scratch.set(garbage)
	if err := s.runOn(l, append(slabs[:len(slabs):len(slabs)], scratch), w); err != nil {
		return nil, err
	}
	if err := scratch.check("the scratch memory"); err != nil {
		return nil, err
	}
	if err := checkSlabs(slabs, args); err != nil {
		return nil, err
	}
	return resultTensors(slabs[len(args):], like)
}

// newSlabs are a slab for each operand and then each result.
func newSlabs(args, like []*tensor.Tensor, shift int, garbage byte) (slabs []*slab) {
	for i, t := range append(append([]*tensor.Tensor{}, args...), like...) {
		size := t.DType().Size()
		sl := newSlab(t.NumElements()*size, shift*size)
		sl.set(garbage)
		if i < len(args) {
			data, _ := t.Contiguous().Bytes()
			copy(sl.bytes(), data)
		}
		slabs = append(slabs, sl)
	}
	return slabs
}

// checkSlabs: operands are as they were, and nothing around buffers was written.
func checkSlabs(slabs []*slab, args []*tensor.Tensor) error {
	for i, sl := range slabs {
		if i >= len(args) {
			if err := sl.check(fmt.Sprintf("result %d", i-len(args))); err != nil {
				return err
			}
			continue
		}
		data, _ := args[i].Contiguous().Bytes()
		if !bytes.Equal(sl.bytes(), data) {
			return fmt.Errorf("operand %d was modified", i)
		}
		if err := sl.check(fmt.Sprintf("operand %d", i)); err != nil {
			return err
		}
	}
	return nil
}

// runOn runs a launch on slabs, the last of which is its scratch.
func (s *suite) runOn(l executors.Launch, slabs []*slab, w executors.Workers) error {
	mems := slabs
	if s.q != nil {
		copies, err := toDevice(s.q, slabs)
		defer freeAll(s.q, copies)
		if err != nil {
			return err
		}
		mems = copies
	}
	last := len(mems) - 1
	bufs := make([][]byte, last)
	for i := range bufs {
		bufs[i] = mems[i].bytes()
	}
	if err := runLaunch(l, bufs, mems[last].bytes(), w); err != nil || s.q == nil {
		return err
	}
	return fromDevice(s.q, slabs, mems)
}

func runLaunch(l executors.Launch, bufs [][]byte, scratch []byte, w executors.Workers) (err error) {
	defer recovered(&err, "Run")
	if err := l.Run(bufs, scratch, w); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	return nil
}

func resultTensors(slabs []*slab, like []*tensor.Tensor) ([]*tensor.Tensor, error) {
	var out []*tensor.Tensor
	for i, sl := range slabs {
		if like[i].DType() == tensor.Bool {
			for at, b := range sl.bytes() {
				if b > 1 {
					return nil, fmt.Errorf("result %d: element %d of a bool is the byte %#x, not 0 or 1", i, at, b)
				}
			}
		}
		t, err := tensor.FromBytes(like[i].DType(), like[i].Shape(), bytes.Clone(sl.bytes()))
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// sameBits compares results bit by bit; under says what was different.
func sameBits(got, want []*tensor.Tensor, under string) error {
	for i := range want {
		g, _ := got[i].Bytes()
		w, _ := want[i].Bytes()
		if !bytes.Equal(g, w) {
			detail := "bits of NaN or zero"
			if m := tensor.Compare(got[i], want[i], tensor.Exact); m != nil {
				detail = m.Error()
			}
			return fmt.Errorf("result %d depends on more than the operands (%s): %s", i, under, detail)
		}
	}
	return nil
}

// repeat runs one launch from several goroutines at once, and a second kernel
// of the same region: all must give the same bits.
func (s *suite) repeat(c testCase, l executors.Launch, args, like, want []*tensor.Tensor, sizes map[string]int64) error {
	const runs = 4
	var all sync.WaitGroup
	errs := make([]error, runs)
	for i := range runs {
		all.Go(func() {
			var w executors.Workers = serial{backwards: true}
			if i%2 == 1 {
				w = crew(3)
			}
			got, err := s.launch(l, args, like, w, i%2, byte(i))
			if err == nil {
				err = sameBits(got, want, "several goroutines at once")
			}
			errs[i] = err
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	k, err := s.compile(c)
	if err != nil {
		return err
	}
	if k == nil {
		return errors.New("compiled once, then not supported")
	}
	second, err := bind(k, sizes)
	if err != nil {
		return err
	}
	got, err := s.launch(second, args, like, serial{}, 0, 0)
	if err != nil {
		return err
	}
	return sameBits(got, want, "compiled again")
}
