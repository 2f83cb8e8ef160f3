package ir

import (
	"slices"
	"strings"
)

// textSamples reads samples from functions in the text form: the value of each
// that has bodies, whose operands are parameters.
func textSamples(texts []string) []Sample {
	var out []Sample
	for _, text := range texts {
		f, _, diags := Parse("sample", strings.TrimSpace(text))
		if err := diags.Err(); err != nil {
			panic("BUG: ir: sample does not parse: " + err.Error())
		}
		v := f.Values[slices.IndexFunc(f.Values, func(v *Value) bool { return len(v.Bodies) > 0 })]
		s := Sample{Attrs: v.Attrs, Bodies: v.Bodies}
		for _, a := range v.Args {
			s.Args = append(s.Args, a.Type)
		}
		out = append(out, s)
	}
	return out
}

var condSamples = []string{
	`func @f(%p: bool[], %x: f32[4]) -> f32[4] {
  %r: f32[4] = cond(%p, %x) func(%a: f32[4]) -> f32[4] {
    %y: f32[4] = neg(%a)
    return %y
  } func(%a: f32[4]) -> f32[4] {
    return %a
  }
  return %r
}`,
	`func @f(%p: bool[], %x: i32[2,3], %y: i32[2,3]) -> i32[2,3] {
  %r: (i32[2,3], i32[2,3]) = cond(%p, %x, %y) func(%a: i32[2,3], %b: i32[2,3]) -> (i32[2,3], i32[2,3]) {
    return %b, %a
  } func(%a: i32[2,3], %b: i32[2,3]) -> (i32[2,3], i32[2,3]) {
    %s: i32[2,3] = add(%a, %b)
    return %s, %s
  }
  %0: i32[2,3] = get(%r) {index=0}
  return %0
}`,
	`func @f(%p: bool[]) -> f64[0] {
  %r: f64[0] = cond(%p) func() -> f64[0] {
    %c: f64[0] = constant() {value=1.0}
    return %c
  } func() -> f64[0] {
    %c: f64[0] = constant() {value=2.0}
    return %c
  }
  return %r
}`,
}

var whileSamples = []string{
	// Halves x until it is at most 1, and counts.
	`func @f(%x: f32[], %n: i64[]) -> f32[] {
  %r: (f32[], i64[]) = while(%x, %n) {carries=2} func(%x: f32[], %n: i64[]) -> bool[] {
    %p: bool[] = gt(%x, 1.0)
    return %p
  } func(%x: f32[], %n: i64[]) -> (f32[], i64[]) {
    %h: f32[] = mul(%x, 0.5)
    %m: i64[] = add(%n, 1)
    return %h, %m
  }
  %0: f32[] = get(%r) {index=0}
  return %0
}`,
	// Adds an invariant until all elements reach a bound.
	`func @f(%x: f32[3], %step: f32[3]) -> f32[3] {
  %r: f32[3] = while(%x, %step) {carries=1} func(%x: f32[3], %step: f32[3]) -> bool[] {
    %b: bool[3] = lt(%x, 5.0)
    %p: bool[] = reduce_any(%b) {axes=[0]}
    return %p
  } func(%x: f32[3], %step: f32[3]) -> f32[3] {
    %s: f32[3] = abs(%step)
    %t: f32[3] = max(%s, 0.5)
    %y: f32[3] = add(%x, %t)
    return %y
  }
  return %r
}`,
	// Never runs its body.
	`func @f(%x: i8[2]) -> i8[2] {
  %r: i8[2] = while(%x) {carries=1} func(%x: i8[2]) -> bool[] {
    %p: bool[] = constant() {value=false}
    return %p
  } func(%x: i8[2]) -> i8[2] {
    return %x
  }
  return %r
}`,
}

var scanSamples = []string{
	// Running sums.
	`func @f(%s: f32[3], %xs: f32[4,3]) -> f32[3] {
  %r: (f32[3], f32[4,3]) = scan(%s, %xs) {carries=1, inputs=1, length=[4]} func(%s: f32[3], %x: f32[3]) -> (f32[3], f32[3]) {
    %t: f32[3] = add(%s, %x)
    return %t, %t
  }
  %0: f32[3] = get(%r) {index=0}
  return %0
}`,
	// A recurrent cell with an invariant matrix; no outputs.
	`func @f(%h: f32[2,3], %xs: f32[5,2,3], %w: f32[3,3]) -> f32[2,3] {
  %r: f32[2,3] = scan(%h, %xs, %w) {carries=1, inputs=1, length=[5]} func(%h: f32[2,3], %x: f32[2,3], %w: f32[3,3]) -> f32[2,3] {
    %m: f32[2,3] = matmul(%h, %w)
    %a: f32[2,3] = add(%m, %x)
    %t: f32[2,3] = tanh(%a)
    return %t
  }
  return %r
}`,
	// No carries; a length of 0.
	`func @f(%xs: i64[0,2]) -> bool[0,2] {
  %r: bool[0,2] = scan(%xs) {carries=0, inputs=1, length=[0]} func(%x: i64[2]) -> bool[2] {
    %p: bool[2] = gt(%x, 0)
    return %p
  }
  return %r
}`,
	// No inputs: powers of two; the carries change places.
	`func @f(%a: i32[], %b: i32[]) -> i32[3] {
  %r: (i32[], i32[], i32[3]) = scan(%a, %b) {carries=2, inputs=0, length=[3]} func(%a: i32[], %b: i32[]) -> (i32[], i32[], i32[]) {
    %c: i32[] = add(%a, %a)
    return %b, %c, %a
  }
  %0: i32[3] = get(%r) {index=2}
  return %0
}`,
}
