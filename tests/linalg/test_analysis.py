"""Symbolic analysis: content addresses, pickles, caches, refusals."""

import os
import pickle
import subprocess
import sys

import jax
import numpy as np
import pytest
import scipy.sparse as sp
from linalg.matrices import grid, named

from lgm.linalg import analyse, logdet
from lgm.pattern import Pattern


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
    static = jax.jit(lambda sym, v: (traces.append(2), logdet(sym, v))[1], static_argnums=0)
    static(analyse(matrix), values), static(analyse(matrix), values)
    assert traces == [1, 2]


def test_an_analysis_survives_pickling_into_another_process(tmp_path) -> None:
    matrix = named("grid")
    sym = analyse(matrix)
    copy = pickle.loads(pickle.dumps(sym))
    assert copy == sym and copy.pattern == sym.pattern
    path = tmp_path / "sym.pickle"
    path.write_bytes(pickle.dumps((sym, sym.values(matrix))))
    code = (
        "import jax, pickle, sys; jax.config.update('jax_enable_x64', True)\n"
        "from lgm.linalg import logdet\n"
        "sym, values = pickle.load(open(sys.argv[1], 'rb'))\n"
        "print(float(jax.jit(lambda v: logdet(sym, v))(values)).hex())"
    )
    found = subprocess.run([sys.executable, "-P", "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == float(logdet(sym, sym.values(matrix))).hex()


def test_a_persistent_compilation_cache_serves_a_new_process(tmp_path) -> None:
    code = (
        "import jax, sys; jax.config.update('jax_enable_x64', True)\n"
        "jax.config.update('jax_compilation_cache_dir', sys.argv[1])\n"
        "jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.0)\n"
        "jax.config.update('jax_persistent_cache_min_entry_size_bytes', -1)\n"
        "from lgm.linalg import analyse, logdet\n"
        "from linalg.matrices import named\n"
        "m = named('grid'); sym = analyse(m)\n"
        "print(float(jax.jit(jax.grad(lambda v: logdet(sym, v)))(sym.values(m))[0]).hex())"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}  # finds the matrices of these tests
    outputs = {
        subprocess.run(
            [sys.executable, "-P", "-c", code, str(tmp_path)],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        ).stdout
        for _ in range(2)
    }
    assert len(outputs) == 1 and any(tmp_path.iterdir())


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
