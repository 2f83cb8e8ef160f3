package cublaslt

import (
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"sync"
	"unsafe"

	"jitc/executors/cuda/clib"
	"jitc/executors/cuda/driver"
)

// binding is the library of this machine. Invariant: every function is resolved.
type binding struct {
	fns     [functionCount]uintptr
	version int
}

var _ API = (*binding)(nil)

// leastVersion is the oldest that the binding is written to.
const leastVersion = 120000

// bind resolves the functions of a library and asks for its version.
func bind(lib clib.Library) (*binding, error) {
	d := &binding{}
	missing := ""
	for f, name := range functionNames {
		if d.fns[f] = lib.Lookup(name); d.fns[f] == 0 && missing == "" {
			missing = name
		}
	}
	if d.fns[fnGetVersion] != 0 {
		d.version = int(clib.Call(d.fns[fnGetVersion], nil))
	}
	switch {
	case d.version < leastVersion:
		return nil, fmt.Errorf("%w: it is version %s, needed is 12.0 or later", ErrTooOld, VersionText(d.version))
	case missing != "":
		return nil, fmt.Errorf("%w: version %s lacks %s", ErrTooOld, VersionText(d.version), missing)
	}
	return d, nil
}

// VersionText is 12.8.5 for 120805.
func VersionText(v int) string { return fmt.Sprintf("%d.%d.%d", v/10000, v/100%100, v%100) }

// call calls f. Pointers among args are kept and do not move until it returns.
//
//go:uintptrescapes
func (d *binding) call(f function, args ...uintptr) error {
	if code := int32(clib.Call(d.fns[f], args)); code != 0 {
		return d.failure(f, int(code))
	}
	return nil
}

// failure is the error of a call, in the library's own words where it has some.
func (d *binding) failure(f function, code int) *Error {
	e := NewError(f.String(), code, "")
	for _, said := range []struct {
		by function
		to *string
	}{{fnGetStatusName, &e.Name}, {fnGetStatusString, &e.Text}} {
		if t := clib.Text(clib.Call(d.fns[said.by], []uintptr{uintptr(code)})); t != "" {
			*said.to = t
		}
	}
	return e
}

func (d *binding) Version() int { return d.version }

func (d *binding) NewHandle() (Handle, error) {
	var h Handle
	err := d.call(fnCreate, uintptr(unsafe.Pointer(&h)))
	return h, err
}

func (d *binding) CloseHandle(h Handle) error { return d.call(fnDestroy, uintptr(h)) }

func (d *binding) Prepare(h Handle, p *Problem) (*Product, []Algorithm, error) {
	x := &Product{Problem: *p, scale: factors(p.Scale)}
	if err := d.describe(x); err != nil {
		d.Discard(x)
		return nil, nil, err
	}
	ways, err := d.choose(h, x)
	if err != nil {
		d.Discard(x)
		return nil, nil, err
	}
	return x, ways, nil
}

// factors are 1 and 0, eight bytes each.
func factors(t DataType) []byte {
	out := make([]byte, 16)
	if t == F64 {
		binary.LittleEndian.PutUint64(out, math.Float64bits(1))
	} else {
		binary.LittleEndian.PutUint32(out, math.Float32bits(1))
	}
	return out
}

// describe makes the descriptors of a product.
func (d *binding) describe(x *Product) error {
	p := &x.Problem
	if err := d.call(fnDescCreate, uintptr(unsafe.Pointer(&x.desc)), uintptr(p.Compute), uintptr(p.Scale)); err != nil {
		return err
	}
	for i, on := range []bool{p.TransA, p.TransB} {
		if on {
			if err := set(d, fnDescSet, x.desc, descTransA+i, int32(1)); err != nil {
				return err
			}
		}
	}
	if err := d.addBias(x); err != nil {
		return err
	}
	for i, m := range []*Matrix{&p.A, &p.B, &p.D} {
		if err := d.lay(&x.layouts[i], m); err != nil {
			return err
		}
	}
	return nil
}

// addBias tells of the bias, at an address that has its alignment: until a product is
// queued the library looks at no more of it.
func (d *binding) addBias(x *Product) error {
	if x.Problem.Bias == 0 {
		return nil
	}
	if err := set(d, fnDescSet, x.desc, descEpilogue, uint32(epilogueBias)); err != nil {
		return err
	}
	return set(d, fnDescSet, x.desc, descBias, uint64(x.Problem.Bias))
}

