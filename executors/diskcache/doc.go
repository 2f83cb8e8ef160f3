// Package diskcache keeps compiled artefacts (a cubin, machine code) on disk, by
// a key of everything that they depend on, so that a later process need not
// compile them again. Any executor may use it.
//
//	key := diskcache.NewKey("cubin", ptx, "sm_90", driverVersion)
//	if image, ok := diskcache.Default().Get(key); ok {
//		return load(image)
//	}
//	...compile...
//	if err := diskcache.Default().Put(key, image); err != nil {
//		log.Warn("not kept", "err", err) // and the program goes on
//	}
//
// The directory holds one file per entry, in 256 shards by the key's first byte:
//
//	7f/7f3a...e1.cubin   an entry: header (see file.go), then the data
//	7f/put-8c...07.tmp   an entry that is being written
//	sizes                what was added since the last sweep (see sizes.go)
//	lock                 held by the process that sweeps
//
// Invariants: what Get returns is what Put was given under that key, or Get
// misses: every file carries the checksum of its data, so files are not flushed
// to disk, and one that a crash has torn is a miss like any other damage. A file
// appears whole or not at all. A directory or file that another user owns or can
// write is never read, and no symbolic link is followed out of the directory.
// Readers take no lock, and any process may remove any file at any time: the
// worst that happens to the others is a miss.
//
// Safe for concurrent use, by many processes too.
package diskcache
