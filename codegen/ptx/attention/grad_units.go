package attention

import "jitc/codegen/ptx/asm"

// tensorGrad multiplies 16 rows a warp on tensor cores, as tensorForward does: A are
// its queries, B its keys, and its values.
type tensorGrad struct {
	*grad
	aAt, bRows, bCols [2]asm.Reg // for ldmatrix
	acc               [2][]asm.Vec
	pairCol           asm.Reg
}

func (u *tensorGrad) strides() [2]int { return [2]int{u.l.keyRow, u.l.valueRow} }
func (u *tensorGrad) cols() [2]int    { return [2]int{u.l.headCols, u.l.valueCols} }

func (u *tensorGrad) place(shared, warp asm.Reg) (asm.Reg, []int, asm.Reg, []int) {
	warpRow := u.Op(asm.B32, "shl.b32", warp, 4)
	in8 := u.and(u.lane, 7)
	low := u.and(u.shr(u.lane, 3), 1)
	high := u.shr(u.lane, 4)
	byLow, byHigh := u.mad(low, 8, in8), u.mad(high, 8, in8)
	for i, at := range [2][2]int{{0, u.l.k}, {u.l.querySize, u.l.v}} {
		stride := u.strides()[i]
		u.aAt[i] = u.mad(u.add(byLow, warpRow), stride, u.mad(high, 16, u.add(shared, at[0])))
		u.bRows[i] = u.mad(byHigh, stride, u.mad(low, 16, u.add(shared, at[1])))
		u.bCols[i] = u.mad(byLow, stride, u.mad(high, 16, u.add(shared, at[1])))
	}
	for i := range u.out {
		u.acc[i] = u.zeroRows(u.cols()[i]/8, 4)
	}
	quad := u.and(u.lane, 3)
	u.pairCol = u.add(quad, quad)
	return u.add(warpRow, u.shr(u.lane, 2)), []int{0, 8}, u.pairCol, pairs(u.t.keys, 1)
}

func (u *tensorGrad) products(which int) []asm.Vec {
	out := u.zeroRows(u.t.keys/8, 4)
	at := u.add(u.bRows[which], u.stage)
	for s := range u.cols()[which] / 16 {
		a := u.ldmatrix("", u.aAt[which], 32*s)
		for j := range u.t.keys / 16 {
			b := u.ldmatrix("", at, 16*j*u.strides()[which]+32*s)
			u.mma(out[2*j], a, b[:2])
			u.mma(out[2*j+1], a, b[2:])
		}
	}
	rows := make([]asm.Vec, 2)
	for _, t := range out {
		rows[0], rows[1] = append(rows[0], t[0], t[1]), append(rows[1], t[2], t[3])
	}
	return rows
}

func (u *tensorGrad) accumulate(which int, left []asm.Vec) {
	at := u.add(u.bCols[which], u.stage)
	for s := range u.t.keys / 16 {
		var a asm.Vec
		for _, c := range []int{4 * s, 4*s + 2} {
			a = append(a, u.pack(left[0][c], left[0][c+1]), u.pack(left[1][c], left[1][c+1]))
		}
		for j := range u.cols()[which] / 16 {
			b := u.ldmatrix(".trans", at, 16*s*u.strides()[which]+32*j)
			u.mma(u.acc[which][2*j], a, b[:2])
			u.mma(u.acc[which][2*j+1], a, b[2:])
		}
	}
}

func (u *tensorGrad) results(which int) ([][]asm.Vec, []int, asm.Reg, int) {
	groups := make([][]asm.Vec, 2)
	for _, t := range u.acc[which] {
		groups[0], groups[1] = append(groups[0], t[:2]), append(groups[1], t[2:])
	}
	return groups, pairs(u.cols()[which], 8), u.pairCol, 6
}

// exactGrad multiplies in f32, as exactForward does: half a warp has every second row,
// its lane x columns x, x+16, ... of X and columns 4x..4x+3, 64+4x... of G.
type exactGrad struct {
	*grad
	lane16           asm.Reg
	aAt, bRows       [2]asm.Reg   // of the thread's first row
	bCols            [2][]asm.Reg // and of its columns
	left, leftColumn asm.Reg
	acc              [2][][]asm.Vec
	col              asm.Reg
}

func (u *exactGrad) strides() [2]int { return [2]int{u.l.keyRow, u.l.valueRow} }
func (u *exactGrad) cols() [2]int    { return [2]int{u.l.headCols, u.l.valueCols} }

func (u *exactGrad) place(shared, warp asm.Reg) (asm.Reg, []int, asm.Reg, []int) {
	half := u.shr(u.lane, 4)
	u.lane16 = u.and(u.lane, 15)
	row := u.mad(warp, 2*u.t.per, half)
	for i, at := range [2][2]int{{0, u.l.k}, {u.l.querySize, u.l.v}} {
		u.aAt[i] = u.mad(row, u.strides()[i], u.add(shared, at[0]))
		u.bRows[i] = u.mad(u.lane16, u.strides()[i], u.add(shared, at[1]))
	}
	for i := range u.out {
		at := u.add(shared, []int{u.l.k, u.l.v}[i])
		u.bCols[i] = u.quadAddresses(at, u.lane16, u.cols()[i]/4)
		for range u.t.per {
			u.acc[i] = append(u.acc[i], u.zeroRows(len(u.bCols[i]), 4))
		}
	}
	u.left = u.mad(row, u.l.probRow, u.add(shared, u.l.prob))
	u.leftColumn = u.mad(u.lane16, 4, u.left)
	u.col = u.Op(asm.B32, "shl.b32", u.lane16, 2)
	return row, multiples(u.t.per, 2), u.lane16, multiples(u.t.keys/16, 16)
}

func (u *exactGrad) products(which int) []asm.Vec {
	at := u.add(u.bRows[which], u.stage)
	return u.dots(u.t, u.aAt[which], at, u.strides()[which], u.cols()[which])
}

// accumulate exchanges left through shared memory of the warp.
func (u *exactGrad) accumulate(which int, left []asm.Vec) {
	u.Emit("bar.warp.sync", -1) // the one before has been read
	for i, row := range left {
		for j, x := range row {
			u.Emit("st.shared.f32", asm.At(u.leftColumn, 2*i*u.l.probRow+64*j), x)
		}
	}
	u.Emit("bar.warp.sync", -1)
	var at []asm.Reg
	for _, c := range u.bCols[which] {
		at = append(at, u.add(c, u.stage))
	}
	u.outer(u.t, u.acc[which], u.left, u.l.probRow, at, u.strides()[which])
}

func (u *exactGrad) results(which int) ([][]asm.Vec, []int, asm.Reg, int) {
	return u.acc[which], multiples(len(u.bCols[which]), 64), u.col, 60
}
