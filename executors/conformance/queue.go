package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"unsafe"

	"jitc/executors"
)

// queueChecks are the tests of an accelerator's queue; none for other executors.
func (s *suite) queueChecks() []check {
	if s.q == nil {
		return nil
	}
	checks := []check{
		{"queue", s.checkQueue},
		{"device memory", s.checkMemory},
		{"copies", s.checkCopies},
		{"copies of other lengths", s.checkLengths},
		{"order of copies and frees", s.checkOrder},
		{"too little memory", s.checkTooLittle},
		{"concurrent copies", s.checkConcurrentCopies},
	}
	return append(checks, s.batchChecks()...)
}

// checkQueue: a device has one queue, and one name.
func (s *suite) checkQueue() error {
	again, err := s.e.(executors.Accelerator).Queue()
	if err != nil || again != s.q {
		return fmt.Errorf("the second call of Queue gives another queue (%v)", err)
	}
	if got, want := s.q.Device(), s.e.Device(); got != want || got == executors.CPU {
		return fmt.Errorf("the queue's device is %q, the executor's %q", got, want)
	}
	return nil
}

// pattern fills memory of the host with bytes that differ by place and by n.
func pattern(bytes, n int) []byte {
	out := make([]byte, bytes)
	for i := range out {
		out[i] = byte(i*7 + i>>8 + n*31)
	}
	return out
}

// transferSizes are nothing, odd sizes, and more than any buffer of copies holds.
var transferSizes = []int{0, 1, 255, 256, 4097, 9<<20 + 3}

// alignment is what Queue promises of addresses.
const alignment = 256

// checkMemory: blocks are as long and as aligned as promised, and keep apart.
func (s *suite) checkMemory() (err error) {
	defer recovered(&err, "Alloc or Free")
	mems := make([][]byte, len(transferSizes))
	for i, n := range transferSizes {
		if mems[i], err = s.q.Alloc(n); err != nil {
			return fmt.Errorf("Alloc(%d): %w", n, err)
		}
		defer s.q.Free(mems[i])
		if at := uintptr(unsafe.Pointer(unsafe.SliceData(mems[i]))); len(mems[i]) != n || n > 0 && at%alignment != 0 {
			return fmt.Errorf("Alloc(%d) gives %d bytes at %#x", n, len(mems[i]), at)
		}
		if err := s.q.Upload(mems[i], pattern(n, i)); err != nil {
			return err
		}
	}
	for i, n := range transferSizes {
		if err := s.holds(mems[i], pattern(n, i), fmt.Sprintf("block %d of %d bytes", i, n)); err != nil {
			return err
		}
	}
	return nil
}

// holds downloads memory and compares it.
func (s *suite) holds(mem, want []byte, what string) error {
	got := make([]byte, len(want))
	if err := s.q.Download(got, mem); err != nil {
		return fmt.Errorf("download of %s: %w", what, err)
	}
	for i := range want {
		if got[i] != want[i] {
			return fmt.Errorf("%s: byte %d is %#x, expected %#x", what, i, got[i], want[i])
		}
	}
	return nil
}

// filled allocates memory with a pattern.
func (s *suite) filled(bytes, n int) ([]byte, error) {
	mem, err := s.q.Alloc(bytes)
	if err != nil {
		return nil, err
	}
	return mem, s.q.Upload(mem, pattern(bytes, n))
}

// checkCopies: what is uploaded may be written at once; parts of blocks, at odd
// places, are copied as wholes are.
func (s *suite) checkCopies() (err error) {
	defer recovered(&err, "a copy")
	for i, n := range transferSizes {
		a, err := s.q.Alloc(n + 7)
		if err != nil {
			return err
		}
		defer s.q.Free(a)
		b, err := s.q.Alloc(n + 7)
		if err != nil {
			return err
		}
		defer s.q.Free(b)
		src := pattern(n, i)
		if err := errors.Join(s.q.Upload(a[3:3+n], src), poison(src), s.q.Copy(b[5:5+n], a[3:3+n])); err != nil {
			return err
		}
		if err := s.holds(b[5:5+n], pattern(n, i), fmt.Sprintf("a copy of %d bytes", n)); err != nil {
			return err
		}
	}
	return s.q.Sync()
}

