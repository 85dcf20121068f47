# Everything that is done with this repository. `make demo` and `make test` need
# Go, make and python3, nothing else; logic lives in tools/.

PROGRAM   := bin/atlassian-audit-records
VERSION   ?= $(shell tools/version.sh)
LDFLAGS   := -s -w -X main.version=$(VERSION)
SENDER    := cmd/atlassian-audit-records-run
SHARED    := cmd/atlassian-audit-records-shared
NATIVE    := adapters/native
PACKAGES  := tools/packages
KUBE      := tools/kubernetes
APISERVER := bin/kube-apiserver
LINTER    := bin/golangci-lint
GREMLINS  := bin/gremlins
MUTATION  := bin/mutation
VULNCHECK := bin/govulncheck
SCRIPTS   := .ci/run $(wildcard tools/*.sh packaging/*/*.sh)
FUZZTIME  ?= 30s
CHECKS    ?= 20000
STEPS     ?= 40
BENCH     ?= .
BENCHTIME ?= 1s
COUNT     ?= 10
MUTANTS   ?= 1/1
MUTATED   ?= ./pkg/state ./pkg/spool ./pkg/collect

# The version is stamped by LDFLAGS; asking git again fails where somebody else owns the checkout.
export GOFLAGS += -buildvcs=false
export PYTHONPYCACHEPREFIX := $(CURDIR)/bin/pycache

.PHONY: bench-stat preview-web preview-picture test-preview build build-collector build-sender build-shared tidy demo test test-go test-models test-python race lint cross bench comparison cover vuln mutation check nightly conformance explore explore-mutants soak fuzz properties clean

build: build-collector build-sender build-shared # the programs, static

build-collector:
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o $(PROGRAM) ./cmd/atlassian-audit-records

build-sender: # what `run` starts: a module of its own
	CGO_ENABLED=0 go build -C $(SENDER) -trimpath -ldflags '$(LDFLAGS)' -o $(CURDIR)/$(PROGRAM)-run .

build-shared: # what knows the stores that machines share a site through: a module of its own
	CGO_ENABLED=0 go build -C $(SHARED) -trimpath -ldflags '$(LDFLAGS)' -o $(CURDIR)/$(PROGRAM)-shared .

demo: build # the main job from end to end on this machine, nothing configured
	$(PROGRAM) demo

test: test-go test-python # every test; with the race detector where there is a C compiler

# With the race detector run the packages in which goroutines meet, and of pkg/collect,
# whose suite is long, the part where they do; `make race`, in nightly, runs all of it so.
RACED := ./check ./pkg/agent/... ./pkg/atlassian/... ./pkg/auth/... ./pkg/datadog/... ./pkg/shared/...
test-go: # every Go test
	tools/test.sh $(RACED)
	go test -timeout 20m $$(go list ./... | grep -vxF "$$(go list $(RACED))")
	tools/test.sh -run 'PagesThatComeFast|KilledBetween|AnyLife|EveryOperation|EveryCall' ./pkg/collect
	cd $(SENDER) && $(CURDIR)/tools/test.sh ./...
	go test -C $(SHARED) -timeout 20m ./... # the race detector would compile a whole etcd once more: `make race` does

.PHONY: test-kubernetes
test-kubernetes: $(APISERVER) # shared state on a real kube-apiserver; compiling that takes a quarter of an hour, once
	KUBE_APISERVER=$(CURDIR)/$(APISERVER) go test -C $(SHARED) -count=1 -timeout 20m -run RealKubernetes ./...

$(APISERVER): $(KUBE)/go.mod $(KUBE)/go.sum # from source, pinned in a module of its own
	release=$$(go list -C $(KUBE) -m -f '{{.Version}}' k8s.io/kubernetes) && CGO_ENABLED=0 go build -C $(KUBE) -trimpath \
		-ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$$release" -o $(CURDIR)/$(APISERVER) k8s.io/kubernetes/cmd/kube-apiserver
	touch $(APISERVER)

test-models: # the assets in the models of Datadog's API client; compiling those takes minutes, once
	go test -C internal/modeltest -count=1 ./... # the assets lie outside of its module, so its results must not be cached

