//go:build !nocuda

package main

// The CUDA driver is found when the program runs; linking what finds it makes the
// binary a dynamically linked one. The build tag nocuda leaves it out:
//
//	CGO_ENABLED=0 go build -tags nocuda ./cmd/jitc
import _ "jitc/executors/cuda"
