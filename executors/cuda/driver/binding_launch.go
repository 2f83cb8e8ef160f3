package driver

import (
	"encoding/binary"
	"sync"
	"unsafe"
)

// launch is what the driver reads of one launch, in memory that the calls share:
// a launch allocates nothing. The parameters are copied, so that it does not matter
// where those of the caller are.
//
//	extra  {1, &params[0], 2, &size, 0}      how a packed block is passed
//	node   CUDA_KERNEL_NODE_PARAMS, with the address of extra
type launch struct {
	params [maxParams]byte
	size   uint64
	extra  [5]uintptr
	node   [nodeBytes]byte
}

// Of CU_LAUNCH_PARAM.
const (
	extraPointer = 1
	extraSize    = 2
)

// maxParams is the most parameter bytes that a function may have before PTX 8.1.
const maxParams = 4096

// Where the fields of CUDA_KERNEL_NODE_PARAMS_v2 are. Version 1 ends with extra.
const (
	nodeFunction = 0
	nodeGrid     = 8
	nodeBlock    = 20
	nodeShared   = 32
	nodeExtra    = 48
	nodeBytes    = 72
)

// launches are given back as they are: extra points into the launch itself.
var launches = sync.Pool{New: func() any {
	l := new(launch)
	l.extra = [5]uintptr{
		extraPointer, uintptr(unsafe.Pointer(&l.params)),
		extraSize, uintptr(unsafe.Pointer(&l.size)), 0,
	}
	return l
}}

// takeLaunch is a launch with the parameters of c, or nil where they are too many.
func takeLaunch(c *LaunchConfig) *launch {
	if len(c.Params) > maxParams {
		return nil
	}
	l := launches.Get().(*launch)
	copy(l.params[:], c.Params)
	l.size = uint64(len(c.Params))
	return l
}

// setNode fills in the node of f.
func (l *launch) setNode(f Function, c *LaunchConfig) {
	le := binary.LittleEndian
	clear(l.node[:])
	le.PutUint64(l.node[nodeFunction:], uint64(f))
	for i := range 3 {
		le.PutUint32(l.node[nodeGrid+4*i:], c.Grid[i])
		le.PutUint32(l.node[nodeBlock+4*i:], c.Block[i])
	}
	le.PutUint32(l.node[nodeShared:], c.Shared)
	le.PutUint64(l.node[nodeExtra:], uint64(uintptr(unsafe.Pointer(&l.extra))))
}

func tooManyParams(f function, c *LaunchConfig) error {
	return unusable(f, "%d bytes of parameters, at most %d are possible", len(c.Params), maxParams)
}

func (d *binding) Launch(f Function, c *LaunchConfig, s Stream) error {
	l := takeLaunch(c)
	if l == nil {
		return tooManyParams(fnLaunchKernel, c)
	}
	err := d.steady(fnLaunchKernel, uintptr(f),
		uintptr(c.Grid[0]), uintptr(c.Grid[1]), uintptr(c.Grid[2]),
		uintptr(c.Block[0]), uintptr(c.Block[1]), uintptr(c.Block[2]),
		uintptr(c.Shared), uintptr(s), 0, uintptr(unsafe.Pointer(&l.extra)))
	launches.Put(l)
	return err
}

func (d *binding) NewGraph() (Graph, error) {
	var g Graph
	err := d.call(fnGraphCreate, uintptr(unsafe.Pointer(&g)), 0)
	return g, err
}

func (d *binding) DestroyGraph(g Graph) error { return d.call(fnGraphDestroy, uintptr(g)) }

func (d *binding) AddKernelNode(g Graph, deps []Node, f Function, c *LaunchConfig) (Node, error) {
	l := takeLaunch(c)
	if l == nil {
		return 0, tooManyParams(fnGraphAddKernelNode, c)
	}
	l.setNode(f, c)
	var n Node
	err := d.call(fnGraphAddKernelNode, uintptr(unsafe.Pointer(&n)), uintptr(g),
		uintptr(unsafe.Pointer(unsafe.SliceData(deps))), uintptr(len(deps)), uintptr(unsafe.Pointer(&l.node)))
	launches.Put(l)
	return n, err
}

func (d *binding) AddChildNode(g Graph, deps []Node, child Graph) (Node, error) {
	var n Node
	err := d.call(fnGraphAddChildGraphNode, uintptr(unsafe.Pointer(&n)), uintptr(g),
		uintptr(unsafe.Pointer(unsafe.SliceData(deps))), uintptr(len(deps)), uintptr(child))
	return n, err
}

func (d *binding) Instantiate(g Graph) (GraphExec, error) {
	var x GraphExec
	err := d.call(fnGraphInstantiate, uintptr(unsafe.Pointer(&x)), uintptr(g), 0)
	return x, err
}

func (d *binding) DestroyGraphExec(x GraphExec) error { return d.call(fnGraphExecDestroy, uintptr(x)) }

func (d *binding) SetKernelNode(x GraphExec, n Node, f Function, c *LaunchConfig) error {
	l := takeLaunch(c)
	if l == nil {
		return tooManyParams(fnGraphExecKernelNodeSetParams, c)
	}
	l.setNode(f, c)
	err := d.steady(fnGraphExecKernelNodeSetParams, uintptr(x), uintptr(n), uintptr(unsafe.Pointer(&l.node)))
	launches.Put(l)
	return err
}

func (d *binding) LaunchGraph(x GraphExec, s Stream) error {
	return d.steady(fnGraphLaunch, uintptr(x), uintptr(s))
}

func (d *binding) BeginCapture(s Stream) error {
	const relaxed = 2 // other threads, and calls that would wait, go on as they are
	return d.call(fnStreamBeginCapture, uintptr(s), relaxed)
}

func (d *binding) EndCapture(s Stream) (Graph, error) {
	var g Graph
	err := d.call(fnStreamEndCapture, uintptr(s), uintptr(unsafe.Pointer(&g)))
	return g, err
}
