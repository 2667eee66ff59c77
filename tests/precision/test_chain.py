"""Series one after the other against block-diagonal covariances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense_model import rounding
from scipy.linalg import block_diag

from lgm.precision.chain import Chain

SERIES = [[0, 1, 2], [5], [1, 4, 6, 7], [0, 2]]


def chain(series, kinds, whole):
    times = np.concatenate([np.asarray(each, dtype=int if whole else float) for each in series])
    level = np.repeat(np.arange(len(series)), [len(each) for each in series])
    kind = np.asarray(kinds)[level]
    return Chain.of(np.diff(times), np.diff(level) == 0, kind, kind[1:])


@pytest.mark.parametrize(("whole", "rho"), [(True, (0.6, -0.7)), (True, (0.0, 0.99)), (False, (0.3, 0.98))])
def test_block_diagonal(whole, rho):
    series = SERIES if whole else [[0.37 * t**1.3 for t in each] for each in SERIES]
    kinds = [0, 1, 1, 0]
    template = chain(series, kinds, whole)
    with jax.enable_x64(True):
        found = template.whiten({"sd": jnp.array([0.7, 2.0]), "rho": jnp.array(rho)})
    blocks = [np.power(rho[k], np.abs(np.subtract.outer(each, each))) for k, each in zip(kinds, series, strict=True)]
    C = block_diag(*blocks)
    tolerance = rounding(len(C), C) * np.linalg.norm(np.linalg.inv(C), 2)
    values = template.pattern.matrix(found.values).toarray()
    np.testing.assert_allclose(values, np.linalg.inv(C), rtol=0, atol=tolerance)
    np.testing.assert_allclose(found.logdet, -np.linalg.slogdet(C)[1], rtol=0, atol=len(C) * tolerance)
    np.testing.assert_allclose(found.scale, np.repeat([0.7, 2.0, 2.0, 0.7], [3, 1, 4, 2]), rtol=1e-15)
    assert template.n == 10 and template.pattern.nnz == 10 + 6  # nothing is stored between series


@pytest.mark.parametrize("whole", [True, False])
def test_gradient_is_finite_and_right(whole):
    template = chain(SERIES, [0, 0, 0, 0], whole)

    def value(rho):
        return template.whiten({"sd": jnp.ones(1), "rho": rho}).logdet

    with jax.enable_x64(True):
        slope = float(jax.grad(value)(jnp.array([0.4]))[0])
        h = 1e-6
        wanted = float(value(jnp.array([0.4 + h])) - value(jnp.array([0.4 - h]))) / (2 * h)
    assert slope == pytest.approx(wanted, rel=1e-8)


def test_close_times_keep_their_digits():
    template = Chain.of(np.array([1e-9]), np.array([True]), np.zeros(2, int), np.zeros(1, int))
    with jax.enable_x64(True):
        found = template.whiten({"sd": jnp.ones(1), "rho": jnp.array([0.5])})
    assert float(found.logdet) == pytest.approx(-np.log(-np.expm1(2e-9 * np.log(0.5))), rel=1e-13)
