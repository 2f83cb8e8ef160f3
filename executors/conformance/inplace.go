package conformance

import (
	"fmt"

	"jitc/executors"
	"jitc/ir/tensor"
)

// checkInPlace runs an InPlacer with each result that may lie in an operand's memory
// lying there. apart are the results of a run with all buffers apart, which it has to
// give again, leaving other operands as they are.
func (s *suite) checkInPlace(l executors.Launch, args, apart []*tensor.Tensor) error {
	in, ok := l.(executors.InPlacer)
	if !ok {
		return nil
	}
	for r, like := range apart {
		p := in.InPlace(r)
		switch {
		case p == -1:
			continue
		case p < 0 || p >= len(args):
			return fmt.Errorf("result %d may lie in operand %d, of %d", r, p, len(args))
		case args[p].DType() != like.DType() || args[p].NumElements() != like.NumElements():
			return fmt.Errorf("result %d may lie in operand %d, which is of another type", r, p)
		}
		for run, w := range []executors.Workers{serial{backwards: true}, crew(3)} {
			got, err := s.launchInPlace(in, args, apart, r, p, w, run)
			if err == nil {
				err = sameBits(got, apart, "the result apart from its operand")
			}
			if err != nil {
				return fmt.Errorf("result %d in operand %d: %w", r, p, err)
			}
		}
	}
	return nil
}

// launchInPlace runs once with result r in the memory of operand p.
func (s *suite) launchInPlace(l executors.Launch, args, like []*tensor.Tensor, r, p int, w executors.Workers, shift int) (results []*tensor.Tensor, err error) {
	slabs := newSlabs(args, like, shift, 0x3C)
	slabs[len(args)+r] = slabs[p]
	scratch := newSlab(l.ScratchBytes(w.Workers()), 0)
	scratch.set(0x3C)
	if err := s.runOn(l, append(slabs[:len(slabs):len(slabs)], scratch), w); err != nil {
		return nil, err
	}
	if err := scratch.check("the scratch memory"); err != nil {
		return nil, err
	}
	results, err = resultTensors(slabs[len(args):], like)
	if err != nil {
		return nil, err
	}
	data, _ := args[p].Contiguous().Bytes() // what was written there is the result, and meant to be
	copy(slabs[p].bytes(), data)
	return results, checkSlabs(slabs, args)
}