// lay makes the descriptor of a matrix.
func (d *binding) lay(to *uintptr, m *Matrix) error {
	err := d.call(fnLayoutCreate, uintptr(unsafe.Pointer(to)), uintptr(m.Type), uintptr(m.Rows), uintptr(m.Cols), uintptr(m.LD))
	if err != nil || m.Batch <= 1 {
		return err
	}
	if err := set(d, fnLayoutSet, *to, layoutBatch, int32(m.Batch)); err != nil {
		return err
	}
	return set(d, fnLayoutSet, *to, layoutStride, int64(m.Stride))
}

// set sets an attribute of something by one of the functions that do.
func set[T int32 | uint32 | int64 | uint64](d *binding, f function, of uintptr, attribute int, value T) error {
	return d.call(f, of, uintptr(attribute), uintptr(unsafe.Pointer(&value)), unsafe.Sizeof(value))
}

// choose asks for algorithms.
func (d *binding) choose(h Handle, x *Product) ([]Algorithm, error) {
	var pref uintptr
	if err := d.call(fnPreferenceCreate, uintptr(unsafe.Pointer(&pref))); err != nil {
		return nil, err
	}
	defer d.call(fnPreferenceDestroy, pref) //nolint:errcheck // memory of the host, given back
	p := &x.Problem
	if err := set(d, fnPreferenceSet, pref, preferWorkspace, uint64(p.Workspace)); err != nil {
		return nil, err
	}
	if err := set(d, fnPreferenceSet, pref, preferReductions, uint32(p.Reductions)); err != nil {
		return nil, err
	}
	for i, m := range []*Matrix{&p.A, &p.B, &p.D, &p.D} { // C is D
		if err := set(d, fnPreferenceSet, pref, preferAlign+i, uint32(m.Alignment)); err != nil {
			return nil, err
		}
	}
	results := make([]uint64, p.Choices*resultBytes/8)
	var n int32
	err := d.call(fnGetHeuristic, uintptr(h), x.desc, x.layouts[0], x.layouts[1], x.layouts[2], x.layouts[2], pref,
		uintptr(p.Choices), uintptr(unsafe.Pointer(unsafe.SliceData(results))), uintptr(unsafe.Pointer(&n)))
	if e, ok := err.(*Error); ok && e.Code == NotSupported { // there is none
		return nil, nil
	}
	return algorithms(results, int(n)), err
}

// algorithms reads the first n results of a heuristic, leaving out those that it says
// cannot be used.
func algorithms(results []uint64, n int) (out []Algorithm) {
	const words = resultBytes / 8
	for i := range min(n, len(results)/words) {
		r := results[i*words:][:words]
		last := r[resultState/8] // the state, and the waves in its upper half
		if int32(uint32(last)) != 0 {
			continue
		}
		a := Algorithm{Workspace: int(r[resultWorkspace/8]), Waves: math.Float32frombits(uint32(last >> 32))}
		copy(a.Words[:], r)
		out = append(out, a)
	}
	return out
}

func (d *binding) Discard(x *Product) {
	if x.desc != 0 {
		_ = d.call(fnDescDestroy, x.desc)
	}
	for _, l := range x.layouts {
		if l != 0 {
			_ = d.call(fnLayoutDestroy, l)
		}
	}
}

// arguments are lists of arguments that are not in use.
var arguments = sync.Pool{New: func() any { return new([matmulArguments]uintptr) }}

const matmulArguments = 16

// Multiply passes D as C too, which a factor of 0 lets nobody read.
func (d *binding) Multiply(h Handle, x *Product, a *Algorithm, o Operands, s driver.Stream) error {
	list := arguments.Get().(*[matmulArguments]uintptr)
	defer arguments.Put(list)
	if x.Problem.Bias != 0 {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.bias = uint64(o.Bias)
		n := copy(list[:], []uintptr{x.desc, descBias, uintptr(unsafe.Pointer(&x.bias)), unsafe.Sizeof(x.bias)})
		if code := int32(clib.Call(d.fns[fnDescSet], list[:n])); code != 0 {
			return d.failure(fnDescSet, int(code))
		}
	}
	one := uintptr(unsafe.Pointer(unsafe.SliceData(x.scale)))
	*list = [matmulArguments]uintptr{
		uintptr(h), x.desc, one, uintptr(o.A), x.layouts[0], uintptr(o.B), x.layouts[1], one + 8,
		uintptr(o.D), x.layouts[2], uintptr(o.D), x.layouts[2], uintptr(unsafe.Pointer(&a.Words)),
		uintptr(o.Workspace), uintptr(a.Workspace), uintptr(s),
	}
	code := int32(clib.Call(d.fns[fnMatmul], list[:]))
	runtime.KeepAlive(x)
	runtime.KeepAlive(a)
	if code != 0 {
		return d.failure(fnMatmul, int(code))
	}
	return nil
}
