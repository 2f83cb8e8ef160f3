package asm

import "fmt"

// AMX: eight tiles of up to 16 rows of 64 bytes. The configuration belongs to the operating-system thread,
// so a kernel loads it and releases it within one call.

// LDTILECFG loads the 64-byte configuration, STTILECFG stores it.
func (a *Asm) LDTILECFG(m Mem) { a.tileMem("ldtilecfg ", 0x49|m38|vex, 0, m, m.String()) }
func (a *Asm) STTILECFG(m Mem) { a.tileMem("sttilecfg ", 0x49|m38|p66|vex, 0, m, m.String()) }

// TILELOADD loads a tile whose rows lie a stride apart: m.Index holds the stride in bytes. TILELOADDT1
// hints that the data will not be used again soon.
func (a *Asm) TILELOADD(t T, m Mem) {
	a.tileIndexed("tileloadd ", 0x4B|m38|pF2|vex, t, m, fmt.Sprintf("tmm%d, %s", t, m))
}
func (a *Asm) TILELOADDT1(t T, m Mem) {
	a.tileIndexed("tileloaddt1 ", 0x4B|m38|p66|vex, t, m, fmt.Sprintf("tmm%d, %s", t, m))
}

// TILESTORED stores a tile; m.Index holds the row stride in bytes.
func (a *Asm) TILESTORED(m Mem, t T) {
	a.tileIndexed("tilestored ", 0x4B|m38|pF3|vex, t, m, fmt.Sprintf("%s, tmm%d", m, t))
}

// TILERELEASE returns the tiles to their initial state.
func (a *Asm) TILERELEASE() { a.bare("tilerelease", 0xC4, 0xE2, 0x78, 0x49, 0xC0) }

// TILEZERO clears a tile.
func (a *Asm) TILEZERO(t T) {
	if !a.tiles(t) {
		return
	}
	if a.Trace {
		a.note(fmt.Sprintf("tilezero tmm%d", t))
	}
	a.vexPrefix(0x49|m38|pF2, X128, 0, 0, 0, 0)
	a.B = append(a.B, 0xC0|byte(t)<<3)
}

// TDPBF16PS is d += s1*s2 over bf16 pairs, accumulated in f32; the others are its int8 siblings, named for
// the signedness of s1 and s2.
func (a *Asm) TDPBF16PS(d, s1, s2 T) { a.dot("tdpbf16ps", 0x5C|m38|pF3, d, s1, s2) }
func (a *Asm) TDPBSSD(d, s1, s2 T)   { a.dot("tdpbssd", 0x5E|m38|pF2, d, s1, s2) }
func (a *Asm) TDPBUSD(d, s1, s2 T)   { a.dot("tdpbusd", 0x5E|m38|p66, d, s1, s2) }

func (a *Asm) dot(name string, e enc, d, s1, s2 T) {
	if !a.tiles(d, s1, s2) {
		return
	}
	if d == s1 || d == s2 || s1 == s2 {
		a.fail("%s: the three tiles must differ", name)
		return
	}
	if a.Trace {
		a.note(fmt.Sprintf("%s tmm%d, tmm%d, tmm%d", name, d, s1, s2))
	}
	a.vexPrefix(e, X128, 0, 0, 0, uint8(s2))
	a.B = append(a.B, 0xC0|byte(d)<<3|byte(s1))
}

func (a *Asm) tiles(ts ...T) bool {
	for _, t := range ts {
		if t > 7 {
			a.fail("no such tile: %d", t)
			return false
		}
	}
	return true
}

func (a *Asm) tileIndexed(name string, e enc, t T, m Mem, operands string) {
	if m.Index == NoReg {
		a.fail("%s: the index register holds the row stride and cannot be left out", name)
		return
	}
	a.tileMem(name, e, t, m, operands)
}

func (a *Asm) tileMem(name string, e enc, t T, m Mem, operands string) {
	if !a.tiles(t) {
		return
	}
	if mistake := m.mistake(); mistake != "" {
		a.fail("%s%s: %s", name, operands, mistake)
		return
	}
	if a.Trace {
		a.note(name + operands)
	}
	in := inst{isMem: true, mem: m}
	x, b, _ := in.extensions()
	a.vexPrefix(e, X128, 0, x, b, 0)
	a.modrm(uint8(t), &m, 1, 0)
}
