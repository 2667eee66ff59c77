# What a release needs: wheels, and the oldest versions of what lgm depends on. Included from the Makefile.

PYTHONS ?= $(foreach minor,11 12 13,$(call works,sys.version_info[:2] == (3$(comma) $(minor)),python3.$(minor) \
    $(call pyenv,3.$(minor))))
comma := ,

.PHONY: wheel test-oldest
wheel:  ## the wheel, tried without a compiler with Python 3.11 to 3.13, those that are here; in ./dist
	@test -n "$(strip $(PYTHONS))" || { \
	    echo "no Python was found; name some: make wheel PYTHONS=/path/to/python3.12" >&2; exit 1; }
	.ci/wheel $(PYTHONS)

VENV_OLDEST ?= .venv-oldest
# With the oldest Python, too.
PYTHON_OLDEST ?= $(call works,sys.version_info[:2] == (3$(comma) 11),python3.11 $(call pyenv,3.11))
# What meets other packages: tables of every kind, formulas, arrays and compilation, samplers, distributions, figures.
OLDEST_TESTS := tests/test_package.py tests/test_model.py tests/test_distributions.py tests/test_priors.py \
    tests/test_bad_input.py tests/data tests/formula tests/linalg tests/inference/test_pareto.py \
    tests/results/test_arviz.py tests/results/test_fit.py tests/plots tests/storage

test-oldest:  ## the oldest versions of all dependencies, and a part of the tests with them
	@test -n "$(PYTHON_OLDEST)" || { \
	    echo "lgm's oldest Python is 3.11, and none was found: make test-oldest PYTHON_OLDEST=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON_OLDEST) -m venv $(VENV_OLDEST)
	@echo '*' > $(VENV_OLDEST)/.gitignore
	$(VENV_OLDEST)/bin/python -m pip install --quiet packaging
	$(VENV_OLDEST)/bin/python .ci/oldest.py > $(VENV_OLDEST)/constraints.txt
	$(VENV_OLDEST)/bin/python -m pip install --quiet --constraint $(VENV_OLDEST)/constraints.txt . \
	    pytest pytest-xdist hypothesis libpysal networkx polars pyarrow "pyparsing<3.3"
# What old packages announce of newer ones below them (matplotlib 3.8 of pyparsing, from 3.3 on in child processes, too)
# is not ours to mend.
	LGM_TEST_INSTALLED=1 $(VENV_OLDEST)/bin/pytest --quiet $(PARALLEL) -W ignore::DeprecationWarning $(OLDEST_TESTS)
