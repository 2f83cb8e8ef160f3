package sim

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// benchmark runs a body in 16 blocks of 256 threads, and reports thread instructions
// per second.
func benchmark(b *testing.B, body string) {
	k := newBench(b, prologue+body, 256, iota8(1<<14), 1<<14)
	k.l.Grid[0] = 16
	var total Stats
	for b.Loop() {
		s, err := k.m.Run(k.mem, k.l, Options{})
		require.NoError(b, err)
		total.Add(s)
	}
	b.ReportMetric(float64(total.Insts)/1e6/b.Elapsed().Seconds(), "Minst/s")
}

func BenchmarkArithmetic(b *testing.B) {
	benchmark(b, `cvt.rn.f32.u32 %f1, %r1; mov.f32 %f2, 0f3F000000; mov.u32 %r3, 0;
loop:
`+strings.Repeat("fma.rn.f32 %f1, %f1, %f2, %f2; mul.f32 %f3, %f1, %f2; add.u32 %r4, %r3, %r1; xor.b32 %r5, %r4, 7;\n", 8)+`
	add.u32 %r3, %r3, 1;
	setp.lt.u32 %p1, %r3, 32;
	@%p1 bra loop;
	st.global.f32 [%d2], %f1;`)
}

func BenchmarkGlobalMemory(b *testing.B) {
	benchmark(b, `ld.param.u64 %d3, [in]; mad.wide.u32 %d3, %r1, 16, %d3; mov.u32 %r3, 0;
loop:
`+strings.Repeat("ld.global.v4.b32 {%r4, %r5, %r6, %r7}, [%d3]; ld.global.b32 %r8, [%d3+4]; st.global.b32 [%d2], %r8;\n", 8)+`
	add.u32 %r3, %r3, 1;
	setp.lt.u32 %p1, %r3, 16;
	@%p1 bra loop;`)
}

func BenchmarkSharedMemory(b *testing.B) {
	benchmark(b, `.shared .b32 s[256]; mad.lo.u32 %r3, %r1, 4, 0; mov.u32 %r4, 0;
loop:
`+strings.Repeat("st.shared.b32 [%r3], %r1; bar.sync 0; xor.b32 %r5, %r3, 128; ld.shared.b32 %r6, [%r5]; bar.sync 0;\n", 8)+`
	add.u32 %r4, %r4, 1;
	setp.lt.u32 %p1, %r4, 8;
	@%p1 bra loop;`)
}

// BenchmarkMatrix counts an mma, of 4096 products and sums, as 32 instructions.
func BenchmarkMatrix(b *testing.B) {
	benchmark(b, `.shared .align 16 .b8 s[16384]; mov.f32 %f1, 0f00000000; mov.f32 %f2, %f1; mov.f32 %f3, %f1; mov.f32 %f4, %f1;
	mad.lo.u32 %r3, %r1, 16, 0; mov.u32 %r4, 0; mov.u32 %r5, 0x3F803F80;
	st.shared.v4.b32 [%r3], {%r5, %r5, %r5, %r5}; bar.sync 0;
loop:
`+strings.Repeat(`ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r10, %r11, %r12, %r13}, [%r3];
	mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f1, %f2, %f3, %f4}, {%r10, %r11, %r12, %r13}, {%r10, %r12}, {%f1, %f2, %f3, %f4};
	mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f1, %f2, %f3, %f4}, {%r10, %r11, %r12, %r13}, {%r11, %r13}, {%f1, %f2, %f3, %f4};
`, 4)+`
	add.u32 %r4, %r4, 1;
	setp.lt.u32 %p1, %r4, 8;
	@%p1 bra loop;
	st.global.f32 [%d2], %f1;`)
}

func BenchmarkParse(b *testing.B) {
	text := module(prologue + strings.Repeat("ld.global.v4.b32 {%r4, %r5, %r6, %r7}, [%d3]; fma.rn.f32 %f1, %f1, %f2, %f2; @!%p1 add.u32 %r4, %r3, 17;\n", 300))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		_, err := Parse(text)
		require.NoError(b, err)
	}
}
