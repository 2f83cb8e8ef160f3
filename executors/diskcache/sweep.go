package diskcache

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	// sweepLock is the file that the process which sweeps has locked. Its time is
	// that of the last sweep.
	sweepLock = "lock"
	// sweepEvery is how often the files are looked at although nothing asks for it:
	// for what processes that died have left.
	sweepEvery = 24 * time.Hour
	// tempAge is when a file that is being written is taken to be abandoned.
	tempAge = time.Hour
)

// file is one that the cache has made.
type file struct {
	path string
	key  Key // of an entry
	temp bool
	size int64
	mode fs.FileMode
	used time.Time
}

// abandoned reports whether nobody writes the file any more. A time in the future
// is of a clock that was wrong.
func (f *file) abandoned(now time.Time) bool { return f.temp && now.Sub(f.used).Abs() > tempAge }

// sweepIsDue reports whether the last sweep was long ago, or in the future.
func (c *Cache) sweepIsDue(root *os.Root) bool {
	info, err := root.Lstat(sweepLock)
	return err != nil || c.now().Sub(info.ModTime()).Abs() > sweepEvery
}

// sweep removes abandoned files, and the entries that were not used for longest
// until the cache is at nine tenths of its bound, if it is above. One process does
// it at a time; for others there is nothing left to do.
func (c *Cache) sweep(root *os.Root) error {
	lock, err := root.OpenFile(sweepLock, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if !tryLock(lock) {
		return nil
	}
	before := readSizes(root)
	files, err := walk(context.Background(), root)
	if err != nil {
		return err
	}
	now := c.now()
	total := c.evict(root, files, now)
	for i := range files {
		if files[i].abandoned(now) {
			_ = root.Remove(files[i].path)
		}
	}
	return errors.Join(c.resetSizes(root, total, before), root.Chtimes(sweepLock, now, now))
}

// evict removes entries if they are larger than the bound together, and returns
// how large they are then. The one used last stays: alone it is within the bound.
func (c *Cache) evict(root *os.Root, files []file, now time.Time) (total int64) {
	var entries []file
	for _, f := range files {
		if !f.temp {
			entries = append(entries, f)
			total += f.size
		}
	}
	if total <= c.limit {
		return total
	}
	slices.SortFunc(entries, func(a, b file) int {
		return cmp.Or(cmp.Compare(unused(a, now), unused(b, now)), b.used.Compare(a.used))
	})
	for i := len(entries) - 1; i > 0 && total > c.limit/10*9; i-- {
		if err := root.Remove(entries[i].path); err == nil || errors.Is(err, fs.ErrNotExist) {
			total -= entries[i].size
			c.evicted.Add(1)
		}
	}
	return total
}

// unused is for how long an entry was not used. One whose time is in the future,
// as no use since then has put right, is taken for the oldest; clocks of several
// machines that share a directory may differ a little.
func unused(f file, now time.Time) time.Duration {
	d := now.Sub(f.used)
	if d < -touchEvery {
		return 1<<63 - 1
	}
	return d
}

// walk lists the files that the cache has made. Others are none of its business.
func walk(ctx context.Context, root *os.Root) ([]file, error) {
	names, err := list(root)
	if err != nil {
		return nil, err
	}
	files := appendTemps(nil, root, "", names)
	for _, shard := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !isShard(shard) {
			continue
		}
		if info, err := root.Lstat(shard); err != nil || !info.IsDir() {
			continue // no links
		}
		dir, err := root.OpenRoot(shard)
		if err != nil {
			continue // removed meanwhile
		}
		names, err := list(dir)
		if err == nil {
			files = appendEntries(appendTemps(files, dir, shard+"/", names), dir, shard, names)
		}
		dir.Close()
	}
	return files, nil
}

// isShard reports whether a name is that of a shard.
func isShard(name string) bool {
	b, err := hex.DecodeString(name)
	return err == nil && len(b) == 1 && hex.EncodeToString(b) == name
}

// list returns the names in a folder, in order.
func list(dir *os.Root) ([]string, error) {
	f, err := dir.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

func appendTemps(files []file, dir *os.Root, prefix string, names []string) []file {
	for _, n := range names {
		if !strings.HasPrefix(n, tempPrefix) || !strings.HasSuffix(n, tempSuffix) {
			continue
		}
		if info, err := dir.Lstat(n); err == nil && info.Mode().IsRegular() {
			files = append(files, file{path: prefix + n, temp: true, size: info.Size(), mode: info.Mode(), used: info.ModTime()})
		}
	}
	return files
}

func appendEntries(files []file, dir *os.Root, shard string, names []string) []file {
	for _, n := range names {
		k, ok := parseName(shard, n)
		if !ok {
			continue
		}
		if info, err := dir.Lstat(n); err == nil {
			files = append(files, file{path: k.path(), key: k, size: info.Size(), mode: info.Mode(), used: info.ModTime()})
		}
	}
	return files
}
