package driver

import (
	"fmt"
	"strconv"
	"strings"
)

// Offsets are where the parameters of an entry of PTX text begin in its packed
// block, in order: each at a multiple of its alignment, that of its type unless it
// says another.
//
//	.visible .entry f(            offsets   0, 64, 192
//		.param .b32 n,
//		.param .align 64 .b8 map[128],
//		.param .b64 p
//	)
//
// Machine code has them elsewhere, where its block begins at an address that is no
// multiple of so much: on compute capability 9.0 that map is 48 bytes behind it. So the
// driver is told of parameters one by one (see LaunchConfig), and moves them there.
func Offsets(ptx, entry string) ([]int, error) {
	list, err := parameters(ptx, entry)
	if err != nil || list == "" {
		return nil, err
	}
	var out []int
	end := 0
	for decl := range strings.SplitSeq(list, ",") {
		size, align, err := extent(strings.Fields(decl))
		if err != nil {
			return nil, fmt.Errorf("parameter %d of entry %s: %w", len(out), entry, err)
		}
		at := (end + align - 1) / align * align
		out, end = append(out, at), at+size
	}
	return out, nil
}

// parameters is the list of an entry's declarations.
func parameters(ptx, entry string) (string, error) {
	const directive = ".entry"
	for _, rest, found := strings.Cut(ptx, directive); found; _, rest, found = strings.Cut(rest, directive) {
		head, _, _ := strings.Cut(rest, "{")
		name, list, _ := strings.Cut(head, "(")
		if fields := strings.Fields(name); len(fields) == 0 || fields[0] != entry {
			continue
		}
		list, _, _ = strings.Cut(list, ")")
		return strings.TrimSpace(list), nil
	}
	return "", fmt.Errorf("no entry %s", entry)
}

// extent is the size and the alignment of a declaration in bytes: .param, .align N
// perhaps, a type, and a name, which has the number of elements behind it where they
// are several.
func extent(fields []string) (size, align int, err error) {
	bad := fmt.Errorf("expected .param [.align N] type name, got %q", strings.Join(fields, " "))
	if len(fields) == 5 && fields[1] == ".align" {
		if align, err = strconv.Atoi(fields[2]); err != nil || align < 1 {
			return 0, 0, bad
		}
		fields = append([]string{fields[0]}, fields[3:]...)
	}
	if len(fields) != 3 || fields[0] != ".param" {
		return 0, 0, bad
	}
	bits, err := strconv.Atoi(strings.TrimLeft(fields[1], ".bfsu"))
	if err != nil || bits < 8 {
		return 0, 0, bad
	}
	elements := 1
	if _, n, several := strings.Cut(fields[2], "["); several {
		if elements, err = strconv.Atoi(strings.TrimSuffix(n, "]")); err != nil || elements < 1 {
			return 0, 0, bad
		}
	}
	return elements * bits / 8, max(align, bits/8), nil
}
