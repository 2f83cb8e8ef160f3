package runtime

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	goruntime "runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/call"
	"jitc/ir/tensor"
	"jitc/runtime/guard"
)

func TestEveryRouteIsCountedOnce(t *testing.T) {
	k := newCaller(t, Config{})
	a := k.must(vectors(4)) // miss: a constant
	b := k.must(vectors(4)) // last
	assert.Same(t, a, b)
	sym := k.must(vectors(5)) // miss: a symbol
	assert.NotSame(t, a.Entry, sym.Entry)
	assert.Same(t, sym.Entry, k.must(vectors(6)).Entry) // tree
	assert.Same(t, sym, k.must(vectors(5)))             // memo
	assert.Same(t, a, k.must(vectors(4)), "the specialised entry is preferred")
	s := k.sums(6)
	assert.Equal(t, Hits{Last: 1, Memo: 2, Tree: 1}, s.Hits)
	assert.EqualValues(t, 2, s.Misses)
	assert.EqualValues(t, 2, k.tracer.compiles.Load())
	assert.Equal(t, []string{"entry 0 needs a.size(0) == 4; a.size(0) is 5"}, s.Entries[1].Why)
	assert.Equal(t, "a.size(0) == 4", s.Entries[0].Failing[0].Guard)
	assert.Equal(t, []int{1, 2}, []int{s.Entries[0].Recordings, s.Entries[1].Recordings})
	assert.Equal(t, "u8[s0]", s.Entries[1].Params[0])
}

func TestSteadyHitsAllocateNothing(t *testing.T) {
	k := newCaller(t, Config{})
	v := &fakeVar{name: "v"}
	k.tracer.decide = guardVar(v)
	one, two := with(vectors(4, 4), call.IntConst(1)), with(vectors(5, 5), call.IntConst(1))
	k.must(one)
	k.must(two)
	for name, s := range map[string]Stance{"default": {}, "no recompile": {Mode: ModeNoRecompile}, "fail": {Mode: ModeFailOnRecompile},
		"differentiating": {Mode: ModeDifferentiating, Sample: 1000}} {
		ctx := WithStance(context.Background(), s)
		for range 2 {
			k.in(s, one)
			k.in(s, two)
		}
		assertNoAllocs(t, func() {
			if k.c.Hit(ctx, one, 0) == nil || k.c.Hit(ctx, two, 0) == nil {
				t.Error(name, ": no hit")
			}
		})
	}
}

func TestZeroAndOneAreNotSpecial(t *testing.T) {
	k := newCaller(t, Config{})
	k.must(vectors(3))
	e := k.must(vectors(5)).Entry
	assert.Same(t, e, k.must(vectors(1)).Entry)
	assert.Same(t, e, k.must(vectors(0)).Entry)
}

func TestSizesThatWentTogetherShareASymbol(t *testing.T) {
	k := newCaller(t, Config{})
	k.must(vectors(3, 3, 7))
	e := k.must(vectors(4, 4, 7)).Entry
	assert.Equal(t, []string{"u8[s0]", "u8[s0]", "u8[7]"}, k.c.Stats().Entries[1].Params)
	assert.Same(t, e, k.must(vectors(9, 9, 7)).Entry)
	k.must(vectors(9, 8, 7)) // which breaks that
	s := k.c.Stats()
	assert.Equal(t, []string{"u8[s0]", "u8[s1]", "u8[7]"}, s.Entries[2].Params)
	assert.Equal(t, []string{"entry 0 needs a.size(0) == 3; a.size(0) is 9",
		"entry 1 needs a.size(0) == b.size(0); a.size(0) is 9, b.size(0) is 8"}, s.Entries[2].Why)
	assert.Same(t, e, k.must(vectors(2, 2, 7)).Entry, "the stricter entry is preferred")

	apart := newCaller(t, Config{Separate: true})
	apart.must(vectors(3, 3))
	apart.must(vectors(4, 4))
	assert.Equal(t, []string{"u8[s0]", "u8[s1]"}, apart.c.Stats().Entries[1].Params)
	apart.must(vectors(4, 5))
	assert.Len(t, apart.c.Entries(), 2)
}

// A history longer than what is kept of it must not tie sizes that differ now.
func TestSizesThatDifferAfterALongHistory(t *testing.T) {
	k := newCaller(t, Config{Limits: Limits{OnLimit: LimitIgnore, Entries: 4}})
	schema := k.tracer.Schema(vectors(1, 1))
	for n := range maxHistory + 2 {
		_, err := k.c.learned.observe(vectors(n, n), schema)
		require.NoError(t, err)
	}
	k.must(vectors(7, 8))
	assert.Equal(t, []string{"u8[s0]", "u8[s1]"}, k.c.Stats().Entries[0].Params)
}

