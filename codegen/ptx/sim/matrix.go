package sim

import (
	"encoding/binary"
	"math/bits"
)

// matrixOps are the opcodes of the tensor cores.
var matrixOps = map[string]opcode{
	"ldmatrix": loadMatrix,
	"mma":      multiplyMatrix,
}

// whole checks that all 32 lanes are here.
func (w *warp) whole() bool {
	if w.mask == allLanes {
		return true
	}
	w.fail(MissingLane, bits.TrailingZeros32(w.mask), "only the lanes %#x are here", w.mask)
	return false
}

// loadMatrix is ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16: lanes 8i to 8i+7
// give the rows of matrix i, 16 bytes each.
func loadMatrix(d *decoder) exec {
	d.inst.meets = true
	d.one("sync")
	d.one("aligned")
	d.one("m8n8")
	n := map[string]int{"x1": 1, "x2": 2, "x4": 4}[d.one("x1", "x2", "x4")]
	trans := d.has("trans")
	d.one("shared", "shared::cta")
	d.typ("b16")
	to := d.dstVec(types["b32"], n)
	a := memoryAccess{space: shared, at: d.addr(shared), bytes: 16, kind: reads}
	return func(w *warp) {
		if w.whole() {
			w.b.shared.tick++
			addrs := w.regs[a.at.slot] // a copy: a target may be the same register
			for i, r := range to {
				w.loadTile(&a, &addrs, i, r, trans)
			}
		}
	}
}

// loadTile loads matrix i of a ldmatrix, whose rows lie at bases, to a register.
func (w *warp) loadTile(a *memoryAccess, bases *lanes, i int, to int32, trans bool) {
	var tile [8][8]uint16
	var addrs lanes
	for row := range 8 {
		lane := 8*i + row
		addr := a.at.of(bases[lane])
		addrs[row] = addr
		if !w.touch(lane, addr, 16, reads) {
			return
		}
		data := w.b.shared.data[addr : addr+16]
		for k := range 8 {
			tile[row][k] = binary.LittleEndian.Uint16(data[2*k:])
		}
	}
	extra := int64(passConflicts(&addrs, 0xFF, 16))
	w.b.stats.SharedConflicts += extra
	w.b.stats.MatrixConflicts += extra
	for lane := range 32 {
		row, col := lane/4, lane%4*2
		lo, hi := tile[row][col], tile[row][col+1]
		if trans {
			lo, hi = tile[col][row], tile[col+1][row]
		}
		w.regs[to][lane] = uint64(lo) | uint64(hi)<<16
	}
}

// element is a type of matrix elements.
type element struct {
	perReg int
	depths []string // shapes
	unpack func(x uint64, to []float64)
	accs   []string // types of accumulators
	arch   int
}

var elements = map[string]element{
	"bf16": {2, []string{"m16n8k8", "m16n8k16"}, func(x uint64, to []float64) {
		to[0], to[1] = float64(f32(x<<16)), float64(f32(x&0xFFFF0000))
	}, []string{"f32"}, 80},
	"f16": {2, []string{"m16n8k8", "m16n8k16"}, func(x uint64, to []float64) {
		to[0], to[1] = decodeHalf(x&0xFFFF), decodeHalf(x>>16)
	}, []string{"f32", "f16"}, 80},
	"tf32": {1, []string{"m16n8k4", "m16n8k8"}, func(x uint64, to []float64) { to[0] = float64(f32(x &^ 0x1FFF)) }, []string{"f32"}, 80},
	"s8":   {4, []string{"m16n8k16", "m16n8k32"}, bytewise(func(x uint64) float64 { return float64(int8(x)) }), []string{"s32"}, 80},
	"u8":   {4, []string{"m16n8k16", "m16n8k32"}, bytewise(func(x uint64) float64 { return float64(uint8(x)) }), []string{"s32"}, 80},
	"e4m3": {4, []string{"m16n8k32"}, bytewise(float8e4m3.decode), []string{"f32"}, 89},
	"e5m2": {4, []string{"m16n8k32"}, bytewise(float8e5m2.decode), []string{"f32"}, 89},
}

func bytewise(value func(x uint64) float64) func(x uint64, to []float64) {
	return func(x uint64, to []float64) {
		for i := range 4 {
			to[i] = value(x >> (8 * i) & 0xFF)
		}
	}
}

var depths = map[string]int{"m16n8k4": 4, "m16n8k8": 8, "m16n8k16": 16, "m16n8k32": 32}

