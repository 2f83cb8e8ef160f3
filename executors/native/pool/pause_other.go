//go:build !amd64 && !arm64

package pool

import "runtime"

func pause() { runtime.Gosched() }
