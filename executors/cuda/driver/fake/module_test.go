package fake

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors/cuda/driver"
)

func TestModulesThatAreRefused(t *testing.T) {
	g := newGPU(t, Config{Version: 11040})
	for name, c := range map[string]struct {
		code  int
		image string
	}{
		"no text":      {driver.InvalidImage, ""},
		"bad target":   {driver.NoBinaryForGPU, strings.Replace(text, "sm_80", "sm_90", 1)},
		"exact target": {driver.NoBinaryForGPU, strings.Replace(text, "sm_80", "sm_90a", 1)},
		"new version":  {driver.UnsupportedPTX, strings.Replace(text, "7.4", "7.5", 1)},
		"syntax":       {driver.InvalidPTX, strings.Replace(text, "add.u64", "add.u65", 1)},
	} {
		_, _, err := g.LoadModule([]byte(c.image))
		e := requireCode(t, c.code, err)
		assert.NotEmpty(t, e.Detail, name)
	}
	_, _, err := g.LoadModule([]byte(strings.Replace(text, "add.u64", "add.u65", 1)))
	assert.ErrorContains(t, err, "line 15", "the log has the place")
}

func TestVersionsOfPTX(t *testing.T) {
	for _, c := range []struct {
		driver int
		ptx    string
		reads  bool
	}{
		{11040, "7.4", true}, {11040, "7.5", false}, {11080, "7.8", true}, {11080, "8.0", false},
		{12000, "8.0", true}, {12000, "7.8", true}, {12000, "8.1", false}, {12050, "8.5", true},
		{12060, "8.5", true}, {12060, "8.6", false}, {12090, "8.8", true}, {12090, "8.9", false},
		{13000, "9.0", true}, {13000, "9.1", false},
	} {
		conf := Config{Version: c.driver}
		conf.setDefaults()
		err := conf.accepts(strings.Replace(text, "7.4", c.ptx, 1))
		assert.Equal(t, c.reads, err == nil, "CUDA %d, PTX %s: %v", c.driver, c.ptx, err)
	}
}

func TestWhatDevicesRun(t *testing.T) {
	for _, c := range []struct {
		device, target string
		reads          bool
	}{
		{"sm_80", "sm_80", true}, {"sm_86", "sm_80", true}, {"sm_90", "sm_80", true}, {"sm_80", "sm_86", false},
		{"sm_90", "sm_90a", true}, {"sm_100", "sm_90a", false}, {"sm_100", "sm_90", true},
	} {
		device, ok := parseArch(c.device)
		require.True(t, ok)
		target, ok := parseArch(c.target)
		require.True(t, ok)
		assert.Equal(t, c.reads, device.reads(target), "%v", c)
	}
	for _, c := range []struct {
		code string
		runs bool
	}{{"sm_86", true}, {"sm_80", true}, {"sm_89", false}, {"sm_75", false}, {"sm_90", false}, {"sm_80a", false}, {"sm_86a", true}} {
		a, ok := parseArch(c.code)
		require.True(t, ok)
		assert.Equal(t, c.runs, (&Config{Major: 8, Minor: 6}).runs(a), "%s", c.code)
	}
	_, ok := parseArch("compute_80")
	assert.False(t, ok)
}

func TestFunctions(t *testing.T) {
	g := newGPU(t, Config{Multiprocessors: 2})
	f := g.function("move")
	assert.Equal(t, f, g.function("move"))
	_, err := g.Function(g.module, "none")
	e := requireCode(t, driver.NotFound, err)
	assert.Contains(t, e.Detail, `"inc"`)
	allowed, err := g.FunctionAttribute(f, driver.AttrDynamicShared)
	require.NoError(t, err)
	assert.Equal(t, 48<<10, allowed)
	_, err = g.FunctionAttribute(f, 77)
	requireCode(t, driver.InvalidValue, err)
}

func TestCubins(t *testing.T) {
	g := newGPU(t, Config{})
	a := g.Assembler()
	assert.NotEmpty(t, a.Version())
	cubin, info, err := a.Assemble(text, "sm_80")
	require.NoError(t, err)
	assert.Positive(t, driver.ParseInfo(info)["inc"].Registers)
	m, log, err := g.LoadModule(cubin)
	require.NoError(t, err)
	assert.Contains(t, driver.ParseInfo(log), "double")
	g.module = m
	p := g.ones()
	g.launch("inc", []driver.Ptr{p}, 1)
	assert.EqualValues(t, 2, g.first(p))

	for i := range cubin {
		if i == 300 {
			break
		}
		damaged := bytes.Clone(cubin)
		damaged[i] ^= 1
		_, _, err := g.LoadModule(damaged)
		requireCode(t, driver.InvalidImage, err)
	}
	for n := range 40 {
		_, _, err = g.LoadModule(cubin[:n])
		requireCode(t, driver.InvalidImage, err)
	}
	newer, _, err := a.Assemble(text, "sm_90")
	require.NoError(t, err)
	_, _, err = g.LoadModule(newer)
	requireCode(t, driver.NoBinaryForGPU, err)
}

func TestTextThatDoesNotAssemble(t *testing.T) {
	d := New(Config{})
	a := d.Assembler()
	var refused *driver.AssemblyError
	for _, bad := range []string{
		"", strings.Replace(text, "sm_80", "sm_90", 1), strings.Replace(text, "sm_80", "sm_80a", 1),
		strings.Replace(text, "ret", "retire", 1),
	} {
		_, _, err := a.Assemble(bad, "sm_80")
		require.ErrorAs(t, err, &refused)
	}
	_, _, err := a.Assemble(text, "ampere")
	assert.ErrorContains(t, err, "no architecture")
	d.FailNext("Assemble", 1, driver.OutOfMemory)
	_, _, err = a.Assemble(text, "sm_80")
	requireCode(t, driver.OutOfMemory, err)
}
