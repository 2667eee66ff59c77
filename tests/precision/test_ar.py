"""Autoregressions against their correlation matrices."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense_model import EPS, derivatives, rounding
from hypothesis import given, settings
from hypothesis import strategies as st

from lgm.precision.ar import Ar, Ar1, Ou, coefficients, least_gap

TIMES = [[0, 1], [0, 1, 2, 3, 4], [1950, 1951, 1955, 1956, 1958, 1971]]
rhos = pytest.mark.parametrize("rho", [-0.9, -0.2, 0.0, 0.5, 0.97])
times = pytest.mark.parametrize("t", TIMES, ids=len)


def values_of(template, rho):
    return template.whiten({"sd": jnp.ones(1), "rho": rho}).values


def logdet_of(template, rho):
    return template.whiten({"sd": jnp.ones(1), "rho": rho}).logdet


def case(t, rho):
    t = np.array(t)
    return Ar1(np.diff(t), t.size), rho ** np.abs(np.subtract.outer(t, t)).astype(float)


@times
@rhos
def test_inverse_of_the_correlation_matrix(t, rho):
    template, corr = case(t, rho)
    with jax.enable_x64(True):
        values = np.asarray(values_of(template, jnp.array([rho])))
        log_det = float(logdet_of(template, jnp.array([rho])))
    R = template.pattern.matrix(values).toarray()
    np.testing.assert_allclose(R @ corr, np.eye(template.n), rtol=0, atol=rounding(template.n, corr))
    np.testing.assert_allclose(log_det, -np.linalg.slogdet(corr)[1], rtol=0, atol=rounding(template.n, corr))


@rhos
def test_derivatives(rho):
    """``d log|R| = -tr(R dC)`` and ``dR = -R dC R``, with ``dC_ij = m rho^(m-1)``, ``m = |t_i - t_j|``."""
    t = np.array(TIMES[2])
    template, corr = case(t, rho)
    lag = np.abs(np.subtract.outer(t, t)).astype(float)
    change = np.where(lag > 0, lag * rho ** np.maximum(lag - 1.0, 0.0), 0.0)
    R = np.linalg.inv(corr)
    with jax.enable_x64(True):
        by_value = jax.jacfwd(partial(values_of, template))(jnp.array([rho]))[:, 0]
        by_logdet = jax.grad(partial(logdet_of, template))(jnp.array([rho]))[0]
    tolerance = rounding(template.n, corr, corr) * np.linalg.norm(R, 2) * np.abs(R @ change @ R).max()
    wanted = -(R @ change @ R)[template.pattern.rows, template.pattern.cols]
    np.testing.assert_allclose(by_value, wanted, rtol=0, atol=max(tolerance, rounding(template.n)))
    np.testing.assert_allclose(by_logdet, -np.trace(R @ change), rtol=0, atol=max(tolerance, rounding(template.n)))


def test_the_end_of_the_range_is_not_finite():
    template, _ = case(TIMES[1], 0.5)
    with jax.enable_x64(True):
        assert not np.isfinite(logdet_of(template, jnp.array([1.0])))


@pytest.mark.parametrize("distance", [1e-4, 1e-6, 1e-8, 1e-10])
@pytest.mark.parametrize("sign", [1, -1])
def test_near_the_end_of_the_range_compiled_code_still_cancels(distance, sign):
    """``s'R s = (n (1 - a) + 2 a) / (1 + a)`` for ``s_i = sign^i``, a sum of entries of size ``1 / (1 - a)``."""
    n, a = 100, 1.0 - distance
    template = Ar1(np.ones(n - 1, dtype=np.int64), n)
    with jax.enable_x64(True):
        values = np.asarray(jax.jit(partial(values_of, template))(jnp.array([sign * a])))
    s = np.power(float(sign), np.arange(n))
    found = s @ template.pattern.matrix(values).toarray() @ s
    assert found == pytest.approx((n * (1 - a) + 2 * a) / (1 + a), abs=4 * n * EPS / distance)


# In continuous time ---------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=6)
@given(st.lists(st.floats(1e-3, 50.0), min_size=1, max_size=20), st.floats(0.01, 0.999))
def test_continuous_time(gaps, rho):
    t = np.cumsum([0.0, *gaps])
    corr = np.exp(np.log(rho) * np.abs(np.subtract.outer(t, t)))
    template = Ou(np.diff(t), t.size)
    with jax.enable_x64(True):
        found = jax.jit(template.whiten)({"sd": np.ones(1), "rho": np.array([rho])})
    R = template.pattern.matrix(np.asarray(found.values)).toarray()
    # the inverse of the correlations, row by row: neighbours by their gap
    a = np.exp(np.log(rho) * np.diff(t))
    size = np.abs(R).max() * t.size * EPS
    np.testing.assert_allclose(R @ corr, np.eye(t.size), rtol=0, atol=20 * size)
    assert float(found.logdet) == pytest.approx(-np.sum(np.log(-np.expm1(2 * np.log(a)))), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-9])
