package fake

import (
	"bytes"
	"fmt"
	"strings"

	"jitc/codegen/ptx/sim"
	"jitc/executors/cuda/driver"
)

// module is loaded code.
type module struct {
	member
	text      string
	code      *sim.Module
	functions map[string]driver.Function
	gone      bool
}

// function is an entry of a module.
type function struct {
	member
	m          *module
	entry      sim.Entry
	offsets    []int // of the parameters
	maxDynamic int   // bytes of dynamic shared memory that a launch may ask for
}

// Limits of the hardware that do not depend on the configuration.
const (
	threadsPerBlock = 1024
	defaultShared   = 48 << 10
	registers       = 32 // of every function
)

func (d *Driver) LoadModule(image []byte) (h driver.Module, log string, err error) {
	err = d.inside("LoadModule", func(c *context) error {
		text := string(bytes.TrimRight(image, "\x00"))
		if cubin, ok := bytes.CutPrefix(image, []byte(cubinMagic)); ok {
			if text, err = d.cfg.open(cubin); err != nil {
				return err
			}
		} else if err := d.cfg.accepts(text); err != nil {
			return err
		}
		code, err := sim.Parse(text)
		if err != nil {
			return refuse(driver.InvalidPTX, "ptxas fake, %v", err)
		}
		log = describe(code, fmt.Sprintf("sm_%d%d", d.cfg.Major, d.cfg.Minor))
		h = driver.Module(d.add(&module{member: member{c}, text: text, code: code, functions: map[string]driver.Function{}}))
		return nil
	})
	return h, log, err
}

// describe is what an assembler says of a module.
func describe(code *sim.Module, arch string) string {
	var b strings.Builder
	b.WriteString("ptxas info    : 0 bytes gmem\n")
	for _, name := range code.Entries() {
		e, _ := code.Entry(name)
		fmt.Fprintf(&b, "ptxas info    : Compiling entry function '%s' for '%s'\n", name, arch)
		fmt.Fprintf(&b, "ptxas info    : Function properties for %s\n", name)
		b.WriteString("    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n")
		fmt.Fprintf(&b, "ptxas info    : Used %d registers, used 0 barriers, %d bytes smem, %d bytes cmem[0]\n",
			registers, e.StaticShared, 352+e.ParamBytes)
	}
	return b.String()
}

// UnloadModule takes the functions away; launches of them that are queued fail.
func (d *Driver) UnloadModule(h driver.Module) error {
	return d.inside("UnloadModule", func(c *context) error {
		m, err := find[*module](c, uintptr(h))
		if err != nil {
			return err
		}
		m.gone = true
		for _, f := range m.functions {
			delete(d.objects, uintptr(f))
		}
		delete(d.objects, uintptr(h))
		return nil
	})
}

func (d *Driver) Function(h driver.Module, name string) (f driver.Function, err error) {
	err = d.inside("Function", func(c *context) error {
		m, err := find[*module](c, uintptr(h))
		if err != nil {
			return err
		}
		if f = m.functions[name]; f != 0 {
			return nil
		}
		e, ok := m.code.Entry(name)
		if !ok {
			return refuse(driver.NotFound, "no entry %q among %q", name, m.code.Entries())
		}
		offsets, err := driver.Offsets(m.text, name)
		if err != nil {
			return refuse(driver.InvalidPTX, "%v", err)
		}
		f = driver.Function(d.add(&function{
			member: member{c}, m: m, entry: e, offsets: offsets, maxDynamic: max(0, defaultShared-e.StaticShared),
		}))
		m.functions[name] = f
		return nil
	})
	return f, err
}

// threads is how many threads a block of f may have.
func (f *function) threads() int {
	if f.entry.Threads > 0 {
		return f.entry.Threads
	}
	return threadsPerBlock
}

func (d *Driver) FunctionAttribute(h driver.Function, a driver.FunctionAttribute) (v int, err error) {
	err = d.inside("FunctionAttribute", func(c *context) error {
		f, err := find[*function](c, uintptr(h))
		if err != nil {
			return err
		}
		if v = f.maxDynamic; a != driver.AttrDynamicShared {
			return refuse(driver.InvalidValue, "function attribute %d", a)
		}
		return nil
	})
	return v, err
}

func (d *Driver) SetFunctionAttribute(h driver.Function, a driver.FunctionAttribute, value int) error {
	return d.inside("SetFunctionAttribute", func(c *context) error {
		f, err := find[*function](c, uintptr(h))
		if err != nil {
			return err
		}
		if a != driver.AttrDynamicShared {
			return refuse(driver.InvalidValue, "function attribute %d cannot be set", a)
		}
		if most := d.cfg.SharedPerBlock - f.entry.StaticShared; value < 0 || value > most {
			return refuse(driver.InvalidValue, "%d bytes of dynamic shared memory, at most %d are possible", value, most)
		}
		f.maxDynamic = value
		return nil
	})
}
