package driver

import (
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const info = `ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'scale' for 'sm_80'
ptxas info    : Function properties for scale
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 10 registers, used 1 barriers, 1024 bytes smem, 380 bytes cmem[0]
ptxas info    : Compile time = 3.271 ms
ptxas info    : Compiling entry function 'gemm' for 'sm_90a'
ptxas info    : Function properties for slow
    16 bytes stack frame, 16 bytes spill stores, 16 bytes spill loads
ptxas info    : Function properties for gemm
    64 bytes stack frame, 28 bytes spill stores, 32 bytes spill loads
ptxas info    : Used 255 registers
`

func TestParseInfo(t *testing.T) {
	assert.Equal(t, map[string]EntryInfo{
		"scale": {Registers: 10, Shared: 1024},
		"gemm":  {Registers: 255, Stack: 64, SpillStores: 28, SpillLoads: 32},
	}, ParseInfo(info))
	assert.Empty(t, ParseInfo(""))
	assert.Empty(t, ParseInfo("Used 10 registers\n"), "of no entry")
	assert.Equal(t, map[string]EntryInfo{"f": {}}, ParseInfo("Compiling entry function 'f'\nUsed many registers, 5\nregisters 7"))
}

const goodPTX = `.version 7.4
.target sm_80
.address_size 64
.visible .entry double(.param .u64 p)
{
	.reg .b64 %rd<3>;
	.reg .b32 %r<2>;
	.reg .f32 %f<2>;
	ld.param.u64 %rd0, [p];
	mov.u32 %r0, %tid.x;
	mul.wide.u32 %rd1, %r0, 4;
	add.u64 %rd2, %rd0, %rd1;
	ld.global.f32 %f0, [%rd2];
	add.f32 %f1, %f0, %f0;
	st.global.f32 [%rd2], %f1;
	ret;
}
`

func testAssembler(t *testing.T, a Assembler) {
	assert.NotEmpty(t, a.Version())
	var wg sync.WaitGroup
	cubins := make([][]byte, 4)
	for i := range cubins {
		wg.Go(func() {
			cubin, info, err := a.Assemble(goodPTX, "sm_80")
			if assert.NoError(t, err) {
				cubins[i] = cubin
				assert.Positive(t, ParseInfo(info)["double"].Registers, info)
			}
		})
	}
	wg.Wait()
	require.True(t, strings.HasPrefix(string(cubins[0]), "\x7fELF"))
	for _, c := range cubins[1:] {
		assert.Equal(t, cubins[0], c, "the same text gives the same code")
	}
	_, _, err := a.Assemble(strings.Replace(goodPTX, "add.f32", "add.f33", 1), "sm_80")
	var refused *AssemblyError
	require.ErrorAs(t, err, &refused)
	assert.Contains(t, refused.Log, "line 14")
	assert.Contains(t, err.Error(), "sm_80")
}

func TestProgramAssembles(t *testing.T) {
	if _, err := exec.LookPath("ptxas"); err != nil {
		t.Skip("left out: assembling with the program ptxas, which is not on PATH")
	}
	a, err := findProgram("ptxas")
	require.NoError(t, err)
	testAssembler(t, a)
	found, err := FindAssembler()
	require.NoError(t, err)
	assert.NotNil(t, found)
}

func TestProgramThatIsMissing(t *testing.T) {
	_, err := findProgram("no-such-assembler")
	assert.ErrorContains(t, err, "no-such-assembler not found")
	_, _, err = (&program{path: "/no/such/assembler"}).Assemble(goodPTX, "sm_80")
	assert.ErrorContains(t, err, "assembling")
	assert.Contains(t, programVersion("/no/such/assembler"), "version unknown")
}

func TestLibraryAssembles(t *testing.T) {
	lib, err := openFirst(assemblerNames)
	if err != nil {
		t.Skip("left out: assembling with the driver's library, which is not on this machine: ", err)
	}
	a, err := bindCompiler(lib)
	require.NoError(t, err)
	testAssembler(t, a)
}
