package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"jitc/codegen/x64/asm"
)

// versionReport says which build this is.
type versionReport struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Features string `json:"features"`
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version of jitc",
		Long:    "Version prints the version and revision of jitc, the Go release that built it,\nand the platform with the processor's features.",
		Example: "  jitc version", Args: files(0, 0),
		RunE: func(*cobra.Command, []string) error {
			v := buildVersion()
			if a.json {
				a.writeJSON(v)
				return nil
			}
			fmt.Fprintf(a.out, "jitc %s\n", v.Version)
			if v.Revision != "" {
				fmt.Fprintf(a.out, "  revision  %s%s\n", v.Revision, map[bool]string{true: ", modified"}[v.Modified])
			}
			fmt.Fprintf(a.out, "  built by  %s for %s\n  features  %s\n", v.Go, v.Platform, v.Features)
			return nil
		},
	}
}

func buildVersion() versionReport {
	v := versionReport{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Features: asm.Detect().String()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}