func TestScalarsArePromoted(t *testing.T) {
	k := newCaller(t, Config{})
	k.tracer.places = []call.Place{{Path: "n", Kind: call.Size}, {Path: "lr", Kind: call.Real}, {Path: "mode", Kind: call.Int}}
	cl := func(n int64, lr float64, mode int64) *call.Call {
		return with(vectors(3), call.IntConst(n), call.FloatConst(lr), call.IntConst(mode))
	}
	k.must(cl(1, 0.5, 7))
	e := k.must(cl(2, 0.25, 7))
	assert.Equal(t, []int{1}, e.Entry.Traced.Reals)
	assert.EqualValues(t, 2, e.Sizes["s0"])
	again := k.must(cl(2, 0.125, 7))
	assert.Same(t, e, again, "a real that is an input is not compared")
	assert.Same(t, e.Entry, k.must(cl(5, 9, 7)).Entry)
	k.must(cl(5, 9, 8))
	assert.Len(t, k.c.Entries(), 3)
	assert.Contains(t, strings.Join(k.c.Stats().Entries[2].Why, "\n"), "mode == 7; mode is 8")
	negative := newCaller(t, Config{})
	negative.tracer.places = k.tracer.places
	negative.must(cl(1, 0, 0))
	negative.must(cl(-1, 0, 0)) // no size: a constant
	negative.must(cl(-2, 0, 0))
	assert.Len(t, negative.c.Entries(), 3)
}

func TestFailuresAreCountedAndNotKept(t *testing.T) {
	for _, stage := range []string{"trace", "compile"} {
		k := newCaller(t, Config{})
		boom := errors.New("boom")
		k.tracer.fail = func(at string) error {
			if at == stage {
				return boom
			}
			return nil
		}
		for range 2 {
			_, err := k.call(context.Background(), vectors(3))
			require.ErrorIs(t, err, boom)
		}
		k.tracer.fail = nil
		k.must(vectors(3))
		s := k.sums(3)
		assert.EqualValues(t, 2, s.Failed)
		assert.EqualValues(t, 3, s.Misses)
		assert.Len(t, s.Entries, 1)
		assert.Equal(t, 0, s.Entries[0].ID)
	}
	k := newCaller(t, Config{})
	_, err := k.call(context.Background(), &call.Call{Tensors: []*tensor.Tensor{nil}})
	require.ErrorContains(t, err, "a: expected a tensor, got nil")
	assert.EqualValues(t, 1, k.sums(1).Failed)
	_, err = k.call(WithStance(context.Background(), Stance{Mode: 77}), vectors(1))
	require.ErrorContains(t, err, "unknown stance mode(77)")
}

func TestStatsDoNotWaitForACompilation(t *testing.T) {
	k := newCaller(t, Config{})
	inside, leave := make(chan struct{}), make(chan struct{})
	k.tracer.fail = func(stage string) error {
		if stage == "compile" {
			close(inside)
			<-leave
		}
		return nil
	}
	done := make(chan error)
	go func() {
		_, err := k.call(context.Background(), vectors(3))
		done <- err
	}()
	<-inside
	assert.Empty(t, k.c.Stats().Entries)
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, err := k.find(ctx, vectors(4))
	require.ErrorIs(t, err, context.DeadlineExceeded, "a call that waits ends with its context")
	close(leave)
	require.NoError(t, <-done)
	assert.EqualValues(t, 1, k.sums(2).Failed)
}

func TestConcurrentCallsAreCountedExactly(t *testing.T) {
	const goroutines, calls = 32, 150
	k := newCaller(t, Config{Limits: Limits{Entries: 3, Signatures: 12, Recordings: 6, OnLimit: LimitIgnore}})
	stances := []Stance{{}, {Mode: ModeReference}, {Mode: ModeNoRecompile}, {Mode: ModeEagerThenCompile},
		{Mode: ModeDifferentiating, Sample: 3}, {Mode: ModeDifferentiating, OnMiss: MissFallBack}}
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Add(1)
		go func() {
			defer wg.Done()
			mine := *k
			mine.stripe = Stripe()
			rng := rand.New(rand.NewPCG(uint64(g), 7))
			for range calls {
				cl := vectors(1+rng.IntN(3), 1+rng.IntN(3))
				if rng.IntN(3) == 0 {
					cl = with(cl, call.IntConst(int64(rng.IntN(3))))
				}
				_, err := mine.call(WithStance(context.Background(), stances[rng.IntN(len(stances))]), cl)
				assert.NoError(t, err)
				if rng.IntN(50) == 0 {
					mine.c.Stats()
				}
			}
		}()
	}
	wg.Wait()
	s := k.sums(goroutines * calls)
	assert.Positive(t, s.Evicted)
	assert.LessOrEqual(t, len(s.Entries), 3)
	assert.LessOrEqual(t, s.Signatures, 12)
	assert.LessOrEqual(t, s.Recordings, 6)
	assert.Zero(t, s.Failed)
	assert.EqualValues(t, len(s.Recompiles), min(maxEvents, s.Misses))
}

