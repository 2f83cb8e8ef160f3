package cuda_test

import (
	"jitc/executors/cuda/driver"
	"jitc/executors/cuda/driver/fake"
)

// quiet is a driver that takes launches and does nothing, allocating nothing.
type quiet struct {
	*fake.Driver
	on bool
}

func (d *quiet) SetContext(c driver.Context) error {
	if d.on {
		return nil
	}
	return d.Driver.SetContext(c)
}

func (d *quiet) Launch(f driver.Function, c *driver.LaunchConfig, s driver.Stream) error {
	if d.on {
		return nil
	}
	return d.Driver.Launch(f, c, s)
}

func (d *quiet) LaunchGraph(x driver.GraphExec, s driver.Stream) error {
	if d.on {
		return nil
	}
	return d.Driver.LaunchGraph(x, s)
}

func (d *quiet) SetKernelNode(x driver.GraphExec, n driver.Node, f driver.Function, c *driver.LaunchConfig) error {
	if d.on {
		return nil
	}
	return d.Driver.SetKernelNode(x, n, f, c)
}
