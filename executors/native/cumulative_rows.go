package native

// The loops are one for each combination: a call for each element would cost more
// than it does.

func addLine[T number](to, from []T, w walk) {
	acc := from[w.at]
	to[w.at] = acc
	for range w.n - 1 {
		w.at += w.step
		acc += from[w.at]
		to[w.at] = acc
	}
}

func mulLine[T number](to, from []T, w walk) {
	acc := from[w.at]
	to[w.at] = acc
	for range w.n - 1 {
		w.at += w.step
		acc *= from[w.at]
		to[w.at] = acc
	}
}

func minLine[T number](to, from []T, w walk) {
	acc := from[w.at]
	to[w.at] = acc
	for range w.n - 1 {
		w.at += w.step
		acc = min(acc, from[w.at])
		to[w.at] = acc
	}
}

func maxLine[T number](to, from []T, w walk) {
	acc := from[w.at]
	to[w.at] = acc
	for range w.n - 1 {
		w.at += w.step
		acc = max(acc, from[w.at])
		to[w.at] = acc
	}
}

// rowsBy makes rows of a combination of two of them.
func rowsBy[T number](into func(dst, carried, x []T)) func(_ *tile, dst, src []byte, w walk, columns int) {
	return func(_ *tile, dst, src []byte, w walk, columns int) {
		to, from := words[T](dst), words[T](src)
		carried := to[w.at:][:columns]
		copy(carried, from[w.at:])
		for range w.n - 1 {
			w.at += w.step
			next := to[w.at:][:columns]
			into(next, carried, from[w.at:][:columns])
			carried = next
		}
	}
}

func addInto[T number](dst, carried, x []T) {
	carried, x = carried[:len(dst)], x[:len(dst)]
	for i := range dst {
		dst[i] = carried[i] + x[i]
	}
}

func mulInto[T number](dst, carried, x []T) {
	carried, x = carried[:len(dst)], x[:len(dst)]
	for i := range dst {
		dst[i] = carried[i] * x[i]
	}
}

func minInto[T number](dst, carried, x []T) {
	carried, x = carried[:len(dst)], x[:len(dst)]
	for i := range dst {
		dst[i] = min(carried[i], x[i])
	}
}

func maxInto[T number](dst, carried, x []T) {
	carried, x = carried[:len(dst)], x[:len(dst)]
	for i := range dst {
		dst[i] = max(carried[i], x[i])
	}
}

// lineBy makes a line of memory of one of elements.
func lineBy[T number](line func(to, from []T, w walk)) func(_ *tile, dst, src []byte, w walk) {
	return func(_ *tile, dst, src []byte, w walk) { line(words[T](dst), words[T](src), w) }
}

// narrowCarrier are the loops of floats narrower than f32.
type narrowCarrier struct {
	size  int
	widen widen
	round round
	carry func(acc, x []float32)
	in32  func(to, from []float32, w walk)
}

// narrowTile is how many elements are widened at once.
const narrowTile = 256

// tile is what a worker has at hand: a part of a row in f32, with room for what is
// carried on either side, and another.
type tile struct{ acc, x [narrowTile + 1]float32 }

// line widens a part of a line, goes along it, and rounds it:
//
//	forward    carried | part            backward    part | carried
//
// A line whose elements are not neighbours goes as rows of one column.
func (c narrowCarrier) line(t *tile, dst, src []byte, w walk) {
	if w.step != 1 && w.step != -1 {
		c.rows(t, dst, src, w, 1)
		return
	}
	carried := float32(0)
	for done := 0; done < w.n; {
		n := min(narrowTile, w.n-done)
		lo, part, way := w.at+done, t.acc[1:][:n], walk{0, 1, n + 1}
		if w.step < 0 {
			lo, part, way = w.at-done-n+1, t.acc[:n], walk{n, -1, n + 1}
		}
		t.acc[way.at] = carried
		if done == 0 { // nothing is carried yet
			way.at, way.n = way.at+w.step, n
		}
		c.widen(part, src[lo*c.size:])
		c.in32(t.acc[:], t.acc[:], way)
		c.round(dst[lo*c.size:], part)
		carried = t.acc[way.at+(way.n-1)*w.step]
		done += n
	}
}

// rows carry a tile of columns at a time.
func (c narrowCarrier) rows(t *tile, dst, src []byte, w walk, columns int) {
	for lo := 0; lo < columns; lo += narrowTile {
		n := min(narrowTile, columns-lo)
		acc, x, at := t.acc[:n], t.x[:n], w.at+lo
		c.widen(acc, src[at*c.size:])
		c.round(dst[at*c.size:], acc)
		for range w.n - 1 {
			at += w.step
			c.widen(x, src[at*c.size:])
			c.carry(acc, x)
			c.round(dst[at*c.size:], acc)
		}
	}
}
