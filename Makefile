# Everything a person or CI does here. `make help` lists it. ARGS='...' is handed on by run, test and bench.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

NATIVE := $(wildcard hsdnsd/native/*.pyx hsdnsd/native/*.pxd hsdnsd/native/*.h)
BUILT := $(VENV)/.built
TESTABLE := $(VENV)/.testable
CHECKABLE := $(VENV)/.checkable

.DEFAULT_GOAL := build
.PHONY: build run test lint types contracts cluster-test conformance bench sanitize dist clean help

build: $(BUILT)  ## the program, at .venv/bin/hsdnsd (PYTHON=python3.13 chooses another interpreter)

run: build  ## serve examples/ on 127.0.0.1:5353, metrics and health on 127.0.0.1:9253
	@cat examples/try.txt
	@exec $(BIN)/hsdnsd serve --config examples/hsdnsd.toml $(ARGS)

test: $(TESTABLE)  ## every test but the cluster's (ARGS='-k name' chooses)
	$(BIN)/python -m pytest $(ARGS)

lint: $(CHECKABLE)  ## ruff (rules and format) and cython-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PATH="$(CURDIR)/$(BIN):$$PATH" cython-lint --max-line-length=120 hsdnsd/native

types: $(CHECKABLE)  ## mypy --strict
	$(BIN)/mypy

contracts: $(CHECKABLE)  ## the import contracts: which package may know which
	$(BIN)/lint-imports

cluster-test: $(TESTABLE)  ## against a real kube-apiserver and etcd (KUBEBUILDER_ASSETS, or built with Go)
	tests/cluster/build.sh
	$(BIN)/python -m pytest -m cluster tests/cluster $(ARGS)

conformance: $(TESTABLE)  ## every data set below CASES=DIR, asked of the daemon (EXACT=1: as CoreDNS answers)
	@test -n "$(CASES)" || { echo "conformance: say which data sets: make conformance CASES=DIR" >&2; exit 2; }
	$(BIN)/python -m tests.conformance.run $(if $(filter 1,$(EXACT)),--exact) "$(CASES)"

bench: $(TESTABLE)  ## hsdnsd beside the servers that are here, into bench/results/ (25 minutes; ARGS=--quick: 5)
	bench/run $(ARGS)

sanitize: $(TESTABLE)  ## the native part's tests under AddressSanitizer and UBSan
	tests/native/sanitize.sh

dist: $(CHECKABLE)  ## sdist and wheel, in dist/
	@mkdir -p build
	@$(BIN)/python -m build --outdir dist . >build/dist.log 2>&1 || { cat build/dist.log >&2; exit 1; }
	@tail -n 1 build/dist.log

clean:  ## remove what was made here, the virtual environment too
	rm -rf $(VENV) build dist bench/out .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
	rm -f hsdnsd/native/*.so hsdnsd/native/*.c
	find hsdnsd tests bench fuzz .ci -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## this list
	@awk -F '  ## ' '/^[a-z-]+:.*  ## / { sub(/:.*/, "", $$1); printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The stamps: done again only when what they were made from changes.

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "build: Python 3.11 or newer is needed, and '$(PYTHON)' is not that; name one: make PYTHON=python3.13" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "build: '$(PYTHON)' has no venv or no ensurepip; install them (Debian: apt-get install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade 'pip>=25.1'
	@touch $@

$(BUILT): $(VENV)/.made pyproject.toml setup.py $(NATIVE)
	PYTHONWARNINGS=ignore $(PIP) install --editable .
	@$(BIN)/python -m compileall -q hsdnsd  # or every start compiles anew, where PYTHONDONTWRITEBYTECODE is set
	@touch $@

$(TESTABLE): $(BUILT)
	$(PIP) install --group test
	@touch $@

$(CHECKABLE): $(BUILT)
	$(PIP) install --group dev
	@touch $@
