package trace

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// Sources say where the tensors of a trace's parameters come from.
type Sources struct {
	// Inputs are tensors by parameter name; they come before every other source.
	Inputs map[string]*tensor.Tensor
	// Weights are searched in order for the keys of weight parameters.
	Weights []tensor.Archive
	// Sizes gives symbols their values where no input's shape does.
	Sizes map[string]int64
	// Progress, if not nil, is told before each parameter is made.
	Progress func(done, total int, name string)
}

// Arguments makes a tensor for every parameter, in order, and returns the
// symbols' values. What is missing or does not fit is a diagnostic that points
// at the parameter.
func (f *File) Arguments(s Sources) ([]*tensor.Tensor, map[string]int64, error) {
	if err := f.checkNames(s); err != nil {
		return nil, nil, err
	}
	sizes, err := f.sizes(s)
	if err != nil {
		return nil, nil, err
	}
	args := make([]*tensor.Tensor, len(f.Func.Params))
	for i, p := range f.Func.Params {
		if s.Progress != nil {
			s.Progress(i, len(args), p.Name)
		}
		if args[i], err = f.argument(p, s, sizes); err != nil {
			return nil, nil, err
		}
	}
	sizes, err = ir.BindSizes(f.Func, args, s.Sizes)
	if err != nil {
		return nil, nil, f.bindFault(err)
	}
	return args, sizes, nil
}

// checkNames refuses inputs and sizes that the trace does not have.
func (f *File) checkNames(s Sources) error {
	names := map[string]bool{}
	for _, p := range f.Func.Params {
		names[p.Name] = true
	}
	for n := range s.Inputs {
		if !names[n] {
			return fmt.Errorf("the trace has no parameter %%%s: its inputs are %s", n, strings.Join(f.InputNames(), ", "))
		}
	}
	known := f.Func.Facts.Syms()
	for n := range s.Sizes {
		if !contains(known, n) {
			return fmt.Errorf("the trace has no size %s: it has %s", n, list(known, "none"))
		}
	}
	return nil
}

// InputNames lists the parameters that a caller must give.
func (f *File) InputNames() []string {
	var names []string
	for _, p := range f.Func.Params {
		if !ir.IsWeight(p) {
			names = append(names, "%"+p.Name)
		}
	}
	return names
}

// sizes binds what the inputs and the given sizes imply, and checks that every
// generated parameter's shape follows.
func (f *File) sizes(s Sources) (map[string]int64, error) {
	env := map[string]int64{}
	for k, v := range s.Sizes {
		env[k] = v
	}
	for range f.Func.Facts.Syms() {
		for _, p := range f.Func.Params {
			if err := f.bind(p, s.Inputs[p.Name], env); err != nil {
				return nil, err
			}
		}
	}
	for _, sym := range f.Func.Facts.Syms() {
		if lo, hi := f.Func.Facts.Range(dim.Sym(sym)); lo == hi {
			if _, ok := env[sym]; !ok {
				env[sym] = lo
			}
		}
	}
	return env, nil
}

func (f *File) bind(p *ir.Value, t *tensor.Tensor, env map[string]int64) error {
	if t == nil || t.Rank() != p.Type.Rank() {
		return nil // reported with the whole type later
	}
	for i, e := range p.Type.Shape {
		if _, err := dim.Bind(e, int64(t.Shape()[i]), env); err != nil {
			return f.fault(p, fmt.Sprintf("parameter %%%s: wrong size on axis %d: %v", p.Name, i, err),
				p.Type.String(), typeOf(t), "")
		}
	}
	return nil
}

func (f *File) argument(p *ir.Value, s Sources, sizes map[string]int64) (*tensor.Tensor, error) {
	if t := s.Inputs[p.Name]; t != nil {
		return t, f.fits(p, t, "input")
	}
	if key := p.Attrs.Str("weight", ""); key != "" {
		return f.weight(p, key, s.Weights)
	}
	rule, ok := ir.ParamRule(p)
	if !ok {
		return nil, f.fault(p, "no tensor for the input %"+p.Name, p.Type.String(), "nothing",
			fmt.Sprintf("give one (--input %s=FILE), or a rule in the trace ({init=\"normal\", seed=1})", p.Name))
	}
	shape, err := f.shape(p, sizes)
	if err != nil {
		return nil, err
	}
	t, err := tensor.Generate(rule, p.Type.DType, shape)
	if err != nil {
		return nil, f.fault(p, fmt.Sprintf("cannot generate %%%s: %v", p.Name, err), "", "", "")
	}
	return t, nil
}

