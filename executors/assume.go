package executors

import "jitc/ir/dim"

// Assumption is a choice that a launch made by the sizes it was bound to, among
// forms of a kernel that run different code. It says nothing of what the kernel
// computes, which is the same.
type Assumption struct {
	What string // the choice: "stores past the caches"
	// Conds, over the kernel's symbols, hold at the launch's sizes, and wherever
	// they hold the choice is the same. None: the choice cannot be told in
	// conditions on sizes, or it falls the same way for all of them.
	Conds []dim.Constraint
}

// Assumer is implemented by launches whose kernel has several forms.
type Assumer interface {
	// Assumes lists the choices, in the order in which they were made.
	Assumes() []Assumption
}
