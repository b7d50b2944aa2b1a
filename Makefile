# make run    the built-in camera on every protocol
# make test   everything; as root it installs the Debian packages that it needs
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
.PHONY: run build test check format vet lint tidy unit e2e matrix fuzz bench tools clean

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.7.0
# Packages with tests of their own; test/ drives the built binary from outside and runs apart.
UNIT = $$(go list ./... | grep -v '^weir/test$$')
FUZZTIME ?= 60s
say = @printf '\n== %s\n'

run:
	@go run ./cmd/weir demo

build:
	go build -trimpath -o bin/weir ./cmd/weir

# Order: what is quick and fails often comes first.
test: tools format vet lint tidy unit e2e
	$(say) "all is well"

# What every commit passes; needs Go only.
check: format vet lint tidy unit

tools:
	$(say) "programs that the tests use"
	@test/install.sh

format:
	$(say) "gofmt"
	@bad=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); if [ -n "$$bad" ]; then echo "not formatted, run gofmt -w on: $$bad"; exit 1; fi

vet:
	$(say) "go vet"
	@go vet ./...

lint:
	$(say) "staticcheck"
	@go run $(STATICCHECK) ./...

tidy:
	$(say) "go.mod is tidy"
	@go mod tidy -diff

# Unit tests, the seeds of all fuzz targets, and the race detector in one run.
unit:
	$(say) "unit tests and fuzz seeds, with the race detector"
	@go test -race -shuffle=on -timeout 10m $(UNIT)

# Real programs at both ends, documents and examples, and the part of the matrix that touches every adapter.
e2e:
	$(say) "end to end with real programs"
	@go test -timeout 15m -parallel 4 -count=1 -v ./test | test/progress.sh

matrix: tools
	$(say) "the whole matrix, written to docs/matrix.md"
	@go test -timeout 60m -parallel 4 -count=1 -v -run '^TestMatrix$$' ./test -args -matrix -matrix-write=$(CURDIR)/docs/matrix.md | test/progress.sh

# Every fuzz target for FUZZTIME, one after the other.
fuzz:
	@test/fuzz.sh $(FUZZTIME)

bench: tools
	$(say) "benchmarks"
	@go run ./test/bench

clean:
	rm -rf bin
