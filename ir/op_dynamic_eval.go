package ir

import (
	endian "encoding/binary"
	"fmt"
	"math"
	"math/bits"

	"jitc/ir/tensor"
)

// The ops that define sizes run as they stand here, also where everything around
// them is compiled: typed loops without branches that data decides, which
// process elements as fast as memory gives them.

// word is the memory of an element, whatever its type.
type word interface {
	uint8 | uint16 | uint32 | uint64
}

// forWords calls the loop for t's element size. mask holds the bits that a
// nonzero element has one of: a float's sign does not count.
func forWords[R any](t *tensor.Tensor, f8 func([]uint8, uint8) R, f16 func([]uint16, uint16) R,
	f32 func([]uint32, uint32) R, f64 func([]uint64, uint64) R) R {
	sign := 0
	if t.DType().IsFloat() {
		sign = 1
	}
	data, _ := t.Contiguous().Bytes()
	switch t.DType().Size() {
	case 1:
		return f8(data, math.MaxUint8>>sign)
	case 2:
		return f16(wordsOf[uint16](data), math.MaxUint16>>sign)
	case 4:
		return f32(wordsOf[uint32](data), math.MaxUint32>>sign)
	}
	return f64(wordsOf[uint64](data), math.MaxUint64>>sign)
}

// wordsOf is the memory of aligned elements as numbers.
func wordsOf[W word](data []byte) []W {
	dt := tensor.DTypeOf[W]()
	t, err := tensor.FromBytes(dt, []int{len(data) / dt.Size()}, data)
	if err != nil {
		panic("BUG: ir: " + err.Error())
	}
	return tensor.Data[W](t)
}

// countNonzero counts the elements of t that are not zero.
func countNonzero(t *tensor.Tensor) int {
	return forWords(t, countBytes, countWords[uint16], countWords[uint32], countWords[uint64])
}

func countWords[W word](xs []W, mask W) (n int) {
	for _, x := range xs {
		n += isNonzero(x & mask)
	}
	return n
}

// isNonzero is 1 for anything but 0; compilers make no branch of it.
func isNonzero[W word](x W) (n int) {
	if x != 0 {
		n = 1
	}
	return n
}

// countBytes is countWords, eight elements at a time: each byte's bits are
// gathered in its lowest one.
func countBytes(xs []uint8, mask uint8) (n int) {
	const low = 0x0101010101010101
	wide := uint64(mask) * low
	for ; len(xs) >= 8; xs = xs[8:] {
		w := endian.LittleEndian.Uint64(xs) & wide
		w |= w >> 4 & (0x0F * low)
		w |= w >> 2 & (0x3F * low)
		w |= w >> 1 & (0x7F * low)
		n += bits.OnesCount64(w & low)
	}
	return n + countWords(xs, mask)
}

// positions writes the positions of elements that are not zero until dst is full.
func positions(t *tensor.Tensor, dst []int64) int {
	return forWords(t,
		func(xs []uint8, m uint8) int { return bytePositions(xs, m, dst) },
		func(xs []uint16, m uint16) int { return wordPositions(xs, m, dst, 0) },
		func(xs []uint32, m uint32) int { return wordPositions(xs, m, dst, 0) },
		func(xs []uint64, m uint64) int { return wordPositions(xs, m, dst, 0) })
}

// wordPositions writes every position, and moves on only where the element is
// not zero.
func wordPositions[W word](xs []W, mask W, dst []int64, base int) (n int) {
	for i, x := range xs {
		if n >= len(dst) {
			break
		}
		dst[n] = int64(base + i)
		n += isNonzero(x & mask)
	}
	return n
}

// bytePositions passes over eight zeros at once.
func bytePositions(xs []uint8, mask uint8, dst []int64) (n int) {
	i := 0
	for ; i+8 <= len(xs); i += 8 {
		if endian.LittleEndian.Uint64(xs[i:]) != 0 {
			n += wordPositions(xs[i:i+8], mask, dst[n:], i)
		}
	}
	return n + wordPositions(xs[i:], mask, dst[n:], i)
}

func measureNonzero(_ *Value, args []*tensor.Tensor) (int64, error) {
	return int64(countNonzero(args[0])), nil
}

func evalNonzero(c *Call) (*tensor.Tensor, error) {
	out := tensor.New(tensor.I64, c.Shape...)
	count, rank := c.Shape[0], c.Shape[1]
	flat := tensor.Data[int64](out)
	if rank != 1 {
		flat = make([]int64, count)
	}
	if err := c.wantSize(positions(c.Args[0], flat), count); err != nil {
		return nil, err
	}
	if rank > 1 {
		unravelRows(flat, c.Args[0].Shape(), tensor.Data[int64](out))
	}
	return out, nil
}

// unravelRows turns positions in a shape into rows of indices.
func unravelRows(flat []int64, shape []int, rows []int64) {
	rank := len(shape)
	for axis := rank - 1; axis >= 0; axis-- {
		n := uint64(shape[axis])
		for i, at := range flat {
			next := uint64(at) / n
			rows[i*rank+axis] = int64(uint64(at) - next*n)
			flat[i] = int64(next)
		}
	}
}

// wantSize checks that the operands define the size that the result was given.
func (c *Call) wantSize(got, want int) error {
	if got == want {
		return nil
	}
	return fmt.Errorf("the operands give the size %d, the call says %d", got, want)
}

