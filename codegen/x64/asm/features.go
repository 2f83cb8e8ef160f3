package asm

import (
	"strings"

	"golang.org/x/sys/cpu"
)

// Features says which instructions the processor has and the operating system permits.
type Features struct {
	AVX2 bool // with AVX
	FMA  bool
	F16C bool // VCVTPH2PS, VCVTPS2PH
	BMI2 bool // with BMI1

	AVX512     bool // F, BW, DQ, VL and CD together
	AVX512VBMI bool // VPERMB, VPERMT2B
	AVX512VNNI bool // VPDPBUSD and VPDPWSSD with EVEX
	AVXVNNI    bool // the same with VEX
	AVX512BF16 bool // VCVTNEPS2BF16, VDPBF16PS

	// The AMX instructions exist. A process must also ask the operating system for the tile registers.
	AMXTile, AMXInt8, AMXBF16 bool
}

// Detect returns the features of this machine; on other architectures than amd64 there are none.
func Detect() Features {
	x := &cpu.X86
	if !x.HasAVX2 { // also false where the system does not save the wide registers
		return Features{}
	}
	return Features{
		AVX2:       true,
		FMA:        x.HasFMA,
		F16C:       x.HasF16C,
		BMI2:       x.HasBMI1 && x.HasBMI2,
		AVX512:     x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL && x.HasAVX512CD,
		AVX512VBMI: x.HasAVX512VBMI,
		AVX512VNNI: x.HasAVX512VNNI,
		AVXVNNI:    x.HasAVXVNNI,
		AVX512BF16: x.HasAVX512BF16,
		AMXTile:    x.HasAMXTile,
		AMXInt8:    x.HasAMXInt8,
		AMXBF16:    x.HasAMXBF16,
	}
}

// String lists the features present, such as "avx2 fma f16c"; "none" if there are none.
func (f Features) String() string {
	var names []string
	for _, one := range []struct {
		present bool
		name    string
	}{
		{f.AVX2, "avx2"}, {f.FMA, "fma"}, {f.F16C, "f16c"}, {f.BMI2, "bmi2"},
		{f.AVX512, "avx512"}, {f.AVX512VBMI, "avx512vbmi"}, {f.AVX512VNNI, "avx512vnni"}, {f.AVXVNNI, "avxvnni"},
		{f.AVX512BF16, "avx512bf16"}, {f.AMXTile, "amx"}, {f.AMXInt8, "amxint8"}, {f.AMXBF16, "amxbf16"},
	} {
		if one.present {
			names = append(names, one.name)
		}
	}
	if names == nil {
		return "none"
	}
	return strings.Join(names, " ")
}
