"""Elimination orders: permutations, the choice of the cheapest, and life without pymetis."""

import sys

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import run_fresh

from lgm.errors import LgmError, MissingPackageError
from lgm.linalg import analyse
from lgm.linalg.ordering import best_order
from lgm.pattern import Pattern


def grid(side):
    line = sp.diags_array([np.ones(side - 1), 4.0 * np.ones(side), np.ones(side - 1)], offsets=[-1, 0, 1])
    return Pattern.of(sp.kron(sp.eye_array(side), line) + sp.kron(line, sp.eye_array(side)))


@pytest.mark.parametrize("name", ["natural", "rcm", "amd", "metis"])
def test_orders_are_permutations(name):
    found, order, cost = best_order(grid(12), np.zeros(0, dtype=np.int64), name)
    assert found == name and sorted(order.tolist()) == list(range(144))
    assert cost.flops > 0


def test_the_cheapest_is_taken():
    nothing = np.zeros(0, dtype=np.int64)
    costs = {name: best_order(grid(20), nothing, name)[2].flops for name in ("natural", "rcm", "amd")}
    assert best_order(grid(20), nothing, "auto")[2].flops == min(costs.values())


def test_rows_that_go_last():
    assert best_order(grid(6), np.array([3, 7]), "amd")[1][-2:].tolist() == [3, 7]
    with pytest.raises(ValueError, match="between 0 and 35"):
        best_order(grid(6), np.array([36]), "amd")


def test_an_unknown_name():
    with pytest.raises(ValueError, match="'quick' is not one of 'auto', 'natural'"):
        analyse(grid(4), ordering="quick")


def test_without_pymetis_the_others_serve(tmp_path):
    (tmp_path / "pymetis.py").write_text("raise ImportError('no wheel')\n")
    code = (
        "import numpy as np, scipy.sparse as sp, lgm.linalg as la\n"
        "from lgm.linalg import ordering\n"
        "ordering._FLOPS_WORTH_METIS = 0.0\n"
        "Q = sp.diags_array([np.ones(9), 3.0 * np.ones(10), np.ones(9)], offsets=[-1, 0, 1])\n"
        "print(la.analyse(Q).ordering)\n"
        "try: la.analyse(Q, ordering='metis')\n"
        "except ImportError as error: print(type(error).__name__, str(error))\n"
    )
    first, second = run_fresh(code, tmp_path).splitlines()
    assert first in ("natural", "amd", "rcm")
    assert second.startswith("MissingPackageError ordering 'metis'") and "pip install pymetis" in second


@pytest.fixture
def _without_metis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymetis", None)  # an import of it fails


def test_nested_dissection_is_taken_for_large_fields():
    assert analyse(grid(140)).ordering == "metis"
    assert analyse(grid(60)).ordering == "amd"  # where it is not tried


@pytest.mark.usefixtures("_without_metis")
def test_without_metis_a_large_field_gets_the_best_of_the_others():
    sym = analyse(grid(140))
    assert sym.ordering == "amd" and sym == analyse(grid(140), ordering="amd")


@pytest.mark.usefixtures("_without_metis")
def test_without_metis_asking_for_it_says_what_to_install():
    with pytest.raises(MissingPackageError, match=r"ordering 'metis' .* needs pymetis.*pip install pymetis") as caught:
        analyse(grid(12), ordering="metis")
    assert isinstance(caught.value, LgmError) and isinstance(caught.value, ImportError)


def test_metis_is_not_imported_before_it_is_needed():
    code = (
        "import sys, numpy as np, scipy.sparse as sp, lgm.linalg\n"
        "for side in 12, 140:\n"
        "    line = sp.diags_array([np.ones(side - 1), 4.0 * np.ones(side), np.ones(side - 1)], offsets=[-1, 0, 1])\n"
        "    lgm.linalg.analyse(sp.kron(sp.eye_array(side), line) + sp.kron(line, sp.eye_array(side)))\n"
        "    print('pymetis' in sys.modules)\n"
    )
    assert run_fresh(code).split() == ["False", "True"]


@pytest.mark.parametrize("name", ["auto", "natural", "rcm", "amd", "metis"])
def test_every_row_may_go_last(name):
    rows, cols = np.tril_indices(300)
    full = Pattern.from_entries(300, rows, cols)
    assert best_order(full, np.zeros(0, dtype=np.int64), name)[1].tolist() == list(range(300))
