package driver

import (
	"bytes"
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"jitc/executors/cuda/clib"
)

// binding is the driver of this machine. Invariant: every function is resolved, but
// for those that may be absent, and cuInit has succeeded.
type binding struct {
	fns symbols
}

var _ API = (*binding)(nil)

// call calls f. Pointers among args are kept and do not move until it returns.
//
//go:uintptrescapes
func (d *binding) call(f function, args ...uintptr) error {
	if code := int32(clib.Call(d.fns[f], args)); code != 0 {
		return d.failure(f, int(code))
	}
	return nil
}

// arguments are lists of arguments that are not in use.
var arguments = sync.Pool{New: func() any { return new([maxArguments]uintptr) }}

const maxArguments = 12 // of cuTensorMapEncodeTiled

// steady calls f and allocates nothing. Pointers among args the caller keeps, and
// they are to memory on the heap, or not of Go.
func (d *binding) steady(f function, args ...uintptr) error {
	list := arguments.Get().(*[maxArguments]uintptr)
	code := int32(clib.Call(d.fns[f], list[:copy(list[:], args)]))
	arguments.Put(list)
	if code != 0 {
		return d.failure(f, int(code))
	}
	return nil
}

// failure is the error of a call, in the driver's own words where it has some.
func (d *binding) failure(f function, code int) *Error {
	e := NewError(f.String(), code, "")
	var name, said uintptr
	if d.ask(fnGetErrorName, uintptr(code), uintptr(unsafe.Pointer(&name))) && name != 0 {
		e.Name = clib.Text(name)
	}
	if d.ask(fnGetErrorString, uintptr(code), uintptr(unsafe.Pointer(&said))) && said != 0 {
		e.Text = clib.Text(said)
	}
	return e
}

// ask is call where it does not matter how it failed.
//
//go:uintptrescapes
func (d *binding) ask(f function, args ...uintptr) bool { return int32(clib.Call(d.fns[f], args)) == 0 }

// unusable is the error of a call that is refused before it reaches the driver.
func unusable(f function, format string, args ...any) error {
	return NewError(f.String(), InvalidValue, fmt.Sprintf(format, args...))
}

func (d *binding) Version() (int, error) {
	var v int32
	err := d.call(fnDriverGetVersion, uintptr(unsafe.Pointer(&v)))
	return int(v), err
}

func (d *binding) DeviceCount() (int, error) {
	var n int32
	err := d.call(fnDeviceGetCount, uintptr(unsafe.Pointer(&n)))
	return int(n), err
}

// device is the driver's handle of a device.
func (d *binding) device(dev int) (uintptr, error) {
	var h int32
	err := d.call(fnDeviceGet, uintptr(unsafe.Pointer(&h)), uintptr(dev))
	return uintptr(h), err
}

func (d *binding) DeviceName(dev int) (string, error) {
	h, err := d.device(dev)
	if err != nil {
		return "", err
	}
	name := make([]byte, 256)
	err = d.call(fnDeviceGetName, uintptr(unsafe.Pointer(&name[0])), uintptr(len(name)), h)
	return terminated(name), err
}

func (d *binding) DeviceAttribute(dev int, a DeviceAttribute) (int, error) {
	h, err := d.device(dev)
	if err != nil {
		return 0, err
	}
	var v int32
	err = d.call(fnDeviceGetAttribute, uintptr(unsafe.Pointer(&v)), uintptr(a), h)
	return int(v), err
}

func (d *binding) DeviceMemory(dev int) (int, error) {
	h, err := d.device(dev)
	if err != nil {
		return 0, err
	}
	var n uintptr
	err = d.call(fnDeviceTotalMem, uintptr(unsafe.Pointer(&n)), h)
	return int(n), err
}

// pool is the memory pool that AllocAsync takes from.
func (d *binding) pool(dev int) (uintptr, error) {
	h, err := d.device(dev)
	if err != nil {
		return 0, err
	}
	var p uintptr
	err = d.call(fnDeviceGetDefaultMemPool, uintptr(unsafe.Pointer(&p)), h)
	return p, err
}

