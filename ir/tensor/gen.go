package tensor

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
)

// Rule says how to generate a tensor's elements. Equal rules, types and shapes
// give equal bits on every machine, and a few lines in any language that has
// 64-bit integers and IEEE doubles reproduce them: no step depends on a
// mathematical library.
//
// With mix the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable
// pseudorandom number generators", 2014), all arithmetic modulo 2^64:
//
//	K = 0x9E3779B97F4A7C15
//	mix(z):  z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
//	         z = (z ^ z>>27) * 0x94D049BB133111EB
//	         return z ^ z>>31
//	word(j) = mix(mix(Seed + K) + (j+1)*K)
//
// element i, counted in row-major order, is in float64, every operation rounded
// (no fused multiply-add):
//
//	zeros    0
//	ones     1
//	arange   Lo + i*Step, Step 0 meaning 1
//	uniform  Lo + (Hi-Lo)*u,        u = (word(i) >> 11) * 2^-53
//	ints     Lo + floor((Hi-Lo)*u), u as above: integers in [Lo, Hi)
//	normal   Mean + Std*z,          z = (s - 393210) * 2^-16
//
// where s is the sum of the twelve 16-bit lanes of word(3i), word(3i+1) and
// word(3i+2): z is a sum of twelve uniforms less its mean (Irwin-Hall), has
// variance 1 and lies within +-6. The float64 is converted to the element type
// once, by the rules of Cast. In numpy, with i = arange(n, dtype=uint64) and
// uint64 scalars throughout:
//
//	base = mix(seed + K)
//	w = [mix(base + (3*i + k + 1)*K) for k in (0, 1, 2)]
//	s = sum((x >> (16*l)) & 0xFFFF for x in w for l in range(4))
//	normal = mean + std * ((s.astype(float64) - 393210) / 65536)
type Rule struct {
	Kind   string // zeros, ones, arange, uniform, ints or normal
	Seed   uint64 // uniform, ints, normal
	Mean   float64
	Std    float64 // normal; above 0
	Lo, Hi float64 // uniform, ints: Lo < Hi, for ints whole numbers at most 2^53 apart; arange: Lo
	Step   float64 // arange
}

// generator is one row of the table of kinds. fill computes len(dst) elements
// from element first on.
type generator struct {
	kind  string
	check func(r Rule) error
	fill  func(r Rule, base uint64, first int, dst []float64)
}

var generators = []generator{
	{"zeros", unchecked, func(_ Rule, _ uint64, _ int, dst []float64) { clear(dst) }},
	{"ones", unchecked, fillOnes},
	{"arange", unchecked, fillArange},
	{"uniform", checkRange, fillUniform},
	{"ints", checkInts, fillRandomInts},
	{"normal", checkNormal, fillNormal},
}

// Generate returns a new row-major tensor of the rule's elements. It is an error
// if the rule's kind is unknown, its parameters are not finite or out of range,
// or the shape is invalid.
func Generate(rule Rule, dt DType, shape []int) (*Tensor, error) {
	for _, g := range generators {
		if g.kind != rule.Kind {
			continue
		}
		for _, v := range []float64{rule.Mean, rule.Std, rule.Lo, rule.Hi, rule.Step} {
			if v-v != 0 {
				return nil, fmt.Errorf("tensor: generate %s: parameters must be finite, got %v", rule.Kind, v)
			}
		}
		if err := g.check(rule); err != nil {
			return nil, fmt.Errorf("tensor: generate %s: %w", rule.Kind, err)
		}
		t, err := Make(dt, shape)
		if err != nil {
			return nil, err
		}
		t.generate(rule, g.fill)
		return t, nil
	}
	return nil, fmt.Errorf("tensor: generate: expected kind zeros, ones, arange, uniform, ints or normal, got %q", rule.Kind)
}

