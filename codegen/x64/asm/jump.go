package asm

import "fmt"

// CC is a condition on the flags.
type CC uint8

// The conditions: unsigned B AE BE A, signed LT GE LE GT, equality E NE, sign S NS, parity P NP (P: a
// float comparison was unordered).
const (
	B  CC = 2
	AE CC = 3
	E  CC = 4
	NE CC = 5
	BE CC = 6
	A  CC = 7
	S  CC = 8
	NS CC = 9
	P  CC = 10
	NP CC = 11
	LT CC = 12
	GE CC = 13
	LE CC = 14
	GT CC = 15
)

var conditionNames = [16]string{"o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"}

// String returns the mnemonic's ending, such as ne.
func (c CC) String() string { return conditionNames[c&15] }

// Not returns the opposite condition.
func (c CC) Not() CC { return c ^ 1 }

// Jcc jumps to l if c holds.
func (a *Asm) Jcc(c CC, l Label) {
	if a.Trace {
		a.note(fmt.Sprintf("j%s L%d", c, l))
	}
	a.jump(l, []byte{0x70 | byte(c&15)}, []byte{0x0F, 0x80 | byte(c&15)})
}

// JMP jumps to l.
func (a *Asm) JMP(l Label) {
	if a.Trace {
		a.note(fmt.Sprintf("jmp L%d", l))
	}
	a.jump(l, []byte{0xEB}, []byte{0xE9})
}

// jump uses the short form backwards where it reaches; a forward distance is not known yet.
func (a *Asm) jump(l Label, short, long []byte) {
	if !a.known(l) {
		return
	}
	if t := a.labels[l]; t >= 0 {
		if d := int(t) - len(a.B) - len(short) - 1; d >= -128 {
			a.B = append(append(a.B, short...), byte(d))
			return
		}
	}
	a.B = append(append(a.B, long...), 0, 0, 0, 0)
	a.fix(l, 0, 0)
}

// JMPr jumps to the address in r, CALLr calls it.
func (a *Asm) JMPr(r Reg) { a.indirect("jmp", 4, r) }

// CALLr calls the address in r.
func (a *Asm) CALLr(r Reg) { a.indirect("call", 2, r) }

func (a *Asm) indirect(name string, ext uint8, r Reg) {
	if a.Trace {
		a.note(name + " " + r.String())
	}
	a.regReg(&legacy{name, [3]byte{0xFF}, 4}, ext, uint8(r), NoReg)
}

// RET returns.
func (a *Asm) RET() { a.bare("ret", 0xC3) }

// CMOVcc is d = s if c holds, 64 bits.
func (a *Asm) CMOVcc(c CC, d, s Reg) { a.rrm("cmov"+c.String(), 8, 0x40|byte(c&15), d, s) }

// SETcc puts 1 or 0 into the low byte of d, leaving the rest.
func (a *Asm) SETcc(c CC, d Reg) {
	if a.Trace {
		a.note(fmt.Sprintf("set%s %s", c, d.name(1)))
	}
	a.regReg(&legacy{"setcc", [3]byte{0x0F, 0x90 | byte(c&15)}, 1}, 0, uint8(d), d)
}

var nops = [9][]byte{
	{0x90}, {0x66, 0x90}, {0x0f, 0x1f, 0}, {0x0f, 0x1f, 0x40, 0}, {0x0f, 0x1f, 0x44, 0, 0},
	{0x66, 0x0f, 0x1f, 0x44, 0, 0}, {0x0f, 0x1f, 0x80, 0, 0, 0, 0}, {0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0},
	{0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0},
}

// Align pads with the fewest NOPs to a multiple of n, a power of two of at most 64.
func (a *Asm) Align(n int) {
	if n <= 0 || n > 64 || n&(n-1) != 0 {
		a.fail("align %d: not a power of two up to 64", n)
		return
	}
	if a.Trace && len(a.B)%n != 0 {
		a.note(fmt.Sprintf(".balign %d", n))
	}
	for len(a.B)%n != 0 {
		a.B = append(a.B, nops[min(n-len(a.B)%n, len(nops))-1]...)
	}
}
