package sim

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What the assembler refuses is an error of Parse, with its line.
func TestErrorsOfInstructions(t *testing.T) {
	for _, c := range []struct{ code, want string }{
		{"frobnicate.u32 %r1, %r2;", `an instruction, got "frobnicate"`},
		{"add.u33 %r1, %r2, %r3;", `got ".u33"`},
		{"add.u32.sat %r1, %r2, %r3;", "no further modifier, got .sat"},
		{"add.f32.rn %f1, %f2, %f3;", `got`},
		{"add.u32 %r1, %r2;", "another operand"},
		{"add.u32 %r1, %r2, %r3, %r4;", "no further operand, got %r4"},
		{"add.u32 %f1, %r2, %r3;", "%f1, which is .f32"},
		{"add.f32 %f1, %f2, %d1;", "%d1, which is .b64"},
		{"add.f32 %f1, %f2, 1;", `an operand of .f32, got "1"`},
		{"add.u64 %d1, %d2, %r1;", "%r1, which is .b32"},
		{"mul.u32 %r1, %r2, %r3;", ".lo .hi .wide"},
		{"mul.wide.u64 %d1, %d2, %d3;", "at most 32 bits"},
		{"fma.f32 %f1, %f2, %f3, %f4;", "a rounding"},
		{"div.f32 %f1, %f2, %f3;", "a rounding"},
		{"ex2.f32 %f1, %f2;", ".approx"},
		{"lg2.approx.f64 %g1, %g2;", "a type that lg2.approx has"},
		{"cvt.f32.s32 %f1, %r1;", "a rounding such as .rn"},
		{"cvt.s32.f32 %r1, %f1;", "an integer rounding"},
		{"cvt.rzi.s32.s64 %r1, %d1;", "an integer rounding"},
		{"cvt.bf16.f32 %h1, %f1;", "a rounding such as .rn"},
		{"cvt.rn.e4m3x2.f32 %h1, %f1, %f2;", "a conversion that exists"},
		{"setp.lt.b32 %p1, %r1, %r2;", "a comparison that .b32 has"},
		{"setp.ltu.s32 %p1, %r1, %r2;", "a comparison that .s32 has"},
		{"selp.b32 %r1, %r2, %r3, %r4;", "%r4, which is .b32"},
		{"shl.b32 %r1, %r2, %d1;", "%d1, which is .b64"},
		{"mov.b64 %d1, {%r1, %r2, %r3};", "in 2 or 4 parts"},
		{"mov.b64 %d1, {%h1, %h2};", "%h1, which is .b16"},
		{"mov.u32 %r1, %nowhere;", `got "%nowhere"`},
		{"mov.u32 %r40, 1;", `got "%r40"`},
		{"mov.u32 %r01, 1;", `got "%r01"`},
		{"ld.global.v4.b64 {%d1, %d2, %d3, %d4}, [%d5];", "at most 16 bytes"},
		{"ld.global.v2.f32 {%f1}, [%d5];", "2 registers, got 1"},
		{"ld.global.f32 %f1, [%r1];", "an address, got %r1"},
		{"ld.global.f32 %f1, %d1;", "an address such as"},
		{"ld.global.f32 %f1, [%d1+x];", "a number as the offset"},
		{"ld.param.u64 %d1, [nothing];", `the base of an address, got "nothing"`},
		{"ld.global.f32 %f1, [64];", `the base of an address, got "64"`},
		{"ld.shared.nc.f32 %f1, [%r1];", ".nc of global memory only"},
		{"st.param.u64 [in], %d1;", `got ".param"`},
		{"st.const.u64 [in], %d1;", `got ".const"`},
		{"@%r1 bra a; a:", `a predicate, got "%r1"`},
		{"bra nowhere;", `a label of the entry, got "nowhere"`},
		{"a: a: ret;", "a new label"},
		{"bar.sync 16;", "between 0 and 15"},
		{"bar.sync 0, 33;", "a multiple of 32"},
		{"cp.async.cg.shared.global [%r1], [%d1], 8;", "4, 8 or 16 bytes (.cg: 16), got 8"},
		{"cp.async.wait_group %r1;", "a number"},
		{"cp.async.bulk.tensor.6d.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%d1, {0}], [%r2];", ".1d .2d .3d .4d .5d"},
		{"cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%d1, {0}], [%r2];", "2 registers, got 1"},
		{"cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%d1], [%r2];", "a map and coordinates"},
		{"cp.async.bulk.tensor.1d.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%r3, {0}], [%r2];", "an address, got %r3"},
		{"cp.async.bulk.tensor.1d.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [in, {0}], [%r2];", `the base of an address, got "in"`},
		{"cp.async.bulk.tensor.1d.shared::cta.global.mbarrier::complete_tx::bytes [%r1], [%d1, {0}], [%r2];", ".version 8.6"},
		{"cp.async.bulk.tensor.1d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%r1], [%d1, {0}], [%r2], %h1;", "no further modifier"},
		{"cp.async.bulk.tensor.1d.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%r1], [%d1, {0}], [%r2];", "another operand"},
		{"cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%d1], 128, [%r2];", ".tensor"},
		{"cp.async.bulk.wait_group -1;", "a number of groups, got -1"},
		{"mbarrier.arrive.b64 %d1, [%r1];", ".shared .shared::cta"},
		{"mbarrier.arrive.noComplete.shared.b64 %d1, [%r1], 1;", "got"},
		{"mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r1];", "another operand"},
		{"mbarrier.arrive.relaxed.cta.shared::cta.b64 _, [%r1];", "got"},
		{"mbarrier.try_wait.parity.shared::cta.b64 %r1, [%r1], 0;", "%r1, which is .b32"},
		{"elect.sync %r1, -1;", "a predicate such as"},
		{"bar.sync %p1;", "%p1, which is .pred"},
		{"mov.b32 %r1, in;", "an operand of .b32"},
		{"prefetch.tensormap [in];", "the base of an address"},
		{"shfl.bfly.b32 %r1, %r2, 1, 31;", ".sync"},
		{"red.global.cas.b32 [%d1], %r1, %r2;", "an operation that red has"},
		{"atom.global.add.f16x2 %r1, [%d1], %r2;", ".noftz"},
		{"lop3.b32 %r1, %r2, %r3, %r4, 256;", "between 0 and 255"},
		{"mma.sync.aligned.m16n8k8.row.col.f32.s8.s8.f32 {%f1, %f2, %f3, %f4}, {%r1}, {%r1}, {%f1, %f2, %f3, %f4};", "a product that exists"},
		{"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f1, %f2}, {%r1, %r2, %r3, %r4}, {%r1, %r2}, {%f1, %f2, %f3, %f4};", "4 registers, got 2"},
		{".reg .b99 %x;", "a register type"},
		{".reg .b32 %r<3>;", "new registers"},
		{".shared .b8 big[50000];", "at most 49152 bytes"},
		{".shared .b8 s[4]; .shared .b8 s[4];", "a new variable"},
		{".global .b8 s[4];", "a .shared or .local variable"},
		{"add.u32 %r1, %r2, %r3", "a semicolon"},
	} {
		_, err := Parse(strings.Replace(module("\n"+c.code), "\n\tret;\n", "", map[bool]int{true: 1, false: 0}[!strings.HasSuffix(c.code, ";") && !strings.HasSuffix(c.code, ":")]))
		if assert.Error(t, err, c.code) && c.want != "a semicolon" {
			assert.ErrorContains(t, err, c.want, c.code)
			assert.ErrorContains(t, err, "sim: line ", c.code)
		}
	}
}

