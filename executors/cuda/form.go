package cuda

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"jitc/codegen"
	"jitc/codegen/ptx"
	"jitc/executors/cuda/driver"
)

// form is the code of a kernel for one width of indices. Its entries are assembled
// and loaded one by one, when sizes first choose them: a product has seven, of tens
// of milliseconds each, and one size needs one or two.
type form struct {
	planner
	texts []ptx.Text
	codes map[string]*code // by entry
}

// code is an entry's text on its way to the device.
type code struct {
	text     string       // PTX
	offsets  []int        // of the entry's parameters, in its packed block
	assemble func() image // once

	mu      sync.Mutex
	known   *image   // what assemble returned; nil before
	program *program // loaded
}

// newForm assembles the entries that every size needs: those of a kernel that has
// one size, and a lone entry. Compile runs for many kernels at a time, Bind may not.
func newForm(k *kernel, p planner, texts []ptx.Text) *form {
	f := &form{planner: p, texts: texts, codes: make(map[string]*code, len(texts))}
	for _, t := range texts {
		offsets, err := driver.Offsets(t.PTX, t.Entry)
		if err != nil {
			panic("BUG: cuda: " + err.Error())
		}
		c := &code{text: t.PTX, offsets: offsets}
		c.assemble = sync.OnceValue(func() image {
			im := k.executor.assemble(k.machine, c.text)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.known = &im
			return im
		})
		f.codes[t.Entry] = c
	}
	f.assemble(f.certain(k.opts.Dumps))
	return f
}

// certain are the entries that are needed whatever the sizes, or all for dumps.
func (f *form) certain(all bool) []string {
	plan, err := f.plan(nil)
	switch {
	case all || len(f.texts) == 1 && !errors.Is(err, codegen.ErrIndexWidth):
		return f.entries()
	case err != nil: // there are sizes to know, or there is nothing to run
		return nil
	}
	return chosen(plan.Launches)
}

// entries are the names of all entries, in order.
func (f *form) entries() []string {
	var out []string
	for _, t := range f.texts {
		out = append(out, t.Entry)
	}
	return out
}

// chosen are the entries of launches, each once.
func chosen(launches []ptx.Launch) []string {
	var out []string
	for _, l := range launches {
		if !slices.Contains(out, l.Entry) {
			out = append(out, l.Entry)
		}
	}
	return out
}

// assemble makes the machine code of entries, side by side, where that has not
// happened.
func (f *form) assemble(entries []string) {
	var all sync.WaitGroup
	for _, e := range entries {
		all.Go(func() { f.codes[e].assemble() })
	}
	all.Wait()
}

// image is the entry's machine code if it has been made.
func (c *code) image() (im image, made bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		return image{}, false
	}
	return *c.known, true
}

// made are the images that there are.
func (f *form) made() []image {
	var out []image
	for _, t := range f.texts {
		if im, ok := f.codes[t.Entry].image(); ok {
			out = append(out, im)
		}
	}
	return out
}

// bytes is the size of the machine code that there is.
func (f *form) bytes() (n int) {
	for _, im := range f.made() {
		n += len(im.cubin)
	}
	return n
}

// describe is the line about the code in reports.
func (f *form) describe() string {
	line := "PTX, 1 entry"
	if n := len(f.texts); n != 1 {
		line = fmt.Sprintf("PTX, %d entries", n)
	}
	made := f.made()
	if len(made) == 0 && len(f.texts) > 0 {
		return line + ", assembled when sizes choose them"
	}
	if len(made) < len(f.texts) {
		line += fmt.Sprintf(" (%d of them for all sizes)", len(made))
	}
	registers, spills, known := 0, 0, false
	for _, im := range made {
		if im.cubin == nil {
			return line + ", " + im.why
		}
		for _, e := range driver.ParseInfo(im.said) {
			registers, spills, known = max(registers, e.Registers), spills+e.SpillStores, true
		}
	}
	if known {
		line += fmt.Sprintf(", %d registers, %d bytes spilled", registers, spills)
	}
	return line
}
