package diskcache

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultMaxBytes is the bound of a cache that was given none.
const DefaultMaxBytes = 1 << 30

// Options are those of a cache; the zero value is good.
type Options struct {
	// Dir is the cache's directory, which is made when it is first needed. Empty:
	// $JITC_CACHE_DIR, else the folder jitc of os.UserCacheDir.
	Dir string
	// MaxBytes bounds the files' size together; 0 is DefaultMaxBytes. What was not
	// used for longest goes first. Processes that write at the same time may
	// exceed it by what they are writing.
	MaxBytes int64
	// Log gets a warning for every file that is damaged, and for what is wrong with
	// the directory, once each; may be nil.
	Log *slog.Logger
}

// Cache is a directory of entries. Safe for concurrent use.
type Cache struct {
	dir   string // absolute
	limit int64
	off   error // not nil: Get misses and Put drops
	log   *slog.Logger

	hits, misses, puts, evicted, damaged atomic.Int64

	warnings sync.Mutex
	warned   map[string]bool // what was warned of; see warn

	// What tests put others in the place of.
	now    func() time.Time
	create func(dir *os.Root, name string) (io.WriteCloser, error)
}

// ErrTooLarge is wrapped by Put's error for data that is larger than the cache
// may be.
var ErrTooLarge = errors.New("larger than the cache may be")

// Open returns the cache of a directory. It writes nothing; the directory is made
// by the first Put. The errors say that no place for it can be found, or are
// *DirError: there is something that cannot be used as the directory.
func Open(o Options) (*Cache, error) {
	dir, err := dirOf(o.Dir)
	if err != nil {
		return nil, err
	}
	c := &Cache{dir: dir, limit: o.MaxBytes, log: o.Log, warned: map[string]bool{}, now: time.Now, create: createFile}
	if c.limit <= 0 {
		c.limit = DefaultMaxBytes
	}
	root, err := c.open(false)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err == nil {
		root.Close()
	}
	return c, nil
}

// Dir is the directory's absolute path; empty if the cache is off for want of one.
func (c *Cache) Dir() string { return c.dir }

// Off is why the cache keeps nothing: nil, unless it is Default's.
func (c *Cache) Off() error { return c.off }

// Get returns the data of an entry; it is the caller's. A file that is damaged,
// or that others could have written, is a miss with a warning, and is removed.
func (c *Cache) Get(k Key) ([]byte, bool) {
	data, err := c.get(k)
	if err == nil {
		c.hits.Add(1)
		return data, true
	}
	c.misses.Add(1)
	switch {
	case errors.As(err, new(*badFile)):
		c.warn("disk cache: a file cannot be used", k.path(), err)
	case !errors.Is(err, fs.ErrNotExist):
		c.warn("disk cache: nothing can be read", "", err)
	}
	return nil, false
}

func (c *Cache) get(k Key) ([]byte, error) {
	if c.off != nil || !ValidKind(k.kind) {
		return nil, fs.ErrNotExist
	}
	root, err := c.open(false)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	data, info, err := c.read(root, k)
	var bad *badFile
	if errors.As(err, &bad) {
		// Another process may have replaced it by a good one: that is a miss, later.
		c.damaged.Add(1)
		_ = root.Remove(k.path())
		return nil, err
	}
	if err == nil {
		c.touch(root, k, info)
	}
	return data, err
}

