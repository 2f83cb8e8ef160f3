package codegen

import "jitc/ir"

func (p *puller) product(v *ir.Value, at []affine) *node { return p.need(v) }

func (l *lowering) lastProduct(v *ir.Value) *ir.Value { return nil }

func (l *lowering) lowerProduct(d *ir.Value, r *root) (bool, error) { return false, nil }

func pullDot(p *puller, v *ir.Value, at []affine, ctx masks) *node { return p.need(v) }
