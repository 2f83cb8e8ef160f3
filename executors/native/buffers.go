package native

import "jitc/codegen"

// callers lists the kernel's buffers that a run is given, parameters first: the
// n-th is what the launch's n-th buffer holds.
func callers(k *codegen.Kernel) (bufs []int) {
	for i, b := range k.Bufs {
		if b.Kind == codegen.Input || b.Kind == codegen.Output {
			bufs = append(bufs, i)
		}
	}
	return bufs
}

// part is a buffer's place in memory that buffers of its kind share.
type part struct{ buf, offset int }

// layOut gives the buffers of a kind places side by side, and the bytes needed.
func layOut(b *codegen.Bound, kind codegen.BufKind) (parts []part, bytes int) {
	for i, buf := range b.Kernel.Bufs {
		if buf.Kind == kind {
			parts = append(parts, part{i, bytes})
			bytes += alignUp(int(b.Lens[i]) * buf.DType.Size())
		}
	}
	return parts, bytes
}
