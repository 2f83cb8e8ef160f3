package native

import "jitc/codegen"

// Results that are larger than the last-level cache gain nothing from passing
// through it: a plain store first reads the line that it overwrites. A second
// form of the code stores them past the caches (non-temporal stores), compiled
// when a launch is first bound to sizes that want it. Smaller results must stay
// in cache for whoever reads them next.

// defaultLastLevel is the assumed last-level cache, in bytes, where the system
// does not tell.
const defaultLastLevel = 32 << 20

// streams reports whether the step's results should bypass the caches.
func (l *launch) streams(i int) bool {
	s := l.k.legal.Steps[i]
	if s.Nest == nil || !l.k.executor.features.AVX512 {
		return false
	}
	bytes := int64(0)
	for b, stored := range storedOnly(l.k.legal, s.Nest) {
		if stored {
			bytes += l.b.Lens[b] * int64(l.k.legal.Bufs[b].DType.Size())
		}
	}
	return bytes > int64(l.k.executor.lastLevel)
}

// storedOnly marks, by buffer, the outputs that a nest without inner loops
// stores and does not load.
func storedOnly(k *codegen.Kernel, n *codegen.Nest) []bool {
	out := make([]bool, len(k.Bufs))
	if len(n.Inner) > 0 {
		return out
	}
	loaded := make([]bool, len(k.Bufs))
	for i := range n.Insts {
		switch in := &n.Insts[i]; in.Op {
		case codegen.Store:
			b := n.Accs[in.Acc].Buf
			out[b] = k.Bufs[b].Kind == codegen.Output
		case codegen.Load:
			loaded[n.Accs[in.Acc].Buf] = true
		}
	}
	for b := range out {
		out[b] = out[b] && !loaded[b]
	}
	return out
}

// streaming is the form of a step's code that bypasses the caches.
func (k *kernel) streaming(i int) (leaf, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if f, ok := k.streamed[i]; ok {
		return f, nil
	}
	nest := k.legal.Steps[i].Nest
	f, err := k.leaf(nest, storedOnly(k.legal, nest))
	if err != nil {
		return leaf{}, err
	}
	if k.streamed == nil {
		k.streamed = map[int]leaf{}
	}
	k.streamed[i] = f
	return f, nil
}
