package asm

import (
	"bytes"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestOps holds ops.go to the tables: same names, same order.
func TestOps(t *testing.T) {
	require.Len(t, rows, numOps)
	src, err := os.ReadFile("ops.go")
	require.NoError(t, err)
	names := regexp.MustCompile(`(?m)^\t([A-Z]\w+)( Op = iota)?$`).FindAllStringSubmatch(string(src), -1)
	require.Len(t, names, numOps, "run go generate")
	seen := map[string]bool{}
	for i, name := range names {
		assert.Equal(t, name[1], Op(i).String(), "ops.go is out of date: run go generate")
		assert.False(t, seen[name[1]], "%s has two rows", name[1])
		seen[name[1]] = true
	}
	assert.Equal(t, "VADDPS", VADDPS.String())
	assert.Equal(t, "vmovups", VMOVUPSst.mnemonic())
	assert.Equal(t, "Op(?)", Op(numOps).String())
}

// TestGenerate runs the generator and compares.
func TestGenerate(t *testing.T) {
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Log("NOT REGENERATED: no go command. TestOps compared the names.")
		return
	}
	dir := t.TempDir()
	for _, name := range []string{"table_float.go", "table_int.go", "table_move.go", "table_mask.go"} {
		src, err := os.ReadFile(name)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), src, 0o600))
	}
	gen, err := filepath.Abs("gen.go")
	require.NoError(t, err)
	cmd := exec.Command(tool, "run", gen)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GO111MODULE=off")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	want, err := os.ReadFile(filepath.Join(dir, "ops.go"))
	require.NoError(t, err)
	got, err := os.ReadFile("ops.go")
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "run go generate")
}

func finish(t *testing.T, a *Asm) string {
	t.Helper()
	code, err := a.Finish()
	require.NoError(t, err)
	return hex.EncodeToString(code)
}

func TestJumps(t *testing.T) {
	var a Asm
	end := a.NewLabel()
	top := a.Here()
	a.Jcc(E, end)  // forward: 32-bit distance
	a.DEC(RCX)     //
	a.Jcc(NE, top) // backward: 8-bit distance
	a.JMP(top)
	a.JMP(end)
	a.Bind(end)
	a.RET()
	assert.Equal(t, "0f840c000000"+"48ffc9"+"75f5"+"ebf3"+"e900000000"+"c3", finish(t, &a))

	// -128 is the farthest 8-bit distance.
	for _, far := range []struct {
		pad  int
		want string
	}{{126, "7580"}, {127, "0f857bffffff"}} {
		a.Reset()
		top = a.Here()
		a.B = append(a.B, bytes.Repeat([]byte{0x90}, far.pad)...)
		a.Jcc(NE, top)
		assert.Equal(t, far.want, finish(t, &a)[2*far.pad:])
	}
	assert.Equal(t, GE, LT.Not())
	assert.Equal(t, "ne", NE.String())
}

// TestConstants checks sharing, alignment, and distances past an immediate byte.
func TestConstants(t *testing.T) {
	var a Asm
	one := a.Const32(0x3f800000)
	assert.Equal(t, one, a.Const32(0x3f800000))
	wide := a.ConstBytes(bytes.Repeat([]byte{7}, 32))
	double := a.Const64(0x0102030405060708)
	a.RM(VADDPS, Z512, 1, 2, one, Bc)             // 0..9
	a.RMi(VCMPPSv, Y256, 1, 2, wide, 0, 3)        // 10..18, the distance counts from 19
	a.RM(VMOVSDld, X128, 3, 0, double, 0)         // 19..26
	a.RM(VMOVUPSld, X128, 3, 0, wide.Plus(16), 0) // 27..34
	a.ADDmi(double, 1000)                         // 35..45
	a.RET()                                       // 46
	code, err := a.Finish()
	require.NoError(t, err)
	require.Len(t, code, 64+32+8+4)
	assert.Equal(t, bytes.Repeat([]byte{0xCC}, 64-47), code[47:64])
	assert.Equal(t, bytes.Repeat([]byte{7}, 32), code[64:96])
	assert.Equal(t, []byte{8, 7, 6, 5, 4, 3, 2, 1}, code[96:104])
	assert.Equal(t, []byte{0, 0, 0x80, 0x3f}, code[104:])
	distance := func(at int) int { return int(int32(uint32(code[at]) | uint32(code[at+1])<<8)) }
	assert.Equal(t, 104-10, distance(6))
	assert.Equal(t, 64-19, distance(14))
	assert.Equal(t, 96-27, distance(23))
	assert.Equal(t, 64+16-35, distance(31))
	assert.Equal(t, 96-46, distance(38))
}

func TestAlign(t *testing.T) {
	for n := 1; n <= 64; n *= 2 {
		var a Asm
		a.RET()
		a.Align(n)
		assert.Zero(t, a.Len()%n)
		assert.Less(t, a.Len(), n+1)
	}
}

