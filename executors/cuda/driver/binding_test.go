//go:build linux && (amd64 || arm64)

package driver

import (
	"encoding/binary"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors/cuda/clib"
)

func bound(t *testing.T) (*binding, *recorded) {
	lib := record(t)
	d, err := bind(lib)
	require.NoError(t, err)
	return d, lib
}

func TestBindInitialises(t *testing.T) {
	_, lib := bound(t)
	assert.Equal(t, "cuInit", lib.last().name)
	assert.Zero(t, lib.last().args[0])
}

func TestBindRefusesOldDrivers(t *testing.T) {
	lib := record(t)
	lib.answers["cuDriverGetVersion"] = func(args []uintptr) int { put(args[0], int32(11020)); return 0 }
	_, err := bind(lib)
	require.ErrorIs(t, err, ErrTooOld)
	assert.ErrorContains(t, err, "it supports CUDA 11.2, needed is CUDA 11.8 or later")

	lib.absent["cuGraphInstantiateWithFlags"] = true
	_, err = bind(lib)
	require.ErrorIs(t, err, ErrTooOld)
	assert.ErrorContains(t, err, "lacks cuGraphInstantiateWithFlags")

	lib.absent["cuDriverGetVersion"] = true
	_, err = bind(lib)
	assert.ErrorContains(t, err, "does not say which version")
}

func TestBindTakesTheOlderKernelNodes(t *testing.T) {
	lib := record(t)
	lib.absent["cuGraphAddKernelNode_v2"] = true
	d, err := bind(lib)
	require.NoError(t, err)
	_, err = d.AddKernelNode(7, nil, 9, &LaunchConfig{})
	require.NoError(t, err)
	assert.Equal(t, "cuGraphAddKernelNode", lib.calls[len(lib.calls)-1].name)
}

func TestInitThatFails(t *testing.T) {
	lib := record(t)
	lib.answers["cuInit"] = func([]uintptr) int { return NoDevice }
	name, said := cString("CUDA_ERROR_NO_DEVICE"), cString("nothing here")
	lib.answers["cuGetErrorName"] = func(args []uintptr) int { put(args[1], name); return 0 }
	lib.answers["cuGetErrorString"] = func(args []uintptr) int { put(args[1], said); return 0 }
	_, err := bind(lib)
	assert.Equal(t, &Error{Call: "cuInit", Code: NoDevice, Name: "CUDA_ERROR_NO_DEVICE", Text: "nothing here"}, err)
}

func TestErrorsThatTheDriverDoesNotKnow(t *testing.T) {
	d, lib := bound(t)
	lib.answers["cuStreamSynchronize"] = func([]uintptr) int { return IllegalAddress }
	lib.answers["cuGetErrorName"] = func([]uintptr) int { return InvalidValue }
	lib.answers["cuGetErrorString"] = lib.answers["cuGetErrorName"]
	assert.EqualError(t, d.SyncStream(1),
		"cuStreamSynchronize: an illegal memory access was encountered (CUDA_ERROR_ILLEGAL_ADDRESS, 700)")
}

