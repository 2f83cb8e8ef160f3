package conformance

import (
	"context"
	"errors"
	"fmt"

	"jitc/executors"
	"jitc/fusion"
	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// check is one test of the contract.
type check struct {
	name string
	run  func() error
}

// contract tests what does not depend on an op.
func (s *suite) contract(t TB) {
	t.Helper()
	for _, check := range append([]check{
		{"names", s.checkNames},
		{"structural values", s.checkStructural},
		{"claims", s.checkClaims},
		{"cancelled compilation", s.checkCancelled},
		{"missing sizes", s.checkMissingSizes},
		{"description", s.checkInfo},
		{"updates through views", s.checkUpdates},
	}, s.queueChecks()...) {
		if err := check.run(); err != nil {
			t.Errorf("%s: %s: %v", s.e.Name(), check.name, err)
		}
	}
}

func (s *suite) checkNames() error {
	if s.e.Name() == "" || s.e.Device() == "" {
		return fmt.Errorf("name %q, device %q: neither may be empty", s.e.Name(), s.e.Device())
	}
	return nil
}

// checkStructural: parameters are no computations.
func (s *suite) checkStructural() (err error) {
	defer recovered(&err, "Claim")
	p := ir.NewFunc("f", nil).AddParam("x", ir.TConst(tensor.F32, 4), nil)
	switch claim := s.e.Claim(p); {
	case claim.Level != fusion.Refused:
		return fmt.Errorf("a parameter is %s", claim.Level)
	case claim.Why == "":
		return errors.New("a parameter is refused without a reason")
	}
	return nil
}

// checkClaims: a claim does not depend on names, positions or identities, and no
// type makes Claim panic.
func (s *suite) checkClaims() (err error) {
	defer recovered(&err, "Claim")
	for _, op := range s.ops() {
		for _, sample := range op.Row().Samples() {
			c, ok := plain(application{op, sample})
			if !ok {
				continue
			}
			other := *c.at
			other.ID, other.Name, other.Pos = c.at.ID+1000, "other", ir.Pos{File: "other", Line: 7, Col: 3}
			if a, b := s.e.Claim(c.at), s.e.Claim(&other); a != b {
				return fmt.Errorf("%s: the claim depends on more than op, attributes and types: %v, then %v", c.name, a, b)
			}
		}
	}
	return nil
}

// claimed is a region that the executor takes, with a symbolic size; nil if it
// takes none of those tried.
func (s *suite) claimed() *ir.Func {
	for _, op := range []ir.Op{ir.OpAdd, ir.OpDotGeneral, ir.OpReduceSum, ir.OpExp, ir.OpSoftmax} {
		for _, sample := range op.Row().Samples() {
			c, ok := symbolic(application{op, sample})
			if ok && len(c.at.Type.Elements().Syms()) > 0 && s.e.Claim(c.at).Level != fusion.Refused {
				return c.region
			}
		}
	}
	return nil
}

// checkCancelled: Compile with a context that is done finishes, or gives that
// context's error.
func (s *suite) checkCancelled() (err error) {
	defer recovered(&err, "Compile")
	region := s.claimed()
	if region == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	k, err := s.e.Compile(ctx, region, s.o.Compile)
	switch {
	case err == nil && k == nil:
		return errors.New("neither a kernel nor an error")
	case err != nil && !errors.Is(err, context.Canceled):
		var unsupported *executors.UnsupportedError
		if !errors.As(err, &unsupported) {
			return fmt.Errorf("expected an error that wraps context.Canceled, got %w", err)
		}
	}
	return nil
}

// checkMissingSizes: Bind says what it cannot bind.
func (s *suite) checkMissingSizes() (err error) {
	k, err := s.anyKernel()
	if k == nil {
		return err
	}
	defer recovered(&err, "Bind")
	if _, err := k.Bind(nil); err == nil {
		return errors.New("binding without the symbols' values gives no error")
	}
	return nil
}

func (s *suite) anyKernel() (executors.Kernel, error) {
	region := s.claimed()
	if region == nil {
		return nil, nil
	}
	return s.compile(testCase{op: region.Values[0].Op, region: region})
}

// checkInfo: reports name the executor; there is no dump of an unknown stage.
func (s *suite) checkInfo() (err error) {
	k, err := s.anyKernel()
	if k == nil {
		return err
	}
	defer recovered(&err, "Info or Dump")
	info := k.Info()
	if info.Executor != s.e.Name() || info.Kind == "" {
		return fmt.Errorf("info says executor %q, kind %q; expected %q and a kind", info.Executor, info.Kind, s.e.Name())
	}
	for _, e := range []dim.Expr{info.Bytes, info.Flops} {
		if e.Invalid() {
			return fmt.Errorf("info has the invalid size %s", e)
		}
	}
	if text, ok := k.Dump("no such stage"); ok {
		return fmt.Errorf("dump of an unknown stage gives %q", text)
	}
	return nil
}
