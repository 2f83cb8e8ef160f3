package asm

// Opmask instructions. Every width is an Op (KANDW, KORTESTQ, ...); the generic emitters take any of them,
// and the 16-bit forms, which serve 512 bits of 4-byte elements, have methods of their own.

// KK3 emits a three-operand opmask instruction: KAND, KANDN, KOR, KXOR, KXNOR, KADD, KUNPCK.
func (a *Asm) KK3(op Op, d, s1, s2 K) { a.RR(op, X128, V(d), V(s1), V(s2), 0) }

// KK emits a two-operand one: KNOT, KORTEST, KTEST, KMOV ld between opmasks.
func (a *Asm) KK(op Op, d, s K) { a.RR(op, X128, V(d), 0, V(s), 0) }

// KKi emits KSHIFTL or KSHIFTR.
func (a *Asm) KKi(op Op, d, s K, n uint8) { a.RRi(op, X128, V(d), 0, V(s), 0, n) }

// KM emits KMOV ld or st: between an opmask and memory.
func (a *Asm) KM(op Op, k K, m Mem) { a.RM(op, X128, V(k), 0, m, 0) }

func (a *Asm) KANDW(d, s1, s2 K)  { a.KK3(KANDW, d, s1, s2) }
func (a *Asm) KANDNW(d, s1, s2 K) { a.KK3(KANDNW, d, s1, s2) }
func (a *Asm) KORW(d, s1, s2 K)   { a.KK3(KORW, d, s1, s2) }
func (a *Asm) KXORW(d, s1, s2 K)  { a.KK3(KXORW, d, s1, s2) }
func (a *Asm) KXNORW(d, s1, s2 K) { a.KK3(KXNORW, d, s1, s2) }
func (a *Asm) KNOTW(d, s K)       { a.KK(KNOTW, d, s) }
func (a *Asm) KORTESTW(s1, s2 K)  { a.KK(KORTESTW, s1, s2) }

func (a *Asm) KSHIFTRW(d, s K, n uint8) { a.KKi(KSHIFTRW, d, s, n) }

// KMOVBr, KMOVWr, KMOVDr and KMOVQr are k = the low 8, 16, 32 and 64 bits of r.
func (a *Asm) KMOVBr(k K, r Reg) { a.RR(KMOVBr, X128, V(k), 0, V(r), 0) }
func (a *Asm) KMOVWr(k K, r Reg) { a.RR(KMOVWr, X128, V(k), 0, V(r), 0) }
func (a *Asm) KMOVDr(k K, r Reg) { a.RR(KMOVDr, X128, V(k), 0, V(r), 0) }
func (a *Asm) KMOVQr(k K, r Reg) { a.RR(KMOVQr, X128, V(k), 0, V(r), 0) }

// KMOVBk, KMOVWk, KMOVDk and KMOVQk are r = the low bits of k, the rest cleared.
func (a *Asm) KMOVBk(r Reg, k K) { a.RR(KMOVBg, X128, V(r), 0, V(k), 0) }
func (a *Asm) KMOVWk(r Reg, k K) { a.RR(KMOVWg, X128, V(r), 0, V(k), 0) }
func (a *Asm) KMOVDk(r Reg, k K) { a.RR(KMOVDg, X128, V(r), 0, V(k), 0) }
func (a *Asm) KMOVQk(r Reg, k K) { a.RR(KMOVQg, X128, V(r), 0, V(k), 0) }

// Vector instructions with operands of several classes, typed.

// VPSLLD and its siblings shift by an immediate count.
func (a *Asm) VPSLLD(l VL, d, s V, n uint8) { a.RRi(VPSLLDi, l, d, 0, s, 0, n) }
func (a *Asm) VPSRLD(l VL, d, s V, n uint8) { a.RRi(VPSRLDi, l, d, 0, s, 0, n) }
func (a *Asm) VPSRAD(l VL, d, s V, n uint8) { a.RRi(VPSRADi, l, d, 0, s, 0, n) }
func (a *Asm) VPSLLQ(l VL, d, s V, n uint8) { a.RRi(VPSLLQi, l, d, 0, s, 0, n) }
func (a *Asm) VPSRLQ(l VL, d, s V, n uint8) { a.RRi(VPSRLQi, l, d, 0, s, 0, n) }
func (a *Asm) VPSLLW(l VL, d, s V, n uint8) { a.RRi(VPSLLWi, l, d, 0, s, 0, n) }
func (a *Asm) VPSRLW(l VL, d, s V, n uint8) { a.RRi(VPSRLWi, l, d, 0, s, 0, n) }

// VMOVDr and VMOVQr move 4 and 8 bytes from a general register to an xmm, VMOVDg and VMOVQg back.
func (a *Asm) VMOVDr(d V, s Reg) { a.RR(VMOVDld, X128, d, 0, V(s), 0) }
func (a *Asm) VMOVQr(d V, s Reg) { a.RR(VMOVQr, X128, d, 0, V(s), 0) }
func (a *Asm) VMOVDg(d Reg, s V) { a.RR(VMOVDst, X128, s, 0, V(d), 0) }
func (a *Asm) VMOVQg(d Reg, s V) { a.RR(VMOVQg, X128, s, 0, V(d), 0) }

// Broadcast emits VPBROADCASTBr, Wr, Dr or Qr: every element of d is the low bits of s.
func (a *Asm) Broadcast(op Op, l VL, d V, s Reg, f Flags) { a.RR(op, l, d, 0, V(s), f) }

// Blendv emits VBLENDVPS, VBLENDVPD or VPBLENDVB: each element from s2 where mask's sign bit is set.
func (a *Asm) Blendv(op Op, l VL, d, s1, s2, mask V) { a.RRi(op, l, d, s1, s2, 0, uint8(mask)<<4) }
