"""Symbolic analysis: orderings, content addresses, refusals."""

import pickle

import jax
import numpy as np
import pytest
import scipy.sparse as sp
from helpers import run_fresh
from hypothesis import given, settings
from linalg.matrices import NAMES, grid, matrices, named

from lgm.linalg import analyse, logdet
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


def test_leaves_that_share_their_rows_are_treated_together() -> None:
    """Which costs arithmetic with zeros, and leaves the factor as it is; a few of them stay alone."""
    many, few = named("balanced"), named("balanced")[90:, 90:]  # of 100 leaves, and of ten
    for matrix, together in ((many, True), (few, False)):
        sym = analyse(matrix, ordering="natural")
        leaves = matrix.shape[0] - 90
        below = np.diff(matrix.indptr)[:leaves] - 1.0
        alone = np.sum(1.0 / 3.0 + below + below**2) + 90**3 / 3.0
        assert (sym.flops > 1.2 * alone) == together
        assert sym.nnz_factor == factor_nonzeros(matrix, sym.order)


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


def test_a_given_order_is_kept() -> None:
    order = np.random.default_rng(0).permutation(144)
    sym = analyse(grid(12), ordering=order)
    np.testing.assert_array_equal(sym.order, order)
    assert sym.ordering == "given"


def test_pattern_and_matrix_give_equal_analyses() -> None:
    matrix = named("grid")
    one, other = analyse(matrix), analyse(Pattern.of(matrix))
    assert one == other and hash(one) == hash(other) and one.key == other.key
    assert one != analyse(matrix, ordering=np.arange(144)[::-1])
    with pytest.raises(AttributeError, match="does not change"):
        one.flops = 0.0


def test_explicit_zeros_belong_to_the_pattern() -> None:
    matrix = sp.coo_array(([1.0, 1.0, 0.0], ([0, 1, 1], [0, 1, 0])), shape=(2, 2))
    assert analyse(matrix).nnz == 3
    assert analyse(matrix).values(matrix).tolist() == [1.0, 0.0, 1.0]


def test_equal_analyses_compile_once() -> None:
    traces = []

    @jax.jit
    def twice(values: jax.Array) -> jax.Array:
        traces.append(1)
        return logdet(analyse(matrix), values)

    matrix = named("grid")
    values = analyse(matrix).values(matrix)
    twice(values), twice(values + 0.1)

    def traced(sym, v):
        traces.append(2)
        return logdet(sym, v)

    static = jax.jit(traced, static_argnums=0)
    static(analyse(matrix), values), static(analyse(matrix), values)
    assert traces == [1, 2]


def test_an_analysis_survives_pickling() -> None:
    sym = analyse(named("grid"))
    copy = pickle.loads(pickle.dumps(sym))
    assert copy == sym and copy.pattern == sym.pattern


def test_pickles_and_a_persistent_compilation_cache_serve_new_processes(tmp_path) -> None:
    matrix = named("grid")
    sym = analyse(matrix)
    values = sym.values(matrix)
    stored, cache = tmp_path / "sym.pickle", tmp_path / "cache"
    stored.write_bytes(pickle.dumps((sym, values)))
    code = (
        "import jax, pickle; jax.config.update('jax_enable_x64', True)\n"
        f"jax.config.update('jax_compilation_cache_dir', {str(cache)!r})\n"
        "jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.0)\n"
        "jax.config.update('jax_persistent_cache_min_entry_size_bytes', -1)\n"
        "from lgm.linalg import logdet\n"
        f"sym, values = pickle.load(open({str(stored)!r}, 'rb'))\n"
        "value, gradient = jax.jit(jax.value_and_grad(lambda v: logdet(sym, v)))(values)\n"
        "print(float(value).hex(), float(gradient[0]).hex())"
    )
    value, gradient = jax.jit(jax.value_and_grad(lambda v: logdet(sym, v)))(values)
    expected = f"{float(value).hex()} {float(gradient[0]).hex()}"
    assert run_fresh(code) == expected
    compiled = sorted(cache.glob("*-cache"))
    assert run_fresh(code) == expected
    assert compiled and sorted(cache.glob("*-cache")) == compiled


def test_a_huge_factor_is_refused_before_its_memory_is_asked_for() -> None:
    with pytest.raises(MemoryError, match=r"144 x 144 matrix with 408 stored entries has \d+ nonzeros: .* GiB"):
        analyse(grid(12), memory_limit=1000)
    hubs = 60_000  # an arrow pointing the wrong way fills everything: 1.8e9 entries, counted but never made
    arrow = sp.coo_array((np.ones(hubs), (np.zeros(hubs, int), np.arange(hubs))), shape=(hubs, hubs))
    with pytest.raises(MemoryError, match="nonzeros"):
        analyse(arrow, ordering=np.arange(hubs))
    assert analyse(arrow).nnz_factor == 2 * hubs - 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ordering": "colamd"}, "ordering 'colamd' is not one of"),
        ({"ordering": np.zeros(144, int)}, "not a permutation"),
        ({"ordering": np.arange(3)}, "wrong length"),
        ({"last": [144]}, "between 0 and 143"),
    ],
)
def test_wrong_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        analyse(grid(12), **arguments)
