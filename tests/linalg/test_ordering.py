"""Orderings: permutations, fill, the choice between them, and life without METIS."""

import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from linalg.matrices import NAMES, grid, matrices, named

from lgm.errors import LgmError
from lgm.linalg import analyse
from lgm.pattern import Pattern

ORDERINGS = ["natural", "rcm", "amd", "metis"]


def factor_nonzeros(matrix: sp.sparray, order: np.ndarray) -> int:
    """Nonzeros of the factor by playing the elimination on sets."""
    dense = matrix.toarray() != 0
    dense = dense[np.ix_(order, order)]
    for k in range(len(order)):
        below = np.flatnonzero(dense[k + 1 :, k]) + k + 1
        dense[np.ix_(below, below)] = True
    return int(np.tril(dense).sum())


@pytest.mark.parametrize("ordering", ["auto", *ORDERINGS])
@pytest.mark.parametrize("name", NAMES)
def test_counts_are_those_of_the_elimination(name: str, ordering: str) -> None:
    matrix = named(name)
    sym = analyse(matrix, ordering=ordering)
    assert sorted(sym.order) == list(range(sym.n))
    assert sym.nnz_factor == factor_nonzeros(matrix, sym.order)
    if ordering != "metis":  # which is not tried on problems as small as these
        assert analyse(matrix).flops <= sym.flops


@given(matrices())
@settings(max_examples=40, deadline=None)
def test_minimum_degree_orders_every_graph(matrix: sp.coo_array) -> None:
    sym = analyse(matrix, ordering="amd")
    assert sorted(sym.order) == list(range(sym.n))
    assert sym.nnz_factor == factor_nonzeros(Pattern.of(matrix).matrix(np.ones(sym.nnz)), sym.order)


def test_minimum_degree_leaves_trees_without_fill() -> None:
    child = np.arange(1, 200)
    tree = sp.coo_array((np.ones(199), (child, (child - 1) // 2)), shape=(200, 200))
    assert analyse(tree, ordering="amd").nnz_factor == 399


def test_minimum_degree_is_near_nested_dissection_on_a_grid() -> None:
    fill = {name: analyse(grid(40), ordering=name).nnz_factor for name in ORDERINGS}
    assert fill["amd"] < 1.2 * fill["metis"] < 0.6 * fill["natural"]


def test_dense_rows_and_those_asked_for_go_last() -> None:
    n = 400
    hub = sp.coo_array((np.ones(n), (np.full(n, 7), np.arange(n))), shape=(n, n))
    sym = analyse(hub + grid(20), last=[3, 390])
    assert set(sym.order[-3:]) == {3, 7, 390}


@pytest.fixture
def _without_metis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymetis", None)  # an import of it fails


def test_nested_dissection_is_taken_for_large_fields() -> None:
    assert analyse(grid(140)).ordering == "metis"
    assert analyse(grid(60)).ordering == "amd"  # where it is not tried


@pytest.mark.usefixtures("_without_metis")
def test_without_metis_the_best_of_the_others_is_taken() -> None:
    sym = analyse(grid(140))
    assert sym.ordering == "amd" and sym == analyse(grid(140), ordering="amd")


@pytest.mark.usefixtures("_without_metis")
def test_without_metis_asking_for_it_says_what_to_install() -> None:
    with pytest.raises(LgmError, match="ordering 'metis' .* needs pymetis.*pip install pymetis") as caught:
        analyse(grid(12), ordering="metis")
    assert isinstance(caught.value, ImportError)


def test_metis_is_not_imported_before_it_is_needed() -> None:
    code = (
        "import sys, lgm.linalg\n"
        "from linalg.matrices import grid\n"
        "lgm.linalg.analyse(grid(12)); assert 'pymetis' not in sys.modules\n"
        "lgm.linalg.analyse(grid(140)); assert 'pymetis' in sys.modules"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-P", "-c", code], check=True, env=environment)
