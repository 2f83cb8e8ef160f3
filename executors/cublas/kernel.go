package cublas

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"jitc/executors"
	"jitc/executors/cuda"
	"jitc/executors/cuda/cublaslt"
	"jitc/executors/cuda/driver"
	"jitc/ir"
	"jitc/ir/tensor"
)

// kernel is a region of one product.
type kernel struct {
	executor *Executor
	api      cublaslt.API
	product  *product
	region   *ir.Func
	fast     bool
	info     executors.Info
	// other is the kernel of the executor cuda, made when sizes need it.
	other func() (executors.Kernel, error)
}

func newKernel(e *Executor, api cublaslt.API, p *product, region *ir.Func, o executors.Options) (*kernel, error) {
	parts, err := decomposed(region)
	if err != nil {
		return nil, err
	}
	k := &kernel{executor: e, api: api, product: p, region: region, fast: o.FastMath}
	k.other = sync.OnceValues(func() (executors.Kernel, error) {
		return e.device.Compile(context.Background(), parts, o)
	})
	sums := tensor.F32
	if p.compute == cublaslt.ComputeF64 {
		sums = tensor.F64
	}
	detail := fmt.Sprintf("%s, %s x %s -> %s, sums in %s", nameOf(api), p.in, p.in, p.out, sums)
	if p.bias != nil {
		detail += ", with a bias"
	}
	if o.FastMath && p.fast != p.compute {
		detail += ", operands rounded to tf32"
	}
	bytes, flops := executors.Cost(parts)
	k.info = executors.Info{Executor: e.Name(), Kind: "gemm", Detail: detail, Bytes: bytes, Flops: flops}
	return k, nil
}

// decomposed is a region with its linear layer, if it has one, in parts, as the executor
// cuda takes it.
func decomposed(region *ir.Func) (*ir.Func, error) {
	f := ir.NewFunc(region.Name, region.Facts)
	b := ir.NewBuilder(f)
	made := map[*ir.Value]*ir.Value{}
	for _, p := range region.Params {
		made[p] = f.AddParam(p.Name, p.Type, nil)
	}
	for _, v := range region.Values {
		c := *v
		c.Args = nil
		for _, a := range v.Args {
			c.Args = append(c.Args, made[a])
		}
		b.Pos = v.Pos
		if v.Op == ir.OpLinear {
			made[v] = v.Row().Decompose(b, &c)
		} else {
			made[v] = b.Clone(v, c.Args)
		}
		if b.Err() != nil {
			return nil, b.Err()
		}
	}
	f.Results = []*ir.Value{made[region.Results[0]]}
	return f, nil
}

// Info describes the product. The code is the library's.
func (k *kernel) Info() executors.Info { return k.info }

// Dump has nothing to show.
func (*kernel) Dump(string) (string, bool) { return "", false }

// Bind asks the library how to compute the product at these sizes. Where it has no way,
// for it is at the end of its means or the sizes are degenerate, the launch is one of
// the executor cuda's, on the same queue.
func (k *kernel) Bind(env map[string]int64) (executors.Launch, error) {
	w, err := k.work(env)
	if err == nil {
		return k.executor.device.NewLaunch(w)
	}
	if !errors.Is(err, errNotForLibrary) && isDeviceError(err) {
		return nil, err
	}
	other, failed := k.other()
	if failed != nil {
		return nil, fmt.Errorf("%w, nor does the executor %s: %w", err, k.executor.device.Name(), failed)
	}
	return other.Bind(env)
}

// work is the launch of the product.
func (k *kernel) work(env map[string]int64) (w cuda.Work, err error) {
	w.Label = "a product of @" + k.region.Name
	if w.Buffers, err = k.buffers(env); err != nil {
		return w, err
	}
	empty, err := k.product.sizesOf(env)
	if err != nil || empty {
		return w, err
	}
	at, err := k.product.placesIn(k.region, env)
	if err != nil {
		return w, err
	}
	c, err := k.product.problem(at, k.fast)
	if err != nil {
		return w, err
	}
	p, err := k.prepare(c, at)
	if err != nil {
		return w, err
	}
	w.Scratch, w.Queue = p.way.Workspace, p.queue
	return w, nil
}

// buffers are the operands and the result.
func (k *kernel) buffers(env map[string]int64) (out []cuda.Buffer, err error) {
	for i, v := range slices.Concat(k.region.Params, k.region.Results) {
		shape, err := ir.EvalShape(v.Type.Shape, env)
		if err != nil {
			return nil, err
		}
		bytes, err := tensor.CheckedBytes(v.Type.DType, shape)
		if err != nil {
			return nil, err
		}
		b := cuda.Buffer{Name: fmt.Sprintf("p%d", i), Bytes: bytes, Align: v.Type.DType.Size()}
		if b.Result = i == len(k.region.Params); b.Result {
			b.Name = "r0"
		}
		out = append(out, b)
	}
	return out, nil
}

// prepared is a product that the library has a way of computing. Immutable.
type prepared struct {
	api     cublaslt.API
	handle  cublaslt.Handle
	product *cublaslt.Product
	way     *cublaslt.Algorithm
	a, b    place
	bias    place // where there is one
	d       int   // buffer
}

// place is where an operand begins: so many bytes into a buffer.
type place struct {
	buffer int
	offset driver.Ptr
}

func (p place) in(at cuda.Addresses) driver.Ptr { return at.Buffer(p.buffer) + p.offset }

// prepare asks the library for its best way.
func (k *kernel) prepare(c *call, at places) (*prepared, error) {
	h, err := k.executor.open(k.api)
	if err != nil {
		return nil, err
	}
	p := &prepared{api: k.api, handle: h, d: len(k.region.Params)}
	size := k.product.in.Size() // a bias too is of this type
	for _, o := range []struct {
		to *place
		of int
	}{{&p.a, c.a}, {&p.b, c.b}, {&p.bias, bias}} {
		if s := &at[o.of]; s.Root != nil {
			*o.to = place{slices.Index(k.region.Params, s.Root), driver.Ptr(s.Offset * size)}
		}
	}
	var ways []cublaslt.Algorithm
	err = k.executor.device.Within(func() (err error) {
		p.product, ways, err = k.api.Prepare(h, &c.Problem)
		return err
	})
	if err != nil {
		return nil, err
	}
	runtime.AddCleanup(p, k.api.Discard, p.product)
	best := slices.IndexFunc(ways, func(a cublaslt.Algorithm) bool { return a.Workspace <= workspace })
	if best < 0 {
		return nil, errNotForLibrary
	}
	p.way = &ways[best]
	return p, nil
}

// queue queues the product on a stream.
func (p *prepared) queue(s driver.Stream, at cuda.Addresses) error {
	o := cublaslt.Operands{A: p.a.in(at), B: p.b.in(at), D: at.Buffer(p.d)}
	if p.product.Problem.Bias > 0 {
		o.Bias = p.bias.in(at)
	}
	if p.way.Workspace > 0 {
		o.Workspace = at.Scratch()
	}
	err := p.api.Multiply(p.handle, p.product, p.way, o, s)
	runtime.KeepAlive(p)
	return err
}
