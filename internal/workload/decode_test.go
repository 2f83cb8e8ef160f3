package workload_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc"
	"jitc/executors/cuda"
	"jitc/executors/cuda/driver/fake"
	"jitc/internal/workload"
	"jitc/ir/tensor"
)

var ctx = context.Background()

// reference is a context whose calls are evaluated by the ops' definitions.
func reference() context.Context {
	return jitc.InStance(ctx, jitc.Stance{Mode: jitc.ForceReference})
}

func engineOf(t testing.TB, o jitc.Options) *jitc.Engine {
	t.Helper()
	e, err := jitc.NewEngine(o)
	require.NoError(t, err)
	t.Cleanup(e.Close)
	return e
}

// alike checks that two tensors, wherever they lie, differ by rounding only.
func alike(t testing.TB, want, got *jitc.Tensor, tol tensor.Tolerance) {
	t.Helper()
	require.NoError(t, want.Err())
	require.NoError(t, got.Err())
	require.Nil(t, tensor.Compare(got.Host(), want.Host(), tol))
}

// place is where a model runs: an engine, and the device of weights and state.
type place struct {
	name   string
	engine *jitc.Engine
	device string
}

func places(t testing.TB) []place {
	t.Helper()
	gpu, _, name := onFake(t, fake.Config{Eager: true}, cuda.Options{})
	return []place{
		{"native", engineOf(t, jitc.Options{Executors: []string{"native"}, Verify: true}), "cpu"},
		{"gpu", gpu, name},
	}
}

// model is a tiny one, frozen where the place is.
func (p place) model(t testing.TB, dt jitc.DType) *jitc.Frozen[workload.Weights] {
	t.Helper()
	w, err := workload.Tiny.Random(dt)
	require.NoError(t, err)
	w, err = w.On(p.engine, p.device)
	require.NoError(t, err)
	f, err := jitc.Freeze(w)
	require.NoError(t, err)
	return f
}

func (p place) text(t testing.TB, batch, n int) *jitc.Tensor {
	t.Helper()
	x, err := workload.Tiny.Text(batch, n)
	require.NoError(t, err)
	return on(t, p.engine, p.device, x)[0]
}

// tolerances are those of decoding against reading, by the weights' type: each has
// the logits of one program beside those of another.
var tolerances = map[jitc.DType]tensor.Tolerance{jitc.F32: {Abs: 2e-5, Rel: 2e-5}, jitc.BF16: {Abs: 4e-2, Rel: 4e-2}}

const batch, length, prompt, rows = 2, 9, 3, 17

// Decoding token by token gives the logits that reading the whole text gives: with a
// cache that grows, with one of fixed size, in place and in turns.
func TestDecodingIsReading(t *testing.T) {
	for _, p := range places(t) {
		for dt, tol := range tolerances {
			t.Run(p.name+"/"+dt.String(), func(t *testing.T) {
				w, x := p.model(t, dt), p.text(t, batch, length)
				want, err := jitc.Func2(p.engine, workload.Forward).Call(reference(), w, x)
				require.NoError(t, err)
				whole, err := jitc.Func2(p.engine, workload.Forward).Call(ctx, w, x)
				require.NoError(t, err)
				require.Equal(t, p.device, whole.Device())
				alike(t, want, whole, tol)
				begun := p.begin(t, w, x.Slice(1, 0, prompt))
				alike(t, want.Index(1, prompt-1), begun.Logits, tol)
				for name, decode := range decoders {
					next := decode(t, p, w, begun.State)
					for i := prompt; i < length; i++ {
						token := on(t, p.engine, p.device, x.Index(1, i))[0]
						state, logits := next(token)
						require.Equal(t, p.device, state.Device(), name)
						alike(t, want.Index(1, i), logits, tol)
					}
				}
			})
		}
	}
}

func (p place) begin(t *testing.T, w *weights, text *jitc.Tensor) workload.Step[workload.Grown] {
	t.Helper()
	begun, err := jitc.Func2(p.engine, workload.Prefill).Call(ctx, w, on(t, p.engine, p.device, text)[0])
	require.NoError(t, err)
	return begun
}

// room has a state in a cache of fixed size, made where the place is.
func (p place) room(t *testing.T, s workload.Grown) workload.Fixed {
	t.Helper()
	f := jitc.Func1(p.engine, func(s workload.Grown) workload.Fixed { return workload.Room(s, rows) })
	out, err := f.Call(ctx, s)
	require.NoError(t, err)
	return out
}

type weights = jitc.Frozen[workload.Weights]

// decoder is a function of the next token, or of nil for the best, that gives the
// state's token behind it and the logits of that.
type decoder func(token *jitc.Tensor) (next, logits *jitc.Tensor)

