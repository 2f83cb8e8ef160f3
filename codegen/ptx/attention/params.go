package attention

import (
	"encoding/binary"
	"math"

	"jitc/codegen/ptx/asm"
)

// paramTable is what all entries of a pass take: addresses, strides in bytes, sizes,
// and factors, in this order.
type paramTable struct{ addresses, strides, sizes, factors []string }

var forwardParams = paramTable{
	addresses: []string{"q", "k", "v", "mask", "o", "stats", "part", "sums", "count"},
	strides: []string{
		"q0", "q1", "q2", "qrow", "k0", "k1", "k2", "krow", "v0", "v1", "v2", "vrow",
		"mask0", "mask1", "mask2", "maskrow", "maskcol", "o0", "o1", "o2", "orow",
	},
	sizes: []string{
		"lead",          // leading indices, all together
		"lead1",         // those of the second axis
		"lead2",         // and of the third
		"queries",       //
		"keys",          //
		"querytiles",    //
		"splits",        //
		"tilespersplit", // of keys
	},
	factors: []string{"factor", "negate"}, // see factors
}

var backwardParams = paramTable{
	addresses: []string{"q", "k", "v", "mask", "o", "stats", "do", "dq", "dk", "dv", "delta"},
	strides: append([]string{
		"do0", "do1", "do2", "dorow", "dq0", "dq1", "dq2", "dqrow",
		"dk0", "dk1", "dk2", "dkrow", "dv0", "dv1", "dv2", "dvrow",
	}, forwardParams.strides...),
	sizes:   []string{"lead", "lead1", "lead2", "queries", "keys", "querytiles", "keytiles"},
	factors: []string{"factor", "negate", "scale"},
}

// declare declares the parameters of an entry.
func (t paramTable) declare(k *asm.Kernel) {
	t.each(func(name string, bytes int) {
		k.ParamSpace(map[int]asm.Class{4: asm.B32, 8: asm.B64}[bytes], name)
	})
}

func (t paramTable) each(visit func(name string, bytes int)) {
	for _, list := range []struct {
		names []string
		bytes int
	}{{t.addresses, 8}, {t.strides, 8}, {t.sizes, 4}, {t.factors, 4}} {
		for _, n := range list.names {
			visit(n, list.bytes)
		}
	}
}

// factors are the parameters that stand for the scale: |scale|, times log2(e) where
// scores are kept as powers of two, and the bits to xor to words of q (in the
// backward pass, of k too), which carry its sign. A scale of 0 is the smallest number
// instead: a score of -Inf must stay what it is.
func (p Problem) factors(scale float64) (factor float32, negate uint32) {
	if math.Signbit(scale) {
		negate = 0x80000000
		if p.narrow() {
			negate = 0x80008000
		}
	}
	f := math.Abs(scale)
	if !p.natural() {
		f *= math.Log2E
	}
	return max(float32(f), math.SmallestNonzeroFloat32), negate
}

// paramBlock is a packed block of parameters in the making.
type paramBlock struct {
	at    map[string]int
	bytes []byte
}

func (t paramTable) block() *paramBlock {
	b := &paramBlock{at: map[string]int{}}
	end := 0
	t.each(func(name string, bytes int) {
		b.at[name] = end
		end += bytes
	})
	b.bytes = make([]byte, end)
	return b
}

func (b *paramBlock) place(name string) int {
	at, ok := b.at[name]
	if !ok {
		panic("BUG: attention: no parameter " + name)
	}
	return at
}

func (b *paramBlock) long(name string, v int64) {
	binary.LittleEndian.PutUint64(b.bytes[b.place(name):], uint64(v))
}

func (b *paramBlock) word(name string, v uint32) {
	binary.LittleEndian.PutUint32(b.bytes[b.place(name):], v)
}

func (b *paramBlock) float(name string, v float32) { b.word(name, math.Float32bits(v)) }

// strides fills in those of operands.
func (b *paramBlock) strides(ops []operand) {
	for _, o := range ops {
		for i, n := range o.strides.Lead {
			b.long(o.name+string(rune('0'+i)), int64(n*o.size))
		}
		b.long(o.name+"row", int64(o.strides.Row*o.size))
		if o.name == "mask" {
			b.long("maskcol", int64(o.strides.Col*o.size))
		}
	}
}
