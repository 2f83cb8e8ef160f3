package driver

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unsafe"

	"jitc/executors/cuda/clib"
)

// compilerFunction is a function of the assembler's library.
type compilerFunction int

const (
	fnCompilerVersion compilerFunction = iota
	fnCompilerCreate
	fnCompilerDestroy
	fnCompilerCompile
	fnCompilerProgramSize
	fnCompilerProgram
	fnCompilerErrorLogSize
	fnCompilerErrorLog
	fnCompilerInfoLogSize
	fnCompilerInfoLog
	compilerFunctionCount
)

var compilerNames = [compilerFunctionCount]string{
	fnCompilerVersion:      "nvPTXCompilerGetVersion",
	fnCompilerCreate:       "nvPTXCompilerCreate",
	fnCompilerDestroy:      "nvPTXCompilerDestroy",
	fnCompilerCompile:      "nvPTXCompilerCompile",
	fnCompilerProgramSize:  "nvPTXCompilerGetCompiledProgramSize",
	fnCompilerProgram:      "nvPTXCompilerGetCompiledProgram",
	fnCompilerErrorLogSize: "nvPTXCompilerGetErrorLogSize",
	fnCompilerErrorLog:     "nvPTXCompilerGetErrorLog",
	fnCompilerInfoLogSize:  "nvPTXCompilerGetInfoLogSize",
	fnCompilerInfoLog:      "nvPTXCompilerGetInfoLog",
}

// compilerFailures are the values of nvPTXCompileResult.
var compilerFailures = map[int32]string{
	1: "invalid handle", 2: "invalid input", 3: "compilation failure", 4: "internal error",
	5: "out of memory", 6: "incomplete invocation", 7: "unsupported PTX version",
}

// atFault are the failures that the text is the cause of.
var atFault = map[int32]bool{2: true, 3: true, 7: true}

// compiler is the assembler of the driver, in this process: the nvPTXCompiler
// functions. One handle serves one text, so calls do not meet.
type compiler struct {
	fns     symbols
	version string
}

func findInProcess() (Assembler, error) {
	lib, err := openFirst(assemblerNames)
	if err != nil {
		return nil, err
	}
	return bindCompiler(lib)
}

func bindCompiler(lib clib.Library) (*compiler, error) {
	fns, missing := resolve(lib, compilerNames[:])
	if len(missing) > 0 {
		return nil, errors.New("the assembler's library lacks " + strings.Join(missing, ", "))
	}
	c := &compiler{fns: fns}
	var major, minor uint32
	if r := c.call(fnCompilerVersion, uintptr(unsafe.Pointer(&major)), uintptr(unsafe.Pointer(&minor))); r != 0 {
		return nil, compilerFailure(fnCompilerVersion, r)
	}
	c.version = fmt.Sprintf("nvPTXCompiler %d.%d", major, minor)
	return c, nil
}

// call calls f. Pointers among args are kept and do not move until it returns.
//
//go:uintptrescapes
func (c *compiler) call(f compilerFunction, args ...uintptr) int32 {
	return int32(clib.Call(c.fns[f], args))
}

func compilerFailure(f compilerFunction, r int32) error {
	said := compilerFailures[r]
	if said == "" {
		said = "unknown failure"
	}
	return fmt.Errorf("%s: %s (%d)", compilerNames[f], said, r)
}

func (c *compiler) Version() string { return c.version }

func (c *compiler) Assemble(ptx, arch string) (cubin []byte, info string, err error) {
	src := append([]byte(ptx), 0)
	var h uintptr
	if r := c.call(fnCompilerCreate, uintptr(unsafe.Pointer(&h)), uintptr(len(src)), uintptr(unsafe.Pointer(&src[0]))); r != 0 {
		return nil, "", compilerFailure(fnCompilerCreate, r)
	}
	defer func() {
		c.call(fnCompilerDestroy, uintptr(unsafe.Pointer(&h)))
		runtime.KeepAlive(src) // the handle may refer to it
	}()
	if r := c.compile(h, "--gpu-name="+arch, "-v"); atFault[r] {
		return nil, "", &AssemblyError{Arch: arch, Log: c.log(h, fnCompilerErrorLogSize, fnCompilerErrorLog)}
	} else if r != 0 {
		return nil, "", compilerFailure(fnCompilerCompile, r)
	}
	cubin, err = c.bytes(h, fnCompilerProgramSize, fnCompilerProgram)
	return cubin, c.log(h, fnCompilerInfoLogSize, fnCompilerInfoLog), err
}

func (c *compiler) compile(h uintptr, options ...string) int32 {
	var pin runtime.Pinner
	defer pin.Unpin()
	list := make([]uintptr, len(options))
	for i, o := range options {
		b := append([]byte(o), 0)
		pin.Pin(&b[0])
		list[i] = uintptr(unsafe.Pointer(&b[0]))
	}
	return c.call(fnCompilerCompile, h, uintptr(len(list)), uintptr(unsafe.Pointer(&list[0])))
}

// bytes is what one function gives, of the size that another gives.
func (c *compiler) bytes(h uintptr, size, get compilerFunction) ([]byte, error) {
	var n uintptr
	if r := c.call(size, h, uintptr(unsafe.Pointer(&n))); r != 0 {
		return nil, compilerFailure(size, r)
	}
	b := make([]byte, n+1) // logs: a zero at the end, also where it is not counted
	if r := c.call(get, h, uintptr(unsafe.Pointer(&b[0]))); r != 0 {
		return nil, compilerFailure(get, r)
	}
	return b[:n], nil
}

func (c *compiler) log(h uintptr, size, get compilerFunction) string {
	b, err := c.bytes(h, size, get)
	if err != nil {
		return err.Error()
	}
	return terminated(b)
}
