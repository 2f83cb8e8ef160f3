package asm

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Class is a register class.
type Class uint8

// The classes: predicates, untyped bits, and floats.
const (
	Pred Class = iota
	B16
	B32
	F32
	B64
	F64
	numClasses
)

var classes = [numClasses]struct {
	prefix, typ string
	bytes       int
}{
	Pred: {"%p", ".pred", 0}, B16: {"%h", ".b16", 2}, B32: {"%r", ".b32", 4},
	F32: {"%f", ".f32", 4}, B64: {"%d", ".b64", 8}, F64: {"%g", ".f64", 8},
}

// Bytes is the size of a register; 0 for predicates.
func (c Class) Bytes() int { return classes[c].bytes }

// Reg is a virtual register of a kernel. The zero Reg is none.
type Reg struct {
	class Class
	n     int32 // from 1
}

// IsNone reports whether r is the zero Reg.
func (r Reg) IsNone() bool { return r.n == 0 }

// Class is the register's class.
func (r Reg) Class() Class { return r.class }

// Bits is the untyped suffix of instructions on the class, "b32".
func (c Class) Bits() string {
	if c == Pred {
		return "pred"
	}
	return "b" + strconv.Itoa(8*c.Bytes())
}

// String is the register's name, "%f3".
func (r Reg) String() string { return classes[r.class].prefix + strconv.Itoa(int(r.n)) }

// Vec is a vector operand, {%r1, %r2}.
type Vec []Reg

// Addr is a memory operand, [base+offset] in bytes. Base is a Reg or the name of
// a variable.
type Addr struct {
	Base   any
	Offset int
}

// At is the address offset bytes behind what base points at.
func At(base any, offset int) Addr { return Addr{base, offset} }

// Label is a place in a kernel.
type Label int

// Param is a parameter of a kernel: its place in the packed parameter block.
type Param struct {
	Name   string
	Offset int // bytes
	Bytes  int
}

// Kernel is one entry in the making. Not safe for concurrent use.
type Kernel struct {
	Name    string
	Threads int  // most per block (.maxntid)
	MinCTAs int  // blocks per multiprocessor to make room for; 0: as it comes
	Dynamic bool // it has dynamic shared memory: the variable DynamicShared

	Params []Param
	decls  []string // of the parameters
	regs   [numClasses]int32
	shared []string
	labels int
	insts  int
	head   strings.Builder // in front of the body
	body   strings.Builder
	inHead bool
}

// DynamicShared is the name of the dynamic shared memory, 1024-byte aligned.
const DynamicShared = "dynamic_shared"

// NewKernel begins an entry for blocks of at most that many threads.
func NewKernel(name string, threads int) *Kernel { return &Kernel{Name: name, Threads: threads} }

// Insts is the number of instructions so far.
func (k *Kernel) Insts() int { return k.insts }

// Reg is a new register.
func (k *Kernel) Reg(c Class) Reg {
	k.regs[c]++
	return Reg{c, k.regs[c]}
}

// Regs are n new registers.
func (k *Kernel) Regs(c Class, n int) Vec {
	v := make(Vec, n)
	for i := range v {
		v[i] = k.Reg(c)
	}
	return v
}

// ParamSpace declares a parameter of a class and returns its place, without a
// load. It is aligned to its size.
func (k *Kernel) ParamSpace(c Class, name string) Param {
	return k.declare(name, c.Bytes(), c.Bytes(), fmt.Sprintf(".param %s %s", classes[c].typ, name))
}

// ParamBlock declares a parameter of that many bytes.
func (k *Kernel) ParamBlock(name string, bytes, align int) Param {
	return k.declare(name, bytes, align, fmt.Sprintf(".param .align %d .b8 %s[%d]", align, name, bytes))
}

func (k *Kernel) declare(name string, bytes, align int, decl string) Param {
	end := 0
	if n := len(k.Params); n > 0 {
		end = k.Params[n-1].Offset + k.Params[n-1].Bytes
	}
	p := Param{Name: name, Offset: (end + align - 1) / align * align, Bytes: bytes}
	k.Params, k.decls = append(k.Params, p), append(k.decls, decl)
	return p
}

// Param declares a parameter and loads it, here.
func (k *Kernel) Param(c Class, name string) Reg {
	k.ParamSpace(c, name)
	return k.Op(c, "ld.param"+classes[c].typ, At(name, 0))
}

// ParamBytes is the size of the packed parameter block.
func (k *Kernel) ParamBytes() int {
	if n := len(k.Params); n > 0 {
		return k.Params[n-1].Offset + k.Params[n-1].Bytes
	}
	return 0
}

// Shared declares shared memory of the block, as a variable.
func (k *Kernel) Shared(name string, bytes, align int) {
	k.shared = append(k.shared, fmt.Sprintf(".shared .align %d .b8 %s[%d];", align, name, bytes))
}

// InHead puts what f writes in front of the body, behind what is there already:
// parameters and constants that code anywhere in the body uses. What it writes may
// use registers of the head only.
func (k *Kernel) InHead(f func()) {
	old := k.inHead
	k.inHead = true
	f()
	k.inHead = old
}

