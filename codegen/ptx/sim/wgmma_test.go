package sim

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// groupModule is module for sm_90a.
func groupModule(t testing.TB, body string) string {
	return replaceOnce(t, module(body), ".target sm_90\n", ".target sm_90a\n")
}

// groupCopy copies the input to shared memory, 16 bytes at a time, and fences it.
const groupCopy = `
	.shared .align 1024 .b8 s[BYTES];
	.reg .f32 %a<128>;
	ld.param.u64 %d1, [in]; ld.param.u64 %d2, [out]; mov.u32 %r1, %tid.x;
	mul.lo.u32 %r2, %r1, 16;
copy:
	cvt.u64.u32 %d3, %r2; add.u64 %d3, %d3, %d1; mov.u32 %r3, s; add.u32 %r3, %r3, %r2;
	ld.global.v4.b32 {%r4, %r5, %r6, %r7}, [%d3]; st.shared.v4.b32 [%r3], {%r4, %r5, %r6, %r7};
	add.u32 %r2, %r2, 2048; setp.lt.u32 %p1, %r2, BYTES; @%p1 bra copy;
	fence.proxy.async.shared::cta;
	bar.sync 0;
`

// matrixLayout is how a test lays a matrix out: width is the span of the swizzle (16:
// none), step is how many times 16 of k the product begins behind the first.
type matrixLayout struct {
	width int
	byMN  bool
	step  int
	base  int // base offset
}

// at is the place in bytes of an element of 16 bits, from the start of the pattern,
// as the canonical layouts of CUTLASS say: Swizzle<log2(width/16),4,3> of the offset.
func (l matrixLayout) at(mn, k, rows int) int {
	k += 16 * l.step
	x, depth := 0, max(16, l.width/2)
	switch {
	case l.byMN && l.width == 16: // ((T,1,m),(8,k)):((1,T,SBO),(1T,LBO))
		x = mn%8*2 + mn/8*16*depth + k%8*16 + k/8*128
	case l.byMN: // ((T,W,m),(8,k)):((1,T,LBO),(WT,SBO))
		n := l.width / 2
		x = mn%n*2 + mn/n*l.width*depth + k%8*l.width + k/8*8*l.width
	case l.width == 16: // ((8,m),(T,2)):((1T,SBO),(1,LBO))
		x = mn%8*16 + mn/8*128 + k%8*2 + k/8*rows*16
	default: // ((8,m),(T,2)):((WT,SBO),(1,T))
		x = mn*l.width + k*2
	}
	bits := l.width/16 - 1
	return x ^ x>>3&(bits<<4)
}

// descriptor describes the matrix whose pattern starts at an address.
func (l matrixLayout) descriptor(start, rows int) uint64 {
	depth := max(16, l.width/2)
	leading, other := 16, 8*l.width // leading has no meaning here
	switch {
	case l.byMN && l.width == 16:
		leading, other = 128, 16*depth
		start += l.step * 256
	case l.byMN:
		leading = l.width * depth
		start += l.step * 16 * l.width
	case l.width == 16:
		leading = rows * 16
		start += l.step * 2 * leading
	default:
		start += l.step * 32
	}
	code := map[int]uint64{16: 0, 128: 1, 64: 2, 32: 3}[l.width]
	return uint64(start)>>4 | uint64(leading)>>4<<16 | uint64(other)>>4<<32 | uint64(l.base)<<49 | code<<62
}

// laneSums are the registers of a product of n columns.
func laneSums(n int) string {
	var names []string
	for i := range n / 2 {
		names = append(names, fmt.Sprintf("%%a%d", i))
	}
	return "{" + strings.Join(names, ", ") + "}"
}

// eachSum is code for each of them.
func eachSum(n int, code string) string {
	var b strings.Builder
	for i := range n / 2 {
		b.WriteString(fill(code, "SUM", fmt.Sprintf("%%a%d", i), "OFFSET", fmt.Sprint(512*i)) + "\n")
	}
	return b.String()
}

const storeSum = "st.global.f32 [%d4+OFFSET], SUM;"

// groupCase is a product of 64 x n x 16.
type groupCase struct {
	elem      string
	n         int
	a, b      matrixLayout
	registers bool // a comes from there; in memory it has rows of 32 bytes, without a swizzle
	tail      string
	scale     float64 // of the product
	added     float64
}

