package exec

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// From the kernel's Documentation/arch/x86/xstate.rst.
const (
	archRequestPermission = 0x1023
	featureTileData       = 18
)

// EnableAMX asks the system for the AMX tile registers, once for the process; without its leave the first
// tile instruction is fatal. The error says why there are none.
func EnableAMX() error { return enableAMX() }

var enableAMX = sync.OnceValue(func() error {
	if _, _, errno := unix.RawSyscall(unix.SYS_ARCH_PRCTL, archRequestPermission, featureTileData, 0); errno != 0 {
		return fmt.Errorf("exec: no AMX tile registers: %w", errno)
	}
	return nil
})
