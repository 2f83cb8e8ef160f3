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

// productOf16x8 multiplies a tile a[16][rowBytes] with b[8][rowBytes] (its columns)
// through shared memory, ldmatrix and mma. Lane 4g+q stores c rows g and g+8,
// columns 2q and 2q+1, as words.
func productOf16x8(mma string, rowBytes int, acc string) string {
	full := rowBytes == 32
	load := "ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%r10, %r11}, [%r5];\n ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r14}, [%r6];"
	a, b := "{%r10, %r11}", "{%r14}"
	if full {
		load = "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r10, %r11, %r12, %r13}, [%r5];\n ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%r14, %r15}, [%r6];"
		a, b = "{%r10, %r11, %r12, %r13}", "{%r14, %r15}"
	}
	regs := map[string]string{"f32": "{%f1, %f2, %f3, %f4}", "s32": "{%r20, %r21, %r22, %r23}", "f16": "{%r20, %r21}"}[acc]
	stores := map[string]string{
		"f32": "st.global.v2.f32 [%d3], {%f1, %f2}; st.global.v2.f32 [%d3+256], {%f3, %f4};",
		"s32": "st.global.v2.b32 [%d3], {%r20, %r21}; st.global.v2.b32 [%d3+256], {%r22, %r23};",
		"f16": "st.global.b32 [%d3], %r20; st.global.b32 [%d3+256], %r21;",
	}[acc]
	return fill(`
	.shared .align 16 .b8 tile[768];
	ld.param.u64 %d1, [in]; ld.param.u64 %d2, [out]; mov.u32 %r1, %tid.x;
	// 24 rows, one per thread
	setp.ge.u32 %p1, %r1, 24; @%p1 bra copied;
	mul.lo.u32 %r2, %r1, ROW; cvt.u64.u32 %d4, %r2; add.u64 %d4, %d4, %d1;
	mov.u32 %r3, tile; add.u32 %r3, %r3, %r2;
	ld.global.v4.b32 {%r20, %r21, %r22, %r23}, [%d4]; st.shared.v4.b32 [%r3], {%r20, %r21, %r22, %r23};
	ld.global.v4.b32 {%r20, %r21, %r22, %r23}, [%d4+SECOND]; st.shared.v4.b32 [%r3+SECOND], {%r20, %r21, %r22, %r23};
copied:
	bar.sync 0;
	and.b32 %r4, %r1, 15; shr.u32 %r7, %r1, 4; mad.lo.u32 %r5, %r4, ROW, 0; mad.lo.u32 %r5, %r7, SECOND, %r5;
	and.b32 %r4, %r1, 7; shr.u32 %r7, %r1, 3; and.b32 %r7, %r7, 1; mad.lo.u32 %r6, %r4, ROW, 0; mad.lo.u32 %r6, %r7, SECOND, %r6; add.u32 %r6, %r6, COLUMNS;
	LOAD
	mov.f32 %f1, 0f3F800000; mov.f32 %f2, %f1; mov.f32 %f3, %f1; mov.f32 %f4, %f1;
	mov.b32 %r20, ONE; mov.b32 %r21, %r20; mov.b32 %r22, %r20; mov.b32 %r23, %r20;
	MMA ACC, LEFT, RIGHT, ACC;
	mad.wide.u32 %d3, %r1, 8, %d2;
	STORE
`, "ROW", fmt.Sprint(rowBytes), "SECOND", fmt.Sprint(min(16, rowBytes-16)), "COLUMNS", fmt.Sprint(16*rowBytes), "LOAD", load,
		"MMA", mma, "ACC", regs, "STORE", stores, "ONE", map[string]string{"f32": "0", "s32": "1", "f16": "0x3C003C00"}[acc], "LEFT", a, "RIGHT", b)
}

