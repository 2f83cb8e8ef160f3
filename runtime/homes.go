package runtime

import (
	"fmt"
	"slices"

	"jitc/ir/call"
	"jitc/ir/tensor"
)

// homes are the sides for the results of a call: what a device computes stays there
// if an argument lies there too. nil is the host for all.
func (r *Recording) homes(c *call.Call) []int {
	leaves := c.Tensors
	if r.devices == nil || !onDevices(leaves) && !slices.ContainsFunc(c.Frozen, isOnDevice) {
		return nil
	}
	here := make([]bool, len(r.p.placed.devices))
	for _, t := range leaves {
		here[r.sideOf(t)] = true
	}
	for _, f := range c.Frozen {
		for _, d := range f.Devices {
			here[r.sideOfDevice(d)] = true
		}
	}
	sides := make([]int, len(r.p.results))
	for i, res := range r.p.results {
		side := r.p.slots[res.slot].side
		if param := r.p.placed.returned[i]; param >= 0 && param < len(leaves) {
			side = r.sideOf(leaves[param])
		}
		if here[side] {
			sides[i] = side
		}
	}
	return sides
}

// isOnDevice reports whether some of a set's tensors lie on a device.
func isOnDevice(f *call.Frozen) bool { return len(f.Devices) > 0 }

// resultsFor makes tensors for the results of a call.
func (r *Recording) resultsFor(c *call.Call) ([]*tensor.Tensor, error) {
	homes := r.homes(c)
	if homes == nil {
		return r.Results(), nil
	}
	out := make([]*tensor.Tensor, len(homes))
	for i, side := range homes {
		n := r.p.results[i].slot
		if side == 0 {
			out[i] = tensor.New(r.p.slots[n].typ.DType, r.shapes[n]...)
			continue
		}
		t, err := r.p.placed.devices[side].tensor(r.p.slots[n].typ.DType, r.shapes[n])
		if err != nil {
			return nil, fmt.Errorf("@%s: result %d: %w", r.p.F.Name, i, err)
		}
		out[i] = t
	}
	return out, nil
}

// follow brings results from the host to where those of a call lie.
func (r *Recording) follow(c *call.Call, results []*tensor.Tensor) ([]*tensor.Tensor, error) {
	for i, side := range r.homes(c) {
		if side == 0 || results[i].Device() != nil {
			continue
		}
		t, err := r.p.placed.devices[side].copyOf(results[i])
		if err != nil {
			return nil, fmt.Errorf("@%s: result %d: %w", r.p.F.Name, i, err)
		}
		results[i] = t
	}
	return results, nil
}
