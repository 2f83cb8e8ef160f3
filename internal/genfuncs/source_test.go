package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCheckedInFileIsGenerated(t *testing.T) {
	want, err := source()
	require.NoError(t, err)
	got, err := os.ReadFile(filepath.Join("..", "..", fileName))
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "run go generate . in the root package")
}

func TestSourceHasEveryArity(t *testing.T) {
	src, err := source()
	require.NoError(t, err)
	file, err := parser.ParseFile(token.NewFileSet(), fileName, src, parser.ParseComments)
	require.NoError(t, err)
	assert.True(t, ast.IsGenerated(file))
	params := map[string]int{} // of the constructors' functions
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		assert.NotNil(t, f.Doc, f.Name.Name)
		if f.Recv == nil {
			params[f.Name.Name] = f.Type.Params.List[1].Type.(*ast.FuncType).Params.NumFields()
		}
	}
	assert.Equal(t, map[string]int{"Func1": 1, "Func2": 2, "Func3": 3, "Func4": 4, "Func5": 5, "Func6": 6}, params)
}