// read returns an entry's data; a *badFile says what is wrong with its file.
// Other errors (too many open files) say nothing about the file.
func (c *Cache) read(root *os.Root, k Key) ([]byte, fs.FileInfo, error) {
	info, err := root.Lstat(k.path())
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, badf("expected a regular file, got %s", info.Mode())
	}
	if expected, got := unsafeMode(info, os.Getuid()); expected != "" {
		return nil, nil, badf("expected a file %s, got one %s", expected, got)
	}
	if info.Size() > c.limit || info.Size() != int64(int(info.Size())) {
		return nil, nil, badf("%v: %d bytes", ErrTooLarge, info.Size())
	}
	f, err := root.Open(k.path())
	if errors.Is(err, fs.ErrPermission) {
		return nil, nil, badf("%v", err)
	}
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	file := make([]byte, info.Size())
	if n, err := io.ReadFull(f, file); errors.Is(err, io.ErrUnexpectedEOF) {
		file = file[:n] // cut short meanwhile
	} else if err != nil && err != io.EOF {
		return nil, nil, err
	}
	data, err := decode(file, k)
	return data, info, err
}

// touchEvery is how long a file's time of use may lag: touching it at every hit
// would make each a write to the disk.
const touchEvery = time.Hour

// touch notes that an entry was used, in its time of modification (that of access
// is often not kept). A time in the future is of a clock that was wrong.
func (c *Cache) touch(root *os.Root, k Key, info fs.FileInfo) {
	now := c.now()
	if now.Sub(info.ModTime()).Abs() > touchEvery {
		_ = root.Chtimes(k.path(), now, now) // a directory that cannot be written serves still
	}
}

// Put keeps data under a key, and then removes what was not used for longest if
// the cache has grown over its bound. When it returns an error, nothing is kept,
// nothing is half written, and an entry of that key is as it was.
func (c *Cache) Put(k Key, data []byte) error {
	if c.off != nil {
		return nil
	}
	err := c.check(k, data)
	for try := 0; err == nil; try++ {
		if err = c.put(k, data); err == nil {
			c.puts.Add(1)
			return nil
		}
		if errors.Is(err, fs.ErrNotExist) && try < 3 {
			err = nil // a folder was removed while we were writing into it
		}
	}
	return fmt.Errorf("disk cache: %s is not kept: %w", k, err)
}

func (c *Cache) check(k Key, data []byte) error {
	if !ValidKind(k.kind) {
		return fmt.Errorf("expected a kind of 1 to %d characters of a-z, 0-9 and '-', got %q", maxKind, k.kind)
	}
	if n := int64(len(data)) + headerSize; n > c.limit {
		return fmt.Errorf("%w: expected at most %d bytes, got %d", ErrTooLarge, c.limit, n)
	}
	return nil
}

func (c *Cache) put(k Key, data []byte) (err error) {
	root, err := c.open(true)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Mkdir(k.shard(), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	tmp := k.shard() + "/" + tempName()
	defer func() {
		if err != nil {
			_ = root.Remove(tmp)
		}
	}()
	if err := c.write(root, tmp, headerOf(k, data).encode(), data); err != nil {
		return err
	}
	// The file system's own times are too coarse to tell entries of one moment apart.
	now := c.now()
	_ = root.Chtimes(tmp, now, now)
	if err := root.Rename(tmp, k.path()); err != nil {
		return err
	}
	c.added(root, headerSize+int64(len(data)))
	return nil
}

// write makes a file of the parts, one after another.
func (c *Cache) write(root *os.Root, name string, parts ...[]byte) error {
	f, err := c.create(root, name)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if _, err := f.Write(p); err != nil {
			f.Close()
			return err
		}
	}
	return f.Close()
}

func createFile(dir *os.Root, name string) (io.WriteCloser, error) {
	return dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// The names of files that are being written.
const tempPrefix, tempSuffix = "put-", ".tmp"

func tempName() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return tempPrefix + hex.EncodeToString(b[:]) + tempSuffix
}

// maxWarnings bounds what is remembered, and warned of.
const maxWarnings = 256

// warn logs something once.
func (c *Cache) warn(what, file string, err error) {
	if c.log == nil {
		return
	}
	c.warnings.Lock()
	text := what + file
	again := c.warned[text] || len(c.warned) >= maxWarnings
	c.warned[text] = true
	c.warnings.Unlock()
	if !again {
		c.log.Warn(what, "dir", c.dir, "file", file, "err", err)
	}
}
