package driver

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const declared = `.version 8.0
.target sm_90
.address_size 64
.visible .entry first(
	.param .b32 n,
	.param .align 64 .b8 map[128],
	.param .f64 p,
	.param .u8 b,
	.param .s16 h
)
.maxntid 128, 1, 1
{
	ret;
}
.visible .entry first_more(.param .b64 p) { ret; }
.entry none() { ret; }
.entry bare { ret; }
`

func TestOffsets(t *testing.T) {
	for entry, want := range map[string][]int{
		"first": {0, 64, 192, 200, 202}, "first_more": {0}, "none": nil, "bare": nil,
	} {
		got, err := Offsets(declared, entry)
		require.NoError(t, err, entry)
		assert.Equal(t, want, got, entry)
	}
	_, err := Offsets(declared, "fir")
	assert.EqualError(t, err, "no entry fir")
}

func TestOffsetsOfWhatIsNoDeclaration(t *testing.T) {
	for _, decl := range []string{
		"", "x", ".param .b64", ".reg .b64 p", ".param .align 0 .b8 p[4]", ".param .align x .b8 p",
		".param .b64 p q", ".param .pred p", ".param .b8 p[]", ".param .b8 p[0]", ".param .b4 p",
	} {
		_, err := Offsets(".entry f(.param .b64 first, "+decl+")\n{", "f")
		assert.ErrorContains(t, err, "parameter 1 of entry f: expected .param [.align N] type name", decl)
	}
}
