package main

import (
	"io"
	"net/http"

	"jitc"
	"jitc/runtime/metrics"
)

// writeMetrics prints an engine's statistics in the text format that Prometheus
// reads: the page that a service would serve.
func (a *app) writeMetrics(e *jitc.Engine) error {
	ask, err := http.NewRequest(http.MethodGet, "/metrics", nil)
	if err != nil {
		return fault{err}
	}
	metrics.Handler(e.Stats).ServeHTTP(page{http.Header{}, a.out}, ask)
	return nil
}

// page is a response of which only the text counts.
type page struct {
	header http.Header
	io.Writer
}

// Header is not printed.
func (p page) Header() http.Header { return p.header }

// WriteHeader leaves the status aside: a failure is told in the text.
func (page) WriteHeader(int) {}