func TestMatrixProducts(t *testing.T) {
	for _, c := range []struct {
		shape, acc, elem string
		bits, depth      int
		value            func(uint64) float64
	}{
		{"m16n8k16", "f32", "bf16", 16, 16, bfloat16.decode},
		{"m16n8k16", "f32", "f16", 16, 16, float16.decode},
		{"m16n8k16", "f16", "f16", 16, 16, float16.decode},
		{"m16n8k8", "f32", "bf16", 16, 8, bfloat16.decode},
		{"m16n8k8", "f32", "tf32", 32, 8, func(x uint64) float64 { return float64(f32(x)) }},
		{"m16n8k32", "s32", "s8", 8, 32, func(x uint64) float64 { return float64(int8(x)) }},
		{"m16n8k32", "f32", "e4m3", 8, 32, float8e4m3.decode},
	} {
		name := strings.Join([]string{"mma.sync.aligned", c.shape, "row.col", c.acc, c.elem, c.elem, c.acc}, ".")
		rowBytes := c.depth * c.bits / 8
		r := rand.New(rand.NewPCG(1, uint64(c.depth)))
		in := make([]byte, 24*32)
		at := func(row, k int) float64 { return c.value(load(in[row*rowBytes+k*c.bits/8:], c.bits/8)) }
		for i := 0; i < 24*c.depth; i++ {
			x := map[string]uint64{
				"bf16": bfloat16.encode(r.NormFloat64(), nearestEven), "f16": float16.encode(r.NormFloat64(), nearestEven),
				"tf32": bits32(float32(r.NormFloat64())) &^ 0x1FFF, "s8": uint64(r.IntN(256)), "e4m3": float8e4m3.encode(r.NormFloat64(), nearestEven),
			}[c.elem]
			store(in[i*c.bits/8:], c.bits/8, x)
		}
		b := newBench(t, productOf16x8(name, rowBytes, c.acc), 32, in, 512)
		out := b.run(t, 512)
		for i := range 16 {
			for j := range 8 {
				want := 1.0
				for k := range c.depth {
					want += at(i, k) * at(16+j, k)
				}
				o := i/8*256 + (i%8*4+j/2)*8 + j%2*4
				var got float64
				switch c.acc {
				case "f32":
					got = float64(math.Float32frombits(binary.LittleEndian.Uint32(out[o:])))
				case "s32":
					got = float64(int32(binary.LittleEndian.Uint32(out[o:])))
				case "f16":
					got = float16.decode(load(out[i/8*256+(i%8*4+j/2)*8+j%2*2:], 2))
				}
				tolerance := map[string]float64{"f32": 1e-5, "s32": 0, "f16": 0.02}[c.acc]
				require.InDelta(t, want, got, tolerance, "%s at %d, %d", name, i, j)
			}
		}
	}
}

// transposer stores 8 rows of 8 halves, and loads them as one matrix.
const transposer = prologue + `
	.shared .align 16 .b8 tile[2048];
	mov.u32 %r3, tile;
	mad.lo.u32 %r4, %r1, STRIDE, %r3;
	mad.lo.u32 %r5, %r1, 0x10001, 0;
	st.shared.v4.b32 [%r4], {%r5, %r5, %r5, %r5};
	bar.sync 0;
	ldmatrix.sync.aligned.m8n8.x1TRANS.shared.b16 {%r0}, [%r4];
	st.global.u32 [%d2], %r0;`

func TestTransposedLoads(t *testing.T) {
	for trans, want := range map[string]uint32{"": 0x00020002, ".trans": 0x00050004} {
		b := newBench(t, fill(transposer, "STRIDE", "16", "TRANS", trans), 32, nil, 128)
		assert.Equal(t, want, word(b.run(t, 128), 10), "lane 10: row 2, elements 4 and 5%s", trans)
	}
}

// Rows that are 16 bytes apart fill the banks; rows 128 bytes apart all hit the same.
func TestBankConflictsOfMatrices(t *testing.T) {
	for stride, want := range map[int]int64{16: 0, 32: 1, 64: 3} {
		b := newBench(t, fill(transposer, "STRIDE", fmt.Sprint(stride), "TRANS", ""), 32, nil, 128)
		stats, err := b.m.Run(b.mem, b.l, Options{})
		require.NoError(t, err)
		assert.Equal(t, want, stats.MatrixConflicts, "a row every %d bytes", stride)
	}
}
