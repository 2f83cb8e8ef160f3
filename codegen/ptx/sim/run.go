package sim

import "fmt"

// Run carries out a launch, block by block, and returns what it did. A fault of the
// program, or a launch that does not fit, is a *Fault; what the blocks before it
// wrote is then in memory. A module runs any number of launches at once.
func (m *Module) Run(mem *Memory, l Launch, o Options) (Stats, error) {
	p := m.program(l.Entry)
	if p == nil {
		return Stats{}, &Fault{Kind: LaunchFit, Entry: l.Entry, Text: fmt.Sprintf("no such entry; there are %q", m.Entries())}
	}
	if misfit := p.misfit(l); misfit != "" {
		return Stats{}, &Fault{Kind: LaunchFit, Entry: l.Entry, Text: misfit}
	}
	if o.MaxSteps <= 0 {
		o.MaxSteps = defaultSteps
	}
	b := newBlock(p, m, mem, l, o)
	n := l.Grid[0] * l.Grid[1] * l.Grid[2]
	at, stride := 0, 1
	if o.Perturb != 0 {
		at, stride = scatter(uint64(o.Perturb), n)
	}
	for range n {
		b.start(at)
		if b.run(); b.fault != nil {
			return b.stats, b.fault
		}
		at = (at + stride) % n
	}
	return b.stats, nil
}

// scatter is where to begin and how far to go to meet each of n things once, in an
// order that depends on the seed.
func scatter(seed uint64, n int) (at, stride int) {
	h := mix(seed)
	at, stride = int(h%uint64(n)), int(h>>32)%n+1
	for gcd(stride, n) != 1 {
		stride++
	}
	return at, stride
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// mix is a bijection that spreads the bits of x (the finaliser of splitmix64).
func mix(x uint64) uint64 {
	x += 0x9E3779B97F4A7C15
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

// The largest grid and block, per dimension.
var (
	maxGrid  = [3]int{1<<31 - 1, 65535, 65535}
	maxBlock = [3]int{1024, 1024, 64}
)

// misfit says what of a launch does not fit, or "".
func (p *program) misfit(l Launch) string {
	threads := 1
	for i, n := range l.Block {
		if n < 1 || n > maxBlock[i] || l.Grid[i] < 1 || l.Grid[i] > maxGrid[i] {
			return fmt.Sprintf("expected a grid between 1 and %v and blocks between 1 and %v, got %v of %v", maxGrid, maxBlock, l.Grid, l.Block)
		}
		threads *= n
	}
	limit := maxThreads
	if p.Threads > 0 {
		limit = p.Threads
	}
	switch {
	case threads > limit:
		return fmt.Sprintf("expected at most %d threads per block, got %d", limit, threads)
	case len(l.Params) != p.ParamBytes:
		return fmt.Sprintf("expected %d bytes of parameters, got %d", p.ParamBytes, len(l.Params))
	case l.Shared < 0 || p.dynamic+l.Shared > maxShared:
		return fmt.Sprintf("expected at most %d bytes of shared memory, got %d and %d of the launch", maxShared, p.dynamic, l.Shared)
	}
	return ""
}
