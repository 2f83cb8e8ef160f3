package diskcache

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
)

// The file sizes lets every process know how large the cache is without looking
// at each of its files. It holds 8-byte numbers, little-endian: the size that the
// last sweep found, with baseBit set, then what was added since by any process.
//
//	base|900 MB  +20 kB  +31 kB  +18 kB ...
//
// It may err: what a crash left out, or an entry that was replaced and counts
// twice, is put right by the next sweep. Anything unreadable asks for one.
const (
	sizesName = "sizes"
	baseBit   = 1 << 63
	// maxSizes bounds the file; a sweep makes it one number again.
	maxSizes = 1 << 20
)

// added notes that a file of n bytes came, and sweeps when the bound is passed, or
// when that was not done for long.
func (c *Cache) added(root *os.Root, n int64) {
	total, known := addSize(root, n)
	if known && total <= c.limit && !c.sweepIsDue(root) {
		return
	}
	if err := c.sweep(root); err != nil {
		c.warn("disk cache: its size cannot be kept", sweepLock, err)
	}
}

// addSize appends to the file sizes and returns the total; known is false if the
// file does not say.
func addSize(root *os.Root, n int64) (total int64, known bool) {
	f, err := root.OpenFile(sizesName, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	// One small write in append mode: those of other processes go before or after.
	if _, err := f.Write(binary.LittleEndian.AppendUint64(nil, uint64(n))); err != nil {
		return 0, false
	}
	file, err := io.ReadAll(io.NewSectionReader(f, 0, maxSizes+1))
	if err != nil {
		return 0, false
	}
	return sumSizes(file)
}

// sumSizes adds up the file's numbers.
func sumSizes(file []byte) (total int64, known bool) {
	if len(file)%8 != 0 || len(file) < 8 || len(file) > maxSizes {
		return 0, false
	}
	for i := 0; i < len(file); i += 8 {
		x := binary.LittleEndian.Uint64(file[i:])
		if (x&baseBit != 0) != (i == 0) {
			return 0, false
		}
		total += int64(x &^ baseBit)
		if total < 0 {
			return 0, false
		}
	}
	return total, true
}

// readSizes is the file as it is now; nil if there is none.
func readSizes(root *os.Root) []byte {
	f, err := root.Open(sizesName)
	if err != nil {
		return nil
	}
	defer f.Close()
	file, _ := io.ReadAll(io.LimitReader(f, maxSizes))
	return file
}

// resetSizes makes total the base. before is the file as it was when the sweep
// began: what was added since may be in the total or not, and is taken along.
func (c *Cache) resetSizes(root *os.Root, total int64, before []byte) error {
	file := binary.LittleEndian.AppendUint64(nil, uint64(total)|baseBit)
	if since := readSizes(root); len(since) > len(before) {
		file = append(file, since[len(before):]...)
	}
	tmp := tempName()
	err := c.write(root, tmp, file)
	if err == nil {
		err = root.Rename(tmp, sizesName)
	}
	if err != nil {
		_ = root.Remove(tmp)
	}
	return err
}

// forgetSizes makes the next Put look at every file.
func forgetSizes(root *os.Root) error {
	if err := root.Remove(sizesName); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
