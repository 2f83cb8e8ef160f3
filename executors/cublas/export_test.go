package cublas

import (
	"jitc/executors/cuda"
	"jitc/executors/cuda/cublaslt"
)

// NewOf is New with a library that is yet to be found, and then to be loaded.
func NewOf(device *cuda.Executor, find func(version int) error, load func() (cublaslt.API, error)) *Executor {
	return newExecutor(device, func(version int) (*library, error) {
		return &library{open: load, opts: Options{Any: true}}, find(version)
	})
}

// OptionsOf are the options for a value of JITC_CUBLAS_CLAIM.
func OptionsOf(claim string) (Options, error) {
	return optionsOfMachine(func(name string) string {
		return map[string]string{"JITC_CUBLAS_CLAIM": claim}[name]
	})
}