// poison overwrites memory of the host.
func poison(mem []byte) error {
	for i := range mem {
		mem[i] = 0xEE
	}
	return nil
}

// checkLengths: what does not fit is an error, and nothing is copied.
func (s *suite) checkLengths() (err error) {
	defer recovered(&err, "a copy")
	mem, err := s.filled(16, 1)
	if err != nil {
		return err
	}
	defer s.q.Free(mem)
	for what, err := range map[string]error{
		"Upload":   s.q.Upload(mem[:4], make([]byte, 8)),
		"Download": s.q.Download(make([]byte, 8), mem[:4]),
		"Copy":     s.q.Copy(mem[:4], mem[8:16]),
	} {
		if err == nil {
			return fmt.Errorf("%s between 8 bytes and 4 gives no error", what)
		}
	}
	return s.holds(mem, pattern(16, 1), "memory after copies that do not fit")
}

// checkOrder: memory may be freed and used again as soon as its last use is queued.
func (s *suite) checkOrder() (err error) {
	defer recovered(&err, "Copy or Free")
	const n = 100_000
	var kept [][]byte
	for i := range 8 {
		a, err := s.filled(n, i)
		if err != nil {
			return err
		}
		b, err := s.q.Alloc(n)
		if err != nil {
			return err
		}
		kept = append(kept, b)
		defer s.q.Free(b)
		if err := errors.Join(s.q.Copy(b, a), s.q.Upload(a, pattern(n, 100+i))); err != nil {
			return err
		}
		s.q.Free(a) // the next round may get it
	}
	for i, b := range kept {
		if err := s.holds(b, pattern(n, i), "a copy of memory that was written, freed and used again since"); err != nil {
			return err
		}
	}
	return nil
}

// checkTooLittle: the error says how much was asked for, and the queue goes on.
func (s *suite) checkTooLittle() (err error) {
	defer recovered(&err, "Alloc")
	const huge = 1 << 50
	switch mem, err := s.q.Alloc(huge); {
	case err == nil:
		s.q.Free(mem)
		return fmt.Errorf("there are %d bytes of memory", huge)
	case !strings.Contains(err.Error(), fmt.Sprint(huge)):
		return fmt.Errorf("the error of too little memory does not say how much was asked for: %w", err)
	}
	mem, err := s.filled(64, 2)
	if err != nil {
		return fmt.Errorf("after an allocation that failed: %w", err)
	}
	defer s.q.Free(mem)
	return s.holds(mem, pattern(64, 2), "memory after an allocation that failed")
}

// checkConcurrentCopies: goroutines that use memory of their own do not meet.
func (s *suite) checkConcurrentCopies() error {
	const goroutines, rounds = 6, 4
	errs := make([]error, goroutines)
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			defer recovered(&errs[g], "a copy")
			for r := range rounds {
				if err := s.roundTrip(1000*g+100, g*rounds+r); err != nil {
					errs[g] = err
					return
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func (s *suite) roundTrip(bytesEach, n int) error {
	a, err := s.filled(bytesEach, n)
	if err != nil {
		return err
	}
	defer s.q.Free(a)
	b, err := s.q.Alloc(bytesEach)
	if err != nil {
		return err
	}
	defer s.q.Free(b)
	if err := s.q.Copy(b, a); err != nil {
		return err
	}
	got := make([]byte, bytesEach)
	if err := s.q.Download(got, b); err != nil {
		return err
	}
	if !bytes.Equal(got, pattern(bytesEach, n)) {
		return errors.New("a goroutine's memory holds what another wrote")
	}
	return nil
}