func TestTargetsBoundInstructions(t *testing.T) {
	for code, arch := range map[string]string{
		"add.bf16x2 %r1, %r2, %r3;":                  "sm_90",
		"cvt.rn.satfinite.e4m3x2.f32 %h1, %f1, %f2;": "sm_89",
		"min.NaN.f32 %f1, %f2, %f3;":                 "sm_80",
		"redux.sync.add.u32 %r1, %r2, -1;":           "sm_80",
		"fma.rn.bf16x2 %r1, %r2, %r3, %r4;":          "sm_80",
		"red.global.add.noftz.bf16x2 [%d1], %r1;":    "sm_90",
		"setp.lt.bf16 %p1, %h1, %h2;":                "sm_90",
		"tanh.approx.bf16x2 %r1, %r2;":               "sm_90",
		"cvt.f32.bf16 %f1, %h1;":                     "sm_90",
		"ex2.approx.f16x2 %r1, %r2;":                 "sm_75",
		"mbarrier.init.shared.b64 [%r1], 1;":         "sm_80",
		"mbarrier.expect_tx.shared.b64 [%r1], 1;":    "sm_90",
		"elect.sync _|%p1, -1;":                      "sm_90",
		"fence.mbarrier_init.release.cluster;":       "sm_90",
		"prefetch.tensormap [%d1];":                  "sm_90",
		"cp.async.bulk.commit_group;":                "sm_90",
	} {
		text := module(code)
		_, err := Parse(text)
		require.NoError(t, err, code)
		_, err = Parse(strings.Replace(text, "sm_90", "sm_70", 1))
		require.ErrorContains(t, err, arch, code)
	}
}

