package padding

// accepted are programs that can be padded; masks are the identities used, in order.
var accepted = []struct {
	name, sym, body string
	masks           []string
	exact           bool
}{
	{"batch of a perceptron", "B", `
func @f(%x: f32[B,8], %w: f32[16,8], %b: f32[16], %v: f32[4,16]) -> f32[B,4] where B in [1, 9] {
  %0: f32[B,16] = linear(%x, %w, %b)
  %1: f32[B,16] = gelu(%0)
  %2: f32[B,4] = linear(%1, %v)
  %3: f32[B,4] = softmax(%2) {axis=1}
  return %3
}`, nil, true},
	{"softmax", "S", `
func @f(%x: f32[3,S]) -> f32[3,S] where S in [1, 9] {
  %0: f32[3,S] = softmax(%x) {axis=1}
  return %0
}`, []string{"-inf", "0.0"}, false},
	{"layer_norm", "S", `
func @f(%x: f32[3,S], %w: f32[S], %b: f32[S]) -> f32[3,S] where S in [1, 9] {
  %0: f32[3,S] = layer_norm(%x, %w, %b) {axes=[1]}
  return %0
}`, []string{"0.0", "the true S", "0.0", "the true S"}, false},
	{"mean", "S", `
func @f(%x: f16[3,S]) -> f16[3] where S in [1, 9] {
  %0: f16[3] = mean(%x) {axes=[1]}
  return %0
}`, []string{"0.0", "the true S"}, false},
	{"variance of two axes, one padded", "S", `
func @f(%x: f32[B,S,2]) -> f32[B] where B in [1, 3], S in [1, 9] {
  %0: f32[B] = variance(%x) {axes=[1, 2], correction=1}
  return %0
}`, []string{"0.0", "the true 2*S", "0.0", "the true 2*S"}, false},
	{"attention over keys and queries", "S", `
func @f(%q: f32[2,S,4], %k: f32[2,S,4], %v: f32[2,S,4]) -> f32[2,S,4] where S in [1, 9] {
  %0: f32[2,S,4] = scaled_dot_product_attention(%q, %k, %v) {causal=true}
  return %0
}`, []string{"-inf", "0.0", "0.0", "0.0"}, false},
	{"a batch of attention", "B", `
func @f(%q: f32[B,5,4], %k: f32[B,5,4], %v: f32[B,5,4]) -> f32[B,5,4] where B in [1, 5] {
  %0: f32[B,5,4] = scaled_dot_product_attention(%q, %k, %v) {causal=true}
  return %0
}`, nil, true},
	{"product that contracts", "S", `
func @f(%x: f32[3,S], %y: f32[S,4]) -> f32[3,4] where S in [0, 9] {
  %0: f32[3,4] = matmul(%x, %y)
  return %0
}`, []string{"0.0", "0.0"}, false},
	{"product of integers: one mask", "S", `
func @f(%x: i32[3,S], %y: i32[S,4]) -> i32[3,4] where S in [0, 9] {
  %0: i32[3,4] = matmul(%x, %y)
  return %0
}`, []string{"0"}, true},
	{"argmax", "S", `
func @f(%x: f32[3,S]) -> i64[3] where S in [1, 9] {
  %0: i64[3] = argmax(%x) {axis=1}
  return %0
}`, []string{"-inf", "9223372036854775807"}, true},
	{"cross_entropy over a batch", "B", `
func @f(%x: f32[B,7], %y: i64[B]) -> f32[] where B in [1, 9] {
  %0: f32[] = cross_entropy(%x, %y)
  return %0
}`, []string{"0.0", "the true B"}, false},
	{"batch of a convolution", "B", `
func @f(%x: f32[B,3,6,6], %w: f32[4,3,3,3]) -> f32[B,4,6,6] where B in [0, 4] {
  %0: f32[B,4,6,6] = convolution(%x, %w) {padding_high=[1, 1], padding_low=[1, 1]}
  return %0
}`, nil, true},
	{"width of a convolution that pads: the first zeros after the axis", "W", `
func @f(%x: f32[1,2,3,W], %w: f32[2,2,3,3]) -> f32[1,2,3,W] where W in [3, 9] {
  %0: f32[1,2,3,W] = convolution(%x, %w) {padding_high=[1, 1], padding_low=[1, 1]}
  return %0
}`, []string{"0.0"}, true},
	{"every second window, of a size that is not linear", "W", `
func @f(%x: f32[2,W]) -> f32[2,(W + 1) floordiv 2] where W in [1, 9] {
  %0: f32[2,(W + 1) floordiv 2] = reduce_window(%x) {op="max", padding_high=[0, 1], padding_low=[0, 1], strides=[1, 2], window=[1, 3]}
  %1: f32[2,(W + 1) floordiv 2] = exp(%0)
  return %1
}`, []string{"-inf"}, true},
	{"batch and sequence flattened and apart again", "S", `
func @f(%x: f32[B,S,4], %w: f32[4,4], %b: f32[4]) -> f32[B,S,2,2] where B in [1, 3], S in [0, 5] {
  %0: f32[B*S,4] = reshape(%x)
  %1: f32[B*S,4] = dot_general(%0, %w) {lhs_contract=[1], rhs_contract=[0]}
  %2: f32[B*S,4] = broadcast(%b) {axes=[1]}
  %3: f32[B*S,4] = add(%1, %2)
  %4: f32[B,S,2,2] = reshape(%3)
  return %4
}`, nil, true},
	{"a fold of a flattened sequence", "S", `
func @f(%x: i32[B,S,4]) -> i32[4] where B in [1, 3], S in [0, 5] {
  %0: i32[B*S,4] = reshape(%x)
  %1: i32[4] = reduce_sum(%0) {axes=[0]}
  return %1
}`, []string{"0"}, true},
	{"a contraction of a flattened sequence with what repeats", "S", `
func @f(%x: i32[B,S], %y: f32[B,S], %s: f32[3]) -> (f32[3], i32[3]) where B in [1, 3], S in [0, 5] {
  %0: f32[B*S] = reshape(%y)
  %1: f32[3,B*S] = broadcast(%s) {axes=[0]}
  %2: f32[3] = dot_general(%1, %0) {lhs_contract=[1], rhs_contract=[0]}
  %3: i32[3,B*S] = cast(%1)
  %4: i32[B*S] = reshape(%x)
  %5: i32[3] = dot_general(%3, %4) {lhs_contract=[1], rhs_contract=[0]}
  return %2, %5
}`, []string{"0.0", "0.0", "0"}, false},
	{"last element", "S", `
func @f(%x: f32[B,S,4]) -> (f32[B,1,4], f32[B,2,4]) where B in [1, 3], S in [3, 7] {
  %0: f32[B,1,4] = slice(%x) {limits=[B, S, 4], starts=[0, S - 1, 0]}
  %1: f32[B,2,4] = slice(%x) {limits=[B, S, 4], starts=[0, S - 3, 0], strides=[1, 2, 1]}
  return %0, %1
}`, []string{"from the true S - 1", "from the true S - 3"}, true},
	{"slices from the start, whatever their end", "S", `
func @f(%x: f32[S], %y: f32[2*S + 1]) -> (f32[S - 1], f32[S], f32[2]) where S in [2, 7] {
  %0: f32[S - 1] = slice(%x) {limits=[S], starts=[1]}
  %1: f32[S] = slice(%y) {limits=[2*S], starts=[0], strides=[2]}
  %2: f32[2] = slice(%x) {limits=[2], starts=[0]}
  return %0, %1, %2
}`, nil, true},
	{"a pad after the axis begins in the padding", "S", `
func @f(%x: f32[S,2], %c: f32[]) -> (f32[S + 3,3], f32[S + 1,2]) where S in [0, 7] {
  %0: f32[S + 3,3] = pad(%x, %c) {high=[2, 1], low=[1, 0]}
  %1: f32[] = constant() {value=2.0}
  %2: f32[S + 1,2] = pad(%x, %1) {high=[0, 0], low=[1, 0]}
  return %0, %2
}`, []string{"what it pads with"}, true},
	{"padding last in a join", "S", `
func @f(%x: f32[S,2], %y: f32[3,2]) -> (f32[S + 3,2], f32[S,4]) where S in [0, 7] {
  %0: f32[S + 3,2] = concat(%y, %x) {axis=0}
  %1: f32[S,4] = concat(%x, %x) {axis=1}
  return %0, %1
}`, nil, true},
	{"indices into a padded axis are clamped to the true one", "S", `
func @f(%x: f32[S,2], %i: i8[5], %u: u64[2]) -> (f32[5,2], f32[2,2]) where S in [1, 7] {
  %0: f32[5,2] = gather(%x, %i) {axis=0}
  %1: f32[2,2] = gather(%x, %u) {axis=0}
  return %0, %1
}`, []string{"at most S - 1", "at most S - 1"}, true},
	{"padded indices", "S", `
func @f(%t: f32[9,2], %i: i32[B,S]) -> f32[B,S,2] where B in [1, 3], S in [0, 7] {
  %0: f32[B,S,2] = embedding(%t, %i)
  return %0
}`, nil, true},
	{"starts in a padded axis are clamped to the true one", "S", `
func @f(%x: f32[S,3], %y: f32[2,2], %i: i32[], %j: i32[]) -> (f32[2,2], f32[S,3]) where S in [2, 7] {
  %0: f32[2,2] = dynamic_slice(%x, %i, %j) {sizes=[2, 2]}
  %1: f32[S,3] = dynamic_update_slice(%x, %y, %i, %j)
  return %0, %1
}`, []string{"at most S - 2", "at most S - 2"}, true},
	{"updates of a padded axis reach the true one, slices are padded together", "S", `
func @f(%x: f32[S,3], %i: i32[5], %y: f32[5,3], %z: f32[2,S,4], %j: i64[2,3], %u: f32[2,S,3]) -> (f32[S,3], f32[2,S,4]) where S in [1, 7] {
  %0: f32[S,3] = scatter(%x, %i, %y) {axis=0, combine="add"}
  %1: f32[2,4,S] = transpose(%z) {perm=[0, 2, 1]}
  %2: f32[2,3,S] = transpose(%u) {perm=[0, 2, 1]}
  %3: f32[2,4,S] = scatter(%1, %j, %2) {axis=1, batch_dims=1, combine="set"}
  %4: f32[2,S,4] = transpose(%3) {perm=[0, 2, 1]}
  return %0, %4
}`, []string{"at most S - 1"}, true},
	{"what is carried to the end needs no mask", "S", `
func @f(%x: i32[2,S], %y: f16[S,3]) -> (i32[2,S], f16[S,3], f16[S,3]) where S in [0, 7] {
  %0: i32[2,S] = cumulative(%x) {axis=1, combine="add"}
  %1: f16[S,3] = cumulative(%y) {axis=0, combine="max"}
  %2: f16[S,3] = cumulative(%y) {axis=1, combine="mul", reverse=true}
  return %0, %1, %2
}`, nil, true},
	{"what is carried from the end does", "S", `
func @f(%x: i32[2,S], %y: f16[S,3], %z: u8[S]) -> (i32[2,S], f16[S,3], u8[S], u8[S]) where S in [0, 7] {
  %0: i32[2,S] = cumulative(%x) {axis=1, combine="add", reverse=true}
  %1: f16[S,3] = cumulative(%y) {axis=0, combine="max", reverse=true}
  %2: u8[S] = cumulative(%z) {axis=0, combine="mul", reverse=true}
  %3: u8[S] = cumulative(%z) {axis=0, combine="min", reverse=true}
  return %0, %1, %2, %3
}`, []string{"0", "-inf", "1", "255"}, true},
	{"and between merged axes", "S", `
func @f(%x: i32[B,S]) -> i32[B,S] where B in [1, 3], S in [0, 7] {
  %0: i32[B*S] = reshape(%x)
  %1: i32[B*S] = cumulative(%0) {axis=0, combine="add"}
  %2: i32[B,S] = reshape(%1)
  return %2
}`, []string{"0"}, true},
	{"sums of floats may be rounded in another order", "S", `
func @f(%x: f32[S]) -> f32[] where S in [0, 7] {
  %0: f32[S] = cumulative(%x) {axis=0, combine="add"}
  %1: f32[] = reduce_max(%0) {axes=[0]}
  return %1
}`, []string{"-inf"}, false},
	{"two symbols of one size", "T", `
func @f(%x: f32[T], %y: f32[U]) -> f32[] where T in [1, 7], U == 2*T {
  %0: f32[] = dot_general(%y, %y) {lhs_contract=[0], rhs_contract=[0]}
  %1: f32[] = reduce_max(%x) {axes=[0]}
  %2: f32[] = add(%0, %1)
  return %2
}`, []string{"0.0", "0.0", "-inf"}, false},
	{"a size that another symbol scales", "S", `
func @f(%x: f32[B,S], %y: f32[B*S]) -> f32[] where B in [1, 3], S in [0, 7] {
  %0: f32[] = reduce_max(%y) {axes=[0]}
  return %0
}`, []string{"-inf"}, true},
	{"types whose ends are no infinities", "S", `
func @f(%x: f8e4m3[S], %y: u8[S], %z: i16[S], %b: bool[S]) -> (f8e4m3[], f8e4m3[], u8[], u8[], i16[], bool[], bool[]) where S in [0, 7] {
  %0: f8e4m3[] = reduce_max(%x) {axes=[0]}
  %1: f8e4m3[] = reduce_min(%x) {axes=[0]}
  %2: u8[] = reduce_max(%y) {axes=[0]}
  %3: u8[] = reduce_min(%y) {axes=[0]}
  %4: i16[] = reduce_prod(%z) {axes=[0]}
  %5: bool[] = reduce_any(%b) {axes=[0]}
  %6: bool[] = reduce_all(%b) {axes=[0]}
  return %0, %1, %2, %3, %4, %5, %6
}`, []string{"-448.0", "448.0", "0", "255", "1", "false", "true"}, true},
	{"a scan over time of a padded batch", "B", `
func @f(%h: f32[B,4], %x: f32[3,B,4], %w: f32[4,4]) -> (f32[B,4], f32[3,B,4]) where B in [1, 6] {
  %0: (f32[B,4], f32[3,B,4]) = scan(%h, %x, %w) {carries=1, inputs=1, length=[3]} func(%c: f32[B,4], %i: f32[B,4], %m: f32[4,4]) -> (f32[B,4], f32[B,4]) {
    %1: f32[B,4] = dot_general(%c, %m) {lhs_contract=[1], rhs_contract=[0]}
    %2: f32[B,4] = add(%1, %i)
    %3: f32[B,4] = tanh(%2)
    return %3, %3
  }
  %4: f32[B,4] = get(%0) {index=0}
  %5: f32[3,B,4] = get(%0) {index=1}
  return %4, %5
}`, nil, true},
	{"a branch", "B", `
func @f(%p: bool[], %x: f32[B,4]) -> f32[B,4] where B in [1, 6] {
  %0: f32[B,4] = cond(%p, %x) func(%a: f32[B,4]) -> f32[B,4] {
    %1: f32[B,4] = softmax(%a) {axis=1}
    return %1
  } func(%b: f32[B,4]) -> f32[B,4] {
    return %b
  }
  return %0
}`, nil, true},
	{"a size as data", "S", `
func @f(%x: f32[B,S]) -> (i64[], i64[]) where B in [1, 3], S in [0, 6] {
  %0: i64[] = size() {of=[2*S - 1]}
  %1: i64[] = size() {of=[B*S + B]}
  return %0, %1
}`, []string{"the true 2*S - 1", "the true B*S + B"}, true},
	{"what padding holds does not survive a fold of it", "S", `
func @f(%x: i64[S]) -> i64[] where S in [0, 6] {
  %0: i64[S,2] = constant() {value=1}
  %1: i64[S] = reduce_sum(%0) {axes=[1]}
  %2: i64[] = reduce_prod(%1) {axes=[0]}
  return %2
}`, []string{"1"}, true},
	{"what padding holds does not survive a cut before it", "S", `
func @f(%x: i64[S]) -> i64[] where S in [1, 6] {
  %0: i64[] = constant() {value=1}
  %1: i64[S + 1] = pad(%x, %0) {high=[1], low=[0]}
  %2: i64[S - 1] = slice(%1) {limits=[S - 1], starts=[0]}
  %3: i64[] = reduce_prod(%2) {axes=[0]}
  return %3
}`, []string{"what it pads with", "1"}, true},
	{"what a pad adds is known", "S", `
func @f(%x: i64[S], %y: i64[2]) -> (i64[], i64[]) where S in [1, 6] {
  %0: i64[] = constant() {value=1}
  %1: i64[S + 2] = pad(%x, %0) {high=[1], low=[1]}
  %2: i64[] = reduce_prod(%1) {axes=[0]}
  %3: i64[S + 2] = pad(%y, %0) {high=[S], low=[0]}
  %4: i64[] = reduce_prod(%3) {axes=[0]}
  return %2, %4
}`, []string{"what it pads with"}, true},
	{"what indices hold is not what they find", "S", `
func @f(%x: i64[9], %s: i64[S]) -> i64[] where S in [1, 6] {
  %0: i64[S] = constant() {value=1}
  %1: i64[S] = gather(%x, %0) {axis=0}
  %2: i64[] = reduce_prod(%1) {axes=[0]}
  return %2
}`, []string{"1"}, true},
	{"what nothing uses is not in the way", "S", `
func @f(%x: f32[S]) -> f32[S] where S in [0, 7] {
  %0: f32[S] = reverse(%x) {axes=[0]}
  %1: f32[S] = neg(%x)
  return %1
}`, nil, true},
}
