package workload

import (
	"context"
	"fmt"
	"slices"

	"jitc"
	"jitc/trace"
)

// Cache holds the keys and values that each layer has computed so far,
// [batch, Heads, rows, Width/Heads] each.
type Cache struct{ K, V []*jitc.Tensor }

// Grown is the state of a decoder whose cache has a row for each token so far: its
// size is the position.
type Grown struct {
	Token *jitc.Tensor // i64[batch], not yet in the cache
	Cache Cache
}

// Fixed is the state of a decoder whose cache has room for a whole context, of
// which the rows before Position are in use.
type Fixed struct {
	Token    *jitc.Tensor // i64[batch], not yet in the cache
	Position *jitc.Tensor // i64[], that of Token
	Cache    Cache
}

// Step is what a step gives: the next state, and what its token is the best of.
type Step[State any] struct {
	State  State
	Logits *jitc.Tensor // [batch, Vocabulary]
}

// Prefill reads a text, i64[batch, n] with n > 0, and chooses the token behind it.
func Prefill(w *jitc.Frozen[Weights], text *jitc.Tensor) Step[Grown] {
	logits, cache := w.Value().read(text)
	last := logits.Index(1, -1)
	return Step[Grown]{Grown{last.Argmax(1), cache}, last}
}

// StepGrown decodes one token; the cache grows by a row.
func StepGrown(w *jitc.Frozen[Weights], s Grown) Step[Grown] {
	m := w.Value()
	var next Cache
	here := m.Positions.Narrow(0, s.Cache.K[0].Size(2), 1)
	x := m.Tokens.Embedding(s.Token).Add(here).Unsqueeze(1)
	y := m.blocks(x, func(i int, q, k, v *jitc.Tensor) *jitc.Tensor {
		k, v = jitc.Concat(2, s.Cache.K[i], k), jitc.Concat(2, s.Cache.V[i], v)
		next.K, next.V = append(next.K, k), append(next.V, v)
		return jitc.Attention(q, k, v, trace.AttentionOptions{})
	})
	logits := m.logits(y.Squeeze(1))
	return Step[Grown]{Grown{logits.Argmax(1), next}, logits}
}

// StepFixed decodes one token; its row of the cache is written at its position. Where
// the cache is donated (Donated), nothing but that row is.
func StepFixed(w *jitc.Frozen[Weights], s Fixed) Step[Fixed] {
	next, logits := w.Value().step(s)
	return Step[Fixed]{next, logits}
}

func (w Weights) step(s Fixed) (Fixed, *jitc.Tensor) {
	next := Fixed{Position: s.Position.Add(1)}
	rows := s.Cache.K[0].Size(2)
	used := jitc.Arange(jitc.I64, rows).Le(s.Position).Unsqueeze(0) // [1, rows]
	x := w.Tokens.Embedding(s.Token).Add(w.Positions.Index(0, s.Position)).Unsqueeze(1)
	y := w.blocks(x, func(i int, q, k, v *jitc.Tensor) *jitc.Tensor {
		k = s.Cache.K[i].DynamicUpdateSlice(k, 0, 0, s.Position, 0)
		v = s.Cache.V[i].DynamicUpdateSlice(v, 0, 0, s.Position, 0)
		next.Cache.K, next.Cache.V = append(next.Cache.K, k), append(next.Cache.V, v)
		return jitc.Attention(q, k, v, trace.AttentionOptions{Mask: used})
	})
	logits := w.logits(y.Squeeze(1))
	next.Token = logits.Argmax(1)
	return next, logits
}

// Donated are options that give a step's results the memory of its cache.
func Donated() []jitc.FuncOption {
	return []jitc.FuncOption{jitc.ArgNames("w", "s"), jitc.Donate("s.Cache.K[*]", "s.Cache.V[*]")}
}

// Empty is a state before the first token of so many texts, on the host; its tokens
// are zeros.
func (c Config) Empty(dt jitc.DType, batch, rows int) Fixed {
	s := Fixed{Token: jitc.Zeros(jitc.I64, batch), Position: jitc.Zeros(jitc.I64)}
	for range c.Layers {
		s.Cache.K = append(s.Cache.K, jitc.Zeros(dt, batch, c.Heads, rows, c.Width/c.Heads))
		s.Cache.V = append(s.Cache.V, jitc.Zeros(dt, batch, c.Heads, rows, c.Width/c.Heads))
	}
	return s
}

