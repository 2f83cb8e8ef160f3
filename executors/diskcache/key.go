package diskcache

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// Key names an entry: its kind and a hash of everything that it depends on. Keys
// are comparable. The zero Key names nothing: Get misses it and Put refuses it.
type Key struct {
	kind string
	sum  [sha256.Size]byte
}

// maxKind is how long a kind may be.
const maxKind = 32

// NewKey makes the key of an entry. kind says what entries of this sort are
// ("cubin"): 1 to 32 lower-case letters, digits and '-'. parts are everything
// that the data depends on: source text, architecture, driver version, options.
// Each part counts with its length: ("ab", "c") and ("a", "bc") differ. Entries
// of another version of the file format have other keys.
func NewKey(kind string, parts ...string) Key {
	h := sha256.New()
	var n [8]byte
	number := func(x uint64) {
		binary.LittleEndian.PutUint64(n[:], x)
		h.Write(n[:])
	}
	number(formatVersion)
	for _, p := range append([]string{kind}, parts...) {
		number(uint64(len(p)))
		h.Write([]byte(p))
	}
	k := Key{kind: kind}
	h.Sum(k.sum[:0])
	return k
}

// Kind is the kind that the key was made with.
func (k Key) Kind() string { return k.kind }

// String is the key's file name: 64 hexadecimal digits, a dot, the kind.
func (k Key) String() string { return hex.EncodeToString(k.sum[:]) + "." + k.kind }

// shard is the folder that the key's file is in.
func (k Key) shard() string { return hex.EncodeToString(k.sum[:1]) }

// path is the key's file, from the directory.
func (k Key) path() string { return k.shard() + "/" + k.String() }

// ValidKind reports whether entries may be of a kind so called: 1 to 32 lower-case
// letters, digits and '-', which can be part of a file name everywhere.
func ValidKind(kind string) bool {
	return kind != "" && len(kind) <= maxKind && strings.IndexFunc(kind, notInKind) < 0
}

func notInKind(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
}

// parseName is the key whose file is called so.
func parseName(shard, name string) (Key, bool) {
	digits, kind, ok := strings.Cut(name, ".")
	if !ok || !ValidKind(kind) {
		return Key{}, false
	}
	k := Key{kind: kind}
	sum, err := hex.DecodeString(digits)
	if err != nil || len(sum) != len(k.sum) {
		return Key{}, false
	}
	copy(k.sum[:], sum)
	return k, k.String() == name && k.shard() == shard // not in upper case
}