func TestListing(t *testing.T) {
	a := Asm{Trace: true}
	top := a.Here()
	a.RM(VFMADD231PS, Z512, 3, 17, PtrX(RSI, RCX, 2, 64), MaskZ(2))
	a.RM(VADDPD, Z512, 1, 2, Ptr(RDI, 8), Bc)
	a.RM(VGATHERDPSk, Z512, 1, 0, VPtr(RDI, 20, 2, 0), Mask(1))
	a.Blendv(VBLENDVPS, Y256, 1, 2, 3, 4)
	a.VPSLLD(Y256, 1, 2, 23)
	a.Jcc(LT, top)
	a.RM(VMULSS, X128, 1, 1, a.Const32(1), 0)
	_, err := a.Finish()
	require.NoError(t, err)
	var texts []string
	for _, line := range a.Lines() {
		texts = append(texts, line.Text)
	}
	assert.Equal(t, []string{
		"L0:",
		"vfmadd231ps zmm3{k2}{z}, zmm17, zmmword ptr [rsi+rcx*4+64]",
		"vaddpd zmm1, zmm2, [rdi+8]{1to8}",
		"vgatherdps zmm1{k1}, dword ptr [rdi+zmm20*4]",
		"vblendvps ymm1, ymm2, ymm3, ymm4",
		"vpslld ymm1, ymm2, 23",
		"jl L0",
		"vmulss xmm1, xmm1, dword ptr [rip+L1]",
		".balign 4",
		"L1:",
		".byte 4 bytes",
	}, texts)
	assert.Contains(t, a.Listing(), "     8  62f1ed58584f01              vaddpd zmm1, zmm2, [rdi+8]{1to8}\n")
	a.Reset()
	assert.Empty(t, a.Listing())
}

// TestMistakes holds that what does not exist is refused, with the reason, and never encoded.
func TestMistakes(t *testing.T) {
	for _, c := range []struct {
		want string
		emit func(*Asm)
	}{
		{"used and never bound", func(a *Asm) { a.JMP(a.NewLabel()) }},
		{"bound twice", func(a *Asm) { a.Bind(a.Here()) }},
		{"not of this Asm", func(a *Asm) { a.Jcc(E, 5) }},
		{"not of this Asm", func(a *Asm) { a.RM(VADDPS, X128, 0, 0, RIP(3), 0) }},
		{"no instruction", func(*Asm) {}},
		{"no such instruction", func(a *Asm) { a.RR(numOps, X128, 0, 0, 0, 0) }},
		{"vector length", func(a *Asm) { a.RR(VPANDv, Z512, 0, 0, 0, 0) }},
		{"vector length", func(a *Asm) { a.RR(VADDSS, Y256, 0, 0, 0, 0) }},
		{"vector length", func(a *Asm) { a.RR(VPERMPS, X128, 0, 0, 0, 0) }},
		{"vector length", func(a *Asm) { a.RR(VADDPS, 9, 0, 0, 0, 0) }},
		{"VEX has no such operand", func(a *Asm) { a.RR(VPANDv, Y256, 16, 0, 0, 0) }},
		{"VEX has no such operand", func(a *Asm) { a.RR(VPANDv, Y256, 1, 0, 0, EVEX) }},
		{"no such register", func(a *Asm) { a.RR(VADDPS, Z512, 32, 0, 0, 0) }},
		{"no such register", func(a *Asm) { a.RR(KMOVWr, X128, 8, 0, 0, 0) }},
		{"no such register", func(a *Asm) { a.KANDW(1, 9, 2) }},
		{"no such register", func(a *Asm) { a.MOV(RAX, NoReg) }},
		{"no such register", func(a *Asm) { a.MOVi(NoReg, 1) }},
		{"no such register", func(a *Asm) { a.MOVld(NoReg, Ptr(RAX, 0)) }},
		{"no memory form", func(a *Asm) { a.RM(VMOVHLPS, X128, 0, 0, Ptr(RAX, 0), 0) }},
		{"no register form", func(a *Asm) { a.RR(VMOVUPSst, Z512, 0, 0, 1, 0) }},
		{"immediate", func(a *Asm) { a.RR(VSHUFPS, Z512, 0, 0, 0, 0) }},
		{"immediate", func(a *Asm) { a.RRi(VADDPS, Z512, 0, 0, 0, 0, 1) }},
		{"number<<4", func(a *Asm) { a.RRi(VBLENDVPS, Y256, 0, 0, 0, 0, 3) }},
		{"must be 0", func(a *Asm) { a.RR(VSQRTPS, Z512, 1, 2, 3, 0) }},
		{"must be 0", func(a *Asm) { a.RRi(VPSLLDi, Z512, 6, 1, 3, 0, 1) }},
		{"unknown flag", func(a *Asm) { a.RR(VADDPS, Z512, 0, 0, 0, 64) }},
		{"broadcast", func(a *Asm) { a.RR(VADDPS, Z512, 0, 0, 0, Bc) }},
		{"broadcast", func(a *Asm) { a.RM(VMOVUPSld, Z512, 0, 0, Ptr(RAX, 0), Bc) }},
		{"takes no opmask", func(a *Asm) { a.RM(VMOVNTPS, Z512, 0, 0, Ptr(RAX, 0), Mask(1)) }},
		{"takes no opmask", func(a *Asm) { a.RR(VPANDv, Y256, 0, 0, 0, Mask(1)) }},
		{"zeroing needs", func(a *Asm) { a.RR(VADDPS, Z512, 0, 0, 0, Z) }},
		{"cannot zero", func(a *Asm) { a.RM(VMOVUPSst, Z512, 0, 0, Ptr(RAX, 0), MaskZ(1)) }},
		{"cannot zero", func(a *Asm) { a.RRi(VCMPPSk, Z512, 0, 0, 0, MaskZ(1), 1) }},
		{"RSP cannot", func(a *Asm) { a.RM(VADDPS, Z512, 0, 0, PtrX(RAX, RSP, 0, 0), 0) }},
		{"RSP cannot", func(a *Asm) { a.MOVld(RAX, PtrX(RAX, RSP, 0, 0)) }},
		{"scale", func(a *Asm) { a.RM(VADDPS, Z512, 0, 0, PtrX(RAX, RAX, 4, 0), 0) }},
		{"base register", func(a *Asm) { a.LEA(RAX, Ptr(NoReg, 0)) }},
		{"index register", func(a *Asm) { a.LEA(RAX, PtrX(RAX, 77, 0, 0)) }},
		{"takes no index", func(a *Asm) { m := a.Const32(1); m.Index = RAX; a.ADDm(RAX, m) }},
		{"vector index", func(a *Asm) { a.RM(VADDPS, Z512, 0, 0, VPtr(RAX, 1, 0, 0), 0) }},
		{"vector index", func(a *Asm) { a.RM(VGATHERDPSk, Z512, 0, 0, PtrX(RAX, RCX, 0, 0), Mask(1)) }},
		{"vector index", func(a *Asm) { a.MOVld(RAX, VPtr(RAX, 1, 0, 0)) }},
		{"needs an opmask", func(a *Asm) { a.RM(VGATHERDPSk, Z512, 0, 0, VPtr(RAX, 1, 0, 0), 0) }},
		{"destination and index", func(a *Asm) { a.RM(VGATHERDPSk, Z512, 3, 0, VPtr(RAX, 3, 0, 0), Mask(1)) }},
		{"mask must differ", func(a *Asm) { a.RM(VGATHERDPSv, Y256, 3, 1, VPtr(RAX, 1, 0, 0), 0) }},
		{"three tiles", func(a *Asm) { a.TDPBF16PS(0, 0, 1) }},
		{"no such tile", func(a *Asm) { a.TILEZERO(8) }},
		{"row stride", func(a *Asm) { a.TILELOADD(1, Ptr(RAX, 0)) }},
		{"exceeds the width", func(a *Asm) { a.SHLLi(RAX, 32) }},
		{"power of two", func(a *Asm) { a.Align(12) }},
	} {
		var a Asm
		c.emit(&a)
		code, err := a.Finish()
		require.Error(t, err, c.want)
		assert.Contains(t, err.Error(), c.want)
		assert.Nil(t, code)
		if c.want != "no instruction" && c.want != "used and never bound" {
			assert.Equal(t, a.Err(), err)
		}
	}
}

