package jitc_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc"
)

// reseal gives a changed file the first line of a whole one, so that only what
// follows it is wrong.
func reseal(file []byte, change func(string) string) []byte {
	first, rest, _ := strings.Cut(string(file), "\n")
	rest = change(rest)
	words := strings.Fields(first)
	return fmt.Appendf(nil, "%s %s %x %d\n%s", words[0], words[1], sha256.Sum256([]byte(rest)), len(rest), rest)
}

func TestLoadRefuses(t *testing.T) {
	a := newLearner(t, jitc.Options{})
	a.teach(t)
	file := saved(t, a)
	swap := func(old, new string) []byte {
		t.Helper()
		require.Contains(t, string(file), old)
		return reseal(file, func(s string) string { return strings.Replace(s, old, new, 1) })
	}
	value := func(name, new string) []byte {
		return reseal(file, func(s string) string {
			head, tail, ok := strings.Cut(s, `{"name":"`+name+`","value":"`)
			require.True(t, ok)
			_, tail, _ = strings.Cut(tail, `"`)
			return head + `{"name":"` + name + `","value":"` + new + `"` + tail
		})
	}
	for name, row := range map[string]struct {
		file []byte
		want string
	}{
		"nothing":              {nil, "format: expected a file that begins with jitc-learned"},
		"another kind of file": {[]byte("\x89PNG\n"), "format"},
		"another format":       {bytes.Replace(file, []byte("jitc-learned 1 "), []byte("jitc-learned 2 "), 1), `expected version 1, got version "2"`},
		"half of it":           {file[:len(file)/2], "damaged: expected"},
		"one byte more":        {append(bytes.Clone(file), 0), "damaged: expected"},
		"one bit":              {flip(file, len(file)-40), "damaged: expected SHA-256"},
		"another jitc":         {value("jitc", "v9.9.9"), `jitc: expected "`},
		"another Go":           {value("go", "go9.9"), `got "go9.9"`},
		"another platform":     {value("platform", "plan9/mips"), "platform: expected"},
		"another processor":    {value("processor", "mmx"), `got "mmx"`},
		"other executors":      {value("executors", "abacus"), `got "abacus"`},
		"another function":     {value("function", "leap"), `function: expected "step", got "leap"`},
		"other types":          {value("types", "func()"), "types: expected"},
		"other options":        {value("options", "donate x"), `options: expected "", got "donate x"`},
		"another program":      {value("program", "0123"), `got "0123"`},
		"a line less":          {swap(`{"name":"types"`, `{"name":"kinds"`), "types: expected"},
		"not JSON":             {swap(`"body":{`, `"body":{{`), "damaged"},
		"a body of another kind": {reseal(file, func(s string) string {
			head, _, _ := strings.Cut(s, `"body":`)
			return head + `"body":[1]}`
		}), "damaged"},
		"a trace that is none":    {swap(`func @step`, `fund @step`), "damaged: entry 0: trace"},
		"a trace of other types":  {swap(`f32[2,4]`, `f32[2,5]`), "damaged: entry 0: trace"},
		"reals out of range":      {swap(`"reals":[0]`, `"reals":[9]`), "expected numbers below"},
		"no guard on the number":  {swap(`"kind":"count","arg":0`, `"kind":"count","arg":1`), "damaged: entry"},
		"an unknown guard":        {swap(`"kind":"const"`, `"kind":"magic"`), `"magic"`},
		"a constant of no kind":   {swap(`"kind":"size"`, `"kind":"colour"`), `"colour" is no kind`},
		"sizes of other symbols":  {swap(`"sizes":[{}`, `"sizes":[{"zz":1}`), "sizes: expected those of []"},
		"another number of nils":  {swap(`"nils":[false`, `"nils":[false,false`), "result:"},
		"another result":          {swap(`"tensors":3}`, `"tensors":4}`), "result: expected 3 tensors, got 4"},
		"a past that is too long": {swap(`"since":0`, `"since":-1`), "dynamism"},
	} {
		b := newLearner(t, jitc.Options{})
		_, err := b.Traced().Load(context.Background(), bytes.NewReader(row.file))
		var bad *jitc.FileError
		if !assert.ErrorAs(t, err, &bad, name) {
			continue
		}
		assert.ErrorContains(t, err, row.want, name)
		assert.ErrorContains(t, err, "delete the file and let it learn again", name)
		assert.Empty(t, b.Traced().Entries(), "%s: half of it was loaded", name)
		assert.Empty(t, b.Traced().Stats().Recompiles, name)
	}
}

