package driver

import (
	"bufio"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// Assembler makes machine code of PTX, without a device. Safe for concurrent use.
type Assembler interface {
	// Assemble makes a cubin for an architecture ("sm_80"). info is what the assembler
	// says of each entry (see ParseInfo); an error is an *AssemblyError where the text
	// is at fault.
	Assemble(ptx, arch string) (cubin []byte, info string, err error)
	// Version names the assembler and its version: two that differ may make different
	// code of one text.
	Version() string
}

// AssemblyError is PTX that an assembler refuses.
type AssemblyError struct {
	Arch string
	Log  string // what the assembler said, lines with line numbers of the text
}

func (e *AssemblyError) Error() string {
	return fmt.Sprintf("PTX does not assemble for %s:\n%s", e.Arch, strings.TrimSpace(e.Log))
}

// FindAssembler finds an assembler: the driver's own library, in this process, else
// the program ptxas on PATH. The answer is found once. The error says what was
// looked for; the driver assembles as well, where a module is loaded.
func FindAssembler() (Assembler, error) { return assemblerOnce() }

// FindProgram finds the program ptxas on PATH.
func FindProgram() (Assembler, error) { return findProgram("ptxas") }

var assemblerOnce = sync.OnceValues(func() (Assembler, error) {
	a, err := findInProcess()
	if err == nil {
		return a, nil
	}
	p, perr := findProgram("ptxas")
	if perr == nil {
		return p, nil
	}
	return nil, fmt.Errorf("no PTX assembler: %w; %w", err, perr)
})

// EntryInfo is what an assembler says of an entry.
type EntryInfo struct {
	Registers               int // per thread
	Stack                   int // bytes per thread
	SpillStores, SpillLoads int // bytes per thread
	Shared                  int // bytes of static shared memory per block
}

// ParseInfo reads what an assembler said, by entry:
//
//	ptxas info    : Compiling entry function 'f' for 'sm_80'
//	ptxas info    : Function properties for f
//	    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
//	ptxas info    : Used 10 registers, used 1 barriers, 1024 bytes smem, 380 bytes cmem[0]
//
// Lines of other forms are passed over.
func ParseInfo(info string) map[string]EntryInfo {
	entries := map[string]EntryInfo{}
	current := ""
	for lines := bufio.NewScanner(strings.NewReader(info)); lines.Scan(); {
		line := lines.Text()
		if name, ok := quoted(line, "Compiling entry function '"); ok {
			current = name
			entries[current] = EntryInfo{}
			continue
		}
		if _, named := entries[current]; !named {
			continue
		}
		// The properties of functions that an entry calls are not the entry's.
		if _, of, ok := strings.Cut(line, "Function properties for "); ok {
			if _, isEntry := entries[strings.TrimSpace(of)]; isEntry {
				current = strings.TrimSpace(of)
			}
			continue
		}
		e := entries[current]
		e.read(line)
		entries[current] = e
	}
	return entries
}

// read takes the quantities of a line: numbers, each followed by what it counts.
func (e *EntryInfo) read(line string) {
	for part := range strings.SplitSeq(line, ",") {
		words := strings.Fields(part)
		for i, word := range words {
			n, err := strconv.Atoi(word)
			if err != nil {
				continue
			}
			if field := e.field(strings.Join(words[i+1:], " ")); field != nil {
				*field = n
			}
			break
		}
	}
}

// field is where the number before what goes.
func (e *EntryInfo) field(what string) *int {
	switch what {
	case "registers":
		return &e.Registers
	case "bytes stack frame":
		return &e.Stack
	case "bytes spill stores":
		return &e.SpillStores
	case "bytes spill loads":
		return &e.SpillLoads
	case "bytes smem":
		return &e.Shared
	}
	return nil
}

// quoted is what stands in line between prefix and the next quote.
func quoted(line, prefix string) (string, bool) {
	_, rest, ok := strings.Cut(line, prefix)
	if !ok {
		return "", false
	}
	name, _, ok := strings.Cut(rest, "'")
	return name, ok
}
