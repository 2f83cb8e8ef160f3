package runtime

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"weak"

	goruntime "runtime"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/call"
	"jitc/ir/tensor"
	"jitc/runtime/guard"
)

func TestReferenceStanceNeverCompiles(t *testing.T) {
	k := newCaller(t, Config{})
	k.c.SetStance(Stance{Mode: ModeReference})
	for n := range 3 {
		a := k.must(vectors(n))
		assert.Nil(t, a.Recording)
		assert.Equal(t, -1, a.Entry.ID)
	}
	assert.Empty(t, k.c.Entries())
	e := k.in(Stance{Mode: ModeNoRecompile}, vectors(2)).Entry // the context overrides the function
	assert.Equal(t, 0, e.ID)
	assert.Same(t, e, k.must(vectors(2)).Entry, "an entry's own trace is evaluated")
	assert.EqualValues(t, 1, k.tracer.runs.Load())
	s := k.sums(5)
	assert.EqualValues(t, 4, s.Reference)
	assert.EqualValues(t, 1, k.tracer.compiles.Load())
}

func TestNoRecompileFallsBack(t *testing.T) {
	k := newCaller(t, Config{})
	k.c.SetStance(Stance{Mode: ModeNoRecompile})
	k.must(vectors(2)) // the first entry is made
	k.must(vectors(3)) // and no other
	k.must(vectors(2))
	s := k.sums(3)
	assert.EqualValues(t, 1, s.Reference)
	assert.Equal(t, Hits{Last: 1}, s.Hits)
	assert.Len(t, s.Entries, 1)
}

func TestFailOnRecompile(t *testing.T) {
	k := newCaller(t, Config{})
	k.must(vectors(2))
	ctx := WithStance(context.Background(), Stance{Mode: ModeFailOnRecompile})
	_, err := k.call(ctx, vectors(3))
	require.ErrorContains(t, err, "@f: no entry admits this call, and the stance is fail-on-recompile\n  entry 0 needs a.size(0) == 2; a.size(0) is 3")
	_, err = k.call(ctx, vectors(2))
	require.NoError(t, err)
	s := k.sums(3)
	assert.EqualValues(t, 1, s.Failed)
	assert.EqualValues(t, 1, k.tracer.traces.Load())
}

func TestEagerThenCompile(t *testing.T) {
	k := newCaller(t, Config{})
	k.c.SetStance(Stance{Mode: ModeEagerThenCompile})
	a := k.must(vectors(2))
	assert.Nil(t, a.Recording)
	assert.Zero(t, k.tracer.compiles.Load())
	assert.False(t, k.c.Stats().Entries[0].Compiled)
	b := k.must(vectors(2))
	assert.Same(t, a.Entry, b.Entry)
	assert.NotNil(t, b.Recording)
	assert.Same(t, b, k.must(vectors(2)))
	k.must(vectors(3)) // another entry: evaluated first
	k.must(vectors(4))
	assert.EqualValues(t, 2, k.tracer.compiles.Load())
	s := k.sums(5)
	assert.EqualValues(t, 2, s.Misses)
	assert.Equal(t, Hits{Last: 1, Tree: 2}, s.Hits)
	assert.Positive(t, s.Compile)
	assert.Zero(t, s.Reference)
}

// The counterexample of guards found by failure counts: with entries a1 & a2 and
// b1, where b1 never fails, "a1" alone would take calls of the second entry.
func TestDifferentiatingIsRightForAllThatWasAdmitted(t *testing.T) {
	k := newCaller(t, Config{})
	constant := func(c *call.Call, i int) guard.Guard {
		return guard.Guard{Kind: guard.Const, Arg: i, Value: c.Consts[i]}
	}
	k.tracer.decide = func(c *call.Call, _ *Spec, tr *Traced) {
		tr.Guards = tr.Guards[:2]
		if c.Consts[0].Bits == 1 && c.Consts[1].Bits == 1 {
			tr.Guards = append(tr.Guards, constant(c, 0), constant(c, 1))
		} else {
			tr.Guards = append(tr.Guards, constant(c, 2))
		}
	}
	cl := func(a1, a2, b1 int64) *call.Call {
		return with(&call.Call{Tensors: []*tensor.Tensor{tensor.New(tensor.U8)}}, call.IntConst(a1), call.IntConst(a2), call.IntConst(b1))
	}
	first := k.must(cl(1, 1, 1)).Entry
	second := k.must(cl(1, 2, 1)).Entry
	require.NotSame(t, first, second)
	s := Stance{Mode: ModeDifferentiating, OnMiss: MissError}
	for range 3 {
		assert.Same(t, first, k.in(s, cl(1, 1, 1)).Entry)
		assert.Same(t, second, k.in(s, cl(1, 2, 1)).Entry)
	}
	assert.Equal(t, Hits{Differ: 6}, k.sums(8).Hits)
}

