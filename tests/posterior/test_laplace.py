"""The data side of other responses: which mean each approximation gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.small import walk

from lgm.inference.compile import jit
from lgm.inference.ladder import with_rung
from lgm.posterior import density

_effects = jit(density.log_likelihood_and_effects)


@pytest.fixture(scope="module")
def constrained():
    return walk()


def test_conditional_mean_and_its_shift(constrained):
    """The mode, and the first-order mean, by dense algebra."""
    model, dense = constrained
    sd = 0.7
    reference = dense(sd)
    u = reference.mode()
    s = np.linalg.inv(reference.precision(u))
    mu = np.exp(reference.A @ u)
    shift = s @ reference.A.T @ (-0.5 * mu * np.einsum("ij,jk,ik->i", reference.A, s, reference.A))
    free = reference.A[:, 2:]
    for rung, wanted in (("laplace", u), ("shifted", u + shift)):
        post = with_rung(model.analysed.marginal, rung, 1)
        with jax.enable_x64(True):
            _, effects = _effects(post, jnp.array([sd]), jnp.zeros((post.n_normals, 1)))
        found = model.analysed.natural(np.asarray(effects.mean))
        np.testing.assert_allclose(found[:2], wanted[:2], atol=1e-7)
        np.testing.assert_allclose(found[2:], free @ wanted[2:], atol=1e-7)
