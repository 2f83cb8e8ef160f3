package fake

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"regexp"
	"strconv"
	"strings"

	"jitc/codegen/ptx/sim"
	"jitc/executors/cuda/driver"
)

// A cubin of the fake's own: the text, with what code for a device would be checked
// for.
//
//	magic  "FAKECUBIN"
//	sum    CRC-32 of what follows, 4 bytes, little-endian
//	arch   "sm_80\n"
//	text   PTX
const cubinMagic = "FAKECUBIN"

var (
	targetLine  = regexp.MustCompile(`(?m)^\s*\.target\s+(sm_\d+[af]?)`)
	versionLine = regexp.MustCompile(`\A(?:\s|//[^\n]*\n)*\.version\s+(\d+)\.(\d+)`) // first, behind comments
	archForm    = regexp.MustCompile(`^sm_(\d+)(\d)([af]?)$`)
)

// arch is an architecture: sm_90a is {9, 0, true}.
type arch struct {
	major, minor int
	exact        bool // runs on no other
}

func parseArch(s string) (arch, bool) {
	m := archForm.FindStringSubmatch(s)
	if m == nil {
		return arch{}, false
	}
	major, _ := strconv.Atoi(m[1]) // digits
	minor, _ := strconv.Atoi(m[2])
	return arch{major, minor, m[3] != ""}, true
}

// reads reports whether text for target can be assembled for a.
func (a arch) reads(target arch) bool {
	if target.exact {
		return a.major == target.major && a.minor == target.minor
	}
	return 10*a.major+a.minor >= 10*target.major+target.minor
}

// runs reports whether a device of the configuration runs code for a.
func (c *Config) runs(a arch) bool {
	return c.Major == a.major && c.Minor >= a.minor && (!a.exact || c.Minor == a.minor)
}

// accepts checks the target and version of text for the device.
func (c *Config) accepts(text string) error {
	v, t := versionLine.FindStringSubmatch(text), targetLine.FindStringSubmatch(text)
	if v == nil || t == nil {
		return refuse(driver.InvalidImage, "neither PTX with .version and .target nor a cubin")
	}
	major, _ := strconv.Atoi(v[1])
	minor, _ := strconv.Atoi(v[2])
	// CUDA 11.4 came with PTX 7.4, 12.4 with 8.4, but 12.6 with 8.5 still.
	newest := 100*(c.Version/1000-4) + c.Version/10%100
	if newest >= 806 && newest < 900 {
		newest--
	}
	if 100*major+minor > newest {
		return refuse(driver.UnsupportedPTX, "PTX %d.%d, the driver reads up to %d.%d", major, minor, newest/100, newest%100)
	}
	device := arch{c.Major, c.Minor, false}
	if target, ok := parseArch(t[1]); !ok || !device.reads(target) {
		return refuse(driver.NoBinaryForGPU, "PTX for %s, the device is sm_%d%d", t[1], c.Major, c.Minor)
	}
	return nil
}

// seal makes a cubin.
func seal(name, text string) []byte {
	body := name + "\n" + text
	cubin := binary.LittleEndian.AppendUint32([]byte(cubinMagic), crc32.ChecksumIEEE([]byte(body)))
	return append(cubin, body...)
}

// open is the text of a cubin, behind its magic, that runs on the device.
func (c *Config) open(cubin []byte) (string, error) {
	if len(cubin) < 4 || binary.LittleEndian.Uint32(cubin) != crc32.ChecksumIEEE(cubin[4:]) {
		return "", refuse(driver.InvalidImage, "the cubin is damaged")
	}
	name, text, _ := strings.Cut(string(cubin[4:]), "\n")
	if a, ok := parseArch(name); !ok || !c.runs(a) {
		return "", refuse(driver.NoBinaryForGPU, "code for %s, the device is sm_%d%d", name, c.Major, c.Minor)
	}
	return text, nil
}

// assembler makes cubins of the fake's own.
type assembler struct{ d *Driver }

// Assembler is the driver's assembler.
func (d *Driver) Assembler() driver.Assembler { return assembler{d} }

func (assembler) Version() string { return "fake assembler 1.0" }

func (a assembler) Assemble(ptx, name string) (cubin []byte, info string, err error) {
	// Not under the driver's lock: texts are assembled at the same time.
	if err := a.d.outside("Assemble", func() error { return nil }); err != nil {
		return nil, "", err
	}
	refused := func(err error) error { return &driver.AssemblyError{Arch: name, Log: err.Error()} }
	chip, ok := parseArch(name)
	if !ok {
		return nil, "", fmt.Errorf("assembling: %q is no architecture, expected one such as sm_80", name)
	}
	t := targetLine.FindStringSubmatch(ptx)
	if t == nil {
		return nil, "", refused(errors.New("ptxas fatal   : Missing .target directive"))
	}
	if target, ok := parseArch(t[1]); !ok || !chip.reads(target) || target.exact && !chip.exact {
		return nil, "", refused(fmt.Errorf("ptxas fatal   : PTX for %s cannot be assembled for %s", t[1], name))
	}
	code, err := sim.Parse(ptx)
	if err != nil {
		return nil, "", refused(fmt.Errorf("ptxas fake, %w", err))
	}
	return seal(name, ptx), describe(code, name), nil
}
