package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"jitc/executors/diskcache"
)

const cacheLong = `Cache shows and empties the directory in which executors keep compiled kernels
between processes. It is $JITC_CACHE_DIR, else the folder jitc in the user's
cache folder; JITC_CACHE=off keeps nothing there. What was not used for longest
goes when there is no more room. Removing any of it, also while programs run,
costs them no more than compiling again.`

const cacheExample = `  jitc cache stat
  jitc cache verify
  jitc cache clear`

func (a *app) cacheCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "cache", Short: "Show or empty the cache of compiled kernels", Long: cacheLong, Example: cacheExample,
		SuggestionsMinimumDistance: 2,
		Args:                       func(cmd *cobra.Command, args []string) error { return unknownCommand(cmd, args) },
		RunE:                       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.cacheStatCommand(), a.cacheVerifyCommand(), a.cacheClearCommand())
	return cmd
}

// openCache opens the cache, on or off: what it keeps can be looked at anyway.
func (a *app) openCache() (*diskcache.Cache, error) {
	c, err := diskcache.Open(diskcache.Options{})
	return c, cacheError(err)
}

// cacheError is an error of the cache, told as the user's mistake if it is about
// the directory that was chosen.
func cacheError(err error) error {
	var d *diskcache.DirError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &d):
		return &usageError{msg: fmt.Sprintf("cache directory %s: expected %s, got %s", d.Dir, d.Expected, d.Got), hint: d.Hint}
	}
	return fault{err}
}

const cacheStatLong = `Stat shows the directory, how much it holds of what, and when that was used, to
about an hour.`

// cacheStatReport is what jitc cache stat prints.
type cacheStatReport struct {
	diskcache.Stat
	Off string `json:"off,omitempty"` // why programs do not use it
}

func (a *app) cacheStatCommand() *cobra.Command {
	return &cobra.Command{
		Use: "stat", Short: "Show how much is in the cache", Long: cacheStatLong,
		Example: "  jitc cache stat\n  jitc cache stat --json", Args: files(0, 0),
		RunE: func(*cobra.Command, []string) error {
			c, err := a.openCache()
			if err != nil {
				return err
			}
			a.progress.start("counting the files in %s", c.Dir())
			defer a.progress.stop()
			s, err := c.Stat()
			if err != nil {
				return cacheError(err)
			}
			r := cacheStatReport{Stat: s}
			if off := diskcache.SwitchedOff(); off != nil {
				r.Off = off.Error()
			}
			if a.json {
				a.writeJSON(r)
			} else {
				a.writeCacheStat(r, time.Now())
			}
			return nil
		},
	}
}

func (a *app) writeCacheStat(r cacheStatReport, now time.Time) {
	fmt.Fprintln(a.out, a.style.bold(r.Dir))
	a.item("off", offText(r.Off))
	a.item("holds", fmt.Sprintf("%s, %s of %s (%s)", countText(r.Entries, "entry", "entries"), byteText(float64(r.Bytes)),
		byteText(float64(r.Limit)), percent(float64(r.Bytes), float64(r.Limit))))
	if r.Entries > 0 {
		a.item("used", usedText(ageText(now.Sub(r.Oldest)), ageText(now.Sub(r.Newest))))
	}
	if r.Unfinished > 0 {
		a.item("unfinished", countText(r.Unfinished, "file", "files"))
	}
	if len(r.Kinds) == 0 {
		return
	}
	fmt.Fprintln(a.out)
	t := &table{head: []string{"kind", ">entries", ">size"}}
	for _, k := range r.Kinds {
		t.add(k.Kind, fmt.Sprint(k.Entries), byteText(float64(k.Bytes)))
	}
	t.write(a.out, a.style)
}

func offText(why string) string {
	if why == "" {
		return ""
	}
	return why + ": programs neither read nor keep anything here"
}

func countText(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", many)
}

// usedText says when the entries were used, from the ages of the extreme ones.
func usedText(oldest, newest string) string {
	if oldest == newest {
		return newest
	}
	return "the oldest " + oldest + ", the newest " + newest
}

