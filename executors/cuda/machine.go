package cuda

import (
	"fmt"

	"jitc/codegen/ptx"
	"jitc/executors/cuda/driver"
)

// What the code needs at least: a driver that reads it, and the compute capability
// 8.0.
const (
	leastVersion = driver.MinVersion
	leastArch    = 80
)

// machine is a device as the driver describes it. Immutable.
type machine struct {
	api     driver.API
	dev     int
	name    string
	version int // of CUDA, 12040 for 12.4
	memory  int // bytes
	pools   bool
	device  ptx.Device
}

// newMachine asks the driver about a device. The errors are for people: they say
// what is missing.
func newMachine(open func() (driver.API, error), dev int) (*machine, error) {
	api, err := open()
	if err != nil {
		return nil, err
	}
	m := &machine{api: api, dev: dev}
	if m.version, err = api.Version(); err != nil {
		return nil, fmt.Errorf("the CUDA driver does not tell its version: %w", err)
	}
	if m.version < leastVersion {
		return nil, fmt.Errorf("%w: it supports CUDA %s, needed is CUDA %s or later (hint: install a newer NVIDIA driver)",
			driver.ErrTooOld, versionText(m.version), versionText(leastVersion))
	}
	n, err := api.DeviceCount()
	if err != nil {
		return nil, fmt.Errorf("the CUDA driver lists no devices: %w", err)
	}
	if dev < 0 || dev >= n {
		return nil, fmt.Errorf("no CUDA device %d: the driver sees %d (hint: CUDA_VISIBLE_DEVICES chooses among them)", dev, n)
	}
	if err := m.describe(); err != nil {
		return nil, fmt.Errorf("the CUDA driver does not describe device %d: %w", dev, err)
	}
	if m.device.Arch < leastArch {
		return nil, fmt.Errorf("%s has compute capability %s, %s is needed", m.name, archText(m.device.Arch), archText(leastArch))
	}
	return m, nil
}

// describe reads the properties of the device.
func (m *machine) describe() (err error) {
	if m.name, err = m.api.DeviceName(m.dev); err != nil {
		return err
	}
	if m.memory, err = m.api.DeviceMemory(m.dev); err != nil {
		return err
	}
	var major, minor, pools int
	for _, row := range []struct {
		attribute driver.DeviceAttribute
		to        *int
	}{
		{driver.AttrMajor, &major}, {driver.AttrMinor, &minor}, {driver.AttrMemoryPools, &pools},
		{driver.AttrMultiprocessors, &m.device.Multiprocessors}, {driver.AttrSharedPerBlock, &m.device.SharedBytes},
	} {
		if *row.to, err = m.api.DeviceAttribute(m.dev, row.attribute); err != nil {
			return err
		}
	}
	m.device.Arch, m.pools = 10*major+minor, pools != 0
	return nil
}

// String is a line about the device for reports.
func (m *machine) String() string {
	return fmt.Sprintf("%s, compute capability %s, %d multiprocessors, %.1f GiB, CUDA %s",
		m.name, archText(m.device.Arch), m.device.Multiprocessors, float64(m.memory)/(1<<30), versionText(m.version))
}

func versionText(v int) string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }

func archText(arch int) string { return fmt.Sprintf("%d.%d", arch/10, arch%10) }
