package refeval

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Accum is the type that sums are kept in: float64 for every float type, int64
// for every integer type, where wrapping modulo 2^64 and then truncating gives
// what wrapping in the narrow type gives.
type Accum interface{ float64 | int64 }

// Operand is the element type of a packed operand of MatMul.
type Operand interface{ float32 | float64 | int64 }

// The blocks of MatMul: a task computes blockM x blockN results and walks K in
// steps of blockK, so that its two panels and its results stay in the L2 cache.
const (
	blockM = 64
	blockN = 64
	blockK = 512
)

// MatMul computes out[b,m,n] = sum over k of x[b,m,k]*y[b,n,k] for row-major
// operands: both are contiguous along k. The order of summation is that of k,
// whatever the number of goroutines.
func MatMul[A Accum, E Operand](out []A, x, y []E, batch, m, n, k int) {
	tilesM, tilesN := (m+blockM-1)/blockM, (n+blockN-1)/blockN
	Parallel(batch*tilesM*tilesN, func(task int) {
		b, i, j := task/(tilesM*tilesN), task/tilesN%tilesM*blockM, task%tilesN*blockN
		t := newMatTile[A](min(blockM, m-i), min(blockN, n-j), min(blockK, k))
		for k0 := 0; k0 < k; k0 += blockK {
			t.depth = min(blockK, k-k0)
			pack(t.x, x[(b*m+i)*k+k0:], t.rows, t.depth, k)
			pack(t.y, y[(b*n+j)*k+k0:], t.cols, t.depth, k)
			t.accumulate()
		}
		for r := range t.rows {
			at := (b*m+i+r)*n + j
			copy(out[at:at+t.cols], t.sum[r*t.width:])
		}
	})
}

// matTile is one task's state. The panels hold rows of depth elements each.
//
//	x: rows x depth     y: width x depth, zero from row cols on
//	sum: rows x width, width being cols up to a multiple of 4
type matTile[A Accum] struct {
	rows, cols, width, depth int
	x, y, sum                []A
}

func newMatTile[A Accum](rows, cols, depth int) *matTile[A] {
	t := &matTile[A]{rows: rows, cols: cols, width: (cols + 3) / 4 * 4}
	t.x, t.y, t.sum = make([]A, rows*depth), make([]A, t.width*depth), make([]A, rows*t.width)
	return t
}

// pack widens rows of depth elements, stride apart, into a dense panel, and
// clears what is left of the panel's last rows.
func pack[A Accum, E Operand](panel []A, src []E, rows, depth, stride int) {
	for r := range rows {
		dst := panel[r*depth : (r+1)*depth]
		for i, v := range src[r*stride : r*stride+depth] {
			dst[i] = A(v)
		}
	}
	clear(panel[rows*depth:])
}

func (t *matTile[A]) accumulate() {
	r, d := 0, t.depth
	for ; r+4 <= t.rows; r += 4 {
		for c := 0; c < t.cols; c += 2 {
			t.kernel4x2(r, c)
		}
	}
	for ; r < t.rows; r++ {
		for c := 0; c < t.cols; c += 4 {
			sum := t.sum[r*t.width+c:]
			dot1x4((*[4]A)(sum), t.x[r*d:(r+1)*d], t.y[c*d:(c+4)*d])
		}
	}
}

// kernel4x2 keeps eight sums in registers: with the six elements of a step they
// fill the sixteen that amd64 has.
func (t *matTile[A]) kernel4x2(r, c int) {
	d := t.depth
	y0, y1 := t.y[c*d:(c+1)*d], t.y[(c+1)*d : (c+2)*d][:d]
	x0, x1, x2, x3 := t.x[r*d:][:d], t.x[(r+1)*d:][:d], t.x[(r+2)*d:][:d], t.x[(r+3)*d:][:d]
	var s00, s01, s10, s11, s20, s21, s30, s31 A
	for k, v0 := range y0[:d] {
		v1 := y1[k]
		s00, s01 = s00+x0[k]*v0, s01+x0[k]*v1
		s10, s11 = s10+x1[k]*v0, s11+x1[k]*v1
		s20, s21 = s20+x2[k]*v0, s21+x2[k]*v1
		s30, s31 = s30+x3[k]*v0, s31+x3[k]*v1
	}
	at := r*t.width + c
	for i, s := range [4][2]A{{s00, s01}, {s10, s11}, {s20, s21}, {s30, s31}} {
		t.sum[at+i*t.width] += s[0]
		t.sum[at+i*t.width+1] += s[1]
	}
}

// dot1x4 adds the products of one row with four consecutive rows of y.
func dot1x4[A Accum](sum *[4]A, x, y []A) {
	d := len(x)
	y0, y1, y2, y3 := y[:d], y[d:][:d], y[2*d:][:d], y[3*d:][:d]
	s0, s1, s2, s3 := sum[0], sum[1], sum[2], sum[3]
	for k, v := range x {
		s0 += v * y0[k]
		s1 += v * y1[k]
		s2 += v * y2[k]
		s3 += v * y3[k]
	}
	sum[0], sum[1], sum[2], sum[3] = s0, s1, s2, s3
}

// Parallel calls task(0), ..., task(n-1), each once, on as many goroutines as
// there are processors, and returns when all are done.
func Parallel(n int, task func(int)) {
	workers := min(n, runtime.GOMAXPROCS(0))
	if workers <= 1 {
		for i := range n {
			task(i)
		}
		return
	}
	var next atomic.Int64
	var done sync.WaitGroup
	for range workers {
		done.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				task(i)
			}
		})
	}
	done.Wait()
}
