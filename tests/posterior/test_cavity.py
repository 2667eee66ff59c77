"""Cavities: integrals against quadrature, and where nothing is known of a row."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm, poisson, t

from lgm.posterior.cavity import integrated

MEAN, SD = np.array([-2.0, 0.3, 3.0, 1.0]), np.array([0.0, 2.5, 0.4, 1.0])
Y = np.array([0.0, 0.0, 30.0, 25.0])


@pytest.mark.parametrize("log_concave", [True, False])
def test_integrals_over_a_row(log_concave: bool) -> None:
    """Poisson: flat on one side, far in the tail, and a cavity without spread; Student t: with two tops."""

    def loglik(eta: jax.Array) -> jax.Array:
        if log_concave:
            y = jnp.asarray(Y)
            return y * eta - jnp.exp(eta) - jax.scipy.special.gammaln(y + 1.0)
        return -2.5 * jnp.log1p(jnp.square((jnp.asarray(Y) - eta) / 0.5) / 4.0)

    def density(y: float, eta: float) -> float:
        if log_concave:
            return float(poisson.pmf(y, np.exp(eta)))
        return float(t.pdf((y - eta) / 0.5, 4.0) / t.pdf(0.0, 4.0))

    with jax.enable_x64(True):
        once, again = integrated(loglik, jnp.array(MEAN), jnp.array(SD**2), log_concave=log_concave)
    for i, (y, m, s) in enumerate(zip(Y, MEAN, SD, strict=True)):
        if s == 0:
            expected = [density(y, m), density(y, m) ** 2]
        else:
            grid = np.sort([m, y if not log_concave else np.log(max(y, 0.1))])
            ends = {"a": m - 9 * s, "b": m + 9 * s, "points": grid[(grid > m - 9 * s) & (grid < m + 9 * s)]}
            expected = [
                quad(lambda x, k=k: density(y, x) ** k * norm.pdf(x, m, s), **ends, epsabs=0, limit=400)[0]  # noqa: B023
                for k in (1, 2)
            ]
        assert float(once[i]) == pytest.approx(np.log(expected[0]), abs=1e-6)
        assert float(again[i]) == pytest.approx(np.log(expected[1] / expected[0]), abs=1e-6)
