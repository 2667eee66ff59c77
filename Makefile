# `make demo` and `make test` need Python and a C++ compiler, nothing else; `make help` lists the rest.
# Another interpreter: make test PYTHON=python3.13 VENV=.venv313

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV ?= .venv
# The extra of pyproject.toml that has the environment's tools.
TOOLS ?= test
VENV_ARVIZ1 ?= .venv312
VENV_DOCS ?= .venv-docs
VENV_PYMC ?= .venv-pymc

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
# Bytecode of what is imported is made then: that of all that is installed takes longer than installing it.
INSTALL := $(PIP) install --no-compile
unexport PYTHONDONTWRITEBYTECODE
export MPLBACKEND := Agg
export JUPYTER_PREFER_ENV_PATH := 1

# Folders are listed too: their time changes when a file goes away.
SOURCES := pyproject.toml LICENSE $(wildcard README.md) \
    $(shell find lgm data -name __pycache__ -prune -o -name '*.so' -o -print)
VIGNETTES := $(sort $(wildcard vignettes/*.md))
# Each of these runs as a plain script in `make test`; `make vignettes` runs all of them as notebooks.
FAST_VIGNETTES ?= vignettes/sleepstudy.md
BENCHMARKS := $(sort $(wildcard benchmarks/bench_*.py))
# What meets ArviZ or arviz-stats.
ARVIZ_TESTS := tests/results/test_arviz.py tests/inference/test_pareto.py \
    tests/results/test_fit.py::test_names_that_collide_get_an_underscore
# What people write by hand.
TEXTS = $(wildcard *.md *.toml *.mk *.yaml *.cff Makefile .*.yaml .gitignore .ci/* data/*.md vignettes/*.md docs/*.md \
    docs/*/index.md docs/api/*.rst .github/*/*) \
    $(shell find lgm tests benchmarks examples docs/_ext -name __pycache__ -prune -o \
    \( -name '*.py' -o -name '*.pyi' -o -name '*.md' -o -name '*.cc' -o -name '*.h' -o -name CMakeLists.txt \) -print)

# The script, because `python -m pytest` would put the checkout before the installed package.
# Processes side by side leave no processor for threads of BLAS, which would spin while they wait for each other.
PYTEST := LGM_TEST_INSTALLED=1 OPENBLAS_NUM_THREADS=1 $(BIN)/pytest
# A file stays with one process, where its tests share fits and what is compiled.
PARALLEL := --numprocesses 2 --dist loadfile

.PHONY: help demo test test-slow test-arviz1 test-pymc lint doctest vignettes vignettes-fast docs bench clean install tools
.PHONY: hooks

# Every target with two hashes after it, in the order of this file, of kernel.mk and of release.mk.
help:  ## this list
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 26

include kernel.mk
include release.mk

# Environment ----------------------------------------------------------------------------------------------------------

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "lgm needs Python 3.11 or newer; $(PYTHON) is $$( ($(PYTHON) --version) 2>/dev/null || echo not there)." \
	         "Name another one: make $(or $(MAKECMDGOALS),test) PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@echo '*' > $(VENV)/.gitignore

# One wheel for all environments, since no version of Python has a part in the kernel. Not editable: the tests shall see
# what a user gets. A wheel of a version that is there already is only installed by force.
build/wheel.stamp: $(SOURCES) | $(PY)
	@rm -rf build/wheel
	$(PIP) wheel --no-deps --wheel-dir build/wheel .
	@touch $@

$(VENV)/lgm.stamp: build/wheel.stamp | $(PY)
	$(INSTALL) build/wheel/*.whl
	$(INSTALL) --force-reinstall --no-deps build/wheel/*.whl
	@touch $@

$(VENV)/tools.stamp: pyproject.toml | $(PY)
	@$(PY) -c 'import tomllib; extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]; \
	    print(*extras["$(TOOLS)"], sep="\n")' > $(VENV)/tools.txt
	$(INSTALL) -r $(VENV)/tools.txt
	@touch $@

install: $(VENV)/lgm.stamp  ## lgm, built and installed in the environment .venv
tools: $(VENV)/tools.stamp  ## the tools of the checks, in the same environment

hooks: $(VENV)/lgm.stamp $(VENV)/tools.stamp  ## the checks of `make lint` before every commit
	$(PIP) install pre-commit
	$(PY) -m pre_commit install

# For users ------------------------------------------------------------------------------------------------------------

demo: $(VENV)/lgm.stamp  ## two public data sets fitted, tables printed, plots in ./output
	@mkdir -p output
	$(PY) examples/demo.py

vignettes: $(VENV)/lgm.stamp $(VENV)/tools.stamp  ## all vignettes as pages, in vignettes/html
	@mkdir -p vignettes/html
	@for source in $(VIGNETTES); do \
	    notebook=vignettes/html/$$(basename $${source%.*}).ipynb; \
	    echo "$$source"; \
	    $(PY) -m jupytext --quiet --to ipynb --set-kernel python3 --output $$notebook $$source; \
	    $(PY) -m jupyter nbconvert --log-level WARN --to html --execute $$notebook; \
	done

# Sphinx documents the installed lgm (`python -m` would put the checkout before it). Notebooks are run by the environment's
# own interpreter and cached in .docs-cache.
$(VENV_DOCS)/docs.stamp: build/wheel.stamp | docs-python
	$(VENV_DOCS)/bin/python -m pip --disable-pip-version-check --quiet install "$$(echo build/wheel/*.whl)[docs]"
	$(VENV_DOCS)/bin/python -m pip --disable-pip-version-check --quiet install --force-reinstall --no-deps build/wheel/*.whl
	@touch $@

.PHONY: docs-python
docs-python:
	@test -x $(VENV_DOCS)/bin/python || { $(PYTHON) -m venv $(VENV_DOCS) && echo '*' > $(VENV_DOCS)/.gitignore; }

docs: $(VENV_DOCS)/docs.stamp  ## the site, in docs/_build/html; its notebooks run when their code has changed
	PATH="$(CURDIR)/$(VENV_DOCS)/bin:$$PATH" $(VENV_DOCS)/bin/sphinx-build -W --keep-going -b html docs docs/_build/html

# A script's own folder is on its path, the checkout is not: what is measured is the installed lgm.
bench: $(VENV)/lgm.stamp $(VENV)/tools.stamp  ## all benchmarks, an hour or two; QUICK=1 for minutes, BENCHMARKS=... for some
	@for script in $(BENCHMARKS); do echo; echo "$$script"; $(PY) $$script $(if $(QUICK),--quick); done

# Checks ---------------------------------------------------------------------------------------------------------------

# What uses one processor goes two at a time. pytest comes last, so that its closing line is the last one.
test:  ## lint, test-arviz1, vignettes-fast and doctest, then all quick tests
	@$(MAKE) --no-print-directory --jobs 2 build/wheel.stamp tools
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=line lint test-arviz1 vignettes-fast
	@$(MAKE) --no-print-directory doctest
	$(PYTEST) $(PARALLEL)

test-slow: $(VENV)/lgm.stamp $(VENV)/tools.stamp  ## the long statistical checks
	$(PYTEST) -m slow

# The same commands as in .pre-commit-config.yaml.
lint: $(VENV)/lgm.stamp $(VENV)/tools.stamp  ## style, types and import rules
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/end-of-file-fixer $(TEXTS)
	$(BIN)/trailing-whitespace-fixer $(TEXTS)

# With the settings of all tests (tests/conftest.py), which has no examples itself.
doctest: $(VENV)/lgm.stamp $(VENV)/tools.stamp  ## the examples in docstrings
	$(PYTEST) $(PARALLEL) --quiet --doctest-modules --doctest-ignore-import-errors --pyargs lgm tests/conftest.py

vignettes-fast: $(VENV)/lgm.stamp $(VENV)/tools.stamp  ## the code of the quick vignettes
	@for source in $(FAST_VIGNETTES); do \
	    echo "$$source"; \
	    script=$(VENV)/$$(basename $${source%.*}).py; \
	    $(PY) -m jupytext --quiet --to py --output $$script $$source; \
	    $(PY) $$script > /dev/null; \
	done

# With ArviZ's other major version.
ifneq ($(call works,sys.version_info >= (3, 12),$(PYTHON)),)
test-arviz1:
	@echo "ArviZ 1: $(PYTHON) is Python 3.12 or newer, so the main tests use it already"
else ifeq ($(PYTHON_ARVIZ1),)
test-arviz1:
	@echo "ArviZ 1: SKIPPED, no working Python 3.12 or 3.13 was found; name one with PYTHON_ARVIZ1=/path/to/python3.12"
else
test-arviz1:  ## what meets ArviZ, with its other major version
	@echo "ArviZ 1: with $(PYTHON_ARVIZ1) in $(VENV_ARVIZ1)"
	@$(MAKE) --no-print-directory arviz-tests PYTHON=$(PYTHON_ARVIZ1) VENV=$(VENV_ARVIZ1) TOOLS=test-arviz
endif

.PHONY: arviz-tests
arviz-tests: $(VENV)/lgm.stamp $(VENV)/tools.stamp
	$(PYTEST) $(PARALLEL) --quiet $(ARVIZ_TESTS)

# PyMC and nutpie are large, and their tests are few: an environment of their own, which `make test` does without.
test-pymc:  ## what meets PyMC, nutpie and BlackJAX, in the environment .venv-pymc
	@$(MAKE) --no-print-directory install tools VENV=$(VENV_PYMC)
	$(VENV_PYMC)/bin/python -m pip --disable-pip-version-check --quiet install "pymc>=5.20,<6" nutpie blackjax geopandas
	LGM_TEST_INSTALLED=1 $(VENV_PYMC)/bin/pytest --quiet tests/test_pymc.py tests/inference/test_log_density.py \
	    tests/data/test_table.py tests/results/test_on_map.py
	LGM_TEST_INSTALLED=1 $(VENV_PYMC)/bin/pytest --quiet --doctest-modules --pyargs lgm.pymc

clean:  ## away with all that was made, environments included
	rm -rf $(VENV) $(VENV_ARVIZ1) $(VENV_DOCS) $(VENV_OLDEST) $(VENV_PYMC) build dist output vignettes/html \
	    docs/_build docs/vignettes docs/api/generated docs/reference/*.rst .docs-cache .pytest_cache .mypy_cache .ruff_cache \
	    .hypothesis .import_linter_cache