// TestCallsReachTheirFunctions pins the function and the order of the arguments of
// every call whose arguments are numbers or addresses of results. out is where the
// address of the result is.
func TestCallsReachTheirFunctions(t *testing.T) {
	const out = ^uintptr(0)
	host := []byte{1, 2, 3}
	hostAt := uintptr(unsafe.Pointer(&host[0]))
	for _, c := range []struct {
		name string
		args []uintptr
		call func(d *binding) error
	}{
		{"cuDeviceGetCount", []uintptr{out}, func(d *binding) error { _, err := d.DeviceCount(); return err }},
		{"cuDeviceGetName", []uintptr{out, 256, 0}, func(d *binding) error { _, err := d.DeviceName(3); return err }},
		{"cuDeviceGetAttribute", []uintptr{out, 75, 0}, func(d *binding) error { _, err := d.DeviceAttribute(3, AttrMajor); return err }},
		{"cuDeviceTotalMem", []uintptr{out, 0}, func(d *binding) error { _, err := d.DeviceMemory(3); return err }},
		{"cuMemPoolSetAttribute", []uintptr{0, 4, out}, func(d *binding) error { return d.KeepPool(3, 1) }},
		{"cuMemPoolTrimTo", []uintptr{0, 5}, func(d *binding) error { return d.TrimPool(3, 5) }},
		{"cuDevicePrimaryCtxRetain", []uintptr{out, 0}, func(d *binding) error { _, err := d.RetainContext(3); return err }},
		{"cuDevicePrimaryCtxRelease", []uintptr{0}, func(d *binding) error { return d.ReleaseContext(3) }},
		{"cuCtxSetCurrent", []uintptr{5}, func(d *binding) error { return d.SetContext(5) }},
		{"cuModuleUnload", []uintptr{5}, func(d *binding) error { return d.UnloadModule(5) }},
		{"cuFuncGetAttribute", []uintptr{out, 8, 5}, func(d *binding) error { _, err := d.FunctionAttribute(5, AttrDynamicShared); return err }},
		{"cuFuncSetAttribute", []uintptr{5, 8, 99}, func(d *binding) error { return d.SetFunctionAttribute(5, AttrDynamicShared, 99) }},
		{"cuMemGetInfo", []uintptr{out, out}, func(d *binding) error { _, _, err := d.MemoryInfo(); return err }},
		{"cuMemAlloc", []uintptr{out, 5}, func(d *binding) error { _, err := d.Alloc(5); return err }},
		{"cuMemFree", []uintptr{5}, func(d *binding) error { return d.Free(5) }},
		{"cuMemAllocAsync", []uintptr{out, 5, 6}, func(d *binding) error { _, err := d.AllocAsync(5, 6); return err }},
		{"cuMemFreeAsync", []uintptr{5, 6}, func(d *binding) error { return d.FreeAsync(5, 6) }},
		{"cuMemFreeHost", []uintptr{hostAt}, func(d *binding) error { return d.FreeHost(host) }},
		{"cuMemcpyHtoDAsync", []uintptr{5, hostAt, 3, 6}, func(d *binding) error { return d.CopyToDevice(5, host, 6) }},
		{"cuMemcpyDtoHAsync", []uintptr{hostAt, 5, 3, 6}, func(d *binding) error { return d.CopyToHost(host, 5, 6) }},
		{"cuMemcpyDtoDAsync", []uintptr{5, 6, 7, 8}, func(d *binding) error { return d.CopyOnDevice(5, 6, 7, 8) }},
		{"cuStreamCreate", []uintptr{out, 1}, func(d *binding) error { _, err := d.NewStream(); return err }},
		{"cuStreamDestroy", []uintptr{5}, func(d *binding) error { return d.DestroyStream(5) }},
		{"cuStreamSynchronize", []uintptr{5}, func(d *binding) error { return d.SyncStream(5) }},
		{"cuStreamWaitEvent", []uintptr{6, 5, 0}, func(d *binding) error { return d.WaitEvent(5, 6) }},
		{"cuEventCreate", []uintptr{out, 2}, func(d *binding) error { _, err := d.NewEvent(); return err }},
		{"cuEventDestroy", []uintptr{5}, func(d *binding) error { return d.DestroyEvent(5) }},
		{"cuEventRecord", []uintptr{5, 6}, func(d *binding) error { return d.RecordEvent(5, 6) }},
		{"cuEventSynchronize", []uintptr{5}, func(d *binding) error { return d.SyncEvent(5) }},
		{"cuGraphCreate", []uintptr{out, 0}, func(d *binding) error { _, err := d.NewGraph(); return err }},
		{"cuGraphDestroy", []uintptr{5}, func(d *binding) error { return d.DestroyGraph(5) }},
		{"cuGraphAddChildGraphNode", []uintptr{out, 5, out, 2, 6}, func(d *binding) error { _, err := d.AddChildNode(5, []Node{1, 2}, 6); return err }},
		{"cuGraphInstantiateWithFlags", []uintptr{out, 5, 0}, func(d *binding) error { _, err := d.Instantiate(5); return err }},
		{"cuGraphExecDestroy", []uintptr{5}, func(d *binding) error { return d.DestroyGraphExec(5) }},
		{"cuGraphLaunch", []uintptr{5, 6}, func(d *binding) error { return d.LaunchGraph(5, 6) }},
		{"cuStreamBeginCapture", []uintptr{5, 2}, func(d *binding) error { return d.BeginCapture(5) }},
		{"cuStreamEndCapture", []uintptr{5, out}, func(d *binding) error { _, err := d.EndCapture(5); return err }},
	} {
		d, lib := bound(t)
		require.NoError(t, c.call(d), c.name)
		last := lib.last()
		assert.Equal(t, c.name, last.name)
		for i, want := range c.args {
			if want != out {
				assert.Equal(t, want, last.args[i], "%s, argument %d", c.name, i)
			} else {
				assert.NotZero(t, last.args[i], "%s, argument %d", c.name, i)
			}
		}
		var e *Error
		lib.answers[lib.calls[len(lib.calls)-1].name] = func([]uintptr) int { return InvalidHandle }
		require.ErrorAs(t, c.call(d), &e, c.name)
		assert.Equal(t, Error{Call: c.name, Code: InvalidHandle, Name: "CUDA_ERROR_INVALID_HANDLE", Text: "invalid resource handle"}, *e)
	}
}