test-preview: # the page of `preview` in a headless Chromium, which it installs where there is apt-get and none yet
	command -v chromium >/dev/null || apt-get install -y --no-install-recommends chromium
	PREVIEW_BROWSER=required go test -count 1 -run InABrowser -v ./cmd/atlassian-audit-records/internal/preview

preview-picture: build-collector # docs/preview.png, with the same browser
	tools/preview-picture.sh

preview-web: # what the page is made of, once more from npm; needs node and npm
	tools/preview-web.sh

test-python: build
	python3 -W error -m unittest discover -s adapters/python/tests

.PHONY: native test-native native-nightly
check: test-native
nightly: native-nightly

native: # the adapter in C, for every platform that it is for; a compiler that is missing is installed where there is apt-get
	VERSION='$(VERSION)' tools/native-all.sh

test-native: native build-collector # its tests, which need Linux and a C compiler
	tools/test-native.sh

native-nightly: native build-collector # 10,000 runs, threads, every fuzz target
	NATIVE_RUNS=10000 tools/test-native.sh
	NATIVE_SANITIZE=thread go test -C $(NATIVE) -count 1 -timeout 20m .
	cd $(NATIVE) && FUZZTIME=$(FUZZTIME) $(CURDIR)/tools/fuzz.sh

race: # like test-go, but fails where there is no C compiler
	CGO_ENABLED=1 go test -race -timeout 60m ./...
	CGO_ENABLED=1 go test -C $(SENDER) -race -timeout 20m ./...
	CGO_ENABLED=1 go test -C $(SHARED) -race -timeout 20m ./...

