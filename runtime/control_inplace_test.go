package runtime

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir"
	"jitc/ir/tensor"
)

// updates is a scan whose body updates the first byte of a carry, in one branch of a
// cond.
const updates = `func @updates(%c: u8[4], %xs: u8[S,4], %ps: bool[S]) -> u8[4]
    where S in [0, 10] {
  %r: u8[4] = scan(%c, %xs, %ps) {carries=1, inputs=2, length=[S]} func(%c: u8[4], %x: u8[4], %p: bool[]) -> u8[4] {
    %n: u8[4] = cond(%p, %c, %x) func(%c: u8[4], %x: u8[4]) -> u8[4] {
      %u: u8[4] = fused(%c, %x) func(%c: u8[4], %x: u8[4]) -> u8[4] {
        %s: u8[4] = add(%c, %x)
        return %s
      }
      return %u
    } func(%c: u8[4], %x: u8[4]) -> u8[4] {
      return %c
    }
    return %n
  }
  return %r
}
`

// updating4 links it with a kernel that can update in place.
func updating4(t *testing.T) (*Program, *updateKernel) {
	p, k := linkText(t, updates), updating(0)
	cond := p.Steps[0].Bodies[0].Steps[0]
	cond.Bodies[0].Steps[0].Kernel = k
	return p, k
}

func updateArgs(s int) []*tensor.Tensor {
	xs, ps := tensor.Fill(tensor.U8, []int{s, 4}, 10), tensor.New(tensor.Bool, s)
	for i := range s {
		b, _ := ps.Bytes()
		b[i] = byte(i % 2)
	}
	return []*tensor.Tensor{u8(1, 2, 3, 4), xs, ps}
}

// A carry that iterations update has one place, and is copied once: its argument is
// not the loop's to change. What a branch gives back is not copied at all.
func TestACarryIsUpdatedInPlace(t *testing.T) {
	for s, want := range []uint8{1, 1, 11, 11, 21, 21} {
		p, k := updating4(t)
		r := record(t, p, map[string]int64{"S": int64(s)})
		assert.Zero(t, r.Arena, "no second copy")
		args := updateArgs(s)
		for range 2 {
			k.copies = 0
			assert.Equal(t, []uint8{want, 2, 3, 4}, tensor.Data[uint8](mustRun(t, r, args...)[0]), "S=%d", s)
			assert.Zero(t, k.copies, "the first iteration gives the carry back, into the result")
		}
		assert.Equal(t, []uint8{1, 2, 3, 4}, tensor.Data[uint8](args[0]))
	}
}

// A donated argument is updated where it lies.
func TestADonatedCarryIsUpdatedInPlace(t *testing.T) {
	p, k := updating4(t)
	r := record(t, p.Donate([]int{0}), map[string]int64{"S": 4})
	require.Equal(t, []int{0}, r.Donated())
	args := updateArgs(4)
	for i := range 3 {
		require.NoError(t, r.Run(args, args[:1], serial{}))
		require.Equal(t, []uint8{uint8(21 + 20*i), 2, 3, 4}, tensor.Data[uint8](args[0]))
	}
	assert.Zero(t, k.copies)
}

// An output that a body computes between the last read of a carry and its next value
// does not take the carry's place, which the next value takes then; nor does another
// carry.
func TestOutputsLeaveCarriesTheirPlaces(t *testing.T) {
	p := linkText(t, `func @f(%a: f32[4], %b: f32[4], %xs: f32[S,4]) -> (f32[4], f32[4], f32[S,4])
    where S in [0, 10] {
  %r: (f32[4], f32[4], f32[S,4]) = scan(%a, %b, %xs) {carries=2, inputs=1, length=[S]} func(%a: f32[4], %b: f32[4], %x: f32[4]) -> (f32[4], f32[4], f32[4]) {
    %t: f32[4] = fused(%a, %b) func(%a: f32[4], %b: f32[4]) -> f32[4] {
      %s: f32[4] = add(%a, %b)
      return %s
    }
    %y: f32[4] = fused(%t) func(%t: f32[4]) -> f32[4] {
      %s: f32[4] = neg(%t)
      return %s
    }
    %n: f32[4] = fused(%t, %x) func(%t: f32[4], %x: f32[4]) -> f32[4] {
      %s: f32[4] = mul(%t, %x)
      return %s
    }
    %m: f32[4] = fused(%n, %x) func(%n: f32[4], %x: f32[4]) -> f32[4] {
      %s: f32[4] = sub(%n, %x)
      return %s
    }
    return %m, %n, %y
  }
  %0: f32[4] = get(%r) {index=0}
  %1: f32[4] = get(%r) {index=1}
  %2: f32[S,4] = get(%r) {index=2}
  return %0, %1, %2
}
`)
	for s := range 4 {
		r := record(t, p, map[string]int64{"S": int64(s)})
		assert.Equal(t, []int{0, 1, -1}, r.controls[0].inPlace)
		assert.False(t, r.controls[0].alternate)
		args := []*tensor.Tensor{tensor.Fill(tensor.F32, []int{4}, 1), tensor.Fill(tensor.F32, []int{4}, 2), tensor.Fill(tensor.F32, []int{s, 4}, 0.5)}
		want, err := ir.Eval(p.F, args, nil)
		require.NoError(t, err)
		require.Nil(t, tensor.CompareAll(mustRun(t, r, args...), want, tensor.Exact), "S=%d", s)
	}
}
