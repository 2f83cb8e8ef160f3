package diskcache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

// Counts are what a Cache value has done, in this process.
type Counts struct {
	Hits    int64 `json:"hits"`
	Misses  int64 `json:"misses"`
	Puts    int64 `json:"puts"`    // that succeeded
	Evicted int64 `json:"evicted"` // entries removed for want of room
	Damaged int64 `json:"damaged"` // files that Get had to remove
}

// Counts returns what was done so far.
func (c *Cache) Counts() Counts {
	return Counts{Hits: c.hits.Load(), Misses: c.misses.Load(), Puts: c.puts.Load(), Evicted: c.evicted.Load(), Damaged: c.damaged.Load()}
}

// Stat is what a directory holds; sizes are in bytes, headers included.
type Stat struct {
	Dir     string     `json:"dir"`
	Limit   int64      `json:"limit"`
	Entries int        `json:"entries"`
	Bytes   int64      `json:"bytes"`
	Kinds   []KindStat `json:"kinds"` // in alphabetical order
	// Oldest and Newest are when the entry that was not used for longest, and the
	// one that was used last, were used, to about an hour; zero without entries.
	Oldest time.Time `json:"oldest,omitzero"`
	Newest time.Time `json:"newest,omitzero"`
	// Unfinished are files that are being written, or that processes which died have
	// left; those go an hour later.
	Unfinished int `json:"unfinished"`
}

// KindStat is what a directory holds of one kind.
type KindStat struct {
	Kind    string `json:"kind"`
	Entries int    `json:"entries"`
	Bytes   int64  `json:"bytes"`
}

// Stat looks at every file's name and size. A directory that was not made yet is
// empty.
func (c *Cache) Stat() (Stat, error) {
	s := Stat{Dir: c.dir, Limit: c.limit, Kinds: []KindStat{}}
	_, err := c.each(context.Background(), func(_ *os.Root, files []file) error {
		for i := range files {
			s.add(&files[i])
		}
		return nil
	})
	slices.SortFunc(s.Kinds, func(a, b KindStat) int { return strings.Compare(a.Kind, b.Kind) })
	return s, err
}

func (s *Stat) add(f *file) {
	if f.temp {
		s.Unfinished++
		return
	}
	s.Entries++
	s.Bytes += f.size
	if s.Oldest.IsZero() || f.used.Before(s.Oldest) {
		s.Oldest = f.used
	}
	if f.used.After(s.Newest) {
		s.Newest = f.used
	}
	i := slices.IndexFunc(s.Kinds, func(k KindStat) bool { return k.Kind == f.key.kind })
	if i < 0 {
		i, s.Kinds = len(s.Kinds), append(s.Kinds, KindStat{Kind: f.key.kind})
	}
	s.Kinds[i].Entries++
	s.Kinds[i].Bytes += f.size
}

// each gives f the directory's files; exists is false if there is no directory.
func (c *Cache) each(ctx context.Context, f func(*os.Root, []file) error) (exists bool, err error) {
	if c.off != nil {
		return false, nil
	}
	root, err := c.open(false)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer root.Close()
	files, err := walk(ctx, root)
	if err != nil {
		return true, err
	}
	return true, f(root, files)
}

// VerifyOptions are those of Verify.
type VerifyOptions struct {
	Remove   bool                  // the files that cannot be used
	Progress func(done, total int) // called before each file, if not nil
}

// Report is what Verify found.
type Report struct {
	Dir     string    `json:"dir"`
	Checked int       `json:"checked"` // entries
	Bytes   int64     `json:"bytes"`   // of them
	Bad     []BadFile `json:"bad"`
}

// BadFile is a file that Get would not use.
type BadFile struct {
	File    string `json:"file"` // from the directory, with slashes
	Why     string `json:"why"`
	Removed bool   `json:"removed"`
}

// Verify reads every entry and lists those that are damaged, or that others could
// have written. It does not count as use. Entries that come or go meanwhile may
// be left out.
func (c *Cache) Verify(ctx context.Context, o VerifyOptions) (Report, error) {
	r := Report{Dir: c.dir, Bad: []BadFile{}}
	_, err := c.each(ctx, func(root *os.Root, files []file) error {
		files = slices.DeleteFunc(files, func(f file) bool { return f.temp })
		for i := range files {
			if err := ctx.Err(); err != nil {
				return err
			}
			if o.Progress != nil {
				o.Progress(i, len(files))
			}
			if err := c.verify(root, &files[i], o.Remove, &r); err != nil {
				return err
			}
		}
		return nil
	})
	return r, err
}

func (c *Cache) verify(root *os.Root, f *file, remove bool, r *Report) error {
	_, _, err := c.read(root, f.key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	r.Checked++
	r.Bytes += f.size
	if err == nil {
		return nil
	}
	bad := BadFile{File: f.path, Why: err.Error()}
	if !errors.As(err, new(*badFile)) {
		return fmt.Errorf("disk cache: %s: %w", f.path, err)
	}
	if remove {
		err := root.Remove(f.path)
		bad.Removed = err == nil || errors.Is(err, fs.ErrNotExist)
	}
	r.Bad = append(r.Bad, bad)
	return nil
}

// Cleared is what Clear removed.
type Cleared struct {
	Dir     string `json:"dir"`
	Entries int    `json:"entries"`
	Bytes   int64  `json:"bytes"`
}

// Clear removes the entries of some kinds, or of all, and what processes that
// died have left. Files that are not the cache's stay.
func (c *Cache) Clear(ctx context.Context, kinds ...string) (Cleared, error) {
	r := Cleared{Dir: c.dir}
	for _, k := range kinds {
		if !ValidKind(k) {
			return r, fmt.Errorf("expected a kind of 1 to %d characters of a-z, 0-9 and '-', got %q", maxKind, k)
		}
	}
	_, err := c.each(ctx, func(root *os.Root, files []file) error {
		now := c.now()
		for i := range files {
			f := &files[i]
			if f.temp && !f.abandoned(now) || !f.temp && len(kinds) > 0 && !slices.Contains(kinds, f.key.kind) {
				continue
			}
			if err := errors.Join(ctx.Err(), r.remove(root, f)); err != nil {
				return errors.Join(err, forgetSizes(root))
			}
		}
		if len(kinds) == 0 {
			removeShards(root)
		}
		return forgetSizes(root)
	})
	return r, err
}

func (r *Cleared) remove(root *os.Root, f *file) error {
	err := root.Remove(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && !f.temp {
		r.Entries++
		r.Bytes += f.size
	}
	return err
}

// removeShards removes the folders that are empty.
func removeShards(root *os.Root) {
	names, _ := list(root)
	for _, n := range names {
		if info, err := root.Lstat(n); err == nil && info.IsDir() && isShard(n) {
			_ = root.Remove(n) // not if it holds anything
		}
	}
}
