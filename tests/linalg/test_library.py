"""What the C interface answers, and that nothing reaches it that it would read past the end of."""

import ctypes
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import CHECKOUT

from lgm.linalg import _library
from lgm.linalg._ffi import _CALLS

# The lower triangle, by columns, of a 3 x 3 arrow: rows 0 and 1 meet row 2 only.
INDPTR, INDICES = np.array([0, 2, 4, 5]), np.array([0, 2, 1, 2, 2])
ORDER, NOTHING = np.arange(3, dtype=np.int32), np.empty(0, dtype=np.int32)


def test_cost_of_an_arrow() -> None:
    cost = _library.predict_cost(INDPTR, INDICES, ORDER, NOTHING)
    assert cost.nnz_factor == 5
    assert _library.predict_cost(INDPTR, INDICES, ORDER[::-1].copy(), NOTHING).nnz_factor == 6  # the hub first: full
    registered, workspace = _library.register_analysis("arrow of test_library", INDPTR, INDICES, ORDER, NOTHING)
    assert registered.nnz_factor == 5 and registered.flops == cost.flops
    assert workspace >= 8 * registered.stored


@pytest.mark.parametrize(
    ("indptr", "order", "negative", "words"),
    [
        (INDPTR[:-1], ORDER, NOTHING, "indptr and indices do not belong together"),
        (INDPTR, ORDER[:2], NOTHING, "the ordering has a wrong length"),
        (INDPTR, np.array([0, 1, 1], dtype=np.int32), NOTHING, "the ordering is not a permutation"),
        (INDPTR, np.array([0, 1, 3], dtype=np.int32), NOTHING, "the ordering is not a permutation"),
        (INDPTR, ORDER, np.array([3], dtype=np.int32), "no such row"),
    ],
)
def test_arguments_that_do_not_fit(indptr, order, negative, words) -> None:
    with pytest.raises(ValueError, match=words):
        _library.predict_cost(indptr, INDICES, order, negative)
    with pytest.raises(ValueError, match=words):
        _library.register_analysis("never registered", indptr, INDICES, order, negative)


def test_arrays_of_another_kind() -> None:
    with pytest.raises(ctypes.ArgumentError, match="LP_c_long"):
        _library.predict_cost(INDPTR.astype(np.int32), INDICES, ORDER, NOTHING)
    with pytest.raises(KeyError, match="uint8"):
        _library.predict_cost(INDPTR.astype(np.uint8), INDICES, ORDER, NOTHING)
    with pytest.raises(ValueError, match="without gaps"):
        _library.predict_cost(INDPTR, INDICES, ORDER[::-1], NOTHING)


def test_a_graph_without_edges_is_in_order() -> None:
    assert sorted(_library.minimum_degree(np.zeros(5, dtype=np.int64), NOTHING)) == [0, 1, 2, 3]


def test_likelihoods_that_the_kernel_lacks() -> None:
    one, none = np.ones(1), np.empty(0)
    with pytest.raises(ValueError, match="not a likelihood of the kernel, or not its parameters: cauchy"):
        _library.likelihood("cauchy", one, one, one, one, none)
    with pytest.raises(ValueError, match="or not its parameters: poisson_log"):
        _library.likelihood("poisson_log", one, one, one, one, one)
    with pytest.raises(ValueError, match="one number per row"):
        _library.likelihood("poisson_log", one, np.ones(2), one, one, none)


def test_every_handler_is_registered() -> None:
    sources = (CHECKOUT / "lgm/linalg/_kernel").glob("ffi_*.cc")
    text = "\n".join(path.read_text() for path in [CHECKOUT / "lgm/linalg/_kernel/ffi.cc", *sources])
    assert sorted(re.findall(r"LGM_HANDLER\(\s*lgm_(\w+)", text)) == sorted(_CALLS)


def test_a_checkout_that_was_not_installed(tmp_path: Path) -> None:
    """The message of the first thing that a newcomer may do: start Python in the sources."""
    source = Path(_library.__file__)
    (tmp_path / source.name).write_text(source.read_text())
    code = f"import runpy; runpy.run_path({str(tmp_path / source.name)!r})"
    found = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert "ImportError: lgm's compiled kernel is not beside its Python files" in found.stderr
    assert "`pip install .`" in found.stderr
