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
//	pointers  {&params[0], &params[8], ...}   kernelParams: where each parameter is
//	node      CUDA_KERNEL_NODE_PARAMS, with the address of pointers
//
// The driver could take the packed block as a whole, as extra. It copies that to where
// the block of the machine code begins, which is no multiple of the alignment of a
// tensor map there: what is behind the padding would be read from the wrong place.
type launch struct {
	params   [maxParams]byte
	pointers [maxPointers]uintptr
	result   Ptr // of calls that have no other place for it
	node     [nodeBytes]byte
}

// maxParams is the most parameter bytes that a function may have before PTX 8.1, and
// maxPointers the most parameters, of 8 bytes each.
const (
	maxParams   = 4096
	maxPointers = maxParams / 8
)

// Where the fields of CUDA_KERNEL_NODE_PARAMS_v2 are. Version 1 ends at 56.
const (
	nodeFunction = 0
	nodeGrid     = 8
	nodeBlock    = 20
	nodeShared   = 32
	nodePointers = 40
	nodeBytes    = 72
)

var launches = sync.Pool{New: func() any { return new(launch) }}

// takeLaunch is a launch with the parameters of c, for a call of f.
func takeLaunch(f function, c *LaunchConfig) (*launch, error) {
	switch n := len(c.Offsets); {
	case len(c.Params) > maxParams:
		return nil, unusable(f, "%d bytes of parameters, at most %d are possible", len(c.Params), maxParams)
	case n > maxPointers:
		return nil, unusable(f, "%d parameters, at most %d are possible", n, maxPointers)
	case (n == 0) != (len(c.Params) == 0):
		return nil, unusable(f, "%d parameters in %d bytes", n, len(c.Params))
	}
	l := launches.Get().(*launch)
	copy(l.params[:], c.Params)
	begin := uintptr(unsafe.Pointer(&l.params))
	for i, at := range c.Offsets {
		if uint(at) >= uint(len(c.Params)) {
			launches.Put(l)
			return nil, unusable(f, "parameter %d at %d of %d bytes", i, at, len(c.Params))
		}
		l.pointers[i] = begin + uintptr(at)
	}
	return l, nil
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
	le.PutUint64(l.node[nodePointers:], uint64(uintptr(unsafe.Pointer(&l.pointers))))
}

func (d *binding) Launch(f Function, c *LaunchConfig, s Stream) error {
	l, err := takeLaunch(fnLaunchKernel, c)
	if err != nil {
		return err
	}
	err = d.steady(fnLaunchKernel, uintptr(f),
		uintptr(c.Grid[0]), uintptr(c.Grid[1]), uintptr(c.Grid[2]),
		uintptr(c.Block[0]), uintptr(c.Block[1]), uintptr(c.Block[2]),
		uintptr(c.Shared), uintptr(s), uintptr(unsafe.Pointer(&l.pointers)), 0)
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
	l, err := takeLaunch(fnGraphAddKernelNode, c)
	if err != nil {
		return 0, err
	}
	l.setNode(f, c)
	var n Node
	err = d.call(fnGraphAddKernelNode, uintptr(unsafe.Pointer(&n)), uintptr(g),
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
	l, err := takeLaunch(fnGraphExecKernelNodeSetParams, c)
	if err != nil {
		return err
	}
	l.setNode(f, c)
	err = d.steady(fnGraphExecKernelNodeSetParams, uintptr(x), uintptr(n), uintptr(unsafe.Pointer(&l.node)))
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
