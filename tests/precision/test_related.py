"""Relatives against dense Kronecker products, and what is found of a relationship matrix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sp
from dense_model import correlation, rounding
from scipy.linalg import block_diag

from lgm.precision.correlated import Correlated
from lgm.precision.exchangeable import Exchangeable
from lgm.precision.iid import Iid
from lgm.precision.related import Related, Relationship


def covariance(n, seed, families=1):
    """Positive definite, in unrelated families."""
    rng = np.random.default_rng(seed)
    parts = []
    for size in np.bincount(np.arange(n) % families):
        root = rng.standard_normal((size, size))
        parts.append(root @ root.T / size + 0.3 * np.eye(size))
    return block_diag(*parts)


def mixed(n, seed):
    """The same in another order of the levels, so that families are not side by side."""
    K, order = covariance(n, seed, families=3), np.random.default_rng(seed).permutation(n)
    return K[np.ix_(order, order)]


@pytest.mark.parametrize("K", [covariance(1, 0), covariance(6, 1), mixed(14, 2), mixed(30, 3)], ids=len)
@pytest.mark.parametrize("inverted", [False, True], ids=["cov", "precision"])
def test_inverse_determinant_and_variances(K, inverted):
    given = np.linalg.inv(K) if inverted else K
    read = Relationship.of_precision if inverted else Relationship.of_covariance
    found = read(sp.csc_array(np.where(np.abs(given) > 1e-12, given, 0.0)))
    tolerance = rounding(len(K), K) * np.linalg.norm(np.linalg.inv(K), 2)
    P = found.pattern.matrix(found.values).toarray()
    np.testing.assert_allclose(P, np.linalg.inv(K), rtol=0, atol=tolerance + 1e-11)
    np.testing.assert_allclose(found.logdet, -np.linalg.slogdet(K)[1], atol=len(K) * tolerance + 1e-10)
    np.testing.assert_allclose(found.variances, np.diag(K), rtol=1e-9)
    assert found.singular is None


def test_families_are_inverted_by_themselves():
    K = mixed(30, 3)
    assert Relationship.of_covariance(sp.csc_array(K)).pattern.nnz == 3 * (10 * 11 // 2)


@pytest.mark.parametrize("inverted", [False, True], ids=["cov", "precision"])
def test_singular_matrices_name_a_level(inverted):
    K = covariance(6, 1)
    K[5], K[:, 5] = K[2], K[:, 2]  # a twin
    K[5, 5] = K[2, 2]
    read = Relationship.of_precision if inverted else Relationship.of_covariance
    assert read(sp.csc_array(K)).singular in (range(6) if inverted else (2, 5))
    K[1, 1] = -1.0
    assert read(sp.csc_array(K)).singular is not None


@pytest.mark.parametrize("one", [Iid(1), Iid(1, 2), Correlated(1, 2), Correlated(1, 3)], ids=str)
def test_kronecker_product(one):
    q, K = one.n, mixed(9, 5)
    rng = np.random.default_rng(q)
    sd, corr = rng.uniform(0.5, 2.0, q), rng.uniform(-0.3, 0.3, q * (q - 1) // 2)
    corr = corr if isinstance(one, Correlated) else corr[:0]
    template = Related.of(Relationship.of_covariance(sp.csc_array(K)), one)
    with jax.enable_x64(True):
        found = template.whiten({"sd": jnp.asarray(sd), "corr": jnp.asarray(corr)})
    C = correlation(corr, q)
    whole = np.kron(K, C)
    tolerance = rounding(9 * q, whole) * np.linalg.norm(np.linalg.inv(whole), 2)
    values = template.pattern.matrix(found.values).toarray()
    np.testing.assert_allclose(values, np.linalg.inv(whole), rtol=0, atol=tolerance)
    np.testing.assert_allclose(found.logdet, -np.linalg.slogdet(whole)[1], rtol=0, atol=9 * q * tolerance)
    np.testing.assert_allclose(found.scale, np.tile(sd, 9), rtol=1e-15)


def test_compound_symmetry_of_relatives():
    template = Related.of(Relationship.of_covariance(sp.csc_array(np.eye(3))), Correlated(1, 4, Exchangeable()))
    with jax.enable_x64(True):
        found = template.whiten({"sd": jnp.ones(1), "rho": jnp.array([0.4])})
        alone = Correlated(3, 4, Exchangeable()).whiten({"sd": jnp.ones(1), "rho": jnp.array([0.4])})
    np.testing.assert_allclose(found.values, alone.values, rtol=1e-15)
