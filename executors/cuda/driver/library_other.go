//go:build !windows && !(linux && (amd64 || arm64))

package driver

var driverNames, assemblerNames = []string{"libcuda.so.1"}, []string{"libnvidia-ptxjitcompiler.so.1"}