// On has the state on a device of the engine.
func (s Fixed) On(e *jitc.Engine, device string) (Fixed, error) {
	s.Cache = Cache{slices.Clone(s.Cache.K), slices.Clone(s.Cache.V)}
	places := []**jitc.Tensor{&s.Token, &s.Position}
	for i := range s.Cache.K {
		places = append(places, &s.Cache.K[i], &s.Cache.V[i])
	}
	return s, bring(e, device, places)
}

// bring moves tensors to a device.
func bring(e *jitc.Engine, device string, places []**jitc.Tensor) error {
	for _, x := range places {
		var err error
		if *x, err = e.ToDevice(*x, device); err != nil {
			return err
		}
	}
	return nil
}

// Room has the cache of a prefill in caches of so many rows.
func Room(g Grown, rows int) Fixed {
	n := g.Cache.K[0].Size(2)
	wide := func(xs []*jitc.Tensor) (out []*jitc.Tensor) {
		for _, x := range xs {
			out = append(out, x.Pad(2, 0, trace.SizeOf(rows).Sub(n), 0))
		}
		return out
	}
	return Fixed{Token: g.Token, Position: n.Tensor(), Cache: Cache{wide(g.Cache.K), wide(g.Cache.V)}}
}

// Generate decodes as many tokens as there are in budget, an i64[n] whose elements
// do not matter, in one program, and returns them, [batch, n].
func Generate(w *jitc.Frozen[Weights], s Fixed, budget *jitc.Tensor) *jitc.Tensor {
	m := w.Value()
	_, tokens := jitc.Scan(s, budget, func(s Fixed, _ *jitc.Tensor) (Fixed, *jitc.Tensor) {
		next, _ := m.step(s)
		return next, next.Token
	})
	return tokens.T()
}

// Writing is texts that grow in a buffer until each has had the token that ends it.
type Writing struct {
	State Fixed
	Text  *jitc.Tensor // i64[batch, rows], written before the position
	Ended *jitc.Tensor // bool[batch]
}

// GenerateUntil decodes in one program until every text has had the token end, an
// i64[], or the buffer is full.
func GenerateUntil(w *jitc.Frozen[Weights], s Writing, end *jitc.Tensor) Writing {
	m := w.Value()
	rows := s.Text.Size(1).Tensor()
	return jitc.While(s, func(s Writing) *jitc.Tensor {
		return s.State.Position.Lt(rows).And(s.Ended.All().Not())
	}, func(s Writing) Writing {
		token := s.State.Token
		text := s.Text.DynamicUpdateSlice(token.Unsqueeze(1), 0, s.State.Position)
		next, _ := m.step(s.State)
		return Writing{State: next, Text: text, Ended: s.Ended.Or(token.Eq(end))}
	})
}

// Decoding is a row of the decoders' table: steps at the end of a context.
type Decoding struct {
	Name        string
	DType       jitc.DType
	Batch, Rows int
	Cache       int // bytes that a step reads of it
}

// Decodings is that table.
func Decodings(s *Sizes) (out []Decoding) {
	for _, dt := range []jitc.DType{jitc.F32, jitc.BF16} {
		for _, batch := range s.Batches {
			for _, rows := range s.Contexts {
				out = append(out, Decoding{fmt.Sprintf("%s-b%d-c%d", dt, batch, rows), dt, batch, rows,
					2 * dt.Size() * batch * rows * s.Model.Width * s.Model.Layers})
			}
		}
	}
	return out
}

// Prepare returns a function that decodes the last token of the context, again and
// again, in place, where the weights lie.
func (d *Decoding) Prepare(e *jitc.Engine, c Config, w Weights) (step func(ctx context.Context) error, err error) {
	frozen, err := jitc.Freeze(w)
	if err != nil {
		return nil, err
	}
	state, last := c.Empty(d.DType, d.Batch, d.Rows), jitc.Full(jitc.I64, d.Rows-1)
	if state, err = state.On(e, w.Tokens.Device()); err != nil {
		return nil, err
	}
	if last, err = e.ToDevice(last, w.Tokens.Device()); err != nil {
		return nil, err
	}
	f := jitc.Func2(e, StepFixed, Donated()...)
	return func(ctx context.Context) error {
		state.Position = last
		out, err := f.Call(ctx, frozen, state)
		if err == nil {
			state = out.State
		}
		return err
	}, nil
}
