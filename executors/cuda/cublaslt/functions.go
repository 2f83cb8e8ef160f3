package cublaslt

// function is a function of the library that the binding calls.
type function int

const (
	fnGetVersion function = iota
	fnGetStatusName
	fnGetStatusString
	fnCreate
	fnDestroy
	fnDescCreate
	fnDescDestroy
	fnDescSet
	fnLayoutCreate
	fnLayoutDestroy
	fnLayoutSet
	fnPreferenceCreate
	fnPreferenceDestroy
	fnPreferenceSet
	fnGetHeuristic
	fnMatmul
	functionCount
)

// functionNames are the names that the library exports them by, versions 12 and 13
// alike.
var functionNames = [functionCount]string{
	fnGetVersion:        "cublasLtGetVersion",
	fnGetStatusName:     "cublasLtGetStatusName",
	fnGetStatusString:   "cublasLtGetStatusString",
	fnCreate:            "cublasLtCreate",
	fnDestroy:           "cublasLtDestroy",
	fnDescCreate:        "cublasLtMatmulDescCreate",
	fnDescDestroy:       "cublasLtMatmulDescDestroy",
	fnDescSet:           "cublasLtMatmulDescSetAttribute",
	fnLayoutCreate:      "cublasLtMatrixLayoutCreate",
	fnLayoutDestroy:     "cublasLtMatrixLayoutDestroy",
	fnLayoutSet:         "cublasLtMatrixLayoutSetAttribute",
	fnPreferenceCreate:  "cublasLtMatmulPreferenceCreate",
	fnPreferenceDestroy: "cublasLtMatmulPreferenceDestroy",
	fnPreferenceSet:     "cublasLtMatmulPreferenceSetAttribute",
	fnGetHeuristic:      "cublasLtMatmulAlgoGetHeuristic",
	fnMatmul:            "cublasLtMatmul",
}

// String is the function's name.
func (f function) String() string { return functionNames[f] }

// Attributes, by what they belong to.
const (
	descTransA   = 3 // cublasLtMatmulDescAttributes_t, int32: 1 for a transpose; B's follows
	descEpilogue = 7 // uint32
	descBias     = 8 // an address

	layoutBatch  = 5 // cublasLtMatrixLayoutAttribute_t, int32
	layoutStride = 6 // int64, elements

	preferWorkspace  = 1 // cublasLtMatmulPreferenceAttributes_t, uint64
	preferReductions = 3 // uint32
	preferAlign      = 5 // of A, uint32; those of B, C and D follow
)

// epilogueBias is of cublasLtEpilogue_t.
const epilogueBias = 4

// Where the fields of cublasLtMatmulHeuristicResult_t are: behind the algorithm.
const (
	resultWorkspace = 64 // size_t
	resultState     = 72 // cublasStatus_t
	resultWaves     = 76 // float
	resultBytes     = 96
)