// generate fills t in blocks; large tensors on all processors. Elements depend
// on their position only, so the split does not show.
func (t *Tensor) generate(rule Rule, fill func(Rule, uint64, int, []float64)) {
	const block, parallelFrom = 4096, 1 << 20
	base := mix(rule.Seed + goldenGamma)
	size, store := t.dtype.Size(), codecs[t.dtype].putFloats
	var next atomic.Int64
	work := func() {
		mid := make([]float64, block)
		for {
			lo := int(next.Add(block)) - block
			if lo >= t.count {
				return
			}
			hi := min(lo+block, t.count)
			fill(rule, base, lo, mid[:hi-lo])
			store(t.data[lo*size:hi*size], mid[:hi-lo])
		}
	}
	var wg sync.WaitGroup
	if t.count > parallelFrom {
		for range runtime.GOMAXPROCS(0) - 1 {
			wg.Go(work)
		}
	}
	work()
	wg.Wait()
}

const goldenGamma = 0x9E3779B97F4A7C15

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

func unchecked(Rule) error { return nil }

func checkRange(r Rule) error {
	if !(r.Lo < r.Hi) || math.IsInf(r.Hi-r.Lo, 0) {
		return fmt.Errorf("expected Lo < Hi a finite distance apart, got %v and %v", r.Lo, r.Hi)
	}
	return nil
}

func checkInts(r Rule) error {
	if r.Lo != math.Floor(r.Lo) || r.Hi != math.Floor(r.Hi) || r.Hi-r.Lo > 1<<53 ||
		math.Abs(r.Lo) > 1<<53 || math.Abs(r.Hi) > 1<<53 {
		return fmt.Errorf("expected whole Lo and Hi within 2^53 and at most 2^53 apart, got %v and %v", r.Lo, r.Hi)
	}
	return checkRange(r)
}

func checkNormal(r Rule) error {
	if r.Std <= 0 {
		return fmt.Errorf("expected Std > 0, got %v (Std 1 is the standard normal)", r.Std)
	}
	return nil
}

func fillOnes(_ Rule, _ uint64, _ int, dst []float64) {
	for i := range dst {
		dst[i] = 1
	}
}

// The conversions float64(x*y) below forbid the compiler to fuse the product
// into the sum, which would change bits between processors.

func fillArange(r Rule, _ uint64, first int, dst []float64) {
	step := r.Step
	if step == 0 {
		step = 1
	}
	for i := range dst {
		dst[i] = r.Lo + float64(float64(first+i)*step)
	}
}

func fillUniform(r Rule, base uint64, first int, dst []float64) {
	span, z := r.Hi-r.Lo, base+uint64(first)*goldenGamma
	for i := range dst {
		z += goldenGamma
		dst[i] = r.Lo + float64(span*(float64(mix(z)>>11)*0x1p-53))
	}
}

func fillRandomInts(r Rule, base uint64, first int, dst []float64) {
	span, z := r.Hi-r.Lo, base+uint64(first)*goldenGamma
	for i := range dst {
		z += goldenGamma
		dst[i] = r.Lo + math.Floor(span*(float64(mix(z)>>11)*0x1p-53))
	}
}

// fillNormal adds the lanes of three words side by side: even and odd lanes into
// two 32-bit sums of six, which cannot overflow.
func fillNormal(r Rule, base uint64, first int, dst []float64) {
	const even, center, wrap = 0x0000FFFF0000FFFF, 12 * 65535 / 2, 1 << 64
	z := base + 3*uint64(first)*goldenGamma
	for i := range dst {
		a, b, c := mix(z+goldenGamma), mix(z+2*goldenGamma%wrap), mix(z+3*goldenGamma%wrap)
		z += 3 * goldenGamma % wrap
		sums := a&even + a>>16&even + b&even + b>>16&even + c&even + c>>16&even
		s := int64(sums>>32) + int64(sums&0xFFFFFFFF)
		dst[i] = r.Mean + float64(r.Std*(float64(s-center)*0x1p-16))
	}
}
