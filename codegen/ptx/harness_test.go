package ptx

import (
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/codegen"
	"jitc/codegen/internal/elements"
	"jitc/codegen/ptx/sim"
	"jitc/codegen/ptx/tensormap"
	"jitc/ir/dim"
)

func sym(name string) dim.Expr { return dim.Sym(name) }
func con(n int64) dim.Expr     { return dim.Const(n) }

// small is a device on which few threads are busy, so that tests reach schedules
// meant for large sizes.
var small = Device{Arch: 80, Multiprocessors: 2, SharedBytes: 48 << 10}

// target finds the architecture of a module's text.
var target = regexp.MustCompile(`(?m)^\.target (\S+)`)

// onDevice is a module parsed for the interpreter.
type onDevice struct {
	m    *Module
	text *sim.Module
	plan *Plan // of the last run
}

func forDevice(t testing.TB, m *Module) *onDevice {
	t.Helper()
	text, err := sim.Parse(m.Text())
	require.NoError(t, err, m.Text())
	if *assembleAll {
		assemble(t, m, target.FindStringSubmatch(m.Text())[1])
	}
	return &onDevice{m: m, text: text}
}

// widths are modules of a kernel with positions of 32 and of 64 bits.
func widths(t testing.TB, k *codegen.Kernel) []*onDevice {
	t.Helper()
	legal, err := codegen.Legalize(k, Target(false, true))
	require.NoError(t, err)
	wide, err := Compile(legal, small, Options{})
	require.NoError(t, err)
	return []*onDevice{forDevice(t, compiled(t, k, small, Options{})), forDevice(t, wide)}
}

// run runs the module at concrete sizes on buffers, which it updates. Buffers lie
// align bytes behind a multiple of 256.
func (d *onDevice) run(t testing.TB, b *codegen.Bound, bufs [][]byte, align int) sim.Stats {
	t.Helper()
	bits := 256
	if align > 0 {
		bits = align
	}
	plan, err := d.m.BindAligned(b, bits)
	require.NoError(t, err)
	d.plan = plan
	mem := sim.NewMemory()
	at := make([]uint64, len(bufs)+1)
	for i := range at {
		at[i] = 0x7f00_0000_0000 + uint64(i)<<32 + uint64(align)
	}
	for i, buf := range bufs {
		if len(buf) == 0 || d.m.Kernel.Bufs[i].Kind > codegen.Output {
			continue
		}
		require.NoError(t, mem.Map(at[i], len(buf)))
		if d.m.Kernel.Bufs[i].Kind == codegen.Input {
			require.NoError(t, mem.Write(at[i], buf))
		}
	}
	scratch := uint64(0x7e00_0000_0000)
	if plan.Scratch > 0 {
		require.NoError(t, mem.Map(scratch, plan.Scratch))
	}
	zeros := uint64(0x7d00_0000_0000)
	if plan.Zeros > 0 {
		require.NoError(t, mem.Map(zeros, plan.Zeros))
		require.NoError(t, mem.Fill(zeros, 0, plan.Zeros))
	}
	var total sim.Stats
	for _, l := range plan.Launches {
		params := filled(t, l, func(buf int) uint64 {
			if base, ok := map[int]uint64{Scratch: scratch, Zeros: zeros}[buf]; ok {
				return base
			}
			return at[buf]
		})
		stats, err := d.text.Run(mem, sim.Launch{Entry: l.Entry, Grid: ints(l.Grid), Block: ints(l.Block), Shared: int(l.Shared), Params: params}, sim.Options{GlobalRaces: plan.Zeros > 0})
		require.NoError(t, err, "%s\n%s\n%s", b.Kernel, d.m.Text(), l.Entry)
		total.Add(stats)
	}
	left := make([]byte, plan.Zeros)
	require.NoError(t, mem.Read(zeros, left))
	require.Equal(t, make([]byte, plan.Zeros), left, "counters")
	for i, buf := range bufs {
		if len(buf) > 0 && d.m.Kernel.Bufs[i].Kind == codegen.Output {
			require.NoError(t, mem.Read(at[i], buf))
		}
	}
	return total
}

// filled is a launch's parameter block, with the addresses of buffers, as base says.
func filled(t testing.TB, l Launch, base func(buf int) uint64) []byte {
	t.Helper()
	params := slices.Clone(l.Params)
	for _, p := range l.Pointers {
		binary.LittleEndian.PutUint64(params[p.At:], base(p.Buf)+uint64(p.Offset))
	}
	for _, x := range l.Maps {
		require.NoError(t, sim.EncodeTensorMap(params[x.At:x.At+tensormap.Bytes], &x.Tensor, base(x.Buf)+uint64(x.Offset)))
	}
	return params
}

func ints(v [3]uint32) [3]int { return [3]int{int(v[0]), int(v[1]), int(v[2])} }

// check compares a kernel's outputs on the device with the interpreter's of loop
// nests, bit for bit if tol is 0.
func check(t testing.TB, k *codegen.Kernel, sizes map[string]int64, seed uint64, tol float64) {
	t.Helper()
	checkOn(t, forDevice(t, compiled(t, k, small, Options{})), sizes, seed, tol, 0)
}

func checkOn(t testing.TB, d *onDevice, sizes map[string]int64, seed uint64, tol float64, align int) sim.Stats {
	t.Helper()
	k := d.m.Kernel
	b, err := codegen.Bind(k, sizes)
	require.NoError(t, err)
	want, got := make([][]byte, len(b.Lens)), make([][]byte, len(b.Lens))
	for i, n := range b.Lens {
		if k.Bufs[i].Kind >= codegen.Row {
			continue
		}
		want[i] = elements.Random(k.Bufs[i].DType, int(n), seed+uint64(i))
		got[i] = elements.Copy(want[i])
	}
	require.NoError(t, codegen.Interpret(b, want))
	stats := d.run(t, b, got, align)
	for i := range want {
		if k.Bufs[i].Kind == codegen.Output {
			elements.RequireClose(t, k.Bufs[i].DType, want[i], got[i], tol, fmt.Sprintf("%s %v buffer %d", k.Name, sizes, i))
		}
	}
	return stats
}
