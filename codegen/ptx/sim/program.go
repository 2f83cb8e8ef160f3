package sim

import (
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// program is a decoded entry.
type program struct {
	Entry
	code       []inst
	params     map[string]variable
	vars       map[string]variable // shared and local
	localBytes int                 // of a thread
	dynamic    int                 // offset of the dynamic shared memory
	slots      int
	consts     []constSlot
	specials   map[string]int32 // the slots of special registers that occur
	caches     int              // memory instructions, each with a memory of its last region
	blocks     int              // that are to fit a multiprocessor (.minnctapersm); 0: not said
	perThread  int              // registers of a thread, as .maxnreg says; 0: not said
	partial    bool             // there are barriers that are not of the whole block
	grain      int              // the narrowest access to shared memory: the unit of its race check
}

// control is what an instruction does besides computing.
type control uint8

const (
	computes control = iota
	branches
	ends
	waits // at a barrier of the block
	polls // an mbarrier, and may stall
)

// exec carries out an instruction for the lanes of w.mask. What is wrong goes to
// w.fail.
type exec func(w *warp)

// inst is a decoded instruction. A slot is the index of a register, constant or
// special register in a warp.
type inst struct {
	run     exec
	control control
	negate  bool  // the guard
	meets   bool  // lanes or warps come together here
	guard   int32 // slot of the guard predicate, or none
	target  int32 // of a branch
	srcs    []int32
	dsts    []int32
	barrier barrier
	line    int
	text    string
}

// barrier are the operands of a barrier instruction.
type barrier struct {
	id      int
	slot    int32 // of the id, or none
	threads int   // 0: all of the block
	arrives bool  // and does not wait
}

const none = int32(-1)

// constSlot is a slot whose value is known before a launch: a literal, or the
// address of a variable. Addresses are filled in when all variables are known.
type constSlot struct {
	slot   int32
	value  uint64
	symbol string
}

// body is an entry while it is read.
type body struct {
	*program
	m      *Module
	line   int
	scopes []scope
	labels map[string]int32
	jumps  []jump // to be resolved
	known  map[constSlot]int32
	masks  map[int32]uint64 // by slot, the bits that the register has
}

type jump struct {
	inst, line int
	label      string
}

// scope holds the registers declared between a pair of braces.
type scope struct {
	one   map[string]typ   // .reg .b32 a
	many  map[string]group // .reg .b32 %r<10>
	slots map[string]int32
}

type group struct {
	typ typ
	n   int
}

// entry reads an entry, from its header to its closing brace.
func (p *parser) entry(st statement) error {
	b := &body{m: p.m, line: st.line, labels: map[string]int32{}, known: map[constSlot]int32{}, masks: map[int32]uint64{},
		program: &program{params: map[string]variable{}, vars: map[string]variable{}, specials: map[string]int32{}, grain: 16}}
	if err := b.header(st); err != nil {
		return err
	}
	if p.m.program(b.Name) != nil {
		return wrong(st.line, "a new entry", b.Name)
	}
	b.push()
	for len(b.scopes) > 0 {
		if err := b.statement(p.next()); err != nil {
			return err
		}
	}
	if err := b.finish(); err != nil {
		return err
	}
	p.m.entries = append(p.m.entries, b.program)
	return nil
}

// header reads ".visible .entry name(.param .b64 x, ...) .maxntid 128, 1, 1".
func (b *body) header(st statement) error {
	_, rest, _ := strings.Cut(st.text, ".entry ")
	end := strings.IndexAny(rest, "(. ")
	if end < 0 {
		end = len(rest)
	}
	b.Name, rest = rest[:end], strings.TrimSpace(rest[end:])
	if !isName(b.Name) {
		return wrong(st.line, "the name of an entry", st.text)
	}
	if strings.HasPrefix(rest, "(") {
		list, after, closed := strings.Cut(rest[1:], ")")
		if !closed {
			return wrong(st.line, "a closing parenthesis", st.text)
		}
		rest = strings.TrimSpace(after)
		for _, text := range split(strings.TrimSpace(list)) {
			if err := b.param(statement{text: text, line: st.line}); err != nil {
				return err
			}
		}
	}
	return b.performance(st.line, rest)
}

func (b *body) param(st statement) error {
	name, v, err := declaration(st)
	if err != nil {
		return err
	}
	if _, twice := b.params[name]; twice || v.space != param {
		return wrong(st.line, "a new parameter", st.text)
	}
	v.offset = alignUp(b.ParamBytes, v.align)
	b.params[name], b.ParamBytes = v, v.offset+v.bytes
	if b.ParamBytes > maxParams {
		return wrong(st.line, "at most "+strconv.Itoa(maxParams)+" bytes of parameters", st.text)
	}
	return nil
}

// performance reads the directives between the parameters and the body.
func (b *body) performance(line int, text string) error {
	for _, directive := range strings.Split(text, ".")[1:] {
		word, rest, _ := strings.Cut(strings.TrimSpace(directive), " ")
		n := 1 // of words that take a number, the number; of dimensions, their product
		for _, t := range split(rest) {
			x, err := strconv.Atoi(t)
			if err != nil || x < 1 || x > 1<<16 {
				return wrong(line, "a small number", t)
			}
			n *= x
		}
		switch word {
		case "maxntid", "reqntid":
			if n > maxThreads {
				return wrong(line, "at most 1024 threads", directive)
			}
			b.Threads = n
		case "minnctapersm":
			b.blocks = n
		case "maxnreg":
			b.perThread = n
		case "noreturn", "pragma":
		default:
			return wrong(line, "a directive such as .maxntid", "."+directive)
		}
	}
	return nil
}

const maxThreads = 1024 // of a block

func (b *body) push() {
	b.scopes = append(b.scopes, scope{map[string]typ{}, map[string]group{}, map[string]int32{}})
}

// statement reads one statement of a body.
func (b *body) statement(st statement) error {
	b.line = st.line
	switch st.kind {
	case openBrace:
		b.push()
		return nil
	case closeBrace:
		b.scopes = b.scopes[:len(b.scopes)-1]
		return nil
	case lineOnly:
		return nil // .loc
	case label:
		if _, twice := b.labels[st.text]; twice || !isName(st.text) {
			return wrong(st.line, "a new label", st.text)
		}
		b.labels[st.text] = int32(len(b.code))
		return nil
	case plain:
		switch word := firstWord(st.text); {
		case word == ".reg":
			return b.registers(st)
		case word == ".pragma" || st.text == "":
			return nil
		case strings.HasPrefix(word, "."):
			return b.variable(st)
		}
		return b.instruction(st)
	}
	return wrong(st.line, "an instruction, or a closing brace", st.text)
}

// registers reads ".reg .b32 %r<10>, %x".
func (b *body) registers(st statement) error {
	word, names, _ := strings.Cut(strings.TrimPrefix(st.text, ".reg "), " ")
	t, ok := types[strings.TrimPrefix(word, ".")]
	if !ok || !strings.HasPrefix(word, ".") {
		return wrong(st.line, "a register type such as .b32", word)
	}
	s := b.scopes[len(b.scopes)-1]
	for _, name := range split(names) {
		prefix, count, many := strings.Cut(strings.TrimSuffix(name, ">"), "<")
		_, twice := s.one[name]
		_, manyTwice := s.many[prefix]
		n, err := strconv.Atoi(count)
		if !isName(prefix) || many && (err != nil || n < 1 || manyTwice) || !many && twice {
			return wrong(st.line, "new registers such as %r<10>", name)
		}
		if many {
			s.many[prefix] = group{t, n}
		} else {
			s.one[name] = t
		}
	}
	return nil
}

// variable reads a shared or local variable of the entry.
func (b *body) variable(st statement) error {
	name, v, err := declaration(st)
	if err != nil {
		return err
	}
	if _, twice := b.vars[name]; twice || v.external {
		return wrong(st.line, "a new variable of the entry", st.text)
	}
	switch v.space {
	case shared:
		return b.placeShared(name, v)
	case local:
		v.offset = alignUp(b.localBytes, v.align)
		b.vars[name], b.localBytes = v, v.offset+v.bytes
		if b.localBytes > maxLocal {
			return wrong(st.line, "at most "+strconv.Itoa(maxLocal)+" bytes of local memory", st.text)
		}
		return nil
	}
	return wrong(st.line, "a .shared or .local variable", st.text)
}

func (b *body) placeShared(name string, v variable) error {
	v.offset = alignUp(b.StaticShared, v.align)
	b.vars[name], b.StaticShared = v, v.offset+v.bytes
	if b.StaticShared > maxStatic {
		return wrong(b.line, "at most "+strconv.Itoa(maxStatic)+" bytes of static shared memory", name)
	}
	return nil
}

// symbol is the variable of that name that the entry sees.
func (b *body) symbol(name string) (variable, bool) {
	if v, ok := b.vars[name]; ok {
		return v, true
	}
	if v, ok := b.params[name]; ok {
		return v, true
	}
	v, ok := b.m.vars[name]
	if ok && v.space == shared && !v.external { // of the module: the entry that uses it holds it
		if b.placeShared(name, v) != nil {
			return v, false
		}
		v = b.vars[name]
	}
	return v, ok
}

// slot is a new slot.
func (b *body) slot() int32 {
	b.slots++
	return int32(b.slots - 1)
}

// constant is the slot of a value, or of a variable's address.
func (b *body) constant(c constSlot) int32 {
	if s, ok := b.known[c]; ok {
		return s
	}
	key := c
	c.slot = b.slot()
	b.known[key] = c.slot
	b.consts = append(b.consts, c)
	return c.slot
}

// register finds the register of that name, in the innermost scope that has it.
func (b *body) register(name string) (int32, typ, bool) {
	for _, s := range slices.Backward(b.scopes) {
		t, ok := s.one[name]
		if !ok {
			digits := len(name)
			for digits > 0 && name[digits-1] >= '0' && name[digits-1] <= '9' {
				digits--
			}
			g, many := s.many[name[:digits]]
			n, err := strconv.Atoi(name[digits:])
			ok = many && err == nil && n < g.n && strconv.Itoa(n) == name[digits:]
			t = g.typ
		}
		if ok {
			slot, used := s.slots[name]
			if !used {
				slot = b.slot()
				s.slots[name] = slot
				b.masks[slot] = t.mask()
			}
			return slot, t, true
		}
	}
	return 0, typ{}, false
}

// finish resolves jumps and addresses.
func (b *body) finish() error {
	b.Insts = len(b.code)
	b.code = append(b.code, inst{control: ends, guard: none, text: "}", line: b.line})
	for _, j := range b.jumps {
		to, ok := b.labels[j.label]
		if !ok {
			return wrong(j.line, "a label of the entry", j.label)
		}
		b.code[j.inst].target = to
	}
	b.dynamic = b.StaticShared
	for _, v := range b.m.vars {
		if v.external {
			b.dynamic = max(b.dynamic, alignUp(b.StaticShared, v.align))
		}
	}
	for i, c := range b.consts {
		if c.symbol == "" {
			continue
		}
		v, _ := b.symbol(c.symbol)
		if v.external {
			v.offset = b.dynamic
		}
		b.consts[i].value = uint64(v.offset)
	}
	if bits.OnesCount(uint(b.grain)) != 1 {
		panic("BUG: sim: the unit of the race check is no power of two")
	}
	return nil
}