func (d *binding) KeepPool(dev, bytes int) error {
	p, err := d.pool(dev)
	if err != nil {
		return err
	}
	const releaseThreshold = 4 // CU_MEMPOOL_ATTR_RELEASE_THRESHOLD
	threshold := uint64(bytes)
	return d.call(fnMemPoolSetAttribute, p, releaseThreshold, uintptr(unsafe.Pointer(&threshold)))
}

func (d *binding) TrimPool(dev, keep int) error {
	p, err := d.pool(dev)
	if err != nil {
		return err
	}
	return d.call(fnMemPoolTrimTo, p, uintptr(keep))
}

func (d *binding) RetainContext(dev int) (Context, error) {
	h, err := d.device(dev)
	if err != nil {
		return 0, err
	}
	var c Context
	err = d.call(fnPrimaryCtxRetain, uintptr(unsafe.Pointer(&c)), h)
	return c, err
}

func (d *binding) ReleaseContext(dev int) error {
	h, err := d.device(dev)
	if err != nil {
		return err
	}
	return d.call(fnPrimaryCtxRelease, h)
}

func (d *binding) SetContext(c Context) error { return d.steady(fnCtxSetCurrent, uintptr(c)) }

// Options of the assembler in the driver (CUjit_option).
const (
	jitInfoLog       = 3
	jitInfoLogBytes  = 4
	jitErrorLog      = 5
	jitErrorLogBytes = 6
	jitLogVerbose    = 12
)

const logBytes = 32 << 10

func (d *binding) LoadModule(image []byte) (Module, string, error) {
	if len(image) == 0 {
		return 0, "", unusable(fnModuleLoadDataEx, "the image is empty")
	}
	// Text ends with a zero; one more at the end of a cubin is not looked at.
	code := append(bytes.Clone(image), 0)
	info, failures := make([]byte, logBytes), make([]byte, logBytes)
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&info[0])
	pin.Pin(&failures[0])
	options := []int32{jitInfoLog, jitInfoLogBytes, jitErrorLog, jitErrorLogBytes, jitLogVerbose}
	values := []uintptr{
		uintptr(unsafe.Pointer(&info[0])), logBytes,
		uintptr(unsafe.Pointer(&failures[0])), logBytes, 1,
	}
	var m Module
	err := d.call(fnModuleLoadDataEx, uintptr(unsafe.Pointer(&m)), uintptr(unsafe.Pointer(&code[0])),
		uintptr(len(options)), uintptr(unsafe.Pointer(&options[0])), uintptr(unsafe.Pointer(&values[0])))
	if e, ok := err.(*Error); ok {
		e.Detail = terminated(failures)
		return 0, terminated(info), e
	}
	return m, terminated(info), nil
}

// terminated is the text in b up to its zero.
func terminated(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

func (d *binding) UnloadModule(m Module) error { return d.call(fnModuleUnload, uintptr(m)) }

func (d *binding) Function(m Module, name string) (Function, error) {
	var f Function
	c := append([]byte(name), 0)
	err := d.call(fnModuleGetFunction, uintptr(unsafe.Pointer(&f)), uintptr(m), uintptr(unsafe.Pointer(&c[0])))
	if e, ok := err.(*Error); ok {
		e.Detail = name
		return 0, e
	}
	return f, nil
}

func (d *binding) FunctionAttribute(f Function, a FunctionAttribute) (int, error) {
	var v int32
	err := d.call(fnFuncGetAttribute, uintptr(unsafe.Pointer(&v)), uintptr(a), uintptr(f))
	return int(v), err
}

func (d *binding) SetFunctionAttribute(f Function, a FunctionAttribute, value int) error {
	return d.call(fnFuncSetAttribute, uintptr(f), uintptr(a), uintptr(value))
}
