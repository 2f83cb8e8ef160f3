//go:build linux && (amd64 || arm64)

package driver

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestChildNodesAreSet(t *testing.T) {
	d, lib := bound(t)
	require.NoError(t, d.SetChildNode(5, 6, 7))
	last := lib.last()
	assert.Equal(t, "cuGraphExecChildGraphNodeSetParams", last.name)
	assert.Equal(t, []uintptr{5, 6, 7}, last.args[:3])
	lib.answers["cuGraphExecChildGraphNodeSetParams"] = func([]uintptr) int { return InvalidValue }
	require.ErrorIs(t, d.SetChildNode(5, 6, 7), &Error{Code: InvalidValue})
}
