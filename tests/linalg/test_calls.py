"""How the kernel is called: threads, concurrency, BLAS settings, keys, BLAS signatures."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg.cython_blas
import scipy.linalg.cython_lapack
import scipy.sparse as sp
from linalg.dense_oracle import positive
from linalg.matrices import grid, named

from lgm.linalg import Analysis, _calls, analyse, factor_info, logdet_quad
from lgm.linalg._ffi import _thread_control, _use_blas, kernel


def sample_problem(name: str, count: int) -> tuple[Analysis, jax.Array, jax.Array]:
    matrix = named(name)
    sym = analyse(matrix)
    values = jnp.asarray(sym.values(matrix)) * jnp.linspace(1.0, 2.0, count)[:, None]
    return sym, values, jnp.asarray(np.random.default_rng(0).normal(size=(sym.n, 2)))


@pytest.fixture
def _thread_limit() -> Iterator[None]:
    yield
    kernel.set_max_threads(0)


@pytest.mark.parametrize("name", ["large grid", "crossed"])
@pytest.mark.usefixtures("_thread_limit")
def test_the_number_of_threads_changes_no_bit(name: str) -> None:
    sym, values, b = sample_problem(name, 16)
    function = jax.jit(jax.vmap(lambda v: _calls.factor_solve_invert(sym, v, b)))
    found = []
    for threads in (1, 2, 4, 0):
        kernel.set_max_threads(threads)
        found.append([np.asarray(out) for out in function(values)])
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def in_space_and_time(side: int) -> sp.csc_array:
    """Pattern of a separable process, with fronts that several threads share."""
    line = sp.diags_array([np.ones(side - 1)] * 2, offsets=[-1, 1])
    return sp.csc_array(sp.kron(line + sp.eye_array(side), grid(side)))


@pytest.fixture(scope="module")
def shared_problem() -> tuple[Analysis, np.ndarray, np.ndarray]:
    """A matrix of which one factorisation is worth sharing."""
    matrix = positive(in_space_and_time(14), np.random.default_rng(0))
    sym = analyse(matrix)
    return sym, sym.values(matrix), np.random.default_rng(1).normal(size=(sym.n, 2))


@pytest.mark.usefixtures("_thread_limit")
def test_threads_within_one_factorisation_change_no_bit(shared_problem) -> None:
    sym, values, b = shared_problem
    fused = jax.jit(lambda v: _calls.factor_solve_invert(sym, v, b))
    plain = jax.jit(lambda v: _calls.factor_solve(sym, v, b, b))
    tangent = jax.jit(lambda v: _calls.selected_inverse_tangent(sym, v, jnp.cos(v)))
    pair = jax.jit(jax.vmap(lambda v: _calls.factor_solve_invert(sym, v, b)))
    found = []
    for threads in (1, 2, 5, 0):
        kernel.set_max_threads(threads)
        results = fused(values), plain(values), tangent(values), pair(jnp.stack([values, values]))
        found.append([np.asarray(out) for out in jax.tree.leaves(results)])
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, two)
    logdet, info, x, z = fused(values)
    assert int(info) == 0
    np.testing.assert_allclose(sym.pattern.matrix(values) @ x, b, atol=1e-9)
    # trace(Q Z) over the pattern, where off-diagonals stand for two, is the trace of the identity
    twice = np.where(sym.pattern.rows == sym.pattern.cols, 1.0, 2.0)
    np.testing.assert_allclose(np.sum(twice * values * np.asarray(z)), sym.n, rtol=1e-10)


@pytest.mark.usefixtures("_thread_limit")
def test_however_many_threads_the_same_row_fails(shared_problem) -> None:
    sym, values, _ = shared_problem
    info = jax.jit(lambda v: factor_info(sym, v))
    rng = np.random.default_rng(2)
    for _ in range(6):
        rows = rng.choice(sym.n, size=4, replace=False)
        spoiled = values.copy()
        spoiled[sym.pattern.indptr[rows]] = -1e3
        found = set()
        for threads in (1, 2, 5):
            kernel.set_max_threads(threads)
            found.add(int(info(spoiled)))
        assert len(found) == 1 and found < {1 + int(row) for row in rows}


def test_repeated_calls_give_the_same_bits() -> None:
    sym, values, b = sample_problem("cube", 1)
    function = jax.jit(lambda v: _calls.factor_solve_invert(sym, v, b))
    first = function(values[0])
    for _ in range(20):
        for one, two in zip(first, function(values[0]), strict=True):
            np.testing.assert_array_equal(one, two)


def test_concurrent_calls_on_one_analysis_do_not_meet() -> None:
    sym, values, b = sample_problem("large grid", 12)
    function = jax.jit(lambda v: (*logdet_quad(sym, v, b), jax.grad(lambda u: logdet_quad(sym, u, b)[0])(v)))
    wanted = [[np.asarray(out) for out in function(v)] for v in values]
    unawaited = [function(values[k % 12]) for k in range(48)]  # dispatched without waiting for the one before

    def in_a_thread(k: int) -> tuple[jax.Array, ...]:
        with jax.enable_x64(True):  # belongs to the thread
            return jax.block_until_ready(function(values[k % 12]))

    with ThreadPoolExecutor(4) as pool:
        threaded = list(pool.map(in_a_thread, range(48)))
    for k, outputs in enumerate([*unawaited, *threaded]):
        for found, want in zip(outputs, wanted[k % 12], strict=True):
            np.testing.assert_array_equal(found, want)


def test_blas_threads_are_as_before_after_a_call() -> None:
    getter, setter = _thread_control()
    if not getter:
        pytest.skip("SciPy's BLAS has no functions that tell and set its threads")
    threads = ctypes.CFUNCTYPE(ctypes.c_int)(getter)
    set_threads = ctypes.CFUNCTYPE(None, ctypes.c_int)(setter)
    before = threads()
    try:
        set_threads(2)
        sym, values, b = sample_problem("full", 3)
        jax.block_until_ready(jax.vmap(lambda v: logdet_quad(sym, v, b))(values))
        assert threads() == 2
    finally:
        set_threads(before)


def test_an_unknown_key_is_an_error_and_not_a_crash() -> None:
    call = jax.ffi.ffi_call("lgm_selected_inverse_tangent", jax.ShapeDtypeStruct((3,), np.float64))
    with pytest.raises(Exception, match="analysis 00ff is not known to this process"):
        jax.block_until_ready(call(jnp.ones(3), jnp.ones(3), analysis="00ff"))


def test_wrong_shapes_are_an_error_and_not_a_crash() -> None:
    sym = analyse(grid(3))
    call = jax.ffi.ffi_call("lgm_selected_inverse_tangent", jax.ShapeDtypeStruct((3,), np.float64))
    with pytest.raises(Exception, match="one number per stored entry"):
        jax.block_until_ready(call(jnp.ones(3), jnp.ones(3), analysis=sym.key))


def renamed(capsules: dict, old: bytes, new: bytes, only: str | None = None) -> tuple[dict, list[bytes]]:
    """Capsules whose C signatures are changed; the names must be kept alive as long as they are."""
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    api.PyCapsule_New.restype = ctypes.py_object
    api.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    out, names = dict(capsules), []
    for name in ("dgemm", "dsymm", "dsyrk", "dtrsm", "dtrmm", "dpotrf", "dtrtri", "dlauum"):
        if name not in capsules or (only is not None and name != only):
            continue
        signature = api.PyCapsule_GetName(capsules[name])
        names.append(signature.replace(old, new))
        out[name] = api.PyCapsule_New(api.PyCapsule_GetPointer(capsules[name], signature), names[-1], None)
    return out, names


def test_blas_signatures_that_are_not_understood_are_refused() -> None:
    blas, lapack = scipy.linalg.cython_blas.__pyx_capi__, scipy.linalg.cython_lapack.__pyx_capi__
    strange, _keep = renamed(blas, b"int *", b"mystery *")
    with pytest.raises(RuntimeError, match="cannot tell the integer width of SciPy's BLAS.*dgemm"):
        _use_blas(strange, lapack, 0, 0)
    mixed, _keep_too = renamed(blas, b" int *", b" int64_t *", only="dsyrk")
    with pytest.raises(RuntimeError, match="differ in the width"):
        _use_blas(mixed, lapack, 0, 0)


def test_memory_does_not_grow() -> None:
    code = (
        "import jax, resource; jax.config.update('jax_enable_x64', True)\n"
        "from lgm.linalg import analyse, logdet\n"
        "from linalg.matrices import named\n"
        "m = named('crossed'); sym = analyse(m); v = sym.values(m)\n"
        "f = jax.jit(jax.grad(lambda v: logdet(sym, v)))\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for _ in range(500): jax.block_until_ready(f(v))\n"
        "before = peak()\n"
        "for _ in range(3000): jax.block_until_ready(f(v))\n"
        "print(peak() - before)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert int(found.stdout) < 2048  # KiB
