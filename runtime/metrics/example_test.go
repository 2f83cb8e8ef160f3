package metrics_test

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"jitc"
	"jitc/runtime/metrics"
)

// Serve the statistics of an engine, and scrape them.
func ExampleHandler() {
	engine, err := jitc.NewEngine(jitc.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close()
	square := jitc.Func1(engine, func(x *jitc.Tensor) *jitc.Tensor { return x.Mul(x) }, jitc.Name("square"))
	server := httptest.NewServer(metrics.Handler(engine.Stats))
	defer server.Close()

	x, err := jitc.From([]float32{1, 2, 3})
	if err != nil {
		log.Fatal(err)
	}
	for range 3 {
		if _, err := square.Call(context.Background(), x); err != nil {
			log.Fatal(err)
		}
	}
	response, err := http.Get(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "jitc_calls_total") || strings.HasPrefix(lines.Text(), "jitc_entries{") {
			fmt.Println(lines.Text())
		}
	}
	// Output:
	// jitc_calls_total{function="square",route="differ"} 0
	// jitc_calls_total{function="square",route="last"} 2
	// jitc_calls_total{function="square",route="memo"} 0
	// jitc_calls_total{function="square",route="miss"} 1
	// jitc_calls_total{function="square",route="reference"} 0
	// jitc_calls_total{function="square",route="tree"} 0
	// jitc_entries{function="square"} 1
}
