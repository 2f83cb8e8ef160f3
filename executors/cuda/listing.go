package cuda

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// listing is that of all entries, which are assembled for it where they are not.
func (f *form) listing() (text string, ok bool) {
	f.assemble(f.entries())
	var b strings.Builder
	for _, im := range f.made() {
		part, here := im.listing()
		b.WriteString(part)
		ok = ok || here
	}
	return b.String(), ok
}

// listing is what is known of the machine code: what the assembler said of it, and
// the disassembly where a disassembler is installed. ok is false where the driver
// makes the code.
func (im *image) listing() (text string, ok bool) {
	if im.cubin == nil {
		return "", false
	}
	var b strings.Builder
	for line := range strings.Lines(im.said) {
		b.WriteString("// " + line)
	}
	if im.said != "" && !strings.HasSuffix(im.said, "\n") {
		b.WriteByte('\n')
	}
	sass, err := disassemble(im.cubin)
	if err != nil {
		b.WriteString("// no disassembly: " + err.Error() + "\n")
	}
	b.Write(sass)
	return b.String(), true
}

// disassembleTime bounds a run of the disassembler, which takes tens of
// milliseconds.
const disassembleTime = 30 * time.Second

// disassemble runs nvdisasm over machine code.
func disassemble(cubin []byte) ([]byte, error) {
	tool, err := exec.LookPath("nvdisasm")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "jitc-cubin-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // what is left is the system's to sweep
	file := filepath.Join(dir, "kernel.cubin")
	if err := os.WriteFile(file, cubin, 0o600); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), disassembleTime)
	defer cancel()
	return exec.CommandContext(ctx, tool, "-c", file).Output()
}
