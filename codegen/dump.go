package codegen

import (
	"fmt"
	"math"
	"strings"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

var kindNames = [...]string{Input: "in", Output: "out", Temp: "temp", Row: "row", Tile: "tile"}

// String is the kind's name in a dump.
func (k BufKind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// String is the kernel as readable text; equal kernels give equal text. It also
// prints kernels that Verify refuses.
func (k *Kernel) String() string {
	d := &dumper{k: k}
	d.line(0, "kernel %s", k.Name)
	for _, b := range k.Bufs {
		d.line(1, "%-4s %s: %s[%s]", b.Kind, b.Name, b.DType, b.Len)
	}
	for _, s := range k.Steps {
		switch {
		case s.Gemm != nil:
			d.gemm(s.Gemm)
		case s.Nest != nil:
			d.nest(0, s.Nest)
		}
	}
	return d.b.String()
}

type dumper struct {
	b strings.Builder
	k *Kernel
}

func (d *dumper) line(depth int, format string, args ...any) {
	d.b.WriteString(strings.Repeat("  ", depth))
	fmt.Fprintf(&d.b, format, args...)
	d.b.WriteByte('\n')
}

func (d *dumper) gemm(g *Gemm) {
	names := make([]string, 0, len(g.Batch))
	for _, a := range g.Batch {
		names = append(names, a.Name+": "+a.Extent.String())
	}
	d.line(0, "gemm %s batch(%s) m(%s) n(%s) k(%s)", g.DType, strings.Join(names, ", "), g.M, g.N, g.K)
	d.line(1, "a %s", operandText(d.k, g, g.A, "m", "k"))
	d.line(1, "b %s", operandText(d.k, g, g.B, "k", "n"))
	if g.Epilogue != nil {
		d.nest(1, g.Epilogue)
	}
}

func operandText(k *Kernel, g *Gemm, o Operand, row, col string) string {
	s := sum{}
	for i, st := range o.Batch {
		if i < len(g.Batch) {
			s.add(st, g.Batch[i].Name)
		}
	}
	s.add(o.Row, row)
	s.add(o.Col, col)
	s.add(o.Offset, "")
	return bufName(k, o.Buf) + "[" + s.String() + "]"
}

func (d *dumper) nest(depth int, n *Nest) {
	vec := "none"
	if n.Vec >= 0 && n.Vec < len(n.Axes) {
		vec = n.Axes[n.Vec].Name
	}
	name := "nest"
	if depth > 0 {
		name = "epilogue"
	}
	d.line(depth, "%s outer(%s) inner(%s) vec(%s)", name, axesText(n, n.Outer), axesText(n, n.Inner), vec)
	for _, p := range n.Phases {
		kind := "once"
		if p.Loop {
			kind = "loop"
		}
		d.line(depth+1, "phase %s", kind)
		for i := max(p.From, 0); i < p.To && i < len(n.Insts); i++ {
			d.line(depth+2, "%s", instText(d.k, n, i))
		}
		for _, r := range p.Reduce {
			d.line(depth+2, "acc %%%d = %s %%%d", r.Result, r.Op, r.Value)
		}
	}
}

func axesText(n *Nest, axes []int) string {
	var out []string
	for _, a := range axes {
		if a >= 0 && a < len(n.Axes) {
			out = append(out, n.Axes[a].Name+": "+n.Axes[a].Extent.String())
		}
	}
	return strings.Join(out, ", ")
}

// instText is one instruction: %3 = fma.f32 %0, %1, %2.
func instText(k *Kernel, n *Nest, i int) string {
	in := &n.Insts[i]
	var b strings.Builder
	if in.Op != Store {
		fmt.Fprintf(&b, "%%%d = ", i)
	}
	fmt.Fprintf(&b, "%s.%s", in.Op, in.Type)
	switch in.Op {
	case Const:
		b.WriteString(" " + constText(in.Type, in.Imm))
	case Index:
		b.WriteString(" " + axisName(n, in.Axis))
	case Size:
		b.WriteString(" " + in.Size.String())
	case RoundTo:
		b.WriteString(" " + in.Round.String())
	case Load, Store:
		if in.Acc >= 0 && in.Acc < len(n.Accs) {
			b.WriteString(" " + accessText(k, n, &n.Accs[in.Acc]))
		}
	}
	for j, a := range []Val{in.A, in.B, in.C} {
		if a == None || in.Op < numCodes && j >= in.Op.Arity() {
			continue
		}
		if j > 0 || in.Op == Store || in.Op == RoundTo {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, " %%%d", a)
	}
	if in.Pred != None && (in.Op == Load || in.Op == Store) {
		fmt.Fprintf(&b, " if %%%d", in.Pred)
	}
	return b.String()
}

func constText(t tensor.DType, bits uint64) string {
	switch {
	case t == tensor.F32:
		return floatText(float64(math.Float32frombits(uint32(bits))), 32, bits)
	case t == tensor.F64:
		return floatText(math.Float64frombits(bits), 64, bits)
	case t == tensor.Bool:
		return fmt.Sprint(bits != 0)
	case t == tensor.I32:
		return fmt.Sprint(int32(bits))
	case t == tensor.I64:
		return fmt.Sprint(int64(bits))
	}
	return fmt.Sprint(bits)
}

// floatText is the shortest decimal that reads back exactly; a NaN shows its bits.
func floatText(x float64, width int, bits uint64) string {
	if x != x {
		return fmt.Sprintf("nan(0x%x)", bits)
	}
	if width == 32 {
		return fmt.Sprint(float32(x))
	}
	return fmt.Sprint(x)
}

func axisName(n *Nest, a int) string {
	if a < 0 || a >= len(n.Axes) {
		return fmt.Sprintf("axis(%d)", a)
	}
	return n.Axes[a].Name
}

func bufName(k *Kernel, b int) string {
	if b < 0 || b >= len(k.Bufs) {
		return fmt.Sprintf("buf(%d)", b)
	}
	return k.Bufs[b].Name
}

// accessText is an access as x[i*768 + j + 3] with its masks behind it.
func accessText(k *Kernel, n *Nest, a *Access) string {
	s := sum{}
	for i, st := range a.Strides {
		s.add(st, axisName(n, i))
	}
	for _, d := range a.Dyn {
		s.add(d.Stride, fmt.Sprintf("clamp(%%%d, %s)", d.Val, d.Limit))
	}
	s.add(a.Offset, "")
	out := bufName(k, a.Buf) + "[" + s.String() + "]"
	for i, m := range a.Masks {
		word := " where "
		if i > 0 {
			word = " and "
		}
		v := sum{}
		for j, c := range m.Coef {
			v.add(c, axisName(n, j))
		}
		v.add(m.Offset, "")
		out += fmt.Sprintf("%s0 <= %s < %s (stride %s)", word, v.String(), m.Limit, m.Stride)
	}
	return out
}

// sum is a list of signed terms.
type sum struct{ b strings.Builder }

// add appends coef*name, or coef alone if name is empty; zero adds nothing.
func (s *sum) add(coef dim.Expr, name string) {
	c, isConst := coef.Const()
	if isConst && c == 0 {
		return
	}
	text, sign := coef.String(), " + "
	if isConst && c < 0 && c != math.MinInt64 {
		c, sign = -c, " - "
		text = fmt.Sprint(c)
	}
	if !isConst && name != "" && strings.ContainsAny(text, " ") {
		text = "(" + text + ")"
	}
	if rest, negative := strings.CutPrefix(text, "-"); negative && !isConst && name == "" {
		text, sign = rest, " - "
	}
	switch {
	case name == "":
	case isConst && c == 1:
		text = name
	default:
		text = name + "*" + text
	}
	switch {
	case s.b.Len() > 0:
		s.b.WriteString(sign)
	case sign == " - ":
		s.b.WriteByte('-')
	}
	s.b.WriteString(text)
}

func (s *sum) String() string {
	if s.b.Len() == 0 {
		return "0"
	}
	return s.b.String()
}