var decoders = map[string]func(t *testing.T, p place, w *weights, s workload.Grown) decoder{
	"growing": func(t *testing.T, p place, w *weights, s workload.Grown) decoder {
		f := jitc.Func2(p.engine, workload.StepGrown)
		return func(token *jitc.Tensor) (*jitc.Tensor, *jitc.Tensor) {
			if token != nil {
				s.Token = token
			}
			out, err := f.Call(ctx, w, s)
			require.NoError(t, err)
			require.Equal(t, s.Cache.K[0].Shape()[2]+1, out.State.Cache.K[0].Shape()[2])
			require.LessOrEqual(t, len(f.Traced().Entries()), 2, "lengths share a program")
			s = out.State
			return s.Token, out.Logits
		}
	},
	"in turns": func(t *testing.T, p place, w *weights, s workload.Grown) decoder {
		f, state, turn := jitc.Func2(p.engine, workload.StepFixed), p.room(t, s), 0
		outs := [2]workload.Step[workload.Fixed]{}
		return func(token *jitc.Tensor) (*jitc.Tensor, *jitc.Tensor) {
			out := &outs[turn&1]
			turn++
			if token != nil {
				state.Token = token
			}
			require.NoError(t, f.CallInto(ctx, out, w, state))
			require.Len(t, f.Traced().Entries(), 1)
			state = out.State
			return state.Token, out.Logits
		}
	},
	"in place": func(t *testing.T, p place, w *weights, s workload.Grown) decoder {
		f, state := jitc.Func2(p.engine, workload.StepFixed, workload.Donated()...), p.room(t, s)
		return func(token *jitc.Tensor) (*jitc.Tensor, *jitc.Tensor) {
			if token != nil {
				state.Token = token
			}
			before := state.Cache
			out, err := f.Call(ctx, w, state)
			require.NoError(t, err)
			require.Len(t, f.Traced().Entries(), 1)
			state = out.State
			for i, k := range before.K {
				require.True(t, k.Storage() == state.Cache.K[i].Storage() && before.V[i].Storage() == state.Cache.V[i].Storage(), "the cache moved")
			}
			return state.Token, out.Logits
		}
	},
}

// Greedy decoding gives the same tokens step by step, with any cache and on any
// device, and as one program: for a number of tokens, and until every text has ended.
func TestGreedyDecoding(t *testing.T) {
	var tokens *jitc.Tensor
	for _, p := range places(t) {
		t.Run(p.name, func(t *testing.T) {
			w, x := p.model(t, jitc.F32), p.text(t, batch, prompt)
			begun := p.begin(t, w, x)
			for _, decode := range decoders {
				next, text := decode(t, p, w, begun.State), []*jitc.Tensor{begun.State.Token}
				for len(text) < length {
					token, _ := next(nil)
					text = append(text, jitc.FromHost(token.Host())) // which the next step may overwrite
				}
				got := jitc.Stack(1, text...)
				if tokens == nil {
					tokens = got
				}
				alike(t, tokens, got, tensor.Exact)
			}
			rest, err := jitc.Func3(p.engine, workload.Generate).Call(ctx, w, p.room(t, begun.State), jitc.Zeros(jitc.I64, length-1))
			require.NoError(t, err)
			alike(t, tokens.Slice(1, 1, length), rest, tensor.Exact)
			untilEnd(t, p, w, begun.State, x, tokens)
		})
	}
}

// untilEnd holds GenerateUntil against the tokens: it writes up to the place where
// every text has had the token that ends it, or as far as there is room.
func untilEnd(t *testing.T, p place, w *weights, s workload.Grown, x, tokens *jitc.Tensor) {
	t.Helper()
	all, err := jitc.Data[int64](tokens) // [batch, length]
	require.NoError(t, err)
	f := jitc.Func3(p.engine, workload.GenerateUntil)
	ends := []int64{all[0], all[4], -1, all[length], all[length+2]}
	if p.device != "cpu" {
		ends = ends[1:3] // interpreted
	}
	for _, end := range ends {
		steps := 0
		for row := range batch {
			if at := slices.Index(all[row*length:(row+1)*length], end); at >= 0 {
				steps = max(steps, at+1)
			} else {
				steps = rows
			}
		}
		written := min(steps, rows-prompt)
		buffer := on(t, p.engine, p.device, jitc.Concat(1, x, jitc.Full(jitc.I64, -2, batch, rows-prompt)))[0]
		got, err := f.Call(ctx, w, workload.Writing{State: p.room(t, s), Text: buffer, Ended: jitc.Zeros(jitc.Bool, batch)}, jitc.Full(jitc.I64, end))
		require.NoError(t, err)
		position, err := got.State.Position.Value()
		require.NoError(t, err)
		require.EqualValues(t, prompt+written, position)
		known := min(written, length)
		alike(t, tokens.Slice(1, 0, known), got.Text.Slice(1, prompt, prompt+known), tensor.Exact)
		alike(t, jitc.Full(jitc.I64, -2, batch, rows-prompt-written), got.Text.Slice(1, prompt+written, rows), tensor.Exact)
	}
}

// Every row of the decoders' table runs where its weights lie.
func TestDecodings(t *testing.T) {
	for _, p := range places(t) {
		for _, row := range workload.Decodings(&workload.Reduced) {
			w, err := workload.Reduced.Model.Random(row.DType)
			require.NoError(t, err)
			require.Equal(t, row.DType.Size()*(64*(101+2)+2*(12*64*64+13*64)), w.Bytes())
			w, err = w.On(p.engine, p.device)
			require.NoError(t, err)
			step, err := row.Prepare(p.engine, workload.Reduced.Model, w)
			require.NoError(t, err)
			for range 3 {
				require.NoError(t, step(ctx), "%s on %s", row.Name, p.name)
			}
		}
	}
}
