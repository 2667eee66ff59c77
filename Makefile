# make demo        a virtual environment, lgm built and installed in it, real data fitted, the plots in ./output
# make test        lint, types, import rules, doctests, the vignettes' code, the tests, all on the installed package
# make test-slow   the long statistical checks
# make help        all targets
#
# Another interpreter: make test PYTHON=python3.13 VENV=.venv313

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV ?= .venv
VENV_ARVIZ1 ?= .venv312

# A name on PATH may be a shim that does not run, so each candidate has to prove itself. pyenv keeps interpreters off PATH.
works = $(shell for p in $(2); do "$$p" -c 'import sys; sys.exit(not $(1))' 2>/dev/null && echo "$$p" && break; done)
pyenv = $(wildcard $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/$(1).*/bin/python)
ifndef PYTHON
PYTHON := $(or $(call works,(3, 11) <= sys.version_info < (3, 14),python3 python3.11 python3.12 python3.13 \
    $(call pyenv,3.11) $(call pyenv,3.12) $(call pyenv,3.13)),python3)
endif
# ArviZ 1 needs Python 3.12; Python 3.11 gets ArviZ 0.23. lgm has to work with both.
ifndef PYTHON_ARVIZ1
PYTHON_ARVIZ1 := $(call works,(3, 12) <= sys.version_info < (3, 14),python3.12 python3.13 \
    $(call pyenv,3.12) $(call pyenv,3.13))
endif

BIN := $(VENV)/bin
PY := $(BIN)/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet
export MPLBACKEND := Agg
export JUPYTER_PREFER_ENV_PATH := 1

# Folders are listed too: their time changes when a file goes away.
SOURCES := pyproject.toml LICENSE $(wildcard README.md) \
    $(shell find lgm data -name __pycache__ -prune -o -name '*.so' -o -print)
VIGNETTES := $(sort $(wildcard vignettes/*.md))
# Each of these runs as a plain script in `make test`; `make vignettes` runs all of them as notebooks.
FAST_VIGNETTES ?= vignettes/sleepstudy.md
BENCHMARKS := $(sort $(wildcard benchmarks/bench_*.py))
ARVIZ_TESTS := tests/test_package.py $(sort tests/results tests/plots)

# The script, because `python -m pytest` would put the checkout before the installed package.
PYTEST := LGM_TEST_INSTALLED=1 $(BIN)/pytest

.PHONY: help demo test test-slow test-arviz1 lint doctest vignettes vignettes-fast bench clean install tools

help:
	@echo "make demo | test | test-slow | test-arviz1 | lint | doctest | vignettes | vignettes-fast | bench | clean"

include kernel.mk

# Environment ----------------------------------------------------------------------------------------------------------

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "lgm needs Python 3.11 or newer; $(PYTHON) is $$( ($(PYTHON) --version) 2>/dev/null || echo not there)." \
	         "Name another one: make $(or $(MAKECMDGOALS),test) PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@echo '*' > $(VENV)/.gitignore

# Not editable: the tests shall see what a user gets.
$(VENV)/lgm.stamp: $(SOURCES) | $(PY)
	$(PIP) install .
	@touch $@

$(VENV)/tools.stamp: pyproject.toml | $(PY)
	@$(PY) -c 'import tomllib; extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]; \
	    print(*extras["test"], sep="\n")' > $(VENV)/tools.txt
	$(PIP) install -r $(VENV)/tools.txt
	@touch $@

install: $(VENV)/lgm.stamp
tools: $(VENV)/tools.stamp

# For users ------------------------------------------------------------------------------------------------------------

demo: $(VENV)/lgm.stamp
	@mkdir -p output
	$(PY) examples/demo.py

vignettes: $(VENV)/lgm.stamp $(VENV)/tools.stamp
	@mkdir -p vignettes/html
	@for source in $(VIGNETTES); do \
	    notebook=vignettes/html/$$(basename $${source%.*}).ipynb; \
	    echo "$$source"; \
	    $(PY) -m jupytext --quiet --to ipynb --set-kernel python3 --output $$notebook $$source; \
	    $(PY) -m jupyter nbconvert --log-level WARN --to html --execute $$notebook; \
	done

bench: $(VENV)/lgm.stamp $(VENV)/tools.stamp
	@for script in $(BENCHMARKS); do echo "$$script"; $(PY) $$script; done

# Checks ---------------------------------------------------------------------------------------------------------------

# pytest comes last, so that its closing line is the last one.
test: lint doctest test-arviz1 vignettes-fast
	$(PYTEST)

test-slow: $(VENV)/lgm.stamp $(VENV)/tools.stamp
	$(PYTEST) -m slow

lint: $(VENV)/lgm.stamp $(VENV)/tools.stamp
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(BIN)/lint-imports --no-logo

doctest: $(VENV)/lgm.stamp $(VENV)/tools.stamp
	$(PYTEST) --quiet --doctest-modules --pyargs lgm

vignettes-fast: $(VENV)/lgm.stamp $(VENV)/tools.stamp
	@for source in $(FAST_VIGNETTES); do \
	    echo "$$source"; \
	    script=$(VENV)/$$(basename $${source%.*}).py; \
	    $(PY) -m jupytext --quiet --to py --output $$script $$source; \
	    $(PY) $$script > /dev/null; \
	done

# The tests of everything that touches ArviZ, with its other major version.
ifneq ($(call works,sys.version_info >= (3, 12),$(PYTHON)),)
test-arviz1:
	@echo "ArviZ 1: $(PYTHON) is Python 3.12 or newer, so the main tests use it already"
else ifeq ($(PYTHON_ARVIZ1),)
test-arviz1:
	@echo "ArviZ 1: SKIPPED, no working Python 3.12 or 3.13 was found; name one with PYTHON_ARVIZ1=/path/to/python3.12"
else
test-arviz1:
	@echo "ArviZ 1: with $(PYTHON_ARVIZ1) in $(VENV_ARVIZ1)"
	@$(MAKE) --no-print-directory arviz-tests PYTHON=$(PYTHON_ARVIZ1) VENV=$(VENV_ARVIZ1)
endif

.PHONY: arviz-tests
arviz-tests: $(VENV)/lgm.stamp $(VENV)/tools.stamp
	$(PYTEST) --quiet $(ARVIZ_TESTS)

clean:
	rm -rf $(VENV) $(VENV_ARVIZ1) build dist output vignettes/html .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