// byDType is a call with one vector of an element type.
func byDType(dt tensor.DType, n int) *call.Call {
	return &call.Call{Tensors: []*tensor.Tensor{tensor.New(dt, n)}}
}

func TestDifferentiatingMisses(t *testing.T) {
	k := newCaller(t, Config{})
	differ := Stance{Mode: ModeDifferentiating}
	k.in(differ, byDType(tensor.U8, 3)) // the first call compiles under every policy
	k.in(differ, byDType(tensor.I8, 3))
	k.in(differ, byDType(tensor.U8, 3))
	missed := byDType(tensor.I16, 3)
	_, err := k.call(WithStance(context.Background(), Stance{Mode: ModeDifferentiating, OnMiss: MissError}), byDType(tensor.I8, 3))
	require.NoError(t, err)
	subset := k.c.subset().subset
	require.Len(t, subset.Guards(), 1)
	// One guard separates two entries: "is a u8" or "is an i8", so that i16 is taken
	// for the other one. The run finds that its arguments are of another type.
	a, err := k.find(WithStance(context.Background(), differ), missed)
	require.NoError(t, err)
	assert.Less(t, a.Entry.ID, 2)
	_, err = a.Run(t.Context(), missed, nil, serial{})
	var be *BufferError
	require.ErrorAs(t, err, &be)
	_, err, ok := k.c.Reconsider(WithStance(context.Background(), Stance{Mode: ModeDifferentiating, OnMiss: MissError}), a, err, missed, k.tracer, 0)
	require.True(t, ok)
	require.ErrorContains(t, err, "@f: no entry admits this call, and the stance is differentiating with errors on a miss")
	_, _, ok = k.c.Reconsider(context.Background(), a, err, missed, k.tracer, 0)
	assert.False(t, ok)
	k.sums(5)
	k.in(Stance{Mode: ModeDifferentiating, Sample: 1}, missed) // checked: a new entry
	s := k.c.Stats()
	assert.EqualValues(t, 3, s.Violations, "the first i8 is one: there was one entry, which nothing had to be told from")
	assert.Len(t, s.Entries, 3)
	assert.Same(t, k.in(differ, missed).Entry, k.c.Entries()[2], "the subset knows the new entry")
}

func TestDifferentiatingMissPolicies(t *testing.T) {
	for _, c := range []struct {
		policy             OnMiss
		entries, reference int
		fails              bool
	}{{MissCompile, 4, 0, false}, {MissFallBack, 3, 1, false}, {MissError, 3, 0, true}} {
		k := newCaller(t, Config{})
		for _, dt := range []tensor.DType{tensor.U8, tensor.I8, tensor.I16} {
			k.must(byDType(dt, 3))
		}
		s := Stance{Mode: ModeDifferentiating, OnMiss: c.policy, Sample: 1}
		k.in(s, byDType(tensor.I8, 3))
		_, err := k.call(WithStance(context.Background(), s), byDType(tensor.F32, 3))
		if c.fails {
			var re *RecompileError
			require.ErrorAs(t, err, &re)
			assert.Len(t, re.Reasons, 3)
		} else {
			require.NoError(t, err)
		}
		st := k.sums(5)
		assert.Len(t, st.Entries, c.entries)
		assert.EqualValues(t, c.reference, st.Reference)
	}
}