func TestResultsComeBack(t *testing.T) {
	d, lib := bound(t)
	lib.answers["cuDeviceGet"] = func(args []uintptr) int { put(args[0], int32(args[1]+40)); return 0 }
	lib.answers["cuDeviceGetName"] = func(args []uintptr) int {
		copy(at(args[0], int(args[1])), "H100\x00rest")
		return 0
	}
	name, err := d.DeviceName(3)
	require.NoError(t, err)
	assert.Equal(t, "H100", name)
	assert.EqualValues(t, 43, lib.last().args[2], "the handle of the device")

	lib.answers["cuMemGetInfo_v2"] = func(args []uintptr) int { put(args[0], 1<<40); put(args[1], 1<<41); return 0 }
	free, total, err := d.MemoryInfo()
	require.NoError(t, err)
	assert.Equal(t, []int{1 << 40, 1 << 41}, []int{free, total})

	lib.answers["cuMemAlloc_v2"] = func(args []uintptr) int { put(args[0], uint64(0x7f0000000200)); return 0 }
	p, err := d.Alloc(1)
	require.NoError(t, err)
	assert.Equal(t, Ptr(0x7f0000000200), p)

	var threshold uint64
	lib.answers["cuMemPoolSetAttribute"] = func(args []uintptr) int { threshold = get[uint64](args[2]); return 0 }
	require.NoError(t, d.KeepPool(0, 1<<33))
	assert.EqualValues(t, 1<<33, threshold)
}

func TestHostMemory(t *testing.T) {
	d, lib := bound(t)
	backing := make([]byte, 8)
	lib.answers["cuMemHostAlloc"] = func(args []uintptr) int {
		put(args[0], uintptr(unsafe.Pointer(&backing[0])))
		return 0
	}
	mem, err := d.AllocHost(8)
	require.NoError(t, err)
	require.Len(t, mem, 8)
	mem[7] = 3
	assert.EqualValues(t, 3, backing[7])
	last := lib.last()
	assert.Equal(t, []uintptr{8, 1}, last.args[1:3])
}

func TestNothingToDoReachesNoFunction(t *testing.T) {
	d, lib := bound(t)
	before := len(lib.calls)
	mem, err := d.AllocHost(0)
	require.NoError(t, err)
	require.NoError(t, d.FreeHost(mem))
	require.NoError(t, d.CopyToDevice(5, nil, 0))
	require.NoError(t, d.CopyToHost(nil, 5, 0))
	require.NoError(t, d.CopyOnDevice(5, 6, 0, 0))
	assert.Len(t, lib.calls, before)
}

func TestLoadModulePassesLogs(t *testing.T) {
	d, lib := bound(t)
	const load = "cuModuleLoadDataEx"
	logs := func(args []uintptr) (info, failures uintptr) {
		options, values := at(args[3], 20), at(args[4], 40)
		require.EqualValues(t, 5, args[2])
		for i, want := range []uint32{3, 4, 5, 6, 12} {
			require.Equal(t, want, binary.LittleEndian.Uint32(options[4*i:]))
		}
		le := binary.LittleEndian
		require.EqualValues(t, logBytes, le.Uint64(values[8:]))
		require.EqualValues(t, logBytes, le.Uint64(values[24:]))
		require.EqualValues(t, 1, le.Uint64(values[32:]))
		return uintptr(le.Uint64(values)), uintptr(le.Uint64(values[16:]))
	}
	lib.answers[load] = func(args []uintptr) int {
		assert.Equal(t, "text\x00", string(at(args[1], 5)))
		info, _ := logs(args)
		copy(at(info, 100), "used 3 registers")
		put(args[0], uintptr(77))
		return 0
	}
	m, log, err := d.LoadModule([]byte("text"))
	require.NoError(t, err)
	assert.Equal(t, Module(77), m)
	assert.Equal(t, "used 3 registers", log)

	lib.answers[load] = func(args []uintptr) int {
		_, failures := logs(args)
		copy(at(failures, 100), "line 1: no such thing")
		return InvalidPTX
	}
	_, _, err = d.LoadModule([]byte("text"))
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, "line 1: no such thing", e.Detail)
	_, _, err = d.LoadModule(nil)
	assert.ErrorIs(t, err, &Error{Code: InvalidValue})
}

func TestFunctionByName(t *testing.T) {
	d, lib := bound(t)
	lib.answers["cuModuleGetFunction"] = func(args []uintptr) int {
		assert.EqualValues(t, 5, args[1])
		if clib.Text(args[2]) != "f" {
			return NotFound
		}
		put(args[0], uintptr(6))
		return 0
	}
	f, err := d.Function(5, "f")
	require.NoError(t, err)
	assert.Equal(t, Function(6), f)
	_, err = d.Function(5, "g")
	assert.EqualError(t, err, "cuModuleGetFunction: named symbol not found (CUDA_ERROR_NOT_FOUND, 500): g")
}

