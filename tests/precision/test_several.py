"""Levels of several kinds against block-diagonal matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense_model import correlation
from scipy.linalg import block_diag

from lgm.precision.correlated import Correlated
from lgm.precision.exchangeable import Exchangeable
from lgm.precision.iid import Iid
from lgm.precision.several import Several

KIND = np.array([1, 0, 2, 1, 1])


@pytest.mark.parametrize("one", [Iid(1), Iid(1, 2), Correlated(1, 2), Correlated(1, 3)], ids=str)
def test_block_diagonal(one):
    q, rng = one.n, np.random.default_rng(1)
    sd, corr = rng.uniform(0.5, 2.0, (3, q)), rng.uniform(-0.4, 0.4, (3, q * (q - 1) // 2))
    corr = corr if isinstance(one, Correlated) else corr[:, :0]
    template = Several(one, KIND, 3, 5)
    with jax.enable_x64(True):
        theta = {"sd": jnp.asarray(sd.ravel())} | ({"corr": jnp.asarray(corr.ravel())} if corr.size else {})
        found = template.whiten(theta)
    C = [correlation(corr[k], q) for k in KIND]
    assert template.n == 5 * q
    np.testing.assert_allclose(found.scale, sd[KIND].ravel(), rtol=1e-15)
    whole = template.pattern.matrix(found.values).toarray()
    np.testing.assert_allclose(whole, block_diag(*map(np.linalg.inv, C)), atol=1e-14)
    np.testing.assert_allclose(found.logdet, -sum(np.linalg.slogdet(c)[1] for c in C), atol=1e-13)


def test_one_sd_for_each_kind():
    template = Several(Correlated(1, 3, Exchangeable()), KIND, 3, 5)
    with jax.enable_x64(True):
        found = template.whiten({"sd": jnp.array([1.0, 2.0, 3.0]), "rho": jnp.array([0.1, 0.2, 0.3])})
    assert np.asarray(found.scale).tolist() == np.repeat([2.0, 1.0, 3.0, 2.0, 2.0], 3).tolist()