func TestSampledChecksReportViolations(t *testing.T) {
	var buf strings.Builder
	k := newCaller(t, Config{Log: slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	s := Stance{Mode: ModeDifferentiating, Sample: 4}
	cl := func(n int64) *call.Call { return with(vectors(3), call.IntConst(n)) }
	k.in(s, cl(1))
	k.in(s, cl(1)) // looked at in full, as the subset is new
	for range 7 {  // one entry needs no guard to tell it from others
		_, err := k.find(WithStance(context.Background(), s), cl(2))
		require.NoError(t, err)
	}
	st := k.sums(9)
	assert.EqualValues(t, 1, st.Violations)
	assert.Len(t, st.Entries, 2, "and the call got an entry of its own")
	assert.Contains(t, buf.String(), `entry=0 guard="constant 0 == 1" got="constant 0 is 2"`)
}

func TestDifferentiatingFollowsSizes(t *testing.T) {
	k := newCaller(t, Config{})
	s := Stance{Mode: ModeDifferentiating}
	k.must(vectors(2))
	k.must(vectors(3))
	e := k.c.Entries()[1]
	for range 2 {
		for n := 5; n < 9; n++ {
			a := k.in(s, vectors(n)) // call checks the result's size
			assert.Same(t, e, a.Entry)
			assert.EqualValues(t, n, a.Sizes["s0"])
		}
	}
	assert.EqualValues(t, 8, k.sums(10).Hits.Differ)
	assert.Equal(t, 2+4, k.c.Stats().Signatures)
}

func TestSubsetFollowsTheEntries(t *testing.T) {
	k := newCaller(t, Config{Limits: Limits{Entries: 2}})
	s := Stance{Mode: ModeDifferentiating}
	old := func() weak.Pointer[Entry] {
		a := k.in(s, byDType(tensor.U8, 3))
		k.in(s, byDType(tensor.I8, 3))
		k.in(s, byDType(tensor.U8, 3))
		return weak.Make(a.Entry)
	}()
	before := k.c.subset()
	k.in(Stance{Mode: ModeFailOnRecompile}, byDType(tensor.I8, 3))
	assert.Same(t, before, k.c.subset(), "a signature that it chooses right changes nothing")
	k.c.Entries()[1].touch(1 << 60)
	k.must(byDType(tensor.F32, 3)) // evicts the first
	after := k.c.subset()
	assert.NotSame(t, before, after)
	assert.Equal(t, k.c.Entries(), after.entries)
	assert.Equal(t, 2, k.c.signatures.n)
	before = nil
	for range 5 {
		goruntime.GC()
	}
	assert.Nil(t, old.Value())
	assert.Same(t, k.c.Entries()[1], k.in(s, byDType(tensor.F32, 3)).Entry)
}

func TestTooManySignaturesRunAllGuards(t *testing.T) {
	k := newCaller(t, Config{})
	k.must(byDType(tensor.U8, 3))
	k.must(byDType(tensor.I8, 3))
	k.c.signatures.full = true
	s := Stance{Mode: ModeDifferentiating, OnMiss: MissError}
	for range 2 {
		assert.Same(t, k.c.Entries()[0], k.in(s, byDType(tensor.U8, 3)).Entry)
	}
	_, err := k.call(WithStance(context.Background(), s), byDType(tensor.F32, 3))
	require.ErrorContains(t, err, "no entry admits this call")
	assert.Equal(t, Hits{Memo: 1, Last: 1}, k.sums(5).Hits)
}

func TestDifferentiatingConcurrently(t *testing.T) {
	k := newCaller(t, Config{Limits: Limits{Entries: 3, OnLimit: LimitIgnore}})
	dts := []tensor.DType{tensor.U8, tensor.I8, tensor.I16, tensor.F32, tensor.BF16}
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 100 {
				cl := byDType(dts[(i/7+g)%5], 1+i%3)
				s := Stance{Mode: ModeDifferentiating, Sample: 1}
				if i%5 == 0 {
					s = Stance{}
				}
				_, err := k.call(WithStance(context.Background(), s), cl)
				assert.NoError(t, err)
			}
		}()
	}
	wg.Wait()
	k.sums(1600)
}

func TestModesHaveNames(t *testing.T) {
	for m := ModeDefault; m <= ModeDifferentiating; m++ {
		got, err := ParseMode(m.String())
		require.NoError(t, err)
		assert.Equal(t, m, got)
	}
	_, err := ParseMode("fast")
	require.ErrorContains(t, err, `unknown stance "fast": expected one of default, reference`)
}
