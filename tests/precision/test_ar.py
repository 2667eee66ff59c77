"""AR(1) with gaps against its correlation matrix."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense_model import EPS, rounding

from lgm.precision.ar import Ar1

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
