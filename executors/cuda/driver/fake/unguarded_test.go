//go:build !linux && !darwin && !windows

package fake

// guarded says that the host cannot touch addresses of the device.
const guarded = false
