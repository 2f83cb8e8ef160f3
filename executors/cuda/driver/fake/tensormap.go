package fake

import (
	"jitc/codegen/ptx/sim"
	"jitc/codegen/ptx/tensormap"
	"jitc/executors/cuda/driver"
)

// The CUDA version of the first driver that encodes tensor maps, and the first compute
// capability that has them.
const (
	mapsSince   = 12000
	mapsSinceCC = 9
)

// EncodeTensorMap writes a map as the interpreter reads it, where Config says that the
// driver and the device have maps.
func (d *Driver) EncodeTensorMap(dst []byte, m *tensormap.Map, address driver.Ptr) error {
	return d.inside("EncodeTensorMap", func(*context) error {
		if d.cfg.Version < mapsSince || d.cfg.Major < mapsSinceCC {
			return refuse(driver.NotSupported, "a driver of CUDA version %d and compute capability %d.%d; expected at least %d and %d.0",
				d.cfg.Version, d.cfg.Major, d.cfg.Minor, mapsSince, mapsSinceCC)
		}
		if err := sim.EncodeTensorMap(dst, m, uint64(address)); err != nil {
			return refuse(driver.InvalidValue, "%v", err)
		}
		return nil
	})
}