// image are random matrices as shared memory has them, b from starts on.
func (c groupCase) image(start int) (image []byte, a, b func(mn, k int) float64) {
	f := map[string]format{"bf16": bfloat16, "f16": float16}[c.elem]
	r := rand.New(rand.NewPCG(uint64(c.n), uint64(c.a.width)))
	image = make([]byte, 45056)
	for i := 0; i < len(image); i += 2 {
		binary.LittleEndian.PutUint16(image[i:], uint16(f.encode(r.NormFloat64(), nearestEven)))
	}
	at := func(l matrixLayout, start, rows int) func(mn, k int) float64 {
		return func(mn, k int) float64 { return f.decode(load(image[start+l.base*128+l.at(mn, k, rows):], 2)) }
	}
	if c.registers {
		return image, func(m, k int) float64 { return f.decode(load(image[32*m+2*k:], 2)) }, at(c.b, start, c.n)
	}
	return image, at(c.a, 0, 64), at(c.b, start, c.n)
}

func (c groupCase) code(start int) string {
	a, trans := "%d5", fmt.Sprintf("%d, ", bit(c.a.byMN))
	load := ""
	if c.registers {
		a, trans = "{%r10, %r11, %r12, %r13}", ""
		for i := range 4 { // rows of 32 bytes
			load += fmt.Sprintf("ld.shared.b32 %%r%d, [%%r9+%d];", 10+i, i%2*8*32+i/2*16)
		}
	}
	return fill(groupCopy+`
	shr.u32 %r8, %r1, 2; and.b32 %r9, %r1, 3; shl.b32 %r9, %r9, 2;
	and.b32 %r14, %r8, 7; shr.u32 %r8, %r1, 5; mad.lo.u32 %r14, %r8, 16, %r14; mad.lo.u32 %r9, %r14, 32, %r9;
	LOAD
	mov.b64 %d5, A_DESC; mov.b64 %d6, B_DESC; setp.eq.u32 %p2, %r1, %r1;
	ZERO
	wgmma.fence.sync.aligned;
	wgmma.mma_async.sync.aligned.m64nNk16.f32.ELEM.ELEM SUMS, A, %d6, TAIL, TRANS_A TRANS_B;
	wgmma.commit_group.sync.aligned;
	wgmma.wait_group.sync.aligned 0;
	mad.wide.u32 %d4, %r1, 4, %d2;
	STORE
`, "BYTES", "45056", "LOAD", load, "A_DESC", fmt.Sprintf("0x%X", c.a.descriptor(c.a.base*128, 64)),
		"B_DESC", fmt.Sprintf("0x%X", c.b.descriptor(start+c.b.base*128, c.n)),
		"ZERO", eachSum(c.n, "mov.f32 SUM, 0f40000000;"), "STORE", eachSum(c.n, storeSum),
		"nNk", fmt.Sprintf("n%dk", c.n), "ELEM", c.elem, "SUMS", laneSums(c.n), "A,", a+",", "TAIL", c.tail, "TRANS_A ", trans, "TRANS_B", fmt.Sprint(bit(c.b.byMN)))
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// check runs the product and compares it with one in float64.
func (c groupCase) check(t *testing.T) {
	const start = 9 * 1024
	image, a, b := c.image(start)
	out := 512 * c.n / 2
	got := benchOf(t, groupModule(t, c.code(start)), 128, image, out).run(t, out)
	for i := range 64 {
		for j := range c.n {
			want := c.added
			for k := range 16 {
				want += c.scale * a(i, k) * b(j, k)
			}
			// Element e of lane 4g+q of warp w: row 16w + g + 8(e/2%2), column 8(e/4) + 2q + e%2.
			e, lane := j/8*4+i%16/8*2+j%2, i/16*32+i%8*4+j%8/2
			v := float64(math.Float32frombits(binary.LittleEndian.Uint32(got[512*e+4*lane:])))
			require.InDelta(t, want, v, 1e-5*(1+math.Abs(want)), "%+v at %d, %d", c, i, j)
		}
	}
}

// Products of matrices in all layouts, at all steps of k of a row.
func TestGroupProducts(t *testing.T) {
	for _, width := range []int{16, 32, 64, 128} {
		for mask := range 4 {
			l := matrixLayout{width: width, byMN: mask&1 != 0, step: max(0, width/32-1)}
			r := matrixLayout{width: width, byMN: mask&2 != 0}
			c := groupCase{elem: []string{"bf16", "f16"}[mask/2], n: 64, a: l, b: r, tail: "1, 1, 1", scale: 1, added: 2}
			c.check(t)
			c.a, c.b = c.b, c.a
			c.check(t)
		}
	}
}

// All there is besides: numbers of columns, what is added, signs, a in registers, and
// patterns that do not begin at a multiple of their size.
func TestGroupProductVariants(t *testing.T) {
	dense, wide := matrixLayout{width: 32}, matrixLayout{width: 128, step: 2}
	narrow := groupCase{elem: "f16", n: 24, a: dense, b: dense, tail: "1, 1, 1", scale: 1, added: 2}
	for _, change := range []func(c *groupCase){
		func(c *groupCase) { c.n = 8 },
		func(c *groupCase) { c.n, c.a, c.b = 256, wide, wide },
		func(c *groupCase) { c.tail, c.added = "0, 1, 1", 0 },
		func(c *groupCase) { c.tail = "%p2, 1, 1" },
		func(c *groupCase) { c.tail, c.added = "!%p2, 1, 1", 0 },
		func(c *groupCase) { c.tail, c.scale = "1, -1, 1", -1 },
		func(c *groupCase) { c.tail = "1, -1, -1" },
		func(c *groupCase) { c.registers, c.elem = true, "bf16" },
		func(c *groupCase) { c.registers, c.b.byMN = true, true },
		func(c *groupCase) { c.a, c.b.base = wide, 2 },
		func(c *groupCase) { c.b = matrixLayout{width: 128, base: 3} },
		func(c *groupCase) { c.b, c.n = matrixLayout{width: 128, base: 5, byMN: true}, 64 },
	} {
		c := narrow
		change(&c)
		c.check(t)
	}
}

// Products of one sum need no wait in between, and are counted per warp.
func TestChainsOfGroupProducts(t *testing.T) {
	text := groupModule(t, fill(groupCopy+groupSetup+`
	PRODUCT PRODUCT
	wgmma.commit_group.sync.aligned;
	PRODUCT
	wgmma.commit_group.sync.aligned;
	wgmma.wait_group.sync.aligned 1;
	wgmma.fence.sync.aligned;
	PRODUCT
	wgmma.commit_group.sync.aligned;
	wgmma.wait_group.sync.aligned 0;
	setmaxnreg.dec.sync.aligned.u32 24;
	mad.wide.u32 %d4, %r1, 4, %d2;
`+eachSum(8, storeSum), groupNames...))
	b := benchOf(t, text, 128, make([]byte, 4096), 4*512)
	for i := range uint64(2048) { // ones
		require.NoError(t, b.mem.Write(inAddr+2*i, []byte{0x80, 0x3F}))
	}
	stats, err := b.m.Run(b.mem, b.l, Options{})
	require.NoError(t, err)
	assert.EqualValues(t, 4*4, stats.GroupMMA)
	assert.Equal(t, float32(4*16), math.Float32frombits(word(b.read(t, 512), 77)))
}

// The products of a block are those of its own operands.
func TestGroupProductsOfBlocks(t *testing.T) {
	body := replaceOnce(t, groupCopy, "ld.param.u64 %d2, [out];", `ld.param.u64 %d2, [out];
	mov.u32 %r20, %ctaid.x; mad.wide.u32 %d1, %r20, 4096, %d1; mad.wide.u32 %d2, %r20, 512, %d2;`)
	text := groupModule(t, fill(body+groupSetup+"PRODUCT END mad.wide.u32 %d4, %r1, 4, %d2; st.global.f32 [%d4], %a0;", groupNames...))
	in := make([]byte, 3*4096)
	for i := range len(in) / 2 {
		binary.LittleEndian.PutUint16(in[2*i:], uint16(bfloat16.encode(float64(1+i/2048), nearestEven)))
	}
	b := benchOf(t, text, 128, in, 3*512)
	b.l.Grid[0] = 3
	out := b.run(t, 3*512)
	for block, want := range []float32{16, 4 * 16, 9 * 16} {
		assert.Equal(t, want, math.Float32frombits(word(out, 128*block+5)))
	}
}
