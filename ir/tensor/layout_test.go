package tensor

import (
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLayoutsAreInterned(t *testing.T) {
	a, b := New(F32, 2, 3), New(F32, 2, 3)
	assert.Same(t, a.Layout(), b.Layout())
	assert.Same(t, a.Layout(), LayoutOf(F32, []int{2, 3}))
	assert.NotSame(t, a.Layout(), New(F32, 3, 2).Layout())
	assert.NotSame(t, a.Layout(), New(I32, 2, 3).Layout())
	assert.NotSame(t, a.Layout(), New(F32, 6).Layout())
	assert.NotSame(t, New(F32).Layout(), New(F32, 1).Layout())

	tr, err := a.View([]int{1, 3}, 0, []int{3, 2})
	require.NoError(t, err)
	assert.NotSame(t, tr.Layout(), New(F32, 3, 2).Layout())
	assert.Equal(t, []int{1, 3}, tr.Layout().Strides)
	assert.False(t, tr.Layout().Contiguous)
}

// TestStridesThatDoNotMatter: a column of one element is contiguous, whatever the
// stride that led to it.
func TestStridesThatDoNotMatter(t *testing.T) {
	x := New(F32, 4, 3)
	v, err := x.View([]int{17, 1}, 3, []int{1, 3})
	require.NoError(t, err)
	assert.Same(t, LayoutOf(F32, []int{1, 3}), v.Layout())
}

// TestLayoutKeysDoNotCollide walks shapes and strides whose encodings are alike.
func TestLayoutKeysDoNotCollide(t *testing.T) {
	seen := map[*Layout]string{}
	base := New(U8, 400)
	for _, shape := range [][]int{{}, {0}, {1}, {0, 1}, {1, 0}, {1, 1}, {128}, {2, 1}, {1, 2}} {
		l := LayoutOf(U8, shape)
		text := "dense" + typeOf(l)
		require.Equal(t, "", seen[l], text)
		seen[l] = text
	}
	for _, c := range [][2][]int{{{2}, {2}}, {{2}, {3}}, {{2, 2}, {4, 2}}, {{2, 2}, {1, 2}}, {{2, 1}, {2, 0}}} {
		v, err := base.View(c[1], 0, c[0])
		require.NoError(t, err)
		require.Equal(t, "", seen[v.Layout()])
		seen[v.Layout()] = "strided"
	}
}

func typeOf(l *Layout) string { return l.DType.String() }

func TestLayoutsAreFreed(t *testing.T) {
	count := func() (n int) {
		layouts.Range(func(any, any) bool { n++; return true })
		return n
	}
	before := count()
	for i := range 1000 {
		LayoutOf(I8, []int{7, 100_000 + i})
	}
	for range 20 {
		runtime.GC()
		if count() < before+100 {
			return
		}
	}
	t.Fatalf("%d layouts stay, %d before", count(), before)
}

func TestLayoutsUnderConcurrency(t *testing.T) {
	var wg sync.WaitGroup
	got := make([]*Layout, 8)
	for i := range got {
		wg.Go(func() {
			for n := range 200 {
				x := New(F64, 3, n)
				got[i] = x.Layout()
				runtime.KeepAlive(x)
			}
			got[i] = New(F64, 9, 9).Layout()
		})
	}
	wg.Wait()
	for _, l := range got {
		require.Same(t, got[0], l)
	}
}