func TestOneSignatureIsCompiledOnce(t *testing.T) {
	k := newCaller(t, Config{})
	k.tracer.fail = func(string) error { time.Sleep(time.Millisecond); return nil }
	var wg sync.WaitGroup
	for range 32 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			_, err := k.call(context.Background(), vectors(3))
			assert.NoError(t, err)
		}()
	}
	wg.Wait()
	assert.EqualValues(t, 1, k.tracer.compiles.Load())
	assert.EqualValues(t, 1, k.sums(32).Misses)
}

// What is evicted runs on, and then goes, with all that it refers to.
func TestEvictedEntriesAreReleased(t *testing.T) {
	k := newCaller(t, Config{Limits: Limits{Entries: 2}})
	kind := func(dt tensor.DType) *call.Call { return &call.Call{Tensors: []*tensor.Tensor{tensor.New(dt, 3)}} }
	gone, kept := func() (weak.Pointer[Entry], *Admission) {
		a, b := k.must(kind(tensor.U8)), k.must(kind(tensor.I8))
		k.in(Stance{Mode: ModeDifferentiating}, kind(tensor.U8)) // which remembers it too
		time.Sleep(2 * time.Millisecond)
		for range 2 {
			k.must(kind(tensor.I8)) // the first is the least recently used
		}
		return weak.Make(a.Entry), b
	}()
	held := kind(tensor.I8)
	k.must(kind(tensor.I16))
	k.must(kind(tensor.I16))
	for range 5 {
		goruntime.GC()
	}
	assert.Nil(t, gone.Value())
	time.Sleep(2 * time.Millisecond)
	k.must(kind(tensor.I16))
	k.must(kind(tensor.U16))
	assert.True(t, kept.Entry.evicted.Load())
	out, err := kept.Run(t.Context(), held, nil, serial{})
	require.NoError(t, err)
	assert.Equal(t, []int{3}, out[0].Shape())
	s := k.sums(9)
	assert.EqualValues(t, 2, s.Evicted)
	assert.EqualValues(t, 4, s.Misses)
}

func TestSignaturesAndRecordingsStayInTheirLimits(t *testing.T) {
	k := newCaller(t, Config{Limits: Limits{Signatures: 8, Recordings: 4}})
	k.must(vectors(1))
	first := k.must(vectors(2))
	for n := range 40 {
		k.must(vectors(n))
		s := k.c.Stats()
		assert.LessOrEqual(t, s.Signatures, 8)
		assert.LessOrEqual(t, s.Recordings, 4)
	}
	assert.Same(t, k.must(vectors(39)), k.must(vectors(39)))
	assert.NotSame(t, first, k.must(vectors(2)), "the signature went; the guards admit it anew")
	assert.Len(t, k.c.Entries(), 2)
}

func TestGuardedGlobals(t *testing.T) {
	k := newCaller(t, Config{})
	v := &fakeVar{name: "precise"}
	k.tracer.decide = guardVar(v)
	a := k.must(vectors(3))
	v.set(1)
	b := k.must(vectors(3))
	assert.NotSame(t, a.Entry, b.Entry)
	assert.Equal(t, []string{"entry 0 needs precise == 0; precise is 1"}, b.Entry.Why)
	for range 3 { // both are remembered
		v.set(0)
		assert.Same(t, a, k.must(vectors(3)))
		v.set(1)
		assert.Same(t, b, k.must(vectors(3)))
	}
	assert.Equal(t, Hits{Memo: 6}, k.sums(8).Hits)
	assert.Equal(t, 2, k.c.signatures.n)

	changing := newCaller(t, Config{})
	changing.tracer.decide = func(c *call.Call, s *Spec, tr *Traced) {
		guardVar(v)(c, s, tr)
		if changing.tracer.traces.Load() < 3 {
			v.set(changing.tracer.traces.Load() + 10)
		}
	}
	changing.must(vectors(3))
	assert.EqualValues(t, 3, changing.tracer.traces.Load(), "it is traced again when a global changes meanwhile")
	always := newCaller(t, Config{})
	always.tracer.decide = func(c *call.Call, s *Spec, tr *Traced) {
		guardVar(v)(c, s, tr)
		v.set(-always.tracer.traces.Load())
	}
	_, err := always.call(context.Background(), vectors(3))
	require.ErrorContains(t, err, "a guarded global changed during each of 8 traces")
}

