package main

import (
	"context"
	"fmt"
	"time"
	"unsafe"

	"jitc"
	"jitc/codegen/x64/asm"
	"jitc/codegen/x64/gemm"
	"jitc/executors"
	"jitc/executors/native/exec"
	"jitc/ir/tensor"
	rt "jitc/runtime"
	"jitc/trace"
)

// limits is what this machine was seen to reach, with the threads of the run.
type limits struct {
	Triad      float64 `json:"triad_bytes_per_s"` // 0: not measured
	TriadBytes int     `json:"triad_array_bytes"`
	FMA        float64 `json:"fma_flops_per_s"`  // f32; 0: not measured
	Device     string  `json:"device,omitempty"` // that was measured; empty: the host
	Note       string  `json:"note,omitempty"`   // why something was not measured
}

// triadBytes is the size of each of the three arrays of the triad: beyond the
// caches of most machines.
const triadBytes = 64 << 20

// probe measures the limits. Not safe for concurrent use.
//
// The bandwidth is that of a[i] = b[i] + 3*c[i] (McCalpin's STREAM triad), as
// jitc compiles it, counted as two reads and one write; the arithmetic limit is
// that of independent fused multiply-adds on registers.
type probe struct {
	limits limits
	device string
	engine *jitc.Engine // its own: what the machine can reach does not depend on the executors that are timed
	triad  *rt.Recording
	args   []*tensor.Tensor
	out    []*tensor.Tensor
	fma    *exec.Code
	flops  int // of one iteration of fma
}

const triadTrace = `func @triad(%%b: f32[%[1]d], %%c: f32[%[1]d]) -> f32[%[1]d] {
  %%m: f32[%[1]d] = mul(%%c, 3.0)
  %%a: f32[%[1]d] = add(%%b, %%m)
  return %%a
}
`

// newProbe prepares the measurements with arrays of that many bytes. What cannot
// be measured here is noted.
func newProbe(ctx context.Context, at place, threads, arrayBytes int) (*probe, error) {
	e, err := jitc.NewEngine(jitc.Options{Threads: threads, Executors: at.executors})
	if err != nil {
		return nil, fault{err}
	}
	p := &probe{engine: e, device: at.device, limits: limits{TriadBytes: arrayBytes}}
	if at.device != string(executors.CPU) {
		p.limits.Device = at.device
	}
	err = p.prepareTriad(ctx, arrayBytes/4)
	if err == nil && p.limits.Device == "" {
		err = p.prepareFMA()
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *probe) prepareTriad(ctx context.Context, n int) error {
	file, err := trace.Parse("triad", fmt.Sprintf(triadTrace, n))
	if err != nil {
		return fault{err}
	}
	c, err := p.engine.Compile(ctx, file.Func, nil)
	if err != nil {
		return fault{err}
	}
	for _, r := range c.Report.Regions {
		if r.Code == 0 && p.limits.Device == "" { // devices make code when they run it
			p.limits.Note = "limits not measured: no machine code (" + r.Detail + ")"
			return nil
		}
	}
	for range file.Func.Params { // pages must be written once to be real
		t, err := tensor.Generate(tensor.Rule{Kind: "ones"}, tensor.F32, []int{n})
		if err != nil {
			return fault{err}
		}
		p.args = append(p.args, t)
	}
	if p.args, err = toDevice(p.engine, p.args, p.device); err != nil {
		return err
	}
	if p.triad, err = c.Program.Record(map[string]int64{}, p.engine.Workers().Workers()); err != nil {
		return fault{err}
	}
	p.out, err = toDevice(p.engine, p.triad.Results(), p.device)
	return err
}

func (p *probe) prepareFMA() error {
	f := asm.Detect()
	if !f.AVX2 || !f.FMA || !exec.Supported() {
		return nil
	}
	isa := gemm.AVX2
	if f.AVX512 {
		isa = gemm.AVX512
	}
	code, flops := gemm.EmitFMAProbe(isa, tensor.F32)
	var err error
	p.flops = flops
	if p.fma, err = exec.Load(code); err != nil {
		return fault{err}
	}
	return nil
}

func (p *probe) close() {
	p.engine.Close()
	if p.fma != nil {
		p.fma.Free()
	}
}

// sample measures both limits once and keeps the best seen.
func (p *probe) sample() error {
	if p.triad != nil {
		start := time.Now()
		err := p.triad.Run(p.args, p.out, p.engine.Workers())
		if err == nil {
			err = p.engine.Sync(p.device)
		}
		if err != nil {
			return fault{err}
		}
		moved := float64(3 * p.limits.TriadBytes)
		p.limits.Triad = max(p.limits.Triad, moved/time.Since(start).Seconds())
	}
	if p.fma != nil {
		start := time.Now()
		n := p.runFMA()
		p.limits.FMA = max(p.limits.FMA, n/time.Since(start).Seconds())
	}
	return nil
}

// fmaIterations keeps one call of the probe well below the 250 us that machine
// code may take; fmaChunks calls per worker take some milliseconds.
const (
	fmaIterations = 4000
	fmaChunks     = 32
)

// runFMA runs the probe on every worker and returns the operations done.
func (p *probe) runFMA() float64 {
	chunks := fmaChunks * p.engine.Workers().Workers()
	args := make([]struct {
		gemm.ProbeArgs
		_ [56]byte // a cache line each
	}, p.engine.Workers().Workers())
	p.engine.Workers().Run(chunks, func(_, worker int) {
		args[worker].Iterations = fmaIterations
		p.fma.Call(unsafe.Pointer(&args[worker].ProbeArgs))
	})
	return float64(chunks) * fmaIterations * float64(p.flops)
}

// bound is the least time that so many bytes and operations take at the limits,
// and which of them decides; 0 if that is not known.
func (l *limits) bound(bytes, flops float64) (d time.Duration, by string) {
	var mem, fma float64
	if l.Triad > 0 {
		mem = bytes / l.Triad
	}
	if l.FMA > 0 {
		fma = flops / l.FMA
	}
	if fma > mem {
		return time.Duration(fma * 1e9), "fma"
	}
	return time.Duration(mem * 1e9), "mem"
}

// text is one line about the limits.
func (l *limits) text() string {
	if l.Triad == 0 {
		return orText(l.Note, "not measured")
	}
	s := fmt.Sprintf("triad %s GB/s over %s arrays", digits3(l.Triad/1e9), byteText(float64(l.TriadBytes)))
	if l.Device != "" {
		s += " on " + l.Device
	}
	if l.FMA > 0 {
		s += fmt.Sprintf(", f32 FMA %s GFLOP/s", digits3(l.FMA/1e9))
	}
	return s
}