func TestErrorsOfModules(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{".target gpu\n", "line 1: expected a target"},
		{".version 8\n", "line 1: expected a version"},
		{".version 6.0\n.target sm_80\n.entry f() {.reg .b32 r; redux.sync.add.u32 r, 1, -1; }", "expected .version 7.0"},
		{".version 8.0\n.address_size 32\n", "line 2: expected .address_size 64"},
		{"/* a\ncomment */ .global .b32 x;", `line 2: expected a .const or .shared variable`},
		{".const .b32 x[2] = {1, 2, 3};", "at most 2 values"},
		{".const .b32 x = {y};", "a value of type b32"},
		{".const .align 3 .b32 x;", "an alignment"},
		{".const .b32 x; .const .b32 x;", "a new name"},
		{".const .b32 x[99999];", "at most 65536 bytes"},
		{".func f() { ret; }", "sim: line 1"},
		{".entry 1f() { ret; }", "the name of an entry"},
		{".entry f(.param .b64 x, .param .b32 x) { ret; }", "a new parameter"},
		{".entry f(.param .b8 x[5000]) { ret; }", "at most 4352 bytes"},
		{".entry f() .maxntid 2048 { ret; }", "at most 1024 threads"},
		{".entry f() .what 1 { ret; }", "a directive such as .maxntid"},
		{".entry f() { ret; } .entry f() { ret; }", "a new entry"},
		{".entry f() { ret;", "a closing brace"},
		{"ret;", "a declaration"},
		{"}", "a directive or an entry"},
	} {
		_, err := Parse(c.text)
		require.ErrorContains(t, err, c.want, c.text)
	}
}

// Parameters lie at multiples of their size; a block of bytes as it says.
func TestParameters(t *testing.T) {
	m, err := Parse(".entry f(.param .u32 a, .param .u64 .ptr .global .align 16 b, .param .b32 c,\n .param .align 16 .b8 d[24]) .reqntid 4, 8 { ret; }\n.entry g{}")
	require.NoError(t, err)
	e, _ := m.Entry("f")
	assert.Equal(t, Entry{Name: "f", Threads: 32, ParamBytes: 56, Insts: 1}, e)
	assert.Equal(t, []string{"f", "g"}, m.Entries())
	p := m.program("f")
	assert.Equal(t, 8, p.params["b"].offset)
	assert.Equal(t, 32, p.params["d"].offset)
}

func FuzzParse(f *testing.F) {
	f.Add(module("@!%p1 ld.global.v2.f32 {%f1, %f2}, [%d1+-8]; L: bra L;"))
	f.Add(".const .align 4 .b32 t[2] = {1, 0f3F800000};\n.extern .shared .align 16 .b8 d[];\n.entry g() .maxntid 1, 2 { .local .b8 x[4]; {.reg .u32 a<2>;} ret; }")
	f.Add(module("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f1, %f2, %f3, %f4}, {%r1, %r2, %r3, %r4}, {%r1, %r2}, {%f1, %f2, %f3, %f4};"))
	f.Add(module("shfl.sync.down.b32 %r0|%p1, %r1, 3, 31, -1; cp.async.ca.shared.global [%r1], [%d1], 8; cvt.rn.bf16x2.f32 %r1, %f1, %f2;"))
	f.Add(".version 7.8 // c\n.target sm_80, debug\n.file 1 \"a;b\"\n.loc 1 2 3\n/* */ .pragma \"x\";")
	f.Add(module("mbarrier.init.shared.b64 [%r1], 1; mbarrier.try_wait.parity.shared::cta.b64 %p1, [%r1], %r2; elect.sync _|%p1, -1; bar.sync %r1, 64;"))
	f.Add(module("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%d1, {0, %r2}], [%r2]; prefetch.param.tensormap [in];"))
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse(text)
		if err != nil {
			assert.ErrorContains(t, err, "sim: line ")
			return
		}
		for _, name := range m.Entries() {
			e, ok := m.Entry(name)
			require.True(t, ok)
			// It may be run: whatever is wrong with it is a fault.
			_, _ = m.Run(NewMemory(), Launch{Entry: name, Grid: [3]int{1, 1, 1}, Block: [3]int{33, 1, 1}, Params: make([]byte, e.ParamBytes)}, Options{MaxSteps: 1000})
		}
	})
}

func TestVersionsBoundInstructions(t *testing.T) {
	text := module("mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 {%f1, %f2, %f3, %f4}, {%r1, %r2, %r3, %r4}, {%r1, %r2}, {%f1, %f2, %f3, %f4};")
	_, err := Parse(text)
	require.NoError(t, err)
	_, err = Parse(replaceOnce(t, text, ".version 8.4", ".version 8.3"))
	require.ErrorContains(t, err, ".version 8.4")
}
