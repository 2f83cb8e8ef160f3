package native

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// cacheSizes reads the first processor's data-cache sizes.
func cacheSizes() (c caches) {
	dirs, _ := filepath.Glob("/sys/devices/system/cpu/cpu0/cache/index*")
	for _, d := range dirs {
		if readWord(d, "type") == "Instruction" {
			continue
		}
		switch readWord(d, "level") {
		case "1":
			c.l1 = parseSize(readWord(d, "size"))
		case "2":
			c.l2 = parseSize(readWord(d, "size"))
		case "3":
			c.l3 = parseSize(readWord(d, "size"))
		}
	}
	return c
}

func readWord(dir, name string) string {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// parseSize reads "48K" or "1M"; 0 if it is neither.
func parseSize(s string) int {
	unit := 1
	switch {
	case strings.HasSuffix(s, "K"):
		unit = 1 << 10
	case strings.HasSuffix(s, "M"):
		unit = 1 << 20
	}
	n, err := strconv.Atoi(strings.TrimRight(s, "KM"))
	if err != nil {
		return 0
	}
	return n * unit
}
