package fake

import (
	"bytes"
	"slices"

	"jitc/codegen/ptx/sim"
	"jitc/executors/cuda/driver"
)

// launch is a launch of a function, with parameters of its own. Immutable.
type launch struct {
	f *function
	l sim.Launch
}

// launch is the launch that a configuration says, where the device allows it.
func (c *context) launch(h driver.Function, conf *driver.LaunchConfig) (*launch, error) {
	f, err := find[*function](c, uintptr(h))
	if err != nil {
		return nil, err
	}
	l := &launch{f, sim.Launch{Entry: f.entry.Name, Shared: int(conf.Shared), Params: bytes.Clone(conf.Params)}}
	for i := range 3 {
		l.l.Grid[i], l.l.Block[i] = int(conf.Grid[i]), int(conf.Block[i])
	}
	if !slices.Equal(conf.Offsets, f.offsets) {
		return nil, refuse(driver.InvalidValue, "%s: parameters at %v, expected %v", f.entry.Name, conf.Offsets, f.offsets)
	}
	return l, l.check()
}

// The largest grid and block, per dimension.
var (
	maxGrid  = [3]int{1<<31 - 1, 65535, 65535}
	maxBlock = [3]int{threadsPerBlock, threadsPerBlock, 64}
)

func (l *launch) check() error {
	f, threads := l.f, 1
	if f.m.gone {
		return refuse(driver.InvalidHandle, "the module of %s has been unloaded", f.entry.Name)
	}
	for i, n := range l.l.Block {
		if g := l.l.Grid[i]; n < 1 || n > maxBlock[i] || g < 1 || g > maxGrid[i] {
			return refuse(driver.InvalidValue, "%s: grid %v of blocks %v, expected between 1 and %v of %v",
				f.entry.Name, l.l.Grid, l.l.Block, maxGrid, maxBlock)
		}
		threads *= n
	}
	switch {
	case threads > threadsPerBlock:
		return refuse(driver.InvalidValue, "%s: %d threads per block, at most %d are possible", f.entry.Name, threads, threadsPerBlock)
	case threads > f.threads():
		return refuse(driver.LaunchResources, "%s: %d threads per block, the entry allows %d", f.entry.Name, threads, f.threads())
	case l.l.Shared > f.maxDynamic:
		return refuse(driver.InvalidValue, "%s: %d bytes of dynamic shared memory, at most %d are set", f.entry.Name, l.l.Shared, f.maxDynamic)
	case len(l.l.Params) != f.entry.ParamBytes:
		return refuse(driver.InvalidValue, "%s: %d bytes of parameters, expected %d", f.entry.Name, len(l.l.Params), f.entry.ParamBytes)
	}
	return nil
}

// run interprets the launch.
func (l *launch) run() error {
	c := l.f.c
	if l.f.m.gone {
		return refuse(driver.LaunchFailed, "the module of %s was unloaded while a launch of it was queued", l.f.entry.Name)
	}
	_, err := l.f.m.code.Run(c.mem, l.l, sim.Options{Perturb: c.d.cfg.Perturb, GlobalRaces: c.d.cfg.Races})
	return err
}

func (d *Driver) Launch(f driver.Function, conf *driver.LaunchConfig, h driver.Stream) error {
	return d.inside("Launch", func(c *context) error {
		s, err := c.stream(h)
		if err != nil {
			return err
		}
		l, err := c.launch(f, conf)
		if err != nil {
			return err
		}
		return s.submit("Launch", l, nil)
	})
}
