package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// decoder reads one instruction. Modifiers and operands are taken one after
// another, in the order of the PTX specification; the first failure sticks.
type decoder struct {
	*body
	inst inst
	op   string
	mods []string // those not yet taken
	args []string // those not yet taken
	err  error
}

// opcode decodes what follows an opcode: it takes all modifiers and operands.
type opcode func(d *decoder) exec

// instructions are the tables of opcodes, a family each.
var instructions = []map[string]opcode{
	integerOps, floatOps, logicOps, compareOps, convertOps, moveOps, memoryOps, atomicOps, asyncOps, warpOps, matrixOps, groupOps, mbarrierOps, controlOps,
}

// instruction decodes an instruction.
func (b *body) instruction(st statement) error {
	d := &decoder{body: b, inst: inst{guard: none, line: st.line, text: st.text}}
	text := d.guard(st.text)
	name, operands, _ := strings.Cut(text, " ")
	d.mods = strings.Split(name, ".")
	d.op, d.mods = d.mods[0], d.mods[1:]
	d.args = split(operands)
	d.decode()
	if d.err != nil {
		return fmt.Errorf("sim: line %d: %q: %w", st.line, st.text, d.err)
	}
	b.code = append(b.code, d.inst)
	return nil
}

func (d *decoder) decode() {
	for _, family := range instructions {
		if op := family[d.op]; op != nil {
			d.inst.run = op(d)
			switch {
			case d.err != nil:
			case len(d.mods) > 0:
				d.fail("expected no further modifier, got .%s", d.mods[0])
			case len(d.args) > 0:
				d.fail("expected no further operand, got %s", d.args[0])
			}
			return
		}
	}
	d.fail("expected an instruction, got %q", d.op)
}

// guard takes "@%p " or "@!%p " off.
func (d *decoder) guard(text string) string {
	if !strings.HasPrefix(text, "@") {
		return text
	}
	name, rest, _ := strings.Cut(text[1:], " ")
	name, d.inst.negate = strings.CutPrefix(name, "!")
	slot, t, ok := d.register(name)
	if !ok || t.family != predicate {
		d.fail("expected a predicate, got %q", name)
	}
	d.inst.guard = slot
	return strings.TrimSpace(rest)
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
}

// needs fails unless the target is of at least that architecture, and the version
// of the language knows it.
func (d *decoder) needs(arch int, what string) {
	if v := sinceVersion[arch]; d.m.version < v {
		d.fail("expected .version %d.%d or up for %s, got %d.%d", v/10, v%10, what, d.m.version/10, d.m.version%10)
	}
	if d.m.arch < arch {
		d.fail("expected .target sm_%d or up for %s, got sm_%d", arch, what, d.m.arch)
	}
}

// sinceVersion are the versions of the language that know an architecture's
// instructions.
var sinceVersion = map[int]int{75: 65, 80: 70, 89: 78, 90: 78}

// has takes a modifier, if it is the next one.
func (d *decoder) has(mod string) bool { return d.any(mod) != "" }

// any takes the next modifier if it is one of these; else it is "".
func (d *decoder) any(mods ...string) string {
	if len(d.mods) == 0 || !slices.Contains(mods, d.mods[0]) {
		return ""
	}
	mod := d.mods[0]
	d.mods = d.mods[1:]
	return mod
}

// one takes the next modifier, which must be one of these.
func (d *decoder) one(mods ...string) string {
	mod := d.any(mods...)
	if mod == "" {
		d.fail("expected one of .%s, got %q", strings.Join(mods, " ."), d.nextMod())
	}
	return mod
}

func (d *decoder) nextMod() string {
	if len(d.mods) == 0 {
		return "no modifier"
	}
	return "." + d.mods[0]
}

// typ takes the next modifier, which must be one of these types.
func (d *decoder) typ(names ...string) typ {
	t := types[d.one(names...)]
	if t.name == "" {
		return types["b32"] // after a failure, anything valid
	}
	return t
}

// arg takes the next operand.
func (d *decoder) arg() string {
	if len(d.args) == 0 {
		d.fail("expected another operand, got none")
		return ""
	}
	a := d.args[0]
	d.args = d.args[1:]
	return a
}

// dst takes a register to be written.
func (d *decoder) dst(t typ) int32 { return d.written(d.arg(), t, false) }

// written is the slot of a register to be written. "_" is a register nobody reads.
func (d *decoder) written(name string, t typ, wider bool) int32 {
	if name == "_" {
		return d.slot()
	}
	slot, reg, ok := d.register(name)
	if !ok || !t.takes(reg, wider) {
		d.fail("expected a register for .%s, got %s", t.name, describe(name, reg, ok))
		return 0
	}
	d.inst.dsts = append(d.inst.dsts, slot)
	return slot
}