// ageText says how long ago something was; uses are noted to an hour.
func ageText(d time.Duration) string {
	switch {
	case d < time.Hour:
		return "in the last hour"
	case d < 48*time.Hour:
		return countText(int(d/time.Hour), "hour ago", "hours ago")
	}
	return fmt.Sprintf("%d days ago", d/(24*time.Hour))
}

const cacheVerifyLong = `Verify reads every file of the cache and lists those that are damaged, or that
somebody else could have written. Programs never use such files: they remove the
ones that they meet. The exit code is 1 if any are found and left.`

func (a *app) cacheVerifyCommand() *cobra.Command {
	remove := false
	cmd := &cobra.Command{
		Use: "verify", Short: "Check every file of the cache", Long: cacheVerifyLong,
		Example: "  jitc cache verify\n  jitc cache verify --remove", Args: files(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.verifyCache(cmd, remove) },
	}
	cmd.Flags().BoolVar(&remove, "remove", false, "remove the files that cannot be used")
	return cmd
}

func (a *app) verifyCache(cmd *cobra.Command, remove bool) error {
	c, err := a.openCache()
	if err != nil {
		return err
	}
	a.progress.start("checking %s", c.Dir())
	defer a.progress.stop()
	r, err := c.Verify(cmd.Context(), diskcache.VerifyOptions{Remove: remove, Progress: func(done, total int) {
		a.progress.update("checking file %d of %d", done+1, total)
	}})
	if err != nil {
		return cacheError(err)
	}
	if a.json {
		a.writeJSON(r)
	} else {
		a.writeCacheReport(r)
	}
	for _, b := range r.Bad {
		if !b.Removed {
			return verdict{exitDiffers}
		}
	}
	return nil
}

func (a *app) writeCacheReport(r diskcache.Report) {
	fmt.Fprintln(a.out, a.style.bold(r.Dir))
	a.item("checked", countText(r.Checked, "entry", "entries")+", "+byteText(float64(r.Bytes)))
	if len(r.Bad) == 0 {
		a.item("bad", "none")
		return
	}
	a.item("bad", countText(len(r.Bad), "file", "files"))
	for _, b := range r.Bad {
		fmt.Fprintf(a.out, "\n%s\n", b.File)
		a.item("why", b.Why)
		if b.Removed {
			a.item("removed", "yes")
		}
	}
}

const cacheClearLong = `Clear removes the entries of the given kinds, or of all kinds; jitc cache stat
lists the kinds. Files that are not the cache's stay.`

func (a *app) cacheClearCommand() *cobra.Command {
	return &cobra.Command{
		Use: "clear [KIND...]", Short: "Remove what is in the cache", Long: cacheClearLong,
		Example: "  jitc cache clear\n  jitc cache clear cubin",
		RunE: func(cmd *cobra.Command, kinds []string) error {
			c, err := a.openCache()
			if err != nil {
				return err
			}
			if err := checkKinds(cmd, kinds); err != nil {
				return err
			}
			a.progress.start("removing the files in %s", c.Dir())
			defer a.progress.stop()
			r, err := c.Clear(cmd.Context(), kinds...)
			if err != nil {
				return cacheError(err)
			}
			if a.json {
				a.writeJSON(r)
				return nil
			}
			fmt.Fprintln(a.out, a.style.bold(r.Dir))
			a.item("removed", countText(r.Entries, "entry", "entries")+", "+byteText(float64(r.Bytes)))
			return nil
		},
	}
}

// checkKinds refuses what cannot be a kind: an empty one, as clear "$KIND" gives,
// must not clear everything.
func checkKinds(cmd *cobra.Command, kinds []string) error {
	for _, k := range kinds {
		if !diskcache.ValidKind(k) {
			return usageOf(cmd, &usageError{msg: quote(k) + ": expected a kind of entries, such as cubin", hint: "jitc cache stat lists the kinds"})
		}
	}
	return nil
}