func measureMaskedSelect(_ *Value, args []*tensor.Tensor) (int64, error) {
	return int64(countNonzero(args[1])), nil
}

func evalMaskedSelect(c *Call) (*tensor.Tensor, error) {
	out := tensor.New(c.DType, c.Shape...)
	src, _ := c.Args[0].Contiguous().Bytes()
	mask, _ := c.Args[1].Contiguous().Bytes()
	dst, _ := out.Bytes()
	n := 0
	switch c.DType.Size() {
	case 1:
		n = compress(src, mask, dst)
	case 2:
		n = compress(wordsOf[uint16](src), mask, wordsOf[uint16](dst))
	case 4:
		n = compress(wordsOf[uint32](src), mask, wordsOf[uint32](dst))
	default:
		n = compress(wordsOf[uint64](src), mask, wordsOf[uint64](dst))
	}
	return out, c.wantSize(n, c.Shape[0])
}

// compress writes every element, and moves on only behind a selected one; eight
// that are not selected are passed over at once.
func compress[W word](src []W, mask []uint8, dst []W) (n int) {
	i := 0
	for ; i+8 <= len(mask); i += 8 {
		if endian.LittleEndian.Uint64(mask[i:]) != 0 {
			n += compressFew(src[i:i+8], mask[i:i+8], dst[n:])
		}
	}
	return n + compressFew(src[i:], mask[i:], dst[n:])
}

func compressFew[W word](src []W, mask []uint8, dst []W) (n int) {
	for i, m := range mask {
		if n >= len(dst) {
			break
		}
		dst[n] = src[i]
		n += isNonzero(m)
	}
	return n
}

func measureRepeat(v *Value, args []*tensor.Tensor) (int64, error) {
	sum := int64(0)
	for i, n := range countsOf(args[1]) {
		if n < 0 {
			return 0, &DefineError{V: v, Sym: definedSym(v), Expected: "counts >= 0", Got: fmt.Sprintf("counts[%d] = %d", i, n)}
		}
		if sum += n; sum < 0 {
			return 0, &DefineError{V: v, Sym: definedSym(v), Expected: "a sum of counts that fits 64 bits", Got: fmt.Sprintf("more at counts[%d]", i)}
		}
	}
	return sum, nil
}

func evalRepeat(c *Call) (*tensor.Tensor, error) {
	x, axis := c.Args[0], int(c.V.Attrs.Int("axis", 0))
	counts := countsOf(c.Args[1])
	total, err := measureRepeat(c.V, c.Args)
	if err != nil {
		return nil, err
	}
	if err := c.wantSize(int(total), c.Shape[axis]); err != nil {
		return nil, err
	}
	out := tensor.New(c.DType, c.Shape...)
	src, _ := x.Contiguous().Bytes()
	dst, _ := out.Bytes()
	row := elements(x.Shape()[axis+1:]) * c.DType.Size()
	for range elements(x.Shape()[:axis]) {
		dst = repeatRows(src, counts, dst, row)
		src = src[len(counts)*row:]
	}
	return out, nil
}

// countsOf are the elements of an integer tensor, shared where they can be.
func countsOf(t *tensor.Tensor) []int64 {
	if xs, ok := tensor.TryData[int64](t); ok {
		return xs
	}
	return tensor.Ints(t)
}

// repeatRows writes counts[i] copies of row i of src, which has that many bytes,
// and returns what is left of dst.
func repeatRows(src []byte, counts []int64, dst []byte, row int) []byte {
	switch row {
	case 1:
		return dst[repeatWords(src, counts, dst):]
	case 2:
		return dst[2*repeatWords(wordsOf[uint16](src[:2*len(counts)]), counts, wordsOf[uint16](dst)):]
	case 4:
		return dst[4*repeatWords(wordsOf[uint32](src[:4*len(counts)]), counts, wordsOf[uint32](dst)):]
	case 8:
		return dst[8*repeatWords(wordsOf[uint64](src[:8*len(counts)]), counts, wordsOf[uint64](dst)):]
	}
	for i, n := range counts {
		dst = dst[fillRows(dst[:int(n)*row], src[i*row:][:row]):]
	}
	return dst
}

// repeatWords writes one copy of every element, and moves on behind as many as
// there are to be: counts of 0 and 1 take no branch.
func repeatWords[W word](src []W, counts []int64, dst []W) (k int) {
	for i, n := range counts {
		if k >= len(dst) {
			break
		}
		x := src[i]
		dst[k] = x
		for j := 1; j < int(n); j++ {
			dst[k+j] = x
		}
		k += int(n)
	}
	return k
}

// fillRows fills dst with copies of row, doubling what is there, and returns
// len(dst).
func fillRows(dst, row []byte) int {
	for done := copy(dst, row); done < len(dst) && done > 0; {
		done += copy(dst[done:], dst[:done])
	}
	return len(dst)
}

// measureSizeFrom leaves negative values to Define.
func measureSizeFrom(_ *Value, args []*tensor.Tensor) (int64, error) {
	return tensor.Ints(args[0])[0], nil
}

func evalSize(c *Call) (*tensor.Tensor, error) {
	n, err := c.V.Attrs.Dims("of")[0].Eval(c.Sizes)
	if err != nil {
		return nil, err
	}
	return tensor.Scalar(n), nil
}

// definedSym is the symbol that v's op defines; v's type rule has passed.
func definedSym(v *Value) string {
	s, _ := v.Attrs.Dims(v.Row().Defines)[0].IsSym()
	return s
}