func (k *Kernel) out() *strings.Builder {
	if k.inHead {
		return &k.head
	}
	return &k.body
}

// Op writes an instruction whose result is a new register.
func (k *Kernel) Op(c Class, op string, args ...any) Reg {
	r := k.Reg(c)
	k.line("", op, append([]any{r}, args...))
	return r
}

// Set writes an instruction whose result is an old register, or any other whose
// first operand is r.
func (k *Kernel) Set(r Reg, op string, args ...any) { k.line("", op, append([]any{r}, args...)) }

// Emit writes an instruction. Operands are Reg, Vec, Addr, integers, float32 and
// float64 (written bit by bit), Label, and text.
func (k *Kernel) Emit(op string, args ...any) { k.line("", op, args) }

// EmitIf writes an instruction that is carried out where p holds; a zero p always
// does.
func (k *Kernel) EmitIf(p Reg, op string, args ...any) { k.line(guard(p, ""), op, args) }

// EmitUnless writes an instruction that is carried out where p does not hold.
func (k *Kernel) EmitUnless(p Reg, op string, args ...any) { k.line(guard(p, "!"), op, args) }

func guard(p Reg, not string) string {
	if p.IsNone() {
		return ""
	}
	return "@" + not + p.String() + " "
}

func (k *Kernel) line(guard, op string, args []any) {
	k.insts++
	b := k.out()
	b.WriteByte('\t')
	b.WriteString(guard)
	b.WriteString(op)
	for i, a := range args {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte(' ')
		b.WriteString(operand(a))
	}
	b.WriteString(";\n")
}

func operand(a any) string {
	switch a := a.(type) {
	case Reg:
		if a.IsNone() {
			panic("BUG: asm: no register")
		}
		return a.String()
	case Vec:
		names := make([]string, len(a))
		for i, r := range a {
			names[i] = operand(r)
		}
		return "{" + strings.Join(names, ", ") + "}"
	case Addr:
		if a.Offset == 0 {
			return "[" + operand(a.Base) + "]"
		}
		return fmt.Sprintf("[%s+%d]", operand(a.Base), a.Offset)
	case float32:
		return fmt.Sprintf("0f%08X", math.Float32bits(a))
	case float64:
		return fmt.Sprintf("0d%016X", math.Float64bits(a))
	case Label:
		return a.String()
	case string:
		return a
	case int, int32, int64, uint32, uint64:
		return fmt.Sprint(a)
	}
	panic(fmt.Sprintf("BUG: asm: an operand of type %T", a))
}

// String is the label's name.
func (l Label) String() string { return "$L" + strconv.Itoa(int(l)) }

// NewLabel is a label to be placed.
func (k *Kernel) NewLabel() Label {
	k.labels++
	return Label(k.labels)
}

// Place puts a label here.
func (k *Kernel) Place(l Label) { fmt.Fprintf(k.out(), "%s:\n", l) }

// SkipUnless writes a body that is left out where p does not hold.
func (k *Kernel) SkipUnless(p Reg, body func()) {
	end := k.NewLabel()
	k.EmitUnless(p, "bra", end)
	body()
	k.Place(end)
}

// Comment writes a line of comment.
func (k *Kernel) Comment(text string) { fmt.Fprintf(k.out(), "\t// %s\n", text) }

// write renders the entry.
func (k *Kernel) write(b *strings.Builder) {
	fmt.Fprintf(b, ".visible .entry %s(", k.Name)
	for i, d := range k.decls {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n\t" + d)
	}
	fmt.Fprintf(b, "\n)\n.maxntid %d, 1, 1\n", k.Threads)
	if k.MinCTAs > 0 {
		fmt.Fprintf(b, ".minnctapersm %d\n", k.MinCTAs)
	}
	b.WriteString("{\n")
	for c, n := range k.regs {
		if n > 0 {
			fmt.Fprintf(b, "\t.reg %s %s<%d>;\n", classes[c].typ, classes[c].prefix, n+1)
		}
	}
	for _, s := range k.shared {
		b.WriteString("\t" + s + "\n")
	}
	b.WriteString(k.head.String())
	b.WriteString(k.body.String())
	b.WriteString("\tret;\n}\n")
}

// Module is a PTX file: entries, and the constants they share.
type Module struct {
	Version string   // of the language, "7.8"
	Target  string   // "sm_80", "sm_90a"
	Globals []string // declarations, ".const .align 4 .b32 twoopi[8] = {...};"
	Kernels []*Kernel
}

// String is the text of the file.
func (m *Module) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, ".version %s\n.target %s\n.address_size 64\n", m.Version, m.Target)
	for _, g := range m.Globals {
		b.WriteString(g + "\n")
	}
	for _, k := range m.Kernels {
		if k.Dynamic {
			fmt.Fprintf(&b, ".extern .shared .align 1024 .b8 %s[];\n", DynamicShared)
			break
		}
	}
	for _, k := range m.Kernels {
		b.WriteByte('\n')
		k.write(&b)
	}
	return b.String()
}
