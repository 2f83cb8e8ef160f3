//go:build !nocuda

package main

// The CUDA driver, and cuBLASLt, are found when the program runs; linking what finds
// them makes the binary a dynamically linked one. The build tag nocuda leaves it out:
//
//	CGO_ENABLED=0 go build -tags nocuda ./cmd/jitc
import (
	_ "jitc/executors/cublas"
	_ "jitc/executors/cuda"
)