var config = LaunchConfig{Grid: [3]uint32{1, 2, 3}, Block: [3]uint32{4, 5, 6}, Shared: 7,
	Params: []byte("parameters"), Offsets: []int{0, 4, 8}}

// checkParams checks kernelParams: the addresses of the parameters.
func checkParams(t *testing.T, list uintptr) {
	for i, want := range []string{"para", "mete", "rs"} {
		assert.Equal(t, want, string(at(get[uintptr](list+8*uintptr(i)), len(want))))
	}
}

func TestLaunchPassesItsParameters(t *testing.T) {
	d, lib := bound(t)
	lib.answers["cuLaunchKernel"] = func(args []uintptr) int {
		assert.Equal(t, []uintptr{9, 1, 2, 3, 4, 5, 6, 7, 8}, args[:9])
		checkParams(t, args[9])
		assert.Zero(t, args[10], "extra")
		return 0
	}
	require.NoError(t, d.Launch(9, &config, 8))
	assert.Equal(t, "cuLaunchKernel", lib.last().name)
}

func TestKernelNodesAreLaidOut(t *testing.T) {
	d, lib := bound(t)
	check := func(node uintptr) {
		// CUDA_KERNEL_NODE_PARAMS_v2: func 0, grid 8 12 16, block 20 24 28, shared 32,
		// kernelParams 40, extra 48, kern 56, ctx 64.
		assert.EqualValues(t, 9, get[uint64](node))
		for i, want := range []uint32{1, 2, 3, 4, 5, 6, 7, 0} {
			assert.Equal(t, want, get[uint32](node+8+4*uintptr(i)), "at %d", 8+4*i)
		}
		for _, zero := range []uintptr{48, 56, 64} {
			assert.Zero(t, get[uint64](node+zero), "at %d", zero)
		}
		checkParams(t, get[uintptr](node+40))
	}
	lib.answers["cuGraphAddKernelNode_v2"] = func(args []uintptr) int {
		assert.EqualValues(t, 5, args[1])
		assert.EqualValues(t, 2, args[3])
		assert.Equal(t, [2]Node{31, 32}, get[[2]Node](args[2]))
		check(args[4])
		put(args[0], uintptr(33))
		return 0
	}
	n, err := d.AddKernelNode(5, []Node{31, 32}, 9, &config)
	require.NoError(t, err)
	assert.Equal(t, Node(33), n)

	lib.answers["cuGraphExecKernelNodeSetParams_v2"] = func(args []uintptr) int {
		assert.Equal(t, []uintptr{5, 33}, args[:2])
		check(args[2])
		return 0
	}
	require.NoError(t, d.SetKernelNode(5, 33, 9, &config))
	assert.Equal(t, "cuGraphExecKernelNodeSetParams", lib.last().name)
}

func TestParametersThatCannotBe(t *testing.T) {
	d, lib := bound(t)
	before := len(lib.calls)
	for want, c := range map[string]LaunchConfig{
		"512 parameters in 0 bytes":                {Offsets: make([]int, maxPointers)},
		"513 parameters, at most 512 are possible": {Params: make([]byte, 8), Offsets: make([]int, maxPointers+1)},
		"0 parameters in 8 bytes":                  {Params: make([]byte, 8)},
		"parameter 1 at 8 of 8 bytes":              {Params: make([]byte, 8), Offsets: []int{0, 8}},
		"parameter 0 at -1 of 8 bytes":             {Params: make([]byte, 8), Offsets: []int{-1}},
	} {
		assert.ErrorContains(t, d.Launch(9, &c, 0), want)
	}
	c := LaunchConfig{Params: make([]byte, maxParams+1), Offsets: []int{0}}
	assert.ErrorContains(t, d.Launch(9, &c, 0), "4097 bytes of parameters, at most 4096")
	_, err := d.AddKernelNode(5, nil, 9, &c)
	assert.ErrorIs(t, err, &Error{Code: InvalidValue})
	assert.ErrorIs(t, d.SetKernelNode(5, 33, 9, &c), &Error{Code: InvalidValue})
	for _, call := range lib.calls[before:] {
		assert.Contains(t, []string{"cuGetErrorName", "cuGetErrorString"}, call.name)
	}
}

func TestFunctionsAreNamed(t *testing.T) {
	seen := map[string]bool{}
	for f := range functionCount {
		name := f.String()
		assert.NotEmpty(t, name)
		assert.False(t, seen[name], "%s twice", name)
		seen[name] = true
	}
}

func TestDriverOfThisMachine(t *testing.T) {
	lib, err := openFirst(driverNames)
	if err != nil {
		_, err := Open()
		require.ErrorIs(t, err, ErrNotFound)
		assert.ErrorContains(t, err, "libcuda.so.1")
		t.Skip("left out: that the driver has all functions, for want of a driver: ", err)
	}
	_, missing := resolve(lib, functionNames[:])
	assert.Empty(t, missing)
}