func describe(name string, t typ, ok bool) string {
	if ok {
		return fmt.Sprintf("%s, which is .%s", name, t.name)
	}
	return strconv.Quote(name)
}

// src takes an operand to be read: a register, a literal or a special register.
func (d *decoder) src(t typ) int32 { return d.read(d.arg(), t, false) }

// read is the slot of an operand to be read.
func (d *decoder) read(name string, t typ, wider bool) int32 {
	if name == "" {
		d.fail("expected an operand of .%s, got none", t.name)
		return 0
	}
	if slot, reg, ok := d.register(name); ok {
		if !t.takes(reg, wider) {
			d.fail("expected an operand of .%s, got %s", t.name, describe(name, reg, ok))
		}
		d.inst.srcs = append(d.inst.srcs, slot)
		return slot
	}
	if _, ok := specialRegisters[name]; ok {
		if t.bytes < 4 {
			d.fail("expected an operand of .%s, got %s", t.name, name)
		}
		return d.special(name)
	}
	if name == "WARP_SZ" {
		return d.constant(constSlot{value: 32})
	}
	x, err := literal(name, t)
	if err != nil || t.family == predicate {
		d.fail("expected an operand of .%s, got %q", t.name, name)
	}
	return d.constant(constSlot{value: x})
}

func (d *decoder) special(name string) int32 {
	slot, ok := d.specials[name]
	if !ok {
		slot = d.slot()
		d.specials[name] = slot
	}
	return slot
}

// srcPred takes a predicate to be read, which may be negated.
func (d *decoder) srcPred() (slot int32, negate bool) {
	name, negate := strings.CutPrefix(d.arg(), "!")
	return d.read(name, types["pred"], false), negate
}

// list splits a vector operand, {%r1, %r2}, or is the single operand.
func (d *decoder) list(operand string) []string {
	inner, ok := strings.CutPrefix(operand, "{")
	if !ok {
		return []string{operand}
	}
	return split(strings.TrimSpace(strings.TrimSuffix(inner, "}")))
}

// dstVec takes a vector of n registers to be written.
func (d *decoder) dstVec(t typ, n int) []int32 { return d.vec(n, t, d.written, false) }

// srcVec takes a vector of n operands to be read.
func (d *decoder) srcVec(t typ, n int) []int32 { return d.vec(n, t, d.read, false) }

func (d *decoder) vec(n int, t typ, slot func(string, typ, bool) int32, wider bool) []int32 {
	names := d.list(d.arg())
	if len(names) != n {
		d.fail("expected %d registers, got %d", n, len(names))
		names = make([]string, n)
	}
	slots := make([]int32, n)
	for i, name := range names {
		slots[i] = slot(name, t, wider)
	}
	return slots
}

// number takes an operand that must be an integer literal.
func (d *decoder) number() int {
	a := d.arg()
	n, err := strconv.ParseInt(a, 0, 32)
	if err != nil {
		d.fail("expected a number, got %q", a)
	}
	return int(n)
}

// address is a memory operand, [base+offset].
type address struct {
	slot   int32
	offset uint64
	symbol variable
	wide   bool // the base has 64 bits
}

// addr takes a memory operand of a space.
func (d *decoder) addr(s space) address {
	text := d.arg()
	inner, ok := strings.CutPrefix(text, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	if !ok || !closed {
		d.fail("expected an address such as [%%d1+16], got %q", text)
		return address{}
	}
	base, off := strings.TrimSpace(inner), int64(0)
	if i := strings.LastIndexAny(inner, "+-"); i > 0 {
		n, err := strconv.ParseInt(strings.TrimSpace(inner[i+1:]), 0, 64)
		if err != nil {
			d.fail("expected a number as the offset of %s, got %q", text, inner[i+1:])
		}
		base, off = strings.TrimRight(inner[:i], "+ "), n
		if inner[i] == '-' {
			off = -n
		}
		base = strings.TrimSpace(base)
	}
	return d.base(s, base, uint64(off))
}

func (d *decoder) base(s space, base string, off uint64) address {
	if slot, t, ok := d.register(base); ok {
		narrow := s == shared || s == local || s == constant
		if t.family == floating || t.bytes != 8 && !(narrow && t.bytes == 4) || s == param {
			d.fail("expected an address, got %s", describe(base, t, ok))
		}
		d.inst.srcs = append(d.inst.srcs, slot)
		return address{slot: slot, offset: off, wide: t.bytes == 8}
	}
	if v, ok := d.symbol(base); ok && s == v.space {
		return address{slot: d.constant(constSlot{symbol: base}), offset: off, symbol: v, wide: true}
	}
	x, err := strconv.ParseUint(base, 0, 64)
	if err != nil || s != local { // the assembler takes no other literal addresses
		d.fail("expected the base of an address, got %q", base)
	}
	return address{slot: d.constant(constSlot{value: x}), offset: off, wide: true}
}
