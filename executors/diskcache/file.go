package diskcache

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// formatVersion is the version of the file format. Keys depend on it.
const formatVersion = 1

// magic begins every file. Its first byte is no text, and its line ends tell a
// file that was transferred as text.
const magic = "\x89jitc\r\n\x1a"

// The header, numbers being little-endian:
//
//	0    8 bytes   magic
//	8    uint32    format version
//	12   32 bytes  kind, padded with zeros
//	44   32 bytes  key
//	76   uint64    length of the data
//	84   32 bytes  SHA-256 of the data
//	116            the data, to the end of the file
const (
	atVersion  = 8
	atKind     = 12
	atKey      = atKind + maxKind
	atLength   = atKey + sha256.Size
	atSum      = atLength + 8
	headerSize = atSum + sha256.Size
)

// header is what a file says of itself.
type header struct {
	key    Key
	length uint64
	sum    [sha256.Size]byte
}

// headerOf is the header of an entry.
func headerOf(k Key, data []byte) header {
	return header{key: k, length: uint64(len(data)), sum: sha256.Sum256(data)}
}

// encode is the header as it is in the file.
func (h header) encode() []byte {
	b := make([]byte, headerSize)
	copy(b, magic)
	binary.LittleEndian.PutUint32(b[atVersion:], formatVersion)
	copy(b[atKind:atKey], h.key.kind)
	copy(b[atKey:], h.key.sum[:])
	binary.LittleEndian.PutUint64(b[atLength:], h.length)
	copy(b[atSum:], h.sum[:])
	return b
}

// badFile says why a file cannot be an entry.
type badFile struct{ why string }

func (b *badFile) Error() string { return b.why }

func badf(format string, args ...any) error { return &badFile{fmt.Sprintf(format, args...)} }

// parseHeader reads the header that b begins with. Every error is a *badFile.
func parseHeader(b []byte) (header, error) {
	if len(b) < headerSize {
		return header{}, badf("truncated: expected a header of %d bytes, got %d", headerSize, len(b))
	}
	if string(b[:len(magic)]) != magic {
		return header{}, badf("not a file of the cache: it begins with %q", b[:len(magic)])
	}
	if v := binary.LittleEndian.Uint32(b[atVersion:]); v != formatVersion {
		return header{}, badf("expected format version %d, got %d", formatVersion, v)
	}
	kind := bytes.TrimRight(b[atKind:atKey], "\x00")
	if !ValidKind(string(kind)) {
		return header{}, badf("damaged: %q is no kind", kind)
	}
	h := header{key: Key{kind: string(kind)}, length: binary.LittleEndian.Uint64(b[atLength:])}
	copy(h.key.sum[:], b[atKey:])
	copy(h.sum[:], b[atSum:])
	return h, nil
}

// decode returns the data of a file, which is the entry of k, or a *badFile.
func decode(file []byte, k Key) ([]byte, error) {
	h, err := parseHeader(file)
	if err != nil {
		return nil, err
	}
	data := file[headerSize:]
	switch {
	case h.key != k:
		return nil, badf("it holds another entry: %s", h.key)
	case h.length > uint64(len(data)):
		return nil, badf("truncated: expected %d bytes of data, got %d", h.length, len(data))
	case h.length < uint64(len(data)):
		return nil, badf("expected %d bytes of data, got %d", h.length, len(data))
	case sha256.Sum256(data) != h.sum:
		return nil, badf("damaged: the checksum of its data differs")
	}
	return data[:len(data):len(data)], nil
}