// product is a matrix product of a warp, d = a*b + c. The fragments, for lane 4g+q
// and elements that are per to a register (PTX specification, "Matrix fragments
// for mma"):
//
//	a  register i: row g+8(i%2), columns per*q + 4*per*(i/2) and on
//	b  register i: rows per*q + 4*per*i and on, column g
//	c  element i: row g+8(i/2), column 2q+i%2
type matrixProduct struct {
	a, b, c, d []int32
	left       element
	right      element
	depth      int
	acc        string
}

// multiplyMatrix is mma.sync.aligned.shape.row.col.d.a.b.c.
func multiplyMatrix(d *decoder) exec {
	d.inst.meets = true
	d.one("sync")
	d.one("aligned")
	shape := d.one("m16n8k4", "m16n8k8", "m16n8k16", "m16n8k32")
	d.one("row")
	d.one("col")
	d.has("satfinite")
	names := []string{"bf16", "f16", "tf32", "s8", "u8", "e4m3", "e5m2"}
	acc := d.one("f32", "f16", "s32")
	left, right := d.one(names...), d.one(names...)
	d.one(acc)
	p := matrixProduct{left: elements[left], right: elements[right], depth: depths[shape], acc: acc}
	d.needs(p.left.arch, d.inst.text)
	if p.left.arch == 89 && d.m.version < 84 {
		d.fail("expected .version 8.4 or up for mma of 8-bit floats")
	}
	if d.err != nil || p.left.perReg != p.right.perReg || p.left.perReg < 4 && left != right || p.left.arch != p.right.arch ||
		!contains(p.left.depths, shape) || !contains(p.left.accs, acc) {
		d.fail("expected a product that exists, got %s of .%s and .%s to .%s", shape, left, right, acc)
		return nil
	}
	reg, accs := types["b32"], map[string]int{"f32": 4, "s32": 4, "f16": 2}[acc]
	accType := types[map[string]string{"f32": "f32", "s32": "s32", "f16": "b32"}[acc]]
	n := p.depth / (4 * p.left.perReg)
	p.d = d.dstVec(accType, accs)
	p.a, p.b = d.srcVec(reg, 2*n), d.srcVec(reg, n)
	p.c = d.srcVec(accType, accs)
	return p.run
}

// matrixTiles are the operands of a product. The block has them, and so they are not
// made anew for each product; what is behind the depth is never read.
type matrixTiles struct {
	a [16][32]float64 // rows
	b [8][32]float64  // columns
}

func (p *matrixProduct) run(w *warp) {
	if !w.whole() {
		return
	}
	w.b.stats.MMA++
	a, b := &w.b.tiles.a, &w.b.tiles.b
	for i, r := range p.a {
		for lane, x := range w.regs[r] {
			p.left.unpack(x, a[lane/4+8*(i%2)][lane%4*p.left.perReg+i/2*4*p.left.perReg:])
		}
	}
	for i, r := range p.b {
		for lane, x := range w.regs[r] {
			p.right.unpack(x, b[lane/4][lane%4*p.right.perReg+i*4*p.right.perReg:])
		}
	}
	// Sums are set down when all of c is read: d may share registers with it.
	var sums [4]lanes
	for lane := range 32 {
		g, q := lane/4, lane%4
		v := dots(&a[g], &a[g+8], &b[2*q], &b[2*q+1], p.depth)
		p.accumulate(w, lane, &v, &sums)
	}
	for i, r := range p.d {
		w.regs[r] = sums[i]
	}
}

// accumulate adds c to the four products of a lane.
func (p *matrixProduct) accumulate(w *warp, lane int, v *[4]float64, sums *[4]lanes) {
	for i, r := range p.c {
		c := w.regs[r][lane]
		switch p.acc {
		case "s32":
			sums[i][lane] = uint64(uint32(int64(v[i]) + int64(int32(c))))
		case "f32":
			sums[i][lane] = bits32(float32(v[i] + float64(f32(c))))
		case "f16": // register i holds both columns of row g+8i
			lo, hi := v[2*i]+decodeHalf(c&0xFFFF), v[2*i+1]+decodeHalf(c>>16)
			sums[i][lane] = float16.encode(lo, nearestEven) | float16.encode(hi, nearestEven)<<16
		}
	}
}

// dots are the products of two rows with two columns; in float64, as the hardware
// keeps more bits inside than the accumulator has.
func dots(x, y, u, v *[32]float64, depth int) [4]float64 {
	var a, b, c, d float64
	for k := range depth & 63 {
		i := k & 31
		a += float64(x[i] * u[i])
		b += float64(x[i] * v[i])
		c += float64(y[i] * u[i])
		d += float64(y[i] * v[i])
	}
	return [4]float64{a, b, c, d}
}
