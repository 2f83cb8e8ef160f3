package ptx

import (
	"strings"

	"jitc/codegen/ptx/asm"
)

// Text is PTX of one entry, a module by itself: an assembler takes tens of
// milliseconds for an entry, and a launch needs one of a step's.
type Text struct{ Entry, PTX string }

// Texts are a module's entries, each by itself.
func Texts(m *asm.Module) []Text {
	out := make([]Text, len(m.Kernels))
	for i, k := range m.Kernels {
		one := *m
		one.Kernels = []*asm.Kernel{k}
		out[i] = Text{k.Name, one.String()}
	}
	return out
}

// Whole is one module of all entries, for people to read.
func Whole(texts []Text) string {
	head, bodies := "", ""
	for _, t := range texts {
		h, body, _ := strings.Cut(t.PTX, "\n\n")
		if len(h) > len(head) { // it declares dynamic shared memory too
			head = h
		}
		bodies += "\n" + body
	}
	return head + "\n" + bodies
}
