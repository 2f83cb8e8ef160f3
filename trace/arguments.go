package trace

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
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
// at the parameter. A parameter without a name goes by its number in the printed
// form: "0" for %0.
func (f *File) Arguments(s Sources) ([]*tensor.Tensor, map[string]int64, error) {
	if err := f.checkNames(s); err != nil {
		return nil, nil, err
	}
	sizes, err := f.sizes(s)
	if err != nil {
		return nil, nil, err
	}
	args := make([]*tensor.Tensor, len(f.Func.Params))
	for i, name := range f.paramNames() {
		if s.Progress != nil {
			s.Progress(i, len(args), name)
		}
		if args[i], err = f.argument(f.Func.Params[i], name, s, sizes); err != nil {
			return nil, nil, err
		}
	}
	sizes, err = ir.BindSizes(f.Func, args, sizes)
	if err != nil {
		return nil, nil, f.bindFault(err)
	}
	return args, sizes, nil
}

// paramNames are the parameters' names as the printed form has them, without "%".
func (f *File) paramNames() []string {
	all, names := f.Func.ValueNames(nil), make([]string, len(f.Func.Params))
	for i, p := range f.Func.Params {
		names[i] = strings.TrimPrefix(all[p.ID], "%")
	}
	return names
}

// checkNames refuses inputs and sizes that the trace does not have.
func (f *File) checkNames(s Sources) error {
	names := f.paramNames()
	for _, n := range slices.Sorted(maps.Keys(s.Inputs)) {
		if !slices.Contains(names, n) {
			return fmt.Errorf("%s: no parameter %%%s: the inputs are %s", f.Path, n, list(f.InputNames(), "none"))
		}
	}
	known := f.Func.Facts.Syms()
	for _, n := range slices.Sorted(maps.Keys(s.Sizes)) {
		if !slices.Contains(known, n) {
			return fmt.Errorf("%s: no size %s: the sizes are %s", f.Path, n, list(known, "none"))
		}
	}
	return nil
}

// InputNames lists the parameters that a caller must give, with their "%".
func (f *File) InputNames() []string {
	var names []string
	for i, n := range f.paramNames() {
		if !ir.IsWeight(f.Func.Params[i]) {
			names = append(names, "%"+n)
		}
	}
	return names
}

// sizes binds what the inputs, the weights' shapes, the given sizes and the facts
// imply: those of generated parameters must follow from them. Declared facts are
// checked here, before anything large is read or generated.
func (f *File) sizes(s Sources) (map[string]int64, error) {
	env := maps.Clone(s.Sizes)
	if env == nil {
		env = map[string]int64{}
	}
	names, bound := f.paramNames(), -1
	for bound < len(env) { // a size may follow from one bound after it
		bound = len(env)
		for i, p := range f.Func.Params {
			if err := bind(p, names[i], s, env); err != nil {
				return nil, f.bindFault(err)
			}
		}
	}
	for _, sym := range f.Func.Facts.Syms() {
		if _, ok := env[sym]; ok {
			continue
		}
		if lo, hi := f.Func.Facts.Range(dim.Sym(sym)); lo == hi {
			env[sym] = lo
		}
	}
	for _, sym := range f.Func.Facts.Syms() { // T == 2*B
		if _, ok := env[sym]; !ok {
			if n, err := f.Func.Facts.Simplify(dim.Sym(sym)).Eval(env); err == nil {
				env[sym] = n
			}
		}
	}
	var unbound *dim.UnboundError // reported at the parameter that needs it
	if err := ir.CheckFacts(f.Func, env); err != nil && !errors.As(err, &unbound) {
		return nil, f.bindFault(err)
	}
	return env, nil
}

// bind binds the sizes of a parameter whose tensor is given, or in a file.
func bind(p *ir.Value, name string, s Sources, env map[string]int64) error {
	dt, shape := givenType(p, name, s)
	if dt != p.Type.DType || len(shape) != p.Type.Rank() {
		return nil // reported with the whole type later
	}
	_, err := ir.BindShape(p, dt, shape, env)
	return err
}

// givenType is the type of the tensor that the sources have for a parameter;
// Invalid if they have none.
func givenType(p *ir.Value, name string, s Sources) (tensor.DType, []int) {
	if t := s.Inputs[name]; t != nil {
		return t.DType(), t.Shape()
	}
	if key := p.Attrs.Str("weight", ""); key != "" {
		for _, a := range s.Weights {
			if slices.Contains(a.Names(), key) {
				if dt, shape, err := a.Info(key); err == nil {
					return dt, shape
				}
				break // reported when it is read
			}
		}
	}
	return tensor.Invalid, nil
}

