package sim

import "fmt"

// Launch is one launch of an entry.
type Launch struct {
	Entry       string
	Grid, Block [3]int
	Shared      int    // bytes of dynamic shared memory
	Params      []byte // the parameter block: parameters in order, each aligned to its size
}

// Options are how to run.
type Options struct {
	// Perturb, when not 0, is a seed: approximate instructions (ex2.approx, and all
	// others for which the hardware promises less than correct rounding) are off by up
	// to 2 ulp, the same amount for the same input, the blocks of the grid and the warps
	// of a block run in another order, and elect.sync picks another lane.
	Perturb int64
	// MaxSteps is how many instructions the warps of a block may carry out together;
	// 0 is 1<<24.
	MaxSteps int64
	// GlobalRaces makes it a fault that a block accesses what another block of the
	// launch writes, unless both do so atomically, or it reads what was handed over by an
	// atomic between fences (see the package comment). It costs time.
	GlobalRaces bool
}

const defaultSteps = 1 << 24

// Stats counts what a launch did.
type Stats struct {
	Insts           int64 // instructions, of every thread whose guard held
	Steps           int64 // instructions of warps
	GlobalAccesses  int64 // accesses to global memory, by warps
	GlobalSectors   int64 // 32-byte sectors that these touch
	Vec128          int64 // 128-bit accesses to global memory, by threads
	SharedConflicts int64 // shared-memory cycles beyond those without bank conflicts
	MatrixConflicts int64 // those of them that ldmatrix took
	Barriers        int64 // barriers that a block has passed
	MMA             int64 // matrix products of warps
	GroupMMA        int64 // wgmma, by warps
	Async           int64 // cp.async, by threads
	Bulk            int64 // bulk copies, both ways
	BulkBytes       int64 // that these bring, with what lies outside of tensors
}

// Add adds the counts of another launch.
func (s *Stats) Add(t Stats) {
	s.Insts += t.Insts
	s.Steps += t.Steps
	s.GlobalAccesses += t.GlobalAccesses
	s.GlobalSectors += t.GlobalSectors
	s.Vec128 += t.Vec128
	s.SharedConflicts += t.SharedConflicts
	s.MatrixConflicts += t.MatrixConflicts
	s.Barriers += t.Barriers
	s.MMA += t.MMA
	s.GroupMMA += t.GroupMMA
	s.Async += t.Async
	s.Bulk += t.Bulk
	s.BulkBytes += t.BulkBytes
}

// Kind is what a Fault is about.
type Kind uint8

// The kinds of faults.
const (
	LaunchFit         Kind = iota // a launch that the entry or the hardware does not allow
	OutOfBounds                   // a global, constant, local or parameter access outside of what is there
	Misaligned                    // an access that is not aligned to its size
	UnwrittenGlobal               // a read of global memory that nobody wrote
	UnwrittenRegister             // a read of a register that nobody wrote
	SharedBounds                  // an access outside of the block's shared memory
	UnwrittenShared               // a read of shared memory that nobody wrote
	UnwrittenLocal                // a read of local memory that nobody wrote
	SharedRace                    // two threads, one of them writing, without a barrier between
	AsyncNotWaited                // an access to what a cp.async or bulk copy writes, before its wait
	ProductNotWaited              // an access to a register of a wgmma, before its wait
	NotFenced                     // a wgmma or bulk copy that needs a wgmma.fence, fence.proxy.async or fence.mbarrier_init
	BadBarrier                    // an mbarrier that is none, or one that does not allow what is asked of it
	BadTransaction                // bytes of bulk copies that are not those that an mbarrier expects
	BadTensorMap                  // a tensor map that was not encoded, or one of another number of axes
	BadDescriptor                 // a descriptor of a wgmma with bits that mean nothing, or not the same in all lanes
	MissingWarp                   // a wgmma that not all four warps of a group carry out alike
	DivergentBarrier              // a barrier that not all threads of a warp, or of the block, reach together
	BarrierDeadlock               // a barrier or mbarrier that some threads never reach, or registers nobody gives
	MissingLane                   // a collective of a warp without all lanes that it names
	EndlessLoop                   // more than MaxSteps instructions
	GlobalRace                    // two blocks of a launch, one of them writing
	Trapped                       // the trap instruction
	numKinds
)

var kindNames = [numKinds]string{
	"launch does not fit", "out of bounds", "misaligned", "unwritten global memory",
	"unwritten register", "shared memory out of bounds", "unwritten shared memory",
	"unwritten local memory", "shared memory race", "asynchronous copy not waited for",
	"asynchronous product not waited for", "not fenced", "bad barrier", "bad transaction",
	"bad tensor map", "bad descriptor", "missing warp",
	"divergent barrier", "barrier deadlock", "missing lane", "endless loop", "global memory race", "trap",
}

// String is the kind in words.
func (k Kind) String() string { return kindNames[k] }

// Fault is an error of the program that ran: what is wrong, and where. Run returns
// it as *Fault, to be had with errors.As.
type Fault struct {
	Kind   Kind
	Entry  string
	Inst   string // the text of the instruction; "" for a launch that does not fit
	Line   int    // of the PTX, from 1
	Block  [3]int
	Thread int // linear index in the block
	Text   string
}

// Error says what is wrong, and where.
func (f *Fault) Error() string {
	if f.Inst == "" {
		return fmt.Sprintf("sim: %s: %s: %s", f.Entry, f.Kind, f.Text)
	}
	return fmt.Sprintf("sim: %s, line %d, block (%d,%d,%d), thread %d: %s: %s\n\t%s",
		f.Entry, f.Line, f.Block[0], f.Block[1], f.Block[2], f.Thread, f.Kind, f.Text, f.Inst)
}
