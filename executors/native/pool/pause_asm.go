//go:build amd64 || arm64

package pool

// pause tells the processor that this is a spin loop: it saves power and leaves the sibling hyper-thread the
// execution units.
func pause()
