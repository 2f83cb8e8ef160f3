package cuda

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"jitc/executors/cuda/driver"
)

// program is an entry's code on the device. It is unloaded some time after the last
// launch that has it is gone.
type program struct {
	module driver.Module

	mu   sync.Mutex
	code driver.Function // 0: not asked for yet
}

// unloading is what the end of a program needs.
type unloading struct {
	q      *queue
	module driver.Module
}

// load returns the entry's code on the device. The context is current.
func (c *code) load(q *queue) (*program, error) {
	im := c.assemble()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.program != nil {
		return c.program, nil
	}
	q.makeRoom()
	module, err := im.install(q, c.text)
	if isOutOfMemory(err) {
		if err := q.memory.shrink(); err != nil {
			return nil, err
		}
		module, err = im.install(q, c.text)
	}
	if err != nil {
		return nil, q.failed(err)
	}
	q.loaded.Add(1)
	p := &program{module: module}
	runtime.AddCleanup(p, func(u unloading) { u.q.retired.put(retired{module: u.module}) }, unloading{q, module})
	c.program = p
	return p, nil
}

// install loads the machine code, or the PTX where the driver does not take that:
// it is older than the assembler, or the file that it came from is not what it was.
func (im *image) install(q *queue, text string) (driver.Module, error) {
	var refused error
	if im.cubin != nil {
		module, _, err := q.api.LoadModule(im.cubin)
		var e *driver.Error
		if err == nil || errors.As(err, &e) && e.Sticky() || isOutOfMemory(err) {
			return module, err
		}
		refused = fmt.Errorf("machine code from the assembler: %w", err)
	}
	module, _, err := q.api.LoadModule([]byte(text))
	if err != nil {
		return 0, errors.Join(err, refused)
	}
	return module, nil
}

// collectEvery is after how many more loaded modules the collector is asked for
// those that nobody has any more: it does not know their size.
const collectEvery = 256

// makeRoom keeps the modules of kernels that are gone from piling up. The context
// is current.
func (q *queue) makeRoom() {
	if n := q.loaded.Load(); n > 0 && n%collectEvery == 0 {
		runtime.GC()
	}
	if q.retired.len() >= collectEvery {
		_ = q.wait() // a fault is told by the load that follows
	}
}

// function finds the entry and makes it ready for so much dynamic shared memory.
// The context is current.
func (p *program) function(q *queue, entry string, shared uint32) (driver.Function, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.code == 0 {
		var err error
		if p.code, err = q.api.Function(p.module, entry); err != nil {
			return 0, q.failed(err)
		}
	}
	return p.code, p.allowShared(q, p.code, shared)
}

func (p *program) allowShared(q *queue, f driver.Function, shared uint32) error {
	if shared == 0 {
		return nil
	}
	allowed, err := q.api.FunctionAttribute(f, driver.AttrDynamicShared)
	if err == nil && allowed < int(shared) {
		err = q.api.SetFunctionAttribute(f, driver.AttrDynamicShared, int(shared))
	}
	return q.failed(err)
}