def test_close_times_keep_their_digits(gap):
    """``log|R|`` and the sd of a step, to first order in the gap."""
    template, rho = Ou(np.array([gap]), 2), 0.6
    with jax.enable_x64(True):
        found = template.whiten({"sd": jnp.ones(1), "rho": jnp.array([rho])})
        slope = jax.grad(lambda r: template.whiten({"sd": jnp.ones(1), "rho": r[None]}).logdet)(jnp.array(rho))
    rate = -2.0 * gap * np.log(rho)
    assert float(found.logdet) == pytest.approx(
        -np.log(sum(-((-rate) ** k) / math.factorial(k) for k in range(1, 8))), rel=1e-13
    )
    assert float(slope) == pytest.approx(2 * gap * np.exp(-rate) / rho / -np.expm1(-rate), rel=1e-12)


def test_whole_times_are_those_of_order_one():
    t = np.array(TIMES[2])
    with jax.enable_x64(True):
        at = {"sd": jnp.ones(1), "rho": jnp.array([0.7])}
        one, other = Ar1(np.diff(t), t.size).whiten(at), Ou(np.diff(t) * 1.0, t.size).whiten(at)
    np.testing.assert_allclose(one.values, other.values, rtol=1e-13)
    assert float(one.logdet) == pytest.approx(float(other.logdet), rel=1e-13)


def test_the_least_gap():
    """Rounding of entries ``1 / (2 gap (1 - rho))`` then moves the precision of the level by a tenth."""
    entry = 1.0 / (2.0 * least_gap(50) * 1e-3)
    assert 50 * EPS * entry == pytest.approx(0.1)


# Of order p -----------------------------------------------------------------------------------------------------------

psis = st.floats(-0.9, 0.9)


def autocorrelations(psi, n):
    """Of the process with these partial autocorrelations, lag by lag from their definition (Yule-Walker systems)."""
    r = np.ones(max(n, len(psi) + 1), dtype=np.result_type(float, *psi))
    for k in range(1, r.size):
        before = r[np.abs(np.subtract.outer(np.arange(k - 1), np.arange(k - 1)))]
        weights = np.linalg.solve(before, r[k - 1 : 0 : -1]) if k > 1 else r[:0]
        error = 1.0 - weights @ r[k - 1 : 0 : -1]
        r[k] = weights @ r[1:k] + (psi[k - 1] * error if k <= len(psi) else 0.0)
    return r[:n]


def dense_ar(psi, n):
    return autocorrelations(psi, n)[np.abs(np.subtract.outer(np.arange(n), np.arange(n)))]


@settings(deadline=None, max_examples=5)
@given(st.lists(psis, min_size=1, max_size=5), st.integers(1, 20))
def test_order_p(psi, more):
    n, p = len(psi) + more, len(psi)
    template, corr = Ar(n, p), dense_ar(psi, n)
    with jax.enable_x64(True):
        found = jax.jit(template.whiten)({"sd": np.array([0.7]), "pacf": np.array(psi)})
    R = template.pattern.matrix(np.asarray(found.values)).toarray()
    bound = rounding(n, corr) * np.abs(R).max()
    np.testing.assert_allclose(R @ corr, np.eye(n), rtol=0, atol=bound)
    assert float(found.logdet) == pytest.approx(-np.linalg.slogdet(corr)[1], abs=bound)
    # nothing is stored beyond p places from the diagonal
    assert template.pattern.nnz == sum(n - j for j in range(p + 1))
    np.testing.assert_array_equal(found.scale, np.full(n, 0.7))


@settings(deadline=None, max_examples=40)
@given(st.lists(psis, min_size=1, max_size=6))
def test_coefficients_solve_the_yule_walker_equations(psi):
    phi, r = np.array(coefficients(psi)[-1]), autocorrelations(psi, len(psi) + 8)
    p = len(psi)
    for h in range(1, p + 8):
        assert r[h] == pytest.approx(phi @ r[np.abs(h - np.arange(1, p + 1))], abs=1e-8)


def test_derivatives_of_order_p():
    psi, n = np.array([0.6, -0.3, 0.2]), 9
    template = Ar(n, 3)

    def at(x):
        found = template.whiten({"sd": jnp.ones(1), "pacf": x})
        return jnp.append(found.values, found.logdet)

    R = np.linalg.inv(dense_ar(psi, n))
    with jax.enable_x64(True):
        found = np.asarray(jax.jit(jax.jacfwd(at))(jnp.asarray(psi)))
    for k, dC in enumerate(derivatives(lambda x: dense_ar(x, n), psi)):
        np.testing.assert_allclose(
            found[:-1, k], -(R @ dC @ R)[template.pattern.rows, template.pattern.cols], rtol=1e-11, atol=1e-12
        )
        assert found[-1, k] == pytest.approx(-np.trace(R @ dC), rel=1e-11)


def test_order_one_is_order_one():
    with jax.enable_x64(True):
        one = Ar(7, 1).whiten({"sd": jnp.ones(1), "pacf": jnp.array([-0.8])})
        other = Ar1(np.ones(6, dtype=np.int64), 7).whiten({"sd": jnp.ones(1), "rho": jnp.array([-0.8])})
    np.testing.assert_allclose(one.values, other.values, rtol=1e-14)
    assert float(one.logdet) == pytest.approx(float(other.logdet), rel=1e-14)
