// Package fake is a CUDA driver without a GPU: the PTX that it is given is
// interpreted (package sim), on memory that the host cannot touch.
//
//	d := fake.New(fake.Config{})
//	ctx, _ := d.RetainContext(0)
//	runtime.LockOSThread(); d.SetContext(ctx)
//	m, _, err := d.LoadModule([]byte(text))
//	d.Launch(f, &driver.LaunchConfig{...}, stream) // queued
//	d.SyncStream(stream)                           // executed here
//
// It is a driver that is hard on its caller:
//
//   - Addresses of the device fault where the host reads them. No address is given
//     out twice while there are others, and none is aligned to more than the 256 bytes
//     that are promised.
//   - What is queued is executed as late as can be: when something waits for it. So a
//     copy reads host memory that was reused too early as it is by then, and what was
//     freed too early is gone. Streams are independent of each other.
//   - The nodes of a graph run in an order that their dependencies allow but that
//     nobody would expect: those added last first, then at random.
//   - A call without a current context, of a goroutine that is not locked to its
//     thread, is an error; so is a copy of host memory that is not pinned, and every
//     use of a handle that is not alive.
//   - A fault of the interpreter ends the context, as it does on a device.
//
// Errors are *driver.Error with the driver's codes. Safe for concurrent use; calls
// of one Driver do not overlap.
package fake
