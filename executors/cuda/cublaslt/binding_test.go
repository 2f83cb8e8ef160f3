//go:build linux && (amd64 || arm64)

package cublaslt

import (
	"math"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func bound(t *testing.T) (*binding, *recorded) {
	lib := record(t)
	d, err := bind(lib)
	require.NoError(t, err)
	return d, lib
}

func TestBind(t *testing.T) {
	d, _ := bound(t)
	assert.Equal(t, 120805, d.Version())
	assert.Equal(t, "12.8.5", VersionText(d.Version()))
}

func TestBindRefusesOldLibraries(t *testing.T) {
	lib := record(t)
	lib.answers["cublasLtGetVersion"] = func([]uintptr) uintptr { return 111103 }
	_, err := bind(lib)
	require.ErrorIs(t, err, ErrTooOld)
	assert.EqualError(t, err, "cuBLASLt too old: it is version 11.11.3, needed is 12.0 or later")
	lib = record(t)
	lib.absent["cublasLtMatmulAlgoGetHeuristic"] = true
	_, err = bind(lib)
	require.ErrorIs(t, err, ErrTooOld)
	assert.EqualError(t, err, "cuBLASLt too old: version 12.8.5 lacks cublasLtMatmulAlgoGetHeuristic")
	lib.absent["cublasLtGetVersion"] = true
	_, err = bind(lib)
	require.ErrorIs(t, err, ErrTooOld)
}

func TestHandles(t *testing.T) {
	d, lib := bound(t)
	lib.answers["cublasLtCreate"] = func(args []uintptr) uintptr { put(args[0], uintptr(0x77)); return 0 }
	h, err := d.NewHandle()
	require.NoError(t, err)
	assert.Equal(t, Handle(0x77), h)
	require.NoError(t, d.CloseHandle(h))
	assert.Equal(t, uintptr(0x77), lib.of("cublasLtDestroy")[0].args[0])
}

// An error is in the library's words, or in the binding's where it has none.
func TestErrors(t *testing.T) {
	d, lib := bound(t)
	lib.answers["cublasLtCreate"] = func([]uintptr) uintptr { return AllocFailed }
	_, err := d.NewHandle()
	assert.EqualError(t, err, "cublasLtCreate: the resource allocation failed (CUBLAS_STATUS_ALLOC_FAILED, 3)")
	name, said := cString("CUBLAS_STATUS_X"), cString("something else")
	lib.answers["cublasLtGetStatusName"] = func(args []uintptr) uintptr { assert.EqualValues(t, 3, args[0]); return name }
	lib.answers["cublasLtGetStatusString"] = func([]uintptr) uintptr { return said }
	_, err = d.NewHandle()
	assert.Equal(t, &Error{Call: "cublasLtCreate", Code: AllocFailed, Name: "CUBLAS_STATUS_X", Text: "something else"}, err)
}

// problem is row-major f32[2,3,5] x f32[2,7,5], both transposed for the library.
var problem = Problem{Compute: ComputeF32, Scale: F32, TransA: true,
	A:         Matrix{Type: BF16, Rows: 5, Cols: 7, LD: 6, Batch: 2, Stride: 42, Alignment: 16},
	B:         Matrix{Type: BF16, Rows: 5, Cols: 3, LD: 5, Batch: 2, Stride: 15, Alignment: 8},
	D:         Matrix{Type: F32, Rows: 7, Cols: 3, LD: 7, Batch: 2, Stride: 21, Alignment: 4},
	Workspace: 32 << 20, Reductions: InCompute, Choices: 3}

// preparing answers the calls of Prepare with handles 1, 2, 3 ... in order, notes the
// attributes that are set, and gives two algorithms and one that cannot be used.
func preparing(lib *recorded) map[[2]uintptr]uint64 {
	next, attributes := uintptr(0), map[[2]uintptr]uint64{}
	for _, name := range []string{"cublasLtMatmulDescCreate", "cublasLtMatrixLayoutCreate", "cublasLtMatmulPreferenceCreate"} {
		lib.answers[name] = func(args []uintptr) uintptr { next++; put(args[0], next); return 0 }
	}
	for _, name := range []string{"cublasLtMatmulDescSetAttribute", "cublasLtMatrixLayoutSetAttribute", "cublasLtMatmulPreferenceSetAttribute"} {
		lib.answers[name] = func(args []uintptr) uintptr {
			value := uint64(get[uint32](args[2]))
			if args[3] == 8 {
				value = get[uint64](args[2])
			}
			attributes[[2]uintptr{args[0], args[1]}] = value | uint64(args[3])<<56
			return 0
		}
	}
	lib.answers["cublasLtMatmulAlgoGetHeuristic"] = func(args []uintptr) uintptr {
		for i := range 3 {
			r := args[8] + uintptr(i*resultBytes)
			put(r, uint64(100+i))
			put(r+56, uint64(200+i))
			put(r+resultWorkspace, uint64(i)<<20)
			put(r+resultState, int32(15*(i%2)))
			put(r+resultWaves, float32(i)+0.5)
		}
		put(args[9], int32(3))
		return 0
	}
	return attributes
}

// TestPrepare pins the functions, the order of their arguments, and the attributes with
// their sizes in bytes, in the upper byte.
func TestPrepare(t *testing.T) {
	d, lib := bound(t)
	attributes := preparing(lib)
	x, ways, err := d.Prepare(9, &problem)
	require.NoError(t, err)
	assert.Equal(t, []uintptr{68, 0}, lib.of("cublasLtMatmulDescCreate")[0].args[1:3])
	layouts := lib.of("cublasLtMatrixLayoutCreate")
	require.Len(t, layouts, 3)
	for i, want := range [][]uintptr{{14, 5, 7, 6}, {14, 5, 3, 5}, {0, 7, 3, 7}} {
		assert.Equal(t, want, layouts[i].args[1:5])
	}
	const four, eight = 4 << 56, 8 << 56
	assert.Equal(t, map[[2]uintptr]uint64{
		{1, 3}: 1 | four,
		{2, 5}: 2 | four, {2, 6}: 42 | eight, {3, 5}: 2 | four, {3, 6}: 15 | eight, {4, 5}: 2 | four, {4, 6}: 21 | eight,
		{5, 1}: 32<<20 | eight, {5, 3}: 2 | four, {5, 5}: 16 | four, {5, 6}: 8 | four, {5, 7}: 4 | four, {5, 8}: 4 | four,
	}, attributes)
	asked := lib.of("cublasLtMatmulAlgoGetHeuristic")[0].args
	assert.Equal(t, []uintptr{9, 1, 2, 3, 4, 4, 5, 3}, asked[:8])
	assert.EqualValues(t, 5, lib.of("cublasLtMatmulPreferenceDestroy")[0].args[0])
	require.Equal(t, []Algorithm{
		{Words: [8]uint64{100, 0, 0, 0, 0, 0, 0, 200}, Waves: 0.5},
		{Words: [8]uint64{102, 0, 0, 0, 0, 0, 0, 202}, Workspace: 2 << 20, Waves: 2.5},
	}, ways)

	d.Discard(x)
	assert.EqualValues(t, 1, lib.of("cublasLtMatmulDescDestroy")[0].args[0])
	gone := lib.of("cublasLtMatrixLayoutDestroy")
	require.Len(t, gone, 3)
	assert.Equal(t, []uintptr{2, 3, 4}, []uintptr{gone[0].args[0], gone[1].args[0], gone[2].args[0]})
}

func TestMultiply(t *testing.T) {
	d, lib := bound(t)
	preparing(lib)
	for _, c := range []struct {
		scale DataType
		one   uint64
	}{{F32, 0x3F80_0000}, {F64, math.Float64bits(1)}} {
		p := problem
		p.Scale = c.scale
		x, ways, err := d.Prepare(9, &p)
		require.NoError(t, err)
		desc, a, b, to := x.desc, x.layouts[0], x.layouts[1], x.layouts[2]
		require.NoError(t, d.Multiply(9, x, &ways[1], Operands{A: 0xA00, B: 0xB00, D: 0xD00, Workspace: 0xF00}, 0x51))
		calls := lib.of("cublasLtMatmul")
		got := calls[len(calls)-1].args
		assert.Equal(t, [matmulArguments]uintptr{9, desc, got[2], 0xA00, a, 0xB00, b, got[7], 0xD00, to, 0xD00, to,
			uintptr(unsafe.Pointer(&ways[1].Words)), 0xF00, 2 << 20, 0x51}, got)
		assert.Equal(t, [2]uint64{c.one, 0}, [2]uint64{get[uint64](got[2]), get[uint64](got[7])})
	}
	x, ways, err := d.Prepare(9, &problem)
	require.NoError(t, err)
	lib.answers["cublasLtMatmul"] = func([]uintptr) uintptr { return ExecutionFailed }
	err = d.Multiply(9, x, &ways[0], Operands{}, 0)
	assert.ErrorIs(t, err, &Error{Code: ExecutionFailed})
	assert.ErrorContains(t, err, "cublasLtMatmul: ")
}

// A bias is told of as an epilogue, at an address of its alignment, and where it is with
// each product.
func TestBias(t *testing.T) {
	d, lib := bound(t)
	attributes := preparing(lib)
	p := problem
	p.Bias = 8
	x, ways, err := d.Prepare(9, &p)
	require.NoError(t, err)
	assert.Equal(t, uint64(4|4<<56), attributes[[2]uintptr{1, 7}])
	assert.Equal(t, uint64(8|8<<56), attributes[[2]uintptr{1, 8}])
	require.NoError(t, d.Multiply(9, x, &ways[0], Operands{Bias: 0xBEE}, 0))
	assert.Equal(t, uint64(0xBEE|8<<56), attributes[[2]uintptr{1, 8}])
	require.Len(t, lib.of("cublasLtMatmul"), 1)
	lib.answers["cublasLtMatmulDescSetAttribute"] = func([]uintptr) uintptr { return InvalidValue }
	require.ErrorContains(t, d.Multiply(9, x, &ways[0], Operands{Bias: 0xBEE}, 0), "cublasLtMatmulDescSetAttribute: ")
	require.Len(t, lib.of("cublasLtMatmul"), 1)
}

// Whatever fails, what was made before is destroyed.
func TestPrepareThatFails(t *testing.T) {
	for _, name := range []string{"cublasLtMatmulDescCreate", "cublasLtMatmulDescSetAttribute", "cublasLtMatrixLayoutCreate",
		"cublasLtMatrixLayoutSetAttribute", "cublasLtMatmulPreferenceCreate", "cublasLtMatmulPreferenceSetAttribute", "cublasLtMatmulAlgoGetHeuristic"} {
		for nth := 1; nth <= 3; nth++ {
			d, lib := bound(t)
			preparing(lib)
			as, n := lib.answers[name], 0
			lib.answers[name] = func(args []uintptr) uintptr {
				if n++; n == nth {
					return InternalError
				}
				return as(args)
			}
			_, ways, err := d.Prepare(9, &problem)
			made := func(names ...string) (n int) {
				for _, x := range names {
					n += len(lib.of(x))
				}
				return n
			}
			if err == nil { // it is not called that often
				require.Less(t, made(name), nth)
				continue
			}
			require.ErrorIs(t, err, &Error{Code: InternalError})
			require.ErrorContains(t, err, name+": ")
			require.Nil(t, ways)
			created := made("cublasLtMatmulDescCreate", "cublasLtMatrixLayoutCreate", "cublasLtMatmulPreferenceCreate")
			if name == "cublasLtMatmulDescCreate" || name == "cublasLtMatrixLayoutCreate" || name == "cublasLtMatmulPreferenceCreate" {
				created--
			}
			require.Equal(t, created, made("cublasLtMatmulDescDestroy", "cublasLtMatrixLayoutDestroy", "cublasLtMatmulPreferenceDestroy"), "%s %d", name, nth)
		}
	}
}

// A library that has no way says so as an error, or as no results.
func TestNoAlgorithms(t *testing.T) {
	d, lib := bound(t)
	preparing(lib)
	for _, answer := range []func(args []uintptr) uintptr{
		func([]uintptr) uintptr { return NotSupported },
		func(args []uintptr) uintptr { put(args[9], int32(0)); return 0 },
	} {
		lib.answers["cublasLtMatmulAlgoGetHeuristic"] = answer
		x, ways, err := d.Prepare(9, &problem)
		require.NoError(t, err)
		require.Empty(t, ways)
		d.Discard(x)
	}
}

// The library of this machine, if it has one, takes what it is told of a problem. It
// needs no device for that.
func TestLibraryOfThisMachine(t *testing.T) {
	found, err := Find(13000)
	if err != nil {
		t.Logf("left out: the library itself: %v", err)
		return
	}
	api, err := found.Open()
	require.NoError(t, err)
	d := api.(*binding)
	t.Log(VersionText(d.Version()))
	x := &Product{Problem: problem, scale: factors(problem.Scale)}
	x.Problem.Bias = 16
	require.NoError(t, d.describe(x))
	_, err = d.choose(0, x)
	require.ErrorIs(t, err, &Error{Code: NotInitialized}, "of no handle")
	require.ErrorContains(t, err, "cublasLtMatmulAlgoGetHeuristic: ", "after all that was set")
	d.Discard(x)
	for code, s := range statuses {
		assert.Equal(t, "CUBLAS_STATUS_"+s.name, d.failure(fnMatmul, code).Name)
	}
}
