package tensor

import (
	"encoding/binary"
	"io"
	"math/bits"
)

// Storage is in the machine's byte order; all files are written little-endian.
var hostBigEndian = binary.NativeEndian.Uint16([]byte{0, 1}) == 1

// swapBytes reverses the bytes of every element.
func swapBytes(data []byte, size int) {
	switch size {
	case 2:
		for i, s := 0, elements[uint16](data); i < len(s); i++ {
			s[i] = bits.ReverseBytes16(s[i])
		}
	case 4:
		for i, s := 0, elements[uint32](data); i < len(s); i++ {
			s[i] = bits.ReverseBytes32(s[i])
		}
	case 8:
		for i, s := 0, elements[uint64](data); i < len(s); i++ {
			s[i] = bits.ReverseBytes64(s[i])
		}
	}
}

// writeElements writes t's elements row-major and little-endian.
func writeElements(w io.Writer, t *Tensor) error {
	t, err := t.ToHost()
	if err != nil {
		return err
	}
	if hostBigEndian {
		t = t.Clone()
		swapBytes(t.data, t.dtype.Size())
	}
	_, err = w.Write(t.rowMajorBytes())
	return err
}
