package diskcache

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// The environment variables: the directory, and whether Default keeps anything.
const (
	EnvDir    = "JITC_CACHE_DIR"
	EnvSwitch = "JITC_CACHE"
)

// DirError says that a directory cannot hold a cache.
type DirError struct {
	Dir           string
	Expected, Got string
	Hint          string // what to do about it; may be empty
}

// Error says what was expected and what is there.
func (e *DirError) Error() string {
	text := fmt.Sprintf("cache directory %s: expected %s, got %s", e.Dir, e.Expected, e.Got)
	if e.Hint != "" {
		text += " (hint: " + e.Hint + ")"
	}
	return text
}

// Default is the cache that executors share, opened at the first call with a
// logger of slog's. With JITC_CACHE=off, or where there is no directory for it,
// which is warned of, it misses everything and keeps nothing: see Cache.Off. A
// value of JITC_CACHE that means nothing is warned of, and leaves it on.
func Default() *Cache { return shared() }

var shared = sync.OnceValue(func() *Cache { return openDefault(slog.Default()) })

func openDefault(log *slog.Logger) *Cache {
	if err := SwitchedOff(); err != nil {
		return &Cache{off: err}
	}
	if v := os.Getenv(EnvSwitch); v != "" && !isOn[strings.ToLower(v)] {
		log.Warn("disk cache: "+EnvSwitch+" is neither on nor off: it is on", "expected", "on or off", "got", v)
	}
	c, err := Open(Options{Log: log})
	if err != nil {
		log.Warn("disk cache: nothing is kept on disk", "err", err)
		return &Cache{off: err}
	}
	return c
}

// isOn are the values of JITC_CACHE: those that leave it on, and those that do not.
var isOn = map[string]bool{"on": true, "1": true, "true": true, "yes": true, "off": false, "0": false, "false": false, "no": false}

// SwitchedOff is why the environment asks Default to keep nothing: JITC_CACHE is
// off, 0, false or no. Any other value leaves it on.
func SwitchedOff() error {
	v := os.Getenv(EnvSwitch)
	if on, known := isOn[strings.ToLower(v)]; known && !on {
		return errors.New(EnvSwitch + "=" + v)
	}
	return nil
}

// dirOf is the absolute path of the directory that options ask for.
func dirOf(dir string) (string, error) {
	if dir == "" {
		dir = os.Getenv(EnvDir)
	}
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("no directory for the disk cache: %w (hint: set %s)", err, EnvDir)
		}
		dir = filepath.Join(base, "jitc")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("cache directory %s: %w", dir, err)
	}
	return abs, nil
}

// open opens the directory, as it is now: a process may live on for long after
// its directory was removed, or given to others. With create it makes one that is
// missing, else the error is fs.ErrNotExist. What was opened is what is checked.
func (c *Cache) open(create bool) (*os.Root, error) {
	root, err := os.OpenRoot(c.dir)
	if create && errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(c.dir, 0o700); err != nil {
			return nil, err
		}
		root, err = os.OpenRoot(c.dir)
	}
	if info, statErr := os.Stat(c.dir); err != nil && statErr == nil && !info.IsDir() {
		return nil, &DirError{Dir: c.dir, Expected: "a directory", Got: "a file"}
	}
	if err != nil {
		return nil, err
	}
	info, err := root.Stat(".")
	if err == nil {
		err = checkDir(c.dir, info, os.Getuid())
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	return root, nil
}

// checkDir refuses a directory whose files somebody else than the user could
// have written: they hold code that will run.
func checkDir(dir string, info fs.FileInfo, user int) error {
	expected, got := unsafeMode(info, user)
	if expected == "" {
		return nil
	}
	e := &DirError{Dir: dir, Expected: "a directory " + expected, Got: "one " + got, Hint: "set " + EnvDir + " to another directory"}
	if writable(info) {
		e.Hint = "chmod go-w " + dir
	}
	return e
}
