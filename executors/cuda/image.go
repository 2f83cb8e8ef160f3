package cuda

import (
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"

	"jitc/executors/diskcache"
)

// image is what is loaded: machine code if there is an assembler, else PTX, which
// the driver assembles when it is loaded. Immutable.
type image struct {
	arch  string // "sm_80"
	cubin []byte // nil: PTX
	said  string // by the assembler, of the entries
	why   string // there is no cubin
}

// assemble makes machine code, or takes it from the disk cache. It holds no lock:
// kernels are assembled in parallel.
func (e *Executor) assemble(m *machine, text string) image {
	o := e.options()
	im := image{arch: archOf(text, m.device.Arch)}
	if o.Assembler == nil {
		im.why = "assembled by the driver"
		return im
	}
	key := diskcache.NewKey("cubin", text, im.arch, fmt.Sprint(m.version), o.Assembler.Version())
	if o.Cache != nil {
		if data, ok := o.Cache.Get(key); ok && im.unpack(data) {
			return im
		}
	}
	cubin, said, err := o.Assembler.Assemble(text, im.arch)
	if err != nil || len(cubin) == 0 { // too old for the device perhaps: the driver knows it
		im.why = fmt.Sprintf("assembled by the driver (%v)", firstLine(err))
		return im
	}
	im.cubin, im.said = cubin, said
	if o.Cache != nil {
		_ = o.Cache.Put(key, im.pack()) // the cache logs; compiling again next time is all that follows
	}
	return im
}

// pack is an image's form in the cache: the length of what the assembler said in 4
// bytes, that, the machine code.
func (im *image) pack() []byte {
	out := binary.LittleEndian.AppendUint32(nil, uint32(len(im.said)))
	return append(append(out, im.said...), im.cubin...)
}

// unpack reads what pack wrote, and reports whether it is that.
func (im *image) unpack(data []byte) bool {
	if len(data) < 4 {
		return false
	}
	n, rest := binary.LittleEndian.Uint32(data), data[4:]
	if uint64(n) >= uint64(len(rest)) {
		return false
	}
	im.said, im.cubin = string(rest[:n]), rest[n:]
	return true
}

var target = regexp.MustCompile(`(?m)^\s*\.target\s+(sm_[0-9]+a?)`)

// archOf is the architecture to assemble for: the device's, and its own form
// ("sm_90a") for text that asks for that.
func archOf(text string, arch int) string {
	name := fmt.Sprintf("sm_%d", arch)
	if t := target.FindStringSubmatch(text); t != nil && strings.HasSuffix(t[1], "a") {
		return name + "a"
	}
	return name
}

func firstLine(err error) string {
	if err == nil {
		return "the assembler gave nothing"
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
