package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Module is parsed PTX. Immutable, and safe for concurrent use.
type Module struct {
	entries []*program
	arch    int  // of .target: 80 for sm_80
	exact   bool // of .target: sm_90a, which has what no other one has
	version int  // of .version: 78 for 7.8
	vars    map[string]variable
	consts  []byte // the constant memory of the module
}

// Entry is what a launch of an entry has to fit.
type Entry struct {
	Name         string
	Threads      int // most per block (.maxntid or .reqntid); 0: not said
	StaticShared int // bytes of the shared variables
	ParamBytes   int // of the parameter block
	Insts        int
}

// Entries are the names of the entries, in order.
func (m *Module) Entries() []string {
	names := make([]string, len(m.entries))
	for i, p := range m.entries {
		names[i] = p.Name
	}
	return names
}

// Entry is the entry of that name.
func (m *Module) Entry(name string) (Entry, bool) {
	if p := m.program(name); p != nil {
		return p.Entry, true
	}
	return Entry{}, false
}

func (m *Module) program(name string) *program {
	i := slices.IndexFunc(m.entries, func(p *program) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return m.entries[i]
}

// The address space of a variable.
type space uint8

const (
	generic space = iota
	global
	shared
	local
	constant
	param
)

var spaces = map[string]space{"global": global, "shared": shared, "local": local, "const": constant, "param": param}

// Generic addresses of the other spaces lie in windows far behind global memory.
const (
	genericBase  = uint64(1) << 60
	windowShift  = 60
	windowOffset = genericBase - 1
)

// windows are the bases of the spaces in generic addresses.
var windows = [...]uint64{shared: genericBase, local: 2 * genericBase, constant: 3 * genericBase, param: 4 * genericBase}

// variable is a declared variable.
type variable struct {
	space    space
	typ      typ
	align    int
	bytes    int
	offset   int  // in its space; of a shared variable of the module: where the entry has put it
	external bool // dynamic shared memory
	init     []byte
}

// Parse reads a module. An error names the line, and what was expected and found;
// an instruction, modifier, type or directive that the package does not know is an
// error.
func Parse(text string) (*Module, error) {
	p := &parser{scanner: scanner{src: text, line: 1}, m: &Module{vars: map[string]variable{}}}
	for {
		st := p.next()
		if st.kind == endOfText {
			if st.text != "" {
				return nil, wrong(st.line, "a semicolon", st.text)
			}
			return p.m, nil
		}
		if err := p.top(st); err != nil {
			return nil, err
		}
	}
}

type parser struct {
	scanner
	m *Module
}

// wrong is an error of Parse.
func wrong(line int, expected, got string) error {
	if len(got) > 120 {
		got = got[:120] + "..."
	}
	return fmt.Errorf("sim: line %d: expected %s, got %q", line, expected, got)
}

// top reads a statement of the module.
func (p *parser) top(st statement) error {
	switch st.kind {
	case entryHeader:
		return p.entry(st)
	case lineOnly:
		return p.line(st)
	case plain:
		if firstWord(st.text) == ".pragma" {
			return nil
		}
		return p.variable(st)
	}
	return wrong(st.line, "a directive or an entry", st.text)
}

// line reads a directive that is one line long.
func (p *parser) line(st statement) error {
	word, rest, _ := strings.Cut(strings.TrimSpace(st.text), " ")
	switch word {
	case ".version":
		major, minor, _ := strings.Cut(strings.TrimSpace(rest), ".")
		n, err := strconv.Atoi(major + minor)
		if err != nil || len(minor) != 1 || n < 0 {
			return wrong(st.line, "a version such as 7.8", rest)
		}
		p.m.version = n
	case ".target":
		digits, ok := strings.CutPrefix(strings.TrimSpace(strings.Split(rest, ",")[0]), "sm_")
		n, err := strconv.Atoi(strings.TrimRight(digits, "af"))
		if !ok || err != nil {
			return wrong(st.line, "a target such as sm_80", rest)
		}
		p.m.arch, p.m.exact = n, strings.HasSuffix(digits, "a")
	case ".address_size":
		if rest != "64" {
			return wrong(st.line, ".address_size 64", st.text)
		}
	}
	return nil
}

// variable reads a declaration of the module: a constant, or shared memory.
func (p *parser) variable(st statement) error {
	name, v, err := declaration(st)
	if err != nil {
		return err
	}
	if _, twice := p.m.vars[name]; twice {
		return wrong(st.line, "a new name", name)
	}
	switch v.space {
	case constant:
		v.offset = alignUp(len(p.m.consts), v.align)
		if v.offset+v.bytes > maxConst {
			return wrong(st.line, fmt.Sprintf("at most %d bytes of constants", maxConst), st.text)
		}
		p.m.consts = append(p.m.consts, make([]byte, v.offset-len(p.m.consts)+v.bytes)...)
		copy(p.m.consts[v.offset:], v.init)
	case shared:
		if !v.external && v.bytes > maxStatic {
			return wrong(st.line, fmt.Sprintf("at most %d bytes of static shared memory", maxStatic), st.text)
		}
	default:
		return wrong(st.line, "a .const or .shared variable", st.text)
	}
	p.m.vars[name] = v
	return nil
}

// Limits of the hardware, in bytes.
const (
	maxConst  = 64 << 10
	maxStatic = 48 << 10
	maxShared = 227 << 10 // of a block, with the dynamic part
	maxLocal  = 64 << 10  // of a thread; the hardware has more
	maxParams = 4352
)

func alignUp(n, align int) int { return (n + align - 1) / align * align }
