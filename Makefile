.PHONY: test golden bench gpu check cross

test:            ## everything that must pass before a change lands
	go test ./...

golden:          ## rewrite the golden files; look at the diff before you commit it
	go test $$(grep -rl --include='*_test.go' 'jitc/internal/golden' . | xargs -n1 dirname | sort -u) -update

bench:           ## the figures of docs/BENCHMARKS.md
	go test -run '^$$' -bench . -skip 'Call|Guards' -benchtime 60x .
	go test -run '^$$' -bench 'CallAdd2x2|Guards300|CallParallel' -benchtime 300000x -count 5 .
	go test -run '^$$' -bench Partition -benchtime 20x ./fusion

gpu:             ## tests and figures of an NVIDIA GPU; see docs/HACKING.md for what it needs
	go run ./cmd/jitc executors
	go test -tags gpu -count 1 -run GPU . ./executors/cuda/... ./executors/cublas
	go test -tags gpu -run '^$$' -bench Device -benchtime 25x -timeout 30m .
	-python3 testdata/peers/peers.py

check:           ## what the gate checks beside the tests
	./.ci/run

cross:           ## processors without an emitter interpret the loop nests
	GOOS=linux GOARCH=arm64 go build ./...
	GOOS=darwin GOARCH=arm64 go build ./...
	GOOS=windows GOARCH=amd64 go build ./...
