package fake

import (
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors/cuda/driver"
)

// text has entries on 32 numbers of 32 bits, a thread each:
//
//	inc(p, k)     p[i] += k
//	double(p)     p[i] *= 2
//	move(q, p)    q[i] = p[i], for at most 32 threads
//	through(p)    p[i] = p[31-i], through dynamic shared memory
const text = `.version 7.4
.target sm_80
.address_size 64

.extern .shared .align 16 .b8 buffer[];

.visible .entry inc(.param .u64 p, .param .u32 k)
{
	.reg .b64 %rd<3>;
	.reg .b32 %r<4>;
	ld.param.u64 %rd0, [p];
	ld.param.u32 %r0, [k];
	mov.u32 %r1, %tid.x;
	mul.wide.u32 %rd1, %r1, 4;
	add.u64 %rd2, %rd0, %rd1;
	ld.global.u32 %r2, [%rd2];
	add.u32 %r3, %r2, %r0;
	st.global.u32 [%rd2], %r3;
	ret;
}

.visible .entry double(.param .u64 p)
{
	.reg .b64 %rd<3>;
	.reg .b32 %r<3>;
	ld.param.u64 %rd0, [p];
	mov.u32 %r0, %tid.x;
	mul.wide.u32 %rd1, %r0, 4;
	add.u64 %rd2, %rd0, %rd1;
	ld.global.u32 %r1, [%rd2];
	add.u32 %r2, %r1, %r1;
	st.global.u32 [%rd2], %r2;
	ret;
}

.visible .entry move(.param .u64 q, .param .u64 p)
.maxntid 32, 1, 1
{
	.reg .b64 %rd<5>;
	.reg .b32 %r<2>;
	ld.param.u64 %rd0, [q];
	ld.param.u64 %rd1, [p];
	mov.u32 %r0, %tid.x;
	mul.wide.u32 %rd2, %r0, 4;
	add.u64 %rd3, %rd1, %rd2;
	ld.global.u32 %r1, [%rd3];
	add.u64 %rd4, %rd0, %rd2;
	st.global.u32 [%rd4], %r1;
	ret;
}

.visible .entry through(.param .u64 p)
{
	.reg .b64 %rd<3>;
	.reg .b32 %r<8>;
	ld.param.u64 %rd0, [p];
	mov.u32 %r0, %tid.x;
	mul.wide.u32 %rd1, %r0, 4;
	add.u64 %rd2, %rd0, %rd1;
	ld.global.u32 %r1, [%rd2];
	mov.u32 %r2, buffer;
	shl.b32 %r3, %r0, 2;
	add.u32 %r4, %r2, %r3;
	st.shared.u32 [%r4], %r1;
	bar.sync 0;
	sub.u32 %r5, 124, %r3;
	add.u32 %r6, %r2, %r5;
	ld.shared.u32 %r7, [%r6];
	st.global.u32 [%rd2], %r7;
	ret;
}
`

// gpu is a driver with a context on this thread, a stream and the module.
type gpu struct {
	*Driver
	t      *testing.T
	stream driver.Stream
	module driver.Module
}

// newGPU locks the test to its thread.
func newGPU(t *testing.T, c Config) *gpu {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	g := &gpu{Driver: New(c), t: t}
	g.enter()
	var err error
	g.stream, err = g.NewStream()
	require.NoError(t, err)
	g.module, _, err = g.LoadModule([]byte(text))
	require.NoError(t, err)
	return g
}

// enter makes the context of device 0, retained once more, current.
func (g *gpu) enter() {
	c, err := g.RetainContext(0)
	require.NoError(g.t, err)
	require.NoError(g.t, g.SetContext(c))
}

func (g *gpu) function(name string) driver.Function {
	f, err := g.Function(g.module, name)
	require.NoError(g.t, err)
	return f
}

// config launches 32 threads on packed parameters: numbers of 64 bits, then of 32.
func config(pointers []driver.Ptr, rest ...uint32) *driver.LaunchConfig {
	c := &driver.LaunchConfig{Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{32, 1, 1}}
	for _, p := range pointers {
		c.Offsets = append(c.Offsets, len(c.Params))
		c.Params = binary.LittleEndian.AppendUint64(c.Params, uint64(p))
	}
	for _, n := range rest {
		c.Offsets = append(c.Offsets, len(c.Params))
		c.Params = binary.LittleEndian.AppendUint32(c.Params, n)
	}
	return c
}

func (g *gpu) launch(name string, pointers []driver.Ptr, rest ...uint32) {
	g.t.Helper()
	require.NoError(g.t, g.Launch(g.function(name), config(pointers, rest...), g.stream))
}

// ones is an allocation of 32 ones, in which every byte is written.
func (g *gpu) ones() driver.Ptr {
	g.t.Helper()
	p, err := g.AllocAsync(128, g.stream)
	require.NoError(g.t, err)
	mem := g.host(128)
	for i := range 32 {
		binary.LittleEndian.PutUint32(mem[4*i:], 1)
	}
	require.NoError(g.t, g.CopyToDevice(p, mem, g.stream))
	return p
}

func (g *gpu) host(n int) []byte {
	g.t.Helper()
	mem, err := g.AllocHost(n)
	require.NoError(g.t, err)
	return mem
}

// first is the first number at p, after everything that is queued on the stream.
func (g *gpu) first(p driver.Ptr) uint32 {
	g.t.Helper()
	mem := g.host(4)
	require.NoError(g.t, g.CopyToHost(mem, p, g.stream))
	require.NoError(g.t, g.SyncStream(g.stream))
	n := binary.LittleEndian.Uint32(mem)
	require.NoError(g.t, g.FreeHost(mem))
	return n
}

