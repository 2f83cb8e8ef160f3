package ir

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/internal/golden"
)

// textInput is a case's input; its flags ask for what an archive cannot hold.
func textInput(c *golden.Case) string {
	in := c.In
	if c.Flags["no-final-newline"] {
		in = strings.TrimSuffix(in, "\n")
	}
	if c.Flags["crlf"] {
		in = strings.ReplaceAll(in, "\n", "\r\n")
	}
	if c.Flags["latin1"] {
		in = strings.ReplaceAll(in, "PLACEHOLDER", "\xe9")
	}
	return in
}

// TestText holds what is accepted to its canonical form, which parses to itself,
// and what is not to its diagnostics.
func TestText(t *testing.T) {
	golden.Run(t, "testdata/text", func(t *testing.T, c *golden.Case) {
		f, source, diags := Parse("in.trace", textInput(c))
		if strings.HasPrefix(c.Name, "error_") {
			require.NotEmpty(t, diags)
			require.Nil(t, f)
			c.Want(t, "want.error", diags.Error())
			return
		}
		require.NoError(t, diags.Err())
		require.NoError(t, Verify(f, Fused))
		o := PrintOptions{Source: source, Positions: c.Flags["positions"]}
		text := printed(t, f, o)
		c.Want(t, "want.text", text)

		again, source, diags := Parse("in.trace", text)
		require.NoError(t, diags.Err(), text)
		o.Source = source
		require.Equal(t, text, printed(t, again, o))
		require.Equal(t, f.String(), again.String(), "without the source text")
	})
}

func printed(t *testing.T, f *Func, o PrintOptions) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, f.Print(&b, o))
	return b.String()
}