func (f *File) argument(p *ir.Value, name string, s Sources, sizes map[string]int64) (*tensor.Tensor, error) {
	if t := s.Inputs[name]; t != nil {
		return t, f.fits(p, name, t, "input")
	}
	if key := p.Attrs.Str("weight", ""); key != "" {
		return f.weight(p, name, key, s.Weights)
	}
	rule, ok := ir.ParamRule(p)
	if !ok {
		return nil, f.fault(p, "no tensor for the input %"+name, p.Type.String(), "nothing",
			fmt.Sprintf("give one (--input %s=FILE), or a rule in the trace ({init=\"normal\", seed=1})", name))
	}
	shape, err := f.shape(p, name, sizes)
	if err != nil {
		return nil, err
	}
	t, err := tensor.Generate(rule, p.Type.DType, shape)
	if err != nil {
		return nil, f.fault(p, fmt.Sprintf("cannot generate %%%s: %s", name, strings.TrimPrefix(err.Error(), "tensor: ")), "", "", "")
	}
	return t, nil
}

// maxGenerated bounds one generated tensor, in bytes.
const maxGenerated = 1 << 38

func (f *File) shape(p *ir.Value, name string, sizes map[string]int64) ([]int, error) {
	shape, err := ir.EvalShape(p.Type.Shape, sizes)
	var unbound *dim.UnboundError
	switch {
	case errors.As(err, &unbound):
		return nil, f.fault(p, fmt.Sprintf("the size %s of %%%s is not known", unbound.Sym, name), "", p.Type.String(),
			fmt.Sprintf("give it: --dim %s=N, with %s", unbound.Sym, f.factsOf(unbound.Sym)))
	case err != nil:
		return nil, f.fault(p, err.Error(), "", p.Type.String(), "")
	}
	if n, err := tensor.CheckedElements(shape); err != nil || n > maxGenerated/p.Type.DType.Size() {
		return nil, f.fault(p, fmt.Sprintf("%%%s is too large to generate", name), fmt.Sprintf("at most %d GiB", maxGenerated>>30),
			shapeText(p.Type.DType, shape), "")
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

func (f *File) weight(p *ir.Value, name, key string, archives []tensor.Archive) (*tensor.Tensor, error) {
	for _, a := range archives {
		if !slices.Contains(a.Names(), key) {
			continue
		}
		dt, shape, err := a.Info(key)
		if err != nil {
			return nil, err
		}
		if dt != p.Type.DType || len(shape) != p.Type.Rank() {
			return nil, f.fault(p, fmt.Sprintf("weight %q does not fit %%%s", key, name), p.Type.String(), shapeText(dt, shape), "")
		}
		t, err := a.Load(key)
		if err != nil {
			return nil, err
		}
		return t, f.fits(p, name, t, "weight")
	}
	hint := "name the file: --weights FILE, or weights \"FILE\" at the head of the trace"
	if len(archives) > 0 {
		hint = "the files hold " + list(archiveNames(archives), "no tensors")
	}
	return nil, f.fault(p, fmt.Sprintf("no weight %q for %%%s", key, name), p.Type.String(), "nothing", hint)
}

func archiveNames(archives []tensor.Archive) []string {
	var names []string
	for _, a := range archives {
		names = append(names, a.Names()...)
	}
	return names
}

// fits checks element type, rank and constant sizes; symbols are bound later.
func (f *File) fits(p *ir.Value, name string, t *tensor.Tensor, what string) error {
	ok := t.DType() == p.Type.DType && t.Rank() == p.Type.Rank()
	for i := 0; ok && i < t.Rank(); i++ {
		n, isConst := p.Type.Shape[i].Const()
		ok = !isConst || n == int64(t.Shape()[i])
	}
	if ok {
		return nil
	}
	return f.fault(p, fmt.Sprintf("the %s for %%%s has the wrong type", what, name), p.Type.String(), typeOf(t), "")
}

// bindFault points a mismatch of sizes at its parameter.
func (f *File) bindFault(err error) error {
	var be *ir.BindError
	if !errors.As(err, &be) {
		return err
	}
	p := be.Param
	if p == nil {
		return fmt.Errorf("%s: @%s: %w", f.Path, f.Func.Name, err)
	}
	name := f.paramNames()[slices.Index(f.Func.Params, p)]
	return f.fault(p, "%"+name+": "+be.What, be.Expected, be.Got, be.Hint)
}

func typeOf(t *tensor.Tensor) string { return shapeText(t.DType(), t.Shape()) }

func shapeText(dt tensor.DType, shape []int) string { return ir.TConst(dt, shape...).String() }

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
