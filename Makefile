# Breakwater. "make" or "make help" lists the targets.
#
# "make run" and "make test" need Go, git and make, nothing else. Whatever is downloaded or built for tests goes to the
# Go caches and to the user's cache folder; the tree gets bin/ and build/ only.

SHELL := /bin/sh
.DEFAULT_GOAL := help

GO     ?= go
ARGS   ?=
# How long each fuzz target runs.
FUZZTIME ?= 10s

# The race detector needs a C compiler with its headers.
RACE := $(shell $$($(GO) env CC) -E -include stdlib.h -x c /dev/null >/dev/null 2>&1 && echo -race)
# The packages that "make test-unit" covers: all but the tests that need a cluster.
UNIT = $$($(GO) list ./... | grep -v '/test/\(e2e\|cel\)')
# Modules of their own under test/, which keep heavy dependencies out of the product.
MODULES := test/cluster test/tools test/bench test/toxiproxy test/node
LINT := $(GO) tool -modfile=test/tools/go.mod golangci-lint
CONTROLLER_GEN := $(GO) tool -modfile=test/tools/crd/go.mod controller-gen

.PHONY: help
help: ## List the targets.
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: bin/breakwater ## Run the demo: backends, sample manifests and the proxy in one process.
	bin/breakwater demo $(ARGS)

.PHONY: build
build: bin/breakwater bin/whoami ## Build the static binaries into bin/.

# Go decides what is out of date.
.PHONY: bin/breakwater bin/whoami
bin/breakwater bin/whoami:
	CGO_ENABLED=0 $(GO) build -trimpath -o $@ ./cmd/$(@F)

.PHONY: test
test: vet arch test-unit test-cluster ## Run vet and all tests, those on a real API server included.
	@$(if $(RACE),,echo "note: no C compiler, so the race detector was off")

.PHONY: vet
vet: ## Run go vet.
	$(GO) vet ./...

.PHONY: vet-darwin
vet-darwin: ## Run go vet as if on macOS, where people use it without a cluster.
	GOOS=darwin CGO_ENABLED=0 $(GO) vet ./...

.PHONY: arch
arch: ## Check the import rules and other rules of the architecture.
	$(GO) test ./test/arch/...

.PHONY: test-unit
test-unit: ## Run the tests that need no cluster.
	$(GO) test $(RACE) $(ARGS) $(UNIT)

.PHONY: test-cluster
test-cluster: ## Run the tests on a real API server, which is built once into the cache.
	$(GO) test $(RACE) -timeout 30m $(ARGS) ./test/e2e/... ./test/cel/...

.PHONY: test-node
test-node: ## Install Breakwater on a real Kubernetes node and test it there; as root, and builds for ten minutes once.
	cd test/node && BREAKWATER_TEST_NODE=1 $(GO) test -count=1 -v -timeout 60m $(ARGS) .

.PHONY: test-loss
test-loss: ## Compare the toxic packet_loss with real loss on this machine: a case in 30 s, with ARGS="-matrix -timeout 40m" all twelve.
	$(GO) test -count=1 -v ./test/loss $(or $(ARGS),-quick)

.PHONY: test-modules
test-modules: ## Vet and test the modules under test/ themselves.
	@for m in $(MODULES); do echo "== $$m"; (cd $$m && $(GO) vet ./... && $(GO) test $(ARGS) ./...) || exit 1; done

.PHONY: cover
cover: ## Measure test coverage; the report goes to build/cover.html.
	@mkdir -p build
	$(GO) test -coverprofile=build/cover.out -coverpkg=./api/...,./cmd/...,./controllers/...,./proxy/... $(UNIT)
	$(GO) tool cover -html=build/cover.out -o build/cover.html
	$(GO) tool cover -func=build/cover.out | tail -n 1

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (10s), those of the modules under test/ too.
	@grep -ro '^func Fuzz[A-Za-z0-9]*' --include='*_test.go' . | sort | while IFS=: read -r file target; do \
		target=$${target#func }; echo "== $$file $$target"; \
		$(GO) test -C "$$(dirname "$$file")" -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x . </dev/null || exit 1; \
	done

.PHONY: bench
bench: build ## Measure beside nginx, HAProxy and Go peers; half an hour, and figures only.
	$(GO) run -C test/bench . --breakwater ../../bin/breakwater $(ARGS)

.PHONY: lint
lint: ## Run the linters of .golangci.yml.
	$(LINT) run ./...

.PHONY: fmt
fmt: ## Format the code as lint wants it.
	$(LINT) fmt ./...

.PHONY: generate
generate: ## Rewrite generated Go code.
	cd test/tools && $(GO) run ./protogen ../../cmd/whoami/whoamigrpc/whoami.proto
	$(CONTROLLER_GEN) object paths=./api/...

.PHONY: manifests
manifests: ## Rewrite the custom resource definitions in config/crd, and the page of their fields.
	$(CONTROLLER_GEN) crd:crdVersions=v1,allowDangerousTypes=true paths=./api/... output:crd:dir=config/crd
	$(GO) test ./config/crd -update

.PHONY: golden
golden: ## Rewrite the expected outputs of golden tests; read the difference before you commit it.
	$(GO) test ./controllers/translate -run Golden -update
	$(GO) test ./proxy/chaos/report -update

.PHONY: clean
clean: ## Remove what was built in the tree.
	rm -rf bin build