// TestFirstMistakeWins and survives until Reset.
func TestFirstMistakeWins(t *testing.T) {
	var a Asm
	a.RR(VADDPS, Z512, 40, 0, 0, 0)
	a.TILEZERO(9)
	a.RET()
	_, err := a.Finish()
	require.Error(t, err)
	assert.Equal(t, "asm: at offset 0: vaddps zmm40, zmm0, zmm0: no such register", err.Error())
	a.Reset()
	a.RET()
	assert.Equal(t, "c3", finish(t, &a))
}

func TestFeatures(t *testing.T) {
	f := Detect()
	assert.Equal(t, f, Detect())
	assert.True(t, f.AVX2 || f == Features{}, "nothing without AVX2")
	assert.Equal(t, f == Features{}, f.String() == "none")
	assert.Equal(t, "avx2 amx", Features{AVX2: true, AMXTile: true}.String())
	t.Log(f)
}

// TestNoAllocation holds the cost of emitting: no garbage but the growing buffer.
func TestNoAllocation(t *testing.T) {
	a := Asm{B: make([]byte, 0, 1<<16)}
	a.fixups = make([]fixup, 0, 1024)
	assert.Zero(t, testing.AllocsPerRun(50, func() {
		a.Reset()
		top := a.Here()
		a.RM(VFMADD231PS, Z512, 3, 17, PtrX(RSI, RCX, 2, 64), MaskZ(2))
		a.RRi(VSHUFPS, Y256, 3, 1, 2, 0, 4)
		a.ADDi(RSI, 64)
		a.MOVst(Ptr(RDI, 8), RAX)
		a.Jcc(NE, top)
	}))
}

func BenchmarkEmit(b *testing.B) {
	a := Asm{B: make([]byte, 0, 1<<16)}
	for b.Loop() {
		if a.Len() > 60000 {
			a.Reset()
		}
		a.RM(VFMADD231PS, Z512, 3, 17, PtrX(RSI, RCX, 2, 64), MaskZ(2))
		a.RR(VADDPS, Y256, 3, 1, 2, 0)
	}
}
