package padding

// refused are programs that cannot be padded, with what the refusal says.
var refused = []struct{ name, sym, body, want string }{
	{"reverse", "S", `
func @f(%x: f32[S]) -> f32[S] where S in [0, 7] {
  %0: f32[S] = reverse(%x) {axes=[0]}
  return %0
}`, "cannot pad S: reverse at in.trace:2:3 moves padding among kept elements on axis 0"},
	{"concat", "S", `
func @f(%x: f32[S], %y: f32[3]) -> f32[S + 3] where S in [0, 7] {
  %0: f32[S + 3] = concat(%x, %y) {axis=0}
  return %0
}`, "concat at in.trace:2:3 puts elements after the padding of operand 0 on axis 0"},
	{"reshape that interleaves", "B", `
func @f(%x: f32[2*B]) -> f32[2,B] where B in [0, 7] {
  %0: f32[2,B] = reshape(%x)
  return %0
}`, "moves padding among kept elements: f32[2*B] to f32[2,B]"},
	{"merged in a result", "S", `
func @f(%x: f32[B,S]) -> f32[B*S] where B in [0, 7], S in [0, 7] {
  %0: f32[B*S] = reshape(%x)
  %1: f32[B*S] = neg(%0)
  return %1
}`, "reshape at in.trace:2:3 leaves padding between kept elements on axis 0 of a result"},
	{"merged and met by what is not", "S", `
func @f(%x: f32[B,S], %y: f32[B*S]) -> f32[] where B in [0, 7], S in [0, 7] {
  %0: f32[B*S] = reshape(%x)
  %1: f32[B*S] = add(%0, %y)
  %2: f32[] = reduce_sum(%1) {axes=[0]}
  return %2
}`, "add at in.trace:3:3 meets operands whose padding lies in different places on axis 0"},
	{"counting over what was merged", "S", `
func @f(%x: i64[B,S]) -> i64[] where B in [0, 7], S in [0, 7] {
  %0: i64[B*S] = reshape(%x)
  %1: i64[B*S] = iota() {axis=0}
  %2: i64[B*S] = add(%0, %1)
  %3: i64[] = reduce_sum(%2) {axes=[0]}
  return %3
}`, "padding lies in different places"},
	{"update by what is padded", "S", `
func @f(%x: f32[16,4], %y: f32[S,4], %i: i64[]) -> f32[16,4] where S in [0, 7] {
  %0: f32[16,4] = dynamic_update_slice(%x, %y, %i, %i)
  return %0
}`, "overwrites kept elements with padding on axis 0"},
	{"scatter at padded indices", "S", `
func @f(%x: f32[16], %i: i64[S], %u: f32[S]) -> f32[16] where S in [0, 7] {
  %0: f32[16] = scatter(%x, %i, %u) {axis=0, combine="add"}
  return %0
}`, "updates kept elements with padding, by axis 0 of the indices"},
	{"a size that shrinks", "S", `
func @f(%x: f32[S], %y: f32[10 - S]) -> (f32[S], f32[10 - S]) where S in [0, 7] {
  return %x, %y
}`, "has the size -S + 10 on axis 0, which is not known to grow with S"},
	{"a fold whose count is not linear", "S", `
func @f(%x: f32[S]) -> f32[] where S in [1, 7] {
  %0: f32[(S + 1) floordiv 2] = slice(%x) {limits=[S], starts=[0], strides=[2]}
  %1: f32[] = reduce_max(%0) {axes=[0]}
  return %1
}`, "needs the value of (S + 1) floordiv 2, which is not linear in S"},
	{"a slice from the middle", "S", `
func @f(%x: f32[2*S]) -> f32[S] where S in [1, 7] {
  %0: f32[S] = slice(%x) {limits=[2*S], starts=[S]}
  return %0
}`, "starts at S on axis 0, which moves with S as its length does"},
	{"reverse of what was updated", "S", `
func @f(%x: f32[S], %y: f32[1], %i: i64[]) -> f32[S] where S in [1, 6] {
  %0: f32[S] = constant() {value=0.0}
  %1: f32[S] = dynamic_update_slice(%0, %y, %i)
  %2: f32[S] = reverse(%1) {axes=[0]}
  return %2
}`, "reverse at in.trace:4:3 moves padding"},
	{"reverse of what was joined", "S", `
func @f(%x: f32[S], %y: f32[1]) -> f32[S + 1] where S in [1, 6] {
  %0: f32[S + 1] = concat(%y, %x) {axis=0}
  %1: f32[S + 1] = reverse(%0) {axes=[0]}
  return %1
}`, "reverse at in.trace:3:3 moves padding"},
	{"a size within a branch", "S", `
func @f(%p: bool[], %x: f32[S], %y: i64[]) -> i64[] where S in [1, 6] {
  %0: i64[] = cond(%p, %y) func(%a: i64[]) -> i64[] {
    %1: i64[S] = iota() {axis=0}
    %2: i64[] = reduce_sum(%1) {axes=[0]}
    return %2
  } func(%b: i64[]) -> i64[] {
    return %b
  }
  return %0
}`, "cond at in.trace:2:3 needs a mask within its then: reduce_sum"},
	{"a scan into the padding", "S", `
func @f(%h: f32[4], %x: f32[S,4]) -> f32[4] where S in [1, 6] {
  %0: f32[4] = scan(%h, %x) {carries=1, inputs=1, length=[S]} func(%c: f32[4], %i: f32[4]) -> f32[4] {
    %1: f32[4] = add(%c, %i)
    return %1
  }
  return %0
}`, "scan at in.trace:2:3 goes on into the padding: its length is S"},
	{"a mask in a branch", "S", `
func @f(%p: bool[], %x: f32[S]) -> f32[S] where S in [1, 6] {
  %0: f32[S] = cond(%p, %x) func(%a: f32[S]) -> f32[S] {
    %1: f32[S] = softmax(%a) {axis=0}
    return %1
  } func(%b: f32[S]) -> f32[S] {
    return %b
  }
  return %0
}`, "cond at in.trace:2:3 needs a mask within its then: reduce_sum at in.trace:3:5 folds axis 0"},
	{"a symbol that data decides", "U", `
func @f(%x: f32[S]) -> i64[U,1] where S in [1, 6], U in [0, 6] {
  %0: i64[U,1] = nonzero(%x) {count=[U]}
  return %0
}`, "nonzero at in.trace:2:3 decides U by its operands"},
	{"a symbol that another defines", "T", `
func @f(%x: f32[T], %y: f32[S]) -> f32[T] where S in [1, 7], T == 2*S {
  return %x
}`, "cannot pad T: is defined as 2*S (pad what it is defined by)"},
	{"no symbol", "Q", `
func @f(%x: f32[T], %y: f32[S]) -> f32[T] where S in [1, 7], T >= 1 {
  return %x
}`, "cannot pad Q: is no size of @f (it has T, S)"},
}
