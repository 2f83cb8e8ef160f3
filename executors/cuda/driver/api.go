// Package driver is the part of the CUDA driver API that the executor uses, as a Go
// interface: Open finds the driver of the machine, package fake is one without a GPU.
//
//	d, err := driver.Open()
//	c, err := d.RetainContext(0)
//	runtime.LockOSThread()
//	defer runtime.UnlockOSThread()
//	err = d.SetContext(c)
//	m, log, err := d.LoadModule(ptx)
//	f, err := d.Function(m, "scale")
//	err = d.Launch(f, &driver.LaunchConfig{Grid: ..., Block: ..., Params: ..., Offsets: ...}, stream)
//
// What is passed reaches the driver's functions as it is: their rules hold, and
// their errors are those that come back. Launch, SetKernelNode, LaunchGraph and what
// else is called for every run allocate no memory.
//
// FindAssembler finds what makes machine code of PTX without a device.
//
// Handles are opaque numbers. The context of a call is the one that the calling
// thread made current: callers lock their goroutine to its thread for as long as
// they depend on it. Safe for concurrent use as far as the driver is.
package driver

import "jitc/codegen/ptx/tensormap"

// The handles of the driver, and addresses of device memory.
type (
	Context   uintptr
	Module    uintptr
	Function  uintptr
	Stream    uintptr
	Event     uintptr
	Graph     uintptr
	Node      uintptr
	GraphExec uintptr
	Ptr       uintptr
)

// API is the driver. Every error is an *Error.
type API interface {
	Version() (int, error) // of CUDA that the driver supports: 12040 for 12.4
	DeviceCount() (int, error)
	DeviceName(dev int) (string, error)
	DeviceAttribute(dev int, a DeviceAttribute) (int, error)
	DeviceMemory(dev int) (int, error) // bytes
	// KeepPool lets the memory pool of AllocAsync hold on to that many free bytes when
	// the device is idle (0 at first: every wait gives all of it back to the system).
	KeepPool(dev, bytes int) error
	// TrimPool gives free memory of the pool back, down to keep bytes.
	TrimPool(dev, keep int) error

	RetainContext(dev int) (Context, error) // the primary one
	ReleaseContext(dev int) error
	SetContext(Context) error // of the calling thread

	// LoadModule loads PTX text or a cubin; log is what the assembler said.
	LoadModule(image []byte) (m Module, log string, err error)
	UnloadModule(Module) error
	Function(m Module, name string) (Function, error)
	FunctionAttribute(f Function, a FunctionAttribute) (int, error)
	SetFunctionAttribute(f Function, a FunctionAttribute, value int) error

	MemoryInfo() (free, total int, err error)
	Alloc(bytes int) (Ptr, error)
	Free(Ptr) error
	// AllocAsync is for use behind what is queued on s; FreeAsync ends that behind what
	// is queued on s by then.
	AllocAsync(bytes int, s Stream) (Ptr, error)
	FreeAsync(p Ptr, s Stream) error
	AllocHost(bytes int) ([]byte, error) // pinned; nil for 0 bytes
	FreeHost([]byte) error

	// The copies are queued; one of 0 bytes is none. Host memory must be pinned, and
	// stay as it is until the copy is done.
	CopyToDevice(dst Ptr, src []byte, s Stream) error
	CopyToHost(dst []byte, src Ptr, s Stream) error
	CopyOnDevice(dst, src Ptr, bytes int, s Stream) error

	NewStream() (Stream, error)
	DestroyStream(Stream) error
	SyncStream(Stream) error
	NewEvent() (Event, error)
	DestroyEvent(Event) error
	RecordEvent(Event, Stream) error
	SyncEvent(Event) error
	// WaitEvent lets what is queued on s from now on wait for e as it was last recorded.
	WaitEvent(e Event, s Stream) error

	Launch(f Function, c *LaunchConfig, s Stream) error
	// EncodeTensorMap writes the map of the tensor at an address, a multiple of 16, to
	// the tensormap.Bytes bytes of dst: of a box, no interleave, 128 bytes to L2 at a
	// time, and zeros for what lies outside of the tensor. It queues nothing, and
	// allocates no memory. A driver before CUDA 12 does not have it: an error of code
	// NotSupported.
	EncodeTensorMap(dst []byte, m *tensormap.Map, address Ptr) error

	NewGraph() (Graph, error)
	DestroyGraph(Graph) error
	AddKernelNode(g Graph, deps []Node, f Function, c *LaunchConfig) (Node, error)
	AddChildNode(g Graph, deps []Node, child Graph) (Node, error)
	Instantiate(Graph) (GraphExec, error)
	DestroyGraphExec(GraphExec) error
	// SetKernelNode gives a node of the graph that x was made of another
	// configuration, in x, for later launches.
	SetKernelNode(x GraphExec, n Node, f Function, c *LaunchConfig) error
	// SetChildNode gives a node that AddChildNode made another child in x, of as many
	// nodes of the same kinds in the same order; child may be destroyed afterwards.
	SetChildNode(x GraphExec, n Node, child Graph) error
	LaunchGraph(x GraphExec, s Stream) error
	BeginCapture(s Stream) error // what is queued on s becomes nodes
	EndCapture(s Stream) (Graph, error)
}

// LaunchConfig says how a function is launched. Params is the packed parameter
// block, and Offsets are where its parameters begin, every one of the function's, in
// order (see Offsets, the function). Both are read before the call returns.
type LaunchConfig struct {
	Grid, Block [3]uint32
	Shared      uint32 // bytes of dynamic shared memory
	Params      []byte
	Offsets     []int
}

// DeviceAttribute is a number of the driver's for a property of a device.
type DeviceAttribute int

// Device attributes (CUdevice_attribute).
const (
	AttrMultiprocessors DeviceAttribute = 16
	AttrMajor           DeviceAttribute = 75
	AttrMinor           DeviceAttribute = 76
	AttrSharedPerBlock  DeviceAttribute = 97 // with opting in
	AttrMemoryPools     DeviceAttribute = 115
)

// FunctionAttribute is a number of the driver's for a property of a function.
type FunctionAttribute int

// AttrDynamicShared is the most dynamic shared memory that a launch may ask for
// (CUfunction_attribute).
const AttrDynamicShared FunctionAttribute = 8
