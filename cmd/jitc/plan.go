package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"jitc/executors"
	"jitc/ir"
	rt "jitc/runtime"
)

// planReport is a memory plan at concrete sizes, in bytes.
type planReport struct {
	Sizes         map[string]int64 `json:"sizes"`
	Arena         int              `json:"arena"`
	Live          int              `json:"live"` // most that live at one step: no arena is smaller
	Scratch       int              `json:"scratch"`
	Intermediates int              `json:"intermediates"` // without sharing of memory
	Parameters    int              `json:"parameters"`
	Results       int              `json:"results"`
	Steps         int              `json:"steps"`
	Devices       []rt.DevicePlan  `json:"devices,omitempty"`
	Blocks        []planBlock      `json:"blocks"` // by first step
}

// planBlock is an intermediate and its place in the arena.
type planBlock struct {
	Name string `json:"name"`
	Type string `json:"type"`
	rt.PlannedBlock
}

func planOf(p *rt.Program, rec *rt.Recording) *planReport {
	r := &planReport{Sizes: rec.Sizes, Arena: rec.Arena, Live: rec.Live, Scratch: rec.Scratch,
		Steps: len(p.Steps), Devices: rec.Devices(), Blocks: []planBlock{}}
	for _, v := range p.F.Params {
		r.Parameters += bytesAt(v.Type, rec.Sizes)
	}
	for _, v := range p.F.Results {
		r.Results += bytesAt(v.Type, rec.Sizes)
	}
	for _, b := range rec.Plan() {
		r.Intermediates += b.Bytes
		name, typ := blockName(b)
		r.Blocks = append(r.Blocks, planBlock{Name: orText(name, fmt.Sprintf("region %d", b.First)), Type: typ, PlannedBlock: b})
	}
	return r
}

// blockName is the name of what lies in a block, empty for none, and its type.
func blockName(b rt.PlannedBlock) (name, typ string) {
	switch v := b.Region; {
	case b.Result < 0:
		return v.Op.String() + " " + v.Name, "work"
	case v.Op == ir.OpFused:
		of := v.Bodies[0].Results[b.Result]
		return of.Name, of.Type.String()
	default:
		if name = v.Name; name != "" && v.Type.IsTuple() {
			name = fmt.Sprintf("%s.%d", name, b.Result)
		}
		return name, v.ResultTypes()[b.Result].String()
	}
}

// bytesAt is the size of a type at sizes that checkSizes has accepted.
func bytesAt(t ir.Type, sizes map[string]int64) int {
	n, err := t.Bytes().Eval(sizes)
	if err != nil {
		panic("BUG: jitc: size of a bound program: " + err.Error())
	}
	return int(n)
}

// regionName is the name of what a region computes: of its last named value; of
// control flow, its own or the op's.
func regionName(v *ir.Value) string {
	if v.Name != "" || v.Op != ir.OpFused {
		return orText(v.Name, v.Op.String())
	}
	for _, r := range slices.Backward(v.Bodies[0].Results) {
		if r.Name != "" {
			return r.Name
		}
	}
	return "-"
}

func (c *segment) planText(among bool) (string, error) {
	if c.plan == nil && among {
		return "there is no memory plan without sizes: give --dim SYM=N for " + listNames(c.unknown) + "\n", nil
	}
	if c.plan == nil {
		return "", &usageError{msg: "the memory plan needs every size", hint: "give --dim SYM=N for " + listNames(c.unknown)}
	}
	return c.plan.text(), nil
}

func (r *planReport) text() string {
	var b strings.Builder
	r.summary(&b)
	if len(r.Blocks) == 0 {
		return b.String()
	}
	t := &table{head: []string{">step", "value", ">offset", ">bytes", "lives", "type"}}
	if len(r.Devices) > 0 {
		t.head = append(t.head, "on")
	}
	for _, x := range r.Blocks {
		row := []string{fmt.Sprint(x.First), clip(x.Name, 20), fmt.Sprint(x.Offset), fmt.Sprint(x.Bytes), fmt.Sprintf("%d-%d", x.First, x.Last), x.Type}
		if len(r.Devices) > 0 {
			row = append(row, onText(x.Device))
		}
		t.add(row...)
	}
	b.WriteByte('\n')
	t.write(&b, style{})
	b.WriteByte('\n')
	r.picture(&b)
	return b.String()
}

// onText names a device, or the host.
func onText(device string) string { return orText(device, string(executors.CPU)) }

// pictureIndent is the width of what stands beside the bars of the picture.
const pictureIndent = 38

// picture draws one bar per block, over the steps during which it lives, in the
// order of the offsets: below each other is who takes turns in the same bytes.
//
//	value            from         to  0    5
//	h0                0 B   4.00 KiB  ##
//	h2                0 B   4.00 KiB    ##
//	h1           4.00 KiB   8.00 KiB   ##
func (r *planReport) picture(w io.Writer) {
	per := (r.Steps + columns - pictureIndent - 1) / (columns - pictureIndent)
	unit := "one step"
	if per > 1 {
		unit = plural(per, "step")
	}
	fmt.Fprintf(w, "bytes of the arena by step; a column is %s\n", unit)
	fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%-14s %10s %10s  %s", "value", "from", "to", ruler(r.Steps, per)), " "))
	blocks := slices.Clone(r.Blocks)
	slices.SortStableFunc(blocks, func(a, b planBlock) int {
		return cmp.Or(cmp.Compare(a.Device, b.Device), cmp.Compare(a.Offset, b.Offset))
	})
	for i, x := range blocks {
		if len(r.Devices) > 0 && (i == 0 || x.Device != blocks[i-1].Device) {
			fmt.Fprintf(w, "on %s\n", onText(x.Device))
		}
		bar := strings.Repeat(" ", x.First/per) + strings.Repeat("#", x.Last/per-x.First/per+1)
		fmt.Fprintf(w, "%-14s %10s %10s  %s\n", clip(x.Name, 14), byteText(float64(x.Offset)), byteText(float64(x.Offset+x.Bytes)), bar)
	}
}

// ruler numbers the steps, at every tenth column.
func ruler(steps, per int) string {
	line := ""
	for at := 0; at*per < steps; at += 10 {
		line += fmt.Sprintf("%-10d", at*per)
	}
	return clip(strings.TrimRight(line, " "), columns-pictureIndent)
}

// summary prints the totals.
func (r *planReport) summary(w io.Writer) {
	fmt.Fprintf(w, "memory plan, %s\n", orText(sizesText(r.Sizes), "static sizes"))
	t := &table{head: []string{"", ">", ""}, inset: 2}
	t.add("arena", byteText(float64(r.Arena)), r.arenaText())
	t.add("scratch", byteText(float64(r.Scratch)), "of the kernel that needs most")
	for _, d := range r.Devices {
		t.add(d.Device, byteText(float64(d.Arena)), fmt.Sprintf("arena there, with scratch; %s live at once", byteText(float64(d.Live))))
	}
	t.add("parameters", byteText(float64(r.Parameters)), "")
	t.add("results", byteText(float64(r.Results)), "")
	t.write(w, style{})
}

// arenaText says how good the arena is.
func (r *planReport) arenaText() string {
	if len(r.Blocks) == 0 {
		return "there are no intermediates"
	}
	return fmt.Sprintf("holds %s of intermediates; %s live at once", byteText(float64(r.Intermediates)), byteText(float64(r.Live)))
}