// maxGenerated bounds one generated tensor, in bytes.
const maxGenerated = 1 << 38

func (f *File) shape(p *ir.Value, sizes map[string]int64) ([]int, error) {
	shape, err := ir.EvalShape(p.Type.Shape, sizes)
	var unbound *dim.UnboundError
	switch {
	case errors.As(err, &unbound):
		return nil, f.fault(p, fmt.Sprintf("the size %s of %%%s is not known", unbound.Sym, p.Name), "", p.Type.String(),
			fmt.Sprintf("give it: --dim %s=N, with %s", unbound.Sym, f.factsOf(unbound.Sym)))
	case err != nil:
		return nil, f.fault(p, err.Error(), "", p.Type.String(), "")
	}
	if n, err := tensor.CheckedElements(shape); err != nil || n > maxGenerated/p.Type.DType.Size() {
		return nil, f.fault(p, fmt.Sprintf("%%%s is too large to generate", p.Name), fmt.Sprintf("at most %d GiB", maxGenerated>>30),
			fmt.Sprint(p.Type.DType, shape), "")
	}
	return shape, nil
}

// factsOf prints what is known of a symbol.
func (f *File) factsOf(sym string) string {
	lo, hi := f.Func.Facts.Range(dim.Sym(sym))
	if hi == math.MaxInt64 {
		return fmt.Sprintf("%s >= %d", sym, lo)
	}
	return fmt.Sprintf("%s in [%d, %d]", sym, lo, hi)
}

func (f *File) weight(p *ir.Value, key string, archives []tensor.Archive) (*tensor.Tensor, error) {
	for _, a := range archives {
		if !contains(a.Names(), key) {
			continue
		}
		dt, shape, err := a.Info(key)
		if err != nil {
			return nil, err
		}
		if dt != p.Type.DType || len(shape) != p.Type.Rank() {
			return nil, f.fault(p, fmt.Sprintf("weight %q does not fit %%%s", key, p.Name), p.Type.String(), shapeText(dt, shape), "")
		}
		t, err := a.Load(key)
		if err != nil {
			return nil, err
		}
		return t, f.fits(p, t, "weight")
	}
	hint := "name the file: --weights FILE, or weights \"FILE\" at the head of the trace"
	if len(archives) > 0 {
		hint = "the files hold " + list(archiveNames(archives), "no tensors")
	}
	return nil, f.fault(p, fmt.Sprintf("no weight %q for %%%s", key, p.Name), p.Type.String(), "nothing", hint)
}

func archiveNames(archives []tensor.Archive) []string {
	var names []string
	for _, a := range archives {
		names = append(names, a.Names()...)
	}
	return names
}

// fits checks element type, rank and constant sizes; symbols are bound later.
func (f *File) fits(p *ir.Value, t *tensor.Tensor, what string) error {
	ok := t.DType() == p.Type.DType && t.Rank() == p.Type.Rank()
	for i := 0; ok && i < t.Rank(); i++ {
		n, isConst := p.Type.Shape[i].Const()
		ok = !isConst || n == int64(t.Shape()[i])
	}
	if ok {
		return nil
	}
	return f.fault(p, fmt.Sprintf("the %s for %%%s has the wrong type", what, p.Name), p.Type.String(), typeOf(t), "")
}

// bindFault points a mismatch of sizes at its parameter.
func (f *File) bindFault(err error) error {
	var be *ir.BindError
	if !errors.As(err, &be) {
		return err
	}
	p := be.Param
	if p == nil {
		return fmt.Errorf("@%s: %w", f.Func.Name, err)
	}
	return f.fault(p, "%"+p.Name+": "+be.What, be.Expected, be.Got, be.Hint)
}

func typeOf(t *tensor.Tensor) string { return shapeText(t.DType(), t.Shape()) }

func shapeText(dt tensor.DType, shape []int) string { return ir.TConst(dt, shape...).String() }

func contains(names []string, s string) bool {
	for _, n := range names {
		if n == s {
			return true
		}
	}
	return false
}

// list prints at most eight names.
func list(names []string, none string) string {
	switch n := len(names); {
	case n == 0:
		return none
	case n > 8:
		return strings.Join(names[:8], ", ") + fmt.Sprintf(" and %d more", n-8)
	}
	return strings.Join(names, ", ")
}