lint: $(LINTER) # formatting, vet, linters, scripts, tidy modules
	! gofmt -l . | grep .
	go vet ./...
	go vet -C $(SENDER) ./...
	go vet -C $(SHARED) ./...
	tools/lint-native.sh $(CURDIR)/$(LINTER)
	$(LINTER) run ./...
	cd $(SENDER) && $(CURDIR)/$(LINTER) run ./...
	cd $(SHARED) && $(CURDIR)/$(LINTER) run ./...
	go vet -C tools ./mutation
	go test -C tools ./mutation
	cd $(PACKAGES) && $(CURDIR)/$(LINTER) run --config $(CURDIR)/.golangci.yml ./...
	go mod tidy -diff
	cd $(SENDER) && go mod tidy -diff
	cd $(SHARED) && go mod tidy -diff
	cd $(PACKAGES) && go mod tidy -diff
	python3 -m py_compile adapters/python/*.py adapters/python/tests/*.py tools/comparison/*.py
	for script in $(SCRIPTS); do bash -n $$script || exit 1; done

.PHONY: packages test-packages test-deploy test-install test-reproducible
packages: native # everything that is handed out, in dist/: deb, rpm, archives, the image's build context, SBOMs, SHA256SUMS
	go build -C $(PACKAGES) -o $(CURDIR)/bin/packages .
	bin/packages --version '$(VERSION)' --epoch "$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct)}" --ldflags '$(LDFLAGS)'

test-packages: packages # what is in them, whose it is, and whether a second build gives the same bytes
	go test -C $(PACKAGES) -count=1 ./... # what was built lies outside of its module, so its results must not be cached

test-deploy: # the manifests and the image file, in the types of Kubernetes, the Datadog Operator and BuildKit; compiling those takes a minute, once
	go test -C internal/deploytest -count=1 ./... # what it reads lies outside of its module, so its results must not be cached

test-install: packages # the deb, the rpm and the Ansible role through their life in a clean Debian; as root, where there is apt-get
	tools/clean-root.sh
	if [ -e bin/clean-root/made ]; then PACKAGES_ROOT=$(CURDIR)/bin/clean-root go test -C $(PACKAGES) -count=1 -timeout 20m -run 'Deb|RPM|Ansible' ./...; fi

test-reproducible: packages # a second build that takes nothing from the first one's cache
	PACKAGES_COLD=yes go test -C $(PACKAGES) -count=1 -timeout 40m -run TwoBuilds ./...

tidy: # go.mod and go.sum of all modules: those of the other programs follow from the collector's
	go mod tidy
	cd $(SENDER) && go mod tidy
	cd $(SHARED) && go mod tidy

$(LINTER): tools/go.mod tools/go.sum # from source, pinned in a module of its own
	go build -C tools -o ../$(LINTER) github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	touch $(LINTER)

cross: # the program for every platform, and vet for those that this one is not
	LDFLAGS='$(LDFLAGS)' tools/cross.sh

bench: build # the measures of docs/performance.md
	go test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem -timeout 60m ./...

bench-stat: build # the same COUNT times, and what benchstat makes of it
	go build -C tools -o ../bin/benchstat golang.org/x/perf/cmd/benchstat
	- go test -run '^$$' -bench '$(BENCH)' -benchtime 1x -count $(COUNT) -timeout 120m ./cmd/atlassian-audit-records ./pkg/state > bin/bench.txt
	bin/benchstat bin/bench.txt

.PHONY: fleet
nightly: fleet

fleet: build-collector # a thousand sites on this machine against the plan of docs/fleet.md; ARGS=-help says what else can be planned
	go build -o bin/fleet ./internal/fleet
	bin/fleet -simulate $(ARGS)

.PHONY: weight
nightly: weight

weight: # what the Agent's log pipeline would add to the program that collects: docs/run.md
	tools/weight.sh

comparison: # what this check and collectors of others lose of the same scripted day; docs/comparison.md says how to fetch them
	go build -o bin/compare ./internal/comparison
	bin/compare $(ARGS)

cover: # statement coverage of each package; fails where a critical one has too little
	tools/cover.sh

vuln: $(VULNCHECK) # known vulnerabilities; says so where their database cannot be reached
	tools/vuln.sh $(VULNCHECK) . $(SENDER) $(SHARED)

mutation: $(GREMLINS) $(MUTATION) # what the tests of the critical packages let live; docs/mutation.md
	$(MUTATION) -gremlins $(GREMLINS) -part $(MUTANTS) $(MUTATED)

$(GREMLINS) $(MUTATION) $(VULNCHECK): tools/go.mod tools/go.sum $(wildcard tools/mutation/*.go) # from source, pinned like the linter
	go build -C tools -o ../bin/ github.com/go-gremlins/gremlins/cmd/gremlins ./mutation golang.org/x/vuln/cmd/govulncheck
	touch $(GREMLINS) $(MUTATION) $(VULNCHECK)

check: test test-models lint cross demo explore # all that a change has to pass, within half an hour on two cores with nothing compiled

# All mutants take longer than a night: each night of the week tries a seventh of them.
nightly: MUTANTS = $(shell date +%u)/7
nightly: race test-packages test-deploy test-kubernetes conformance explore-mutants soak test-preview test-install test-reproducible fuzz properties cover vuln mutation # what is too long for every change

conformance: # every row of the conformance suite for every kind of source, also for those that share most of their code
	CONFORMANCE=all go test -timeout 60m ./pkg/collect

explore: # worlds in which everything goes wrong, two minutes of them: see docs/explore.md. FOR=1h looks for longer, WORLDS=100 for so many, SEED=n shows one world again
	tools/explore.sh -explore.steps $(STEPS) $(if $(SEED),-explore.seed $(SEED)) $(if $(FOR),-explore.for $(FOR),$(if $(WORLDS),-explore.worlds $(WORLDS),$(if $(SEED),-explore.worlds 1 -explore.story bin/explore-$(SEED).txt,-explore.for 2m)))

explore-mutants: # how long the explorer takes to find known bugs: see docs/explore.md
	tools/explore-mutants.py

soak: # a day of a busy site, two million records, in some minutes; what it asserts is in docs/performance.md
	tools/soak.sh

fuzz: # every fuzz target there is, FUZZTIME each
	FUZZTIME=$(FUZZTIME) tools/fuzz.sh
	cd $(SENDER) && FUZZTIME=$(FUZZTIME) $(CURDIR)/tools/fuzz.sh
	cd $(SHARED) && FUZZTIME=$(FUZZTIME) $(CURDIR)/tools/fuzz.sh

properties: # every property, CHECKS cases each
	CHECKS=$(CHECKS) tools/properties.sh
	cd $(SENDER) && CHECKS=$(CHECKS) $(CURDIR)/tools/properties.sh

clean:
	rm -rf bin dist
