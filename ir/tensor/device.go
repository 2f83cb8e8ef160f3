package tensor

import (
	"fmt"
	"runtime"
)

// Device is memory that the host cannot touch. Safe for concurrent use.
type Device interface {
	// Name tells devices apart: "cuda:0".
	Name() string
	// Download copies device memory to the host, behind all that was queued to
	// write it, and returns when that is done.
	Download(dst, src []byte) error
}

// uploader is implemented by devices that can be written too.
type uploader interface {
	// Upload copies from the host; src is read before it returns.
	Upload(dst, src []byte) error
}

// onDevice is the memory of a tensor that lies on a device.
type onDevice struct {
	device Device
	memory []byte // whose address and length alone mean something
	owner  any
}

// OnDevice returns a row-major tensor over device memory, which must hold exactly
// the shape's elements. mem is an address and a length: nobody here looks at the
// bytes. No address is one of the host's too, or of another device. owner is kept
// reachable for as long as the tensor is; it may be nil.
//
// Everything that reads elements brings them to the host first, each time anew; use
// ToHost to have them once, and to learn of a device that failed.
func OnDevice(d Device, dt DType, shape []int, mem []byte, owner any) (*Tensor, error) {
	if d == nil {
		return nil, fmt.Errorf("tensor: on device: expected a device, got nil")
	}
	n, err := CheckedBytes(dt, shape)
	if err != nil {
		return nil, err
	}
	if len(mem) != n {
		return nil, fmt.Errorf("tensor: %s%v on %s needs %d bytes, got %d", dt, shape, d.Name(), n, len(mem))
	}
	return &Tensor{dtype: dt, shape: own(shape), strides: RowMajor(shape), count: n / dt.Size(),
		remote: &onDevice{d, mem, owner}}, nil
}

// Device is where the elements lie; nil for the host.
func (t *Tensor) Device() Device {
	if t.remote == nil {
		return nil
	}
	return t.remote.device
}

// DeviceBytes is the device memory of the elements in row-major order, which the
// host must not touch; nil for a tensor on the host. It lives as long as t does.
func (t *Tensor) DeviceBytes() []byte {
	if t.remote == nil {
		return nil
	}
	return t.remote.memory
}

// ToHost is t itself on the host, else a copy there.
func (t *Tensor) ToHost() (*Tensor, error) {
	if t.remote == nil {
		return t, nil
	}
	h, err := Make(t.dtype, t.shape)
	if err != nil {
		return nil, err
	}
	if len(h.data) > 0 {
		err = t.remote.device.Download(h.data, t.remote.memory)
		runtime.KeepAlive(t)
	}
	if err != nil {
		return nil, fmt.Errorf("tensor: %s%v on %s: %w", t.dtype, t.shape, t.remote.device.Name(), err)
	}
	return h, nil
}

// onHost is ToHost for functions that return no error.
func (t *Tensor) onHost() *Tensor {
	h, err := t.ToHost()
	if err != nil {
		panic("BUG: " + err.Error() + " (who reads tensors of a device that may fail asks ToHost)")
	}
	return h
}

// place names where a tensor lies, for messages: empty on the host.
func (t *Tensor) place() string {
	if t.remote == nil {
		return ""
	}
	return t.remote.device.Name()
}

// notHere is the error for what only tensors on the host can do.
func (t *Tensor) notHere(what string) error {
	return fmt.Errorf("tensor: %s: expected a tensor on the host, got one on %s (hint: ToHost)", what, t.place())
}

// copyAcross copies between tensors of one type and shape of which one at least
// lies on a device.
func copyAcross(dst, src *Tensor) error {
	h, err := src.ToHost()
	if err != nil {
		return err
	}
	if dst.remote == nil {
		return dst.CopyFrom(h)
	}
	u, ok := dst.remote.device.(uploader)
	if !ok {
		return fmt.Errorf("tensor: copy: %s cannot be written", dst.place())
	}
	if b := h.rowMajorBytes(); len(b) > 0 {
		err = u.Upload(dst.remote.memory, b)
		runtime.KeepAlive(dst)
	}
	return err
}