func flip(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 4
	return b
}

func TestLoadAsksForTheSameOptions(t *testing.T) {
	a := newLearner(t, jitc.Options{})
	a.teach(t)
	b := newLearner(t, jitc.Options{}, jitc.Marks(jitc.Dynamic("1", 0, jitc.Dim("B"))))
	_, err := b.Traced().Load(context.Background(), bytes.NewReader(saved(t, a)))
	assert.ErrorContains(t, err, `options: expected "dynamic 1[0] as B", got ""`)
	c := newLearner(t, jitc.Options{Executors: []string{"reference"}})
	_, err = c.Traced().Load(context.Background(), bytes.NewReader(saved(t, a)))
	assert.ErrorContains(t, err, `executors: expected "reference", got "native`)
}

// Any byte may be damaged: nothing is loaded, and nothing panics.
func TestLoadOfDamagedBytes(t *testing.T) {
	a := newLearner(t, jitc.Options{})
	a.teach(t)
	file := saved(t, a)
	b := newLearner(t, jitc.Options{})
	for at := 0; at < len(file); at += 97 {
		_, err := b.Traced().Load(context.Background(), bytes.NewReader(flip(file, at)))
		require.Error(t, err, "byte %d", at)
		_, err = b.Traced().Load(context.Background(), bytes.NewReader(file[:at]))
		require.Error(t, err, "cut at %d", at)
	}
	require.Empty(t, b.Traced().Entries())
}

// FuzzLoad reads damaged files, and whole ones with a damaged body.
func FuzzLoad(f *testing.F) {
	a := newLearner(f, jitc.Options{})
	a.teach(f)
	file := saved(f, a)
	head, body, _ := strings.Cut(string(file), `"body":`)
	_, head, _ = strings.Cut(head, "\n")
	body = strings.TrimSuffix(body, "}")
	f.Add(file, false)
	f.Add([]byte("jitc-learned 1 x 0\n"), false)
	f.Add([]byte(body), true)
	f.Add([]byte(strings.ReplaceAll(body, "f32[2,4]", "f32[0,4]")), true)
	f.Add([]byte(strings.ReplaceAll(body, "s0", "s1")), true)
	b := newLearner(f, jitc.Options{})
	f.Fuzz(func(t *testing.T, raw []byte, seal bool) {
		if seal {
			raw = reseal(file, func(string) string { return head + `"body":` + string(raw) + "}" })
		}
		before := len(b.Traced().Entries())
		if _, err := b.Traced().Load(context.Background(), bytes.NewReader(raw)); err != nil {
			var bad *jitc.FileError
			require.True(t, errors.As(err, &bad), "%v", err)
			require.Len(t, b.Traced().Entries(), before)
		}
	})
}

// TestLoadEndsWithItsContext: nothing is installed.
func TestLoadEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	double := func(x *jitc.Tensor) *jitc.Tensor { return x.Add(x) }
	from := jitc.Func1(engine(t, jitc.Options{}), double, jitc.Name("double"))
	_, err := from.Call(context.Background(), jitc.Ones(jitc.F32, 3))
	require.NoError(t, err)
	var file bytes.Buffer
	require.NoError(t, from.Traced().Save(&file))
	to := jitc.Func1(engine(t, jitc.Options{}), double, jitc.Name("double"))
	_, err = to.Traced().Load(ctx, bytes.NewReader(file.Bytes()))
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, to.Traced().Entries())
	report, err := to.Traced().Load(context.Background(), bytes.NewReader(file.Bytes()))
	require.NoError(t, err)
	require.Equal(t, 1, report.Entries)
}
