//go:build linux && (amd64 || arm64)

package driver

import "runtime"

// driverNames: the loader's name, then where WSL keeps it.
var driverNames = []string{"libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1"}

// assemblerNames: the driver ships its assembler beside itself.
var assemblerNames = []string{
	"libnvidia-ptxjitcompiler.so.1",
	"/usr/lib/" + multiarch[runtime.GOARCH] + "/nvidia/current/libnvidia-ptxjitcompiler.so.1",
	"/usr/lib/wsl/lib/libnvidia-ptxjitcompiler.so.1",
}

var multiarch = map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