func TestGuardedGlobalsThatChangeConcurrently(t *testing.T) {
	k := newCaller(t, Config{})
	v := &fakeVar{name: "v"}
	k.tracer.decide = guardVar(v)
	for x := range int64(3) {
		v.set(x)
		k.must(vectors(3))
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 300 {
				before := call.Epoch()
				a, err := k.call(context.Background(), vectors(3))
				assert.NoError(t, err)
				if call.Epoch() == before { // it did not change meanwhile
					want := a.Entry.vars[0].Value.Bits
					assert.True(t, v.now.Load() == int64(want) || call.Epoch() != before)
				}
			}
		}()
	}
	for x := range int64(2000) {
		v.set(x % 3)
	}
	wg.Wait()
	assert.Len(t, k.c.Entries(), 3)
	k.sums(3 + 8*300)
}

// fakeVar is a guarded global.
type fakeVar struct {
	name string
	now  atomic.Int64
}

func (v *fakeVar) Name() string     { return v.name }
func (v *fakeVar) Load() call.Const { return call.IntConst(v.now.Load()) }

func (v *fakeVar) set(n int64) {
	v.now.Store(n)
	call.NextEpoch()
}

func guardVar(v *fakeVar) func(*call.Call, *Spec, *Traced) {
	return func(_ *call.Call, _ *Spec, tr *Traced) {
		tr.Guards = append(tr.Guards, guard.Guard{Kind: guard.Var, Var: v, Value: v.Load()})
	}
}

func TestRecompilesAreLogged(t *testing.T) {
	var buf strings.Builder
	k := newCaller(t, Config{Log: slog.New(slog.NewTextHandler(&buf, nil)), Limits: Limits{Recompiles: 2}})
	k.must(vectors(1))
	k.must(vectors(2, 2))
	for range 3 {
		k.must(vectors(3, 3, 3))
	}
	lines := strings.Split(strings.TrimSpace(buf.String()), "\n")
	require.Len(t, lines, 3, "one warning")
	assert.Contains(t, lines[0], `level=INFO msg="jitc: compiled @f" function=f entry=0`)
	assert.Contains(t, lines[1], `msg="jitc: recompiled @f" function=f entry=1`)
	assert.Contains(t, lines[1], `reason="entry 0 needs 1 tensor; 2 tensors"`)
	assert.Contains(t, lines[2], "level=WARN")
	assert.Contains(t, lines[2], "the limit of 2 compilations of @f is reached")
	s := k.sums(5)
	assert.EqualValues(t, 3, s.Reference)
	assert.Contains(t, s.String(), `"function": "f"`)
	assert.Equal(t, []StageCost{{"fake", 1}}, s.Recompiles[1].Cost)
}

func TestLimitsOfCompilations(t *testing.T) {
	t.Run("error", func(t *testing.T) {
		k := newCaller(t, Config{Limits: Limits{Recompiles: 1, OnLimit: LimitError}})
		k.must(vectors(1))
		_, err := k.call(context.Background(), vectors(2))
		var re *RecompileError
		require.ErrorAs(t, err, &re)
		assert.Equal(t, "@f: no entry admits this call, and the limit of 1 compilations of @f is reached\n  entry 0 needs a.size(0) == 1; a.size(0) is 2", err.Error())
		assert.EqualValues(t, 1, k.sums(2).Failed)
	})
	t.Run("ignore", func(t *testing.T) {
		k := newCaller(t, Config{Limits: Limits{Recompiles: 1, Entries: 2, OnLimit: LimitIgnore}})
		for n := range 5 {
			k.must(with(vectors(1), call.IntConst(int64(n))))
		}
		assert.EqualValues(t, 3, k.sums(5).Evicted)
	})
	t.Run("budget", func(t *testing.T) {
		b := NewBudget(2)
		one, two := newCaller(t, Config{Budget: b}), newCaller(t, Config{Budget: b, Name: "g"})
		one.must(vectors(1))
		two.must(vectors(1))
		two.must(vectors(2))
		one.must(vectors(2))
		assert.EqualValues(t, 1, one.sums(2).Reference)
		assert.EqualValues(t, 1, two.sums(2).Reference)
	})
	t.Run("budget of failures", func(t *testing.T) {
		k := newCaller(t, Config{Budget: NewBudget(1)})
		k.tracer.fail = func(string) error { return errors.New("boom") }
		for range 3 {
			_, err := k.call(context.Background(), vectors(1))
			require.ErrorContains(t, err, "boom")
		}
		k.tracer.fail = nil
		assert.NotNil(t, k.must(vectors(1)).Recording)
	})
}