// requireCode checks that err is of the driver, with that code.
func requireCode(t *testing.T, code int, err error) *driver.Error {
	t.Helper()
	var e *driver.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.Code, "%v", err)
	return e
}

func TestLaunches(t *testing.T) {
	for _, c := range []Config{{}, {Eager: true}, {Perturb: 5}, {Major: 9}} {
		g := newGPU(t, c)
		p := g.ones()
		g.launch("inc", []driver.Ptr{p}, 4)
		g.launch("double", []driver.Ptr{p})
		q, err := g.AllocAsync(128, g.stream)
		require.NoError(t, err)
		g.launch("move", []driver.Ptr{q, p})
		assert.EqualValues(t, 10, g.first(q))
	}
}

func TestSharedMemoryHasToBeAllowed(t *testing.T) {
	g := newGPU(t, Config{})
	p := g.ones()
	c := config([]driver.Ptr{p})
	c.Shared = 128
	require.NoError(t, g.Launch(g.function("through"), c, g.stream))
	assert.EqualValues(t, 1, g.first(p))

	c.Shared = 100 << 10
	requireCode(t, driver.InvalidValue, g.Launch(g.function("through"), c, g.stream))
	require.NoError(t, g.SetFunctionAttribute(g.function("through"), driver.AttrDynamicShared, 100<<10))
	require.NoError(t, g.Launch(g.function("through"), c, g.stream))
	requireCode(t, driver.InvalidValue, g.SetFunctionAttribute(g.function("through"), driver.AttrDynamicShared, 164<<10))
	requireCode(t, driver.InvalidValue, g.SetFunctionAttribute(g.function("through"), 77, 1))
}

func TestLaunchesThatDoNotFit(t *testing.T) {
	g := newGPU(t, Config{})
	p := []driver.Ptr{g.ones()}
	for name, c := range map[string]struct {
		code   int
		entry  string
		change func(*driver.LaunchConfig)
	}{
		"no blocks":        {driver.InvalidValue, "inc", func(c *driver.LaunchConfig) { c.Grid[1] = 0 }},
		"grid too large":   {driver.InvalidValue, "inc", func(c *driver.LaunchConfig) { c.Grid[2] = 65536 }},
		"no threads":       {driver.InvalidValue, "inc", func(c *driver.LaunchConfig) { c.Block[0] = 0 }},
		"block too deep":   {driver.InvalidValue, "inc", func(c *driver.LaunchConfig) { c.Block = [3]uint32{1, 1, 65} }},
		"too many threads": {driver.InvalidValue, "inc", func(c *driver.LaunchConfig) { c.Block = [3]uint32{1024, 2, 1} }},
		"beyond .maxntid": {driver.LaunchResources, "move", func(c *driver.LaunchConfig) {
			c.Block[0], c.Params = 33, append(c.Params, 0, 0, 0, 0)
		}},
		"parameters elsewhere": {driver.InvalidValue, "inc", func(c *driver.LaunchConfig) { c.Offsets = []int{0, 4} }},
		"too few parameters":   {driver.InvalidValue, "inc", func(c *driver.LaunchConfig) { c.Params = c.Params[:8] }},
		"too many parameters":  {driver.InvalidValue, "inc", func(c *driver.LaunchConfig) { c.Params = append(c.Params, 0) }},
	} {
		conf := config(p, 1)
		c.change(conf)
		e := requireCode(t, c.code, g.Launch(g.function(c.entry), conf, g.stream))
		assert.Contains(t, e.Detail, c.entry, name)
	}
	assert.EqualValues(t, 1, g.first(p[0]), "a refused launch does nothing")
}

func TestParametersAreReadAtOnce(t *testing.T) {
	g := newGPU(t, Config{})
	p := g.ones()
	c := config([]driver.Ptr{p}, 1)
	require.NoError(t, g.Launch(g.function("inc"), c, g.stream))
	clear(c.Params)
	assert.EqualValues(t, 2, g.first(p))
}

func TestDescription(t *testing.T) {
	d := New(Config{Devices: 2, Major: 8, Minor: 6, Multiprocessors: 10, Memory: 1 << 20, SharedPerBlock: 99 << 10})
	n, err := d.DeviceCount()
	require.NoError(t, err)
	assert.Equal(t, 2, n)
	v, err := d.Version()
	require.NoError(t, err)
	assert.Equal(t, 12040, v)
	name, err := d.DeviceName(1)
	require.NoError(t, err)
	assert.Equal(t, "Fake GPU 8.6", name)
	mem, err := d.DeviceMemory(1)
	require.NoError(t, err)
	assert.Equal(t, 1<<20, mem)
	for a, want := range map[driver.DeviceAttribute]int{
		driver.AttrMajor: 8, driver.AttrMinor: 6, driver.AttrMultiprocessors: 10,
		driver.AttrSharedPerBlock: 99 << 10, driver.AttrMemoryPools: 1,
	} {
		got, err := d.DeviceAttribute(1, a)
		require.NoError(t, err)
		assert.Equal(t, want, got, "%d", a)
	}
	_, err = d.DeviceAttribute(0, 9999)
	requireCode(t, driver.InvalidValue, err)
	_, err = d.DeviceName(2)
	requireCode(t, driver.InvalidDevice, err)
	none, err := New(Config{Devices: -1}).DeviceCount()
	require.NoError(t, err)
	assert.Zero(t, none)
}
