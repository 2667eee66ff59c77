"""Points that a map bends: its slope, no bias, and what is known of their weights, against algebra and integrals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.small import three, walk

from lgm.inference.compile import jit
from lgm.inference.ladder import with_rung
from lgm.posterior import density
from lgm.posterior.transport import Bend

_effects = jit(density.log_likelihood_and_effects)


def test_the_bend_and_its_slope():
    """Starts as l3 (eta^2 / 6 + s / 3), never turns back, and its slope is the derivative."""
    w, third, spread = np.array([2.0, 0.3, 1.0, 0.0]), np.array([-2.0, 0.2, 1e-9, 0.0]), np.array([0.3, 1.0, 2.0, 1.0])
    with jax.enable_x64(True):
        bend = Bend.of(jnp.asarray(w), jnp.asarray(third), jnp.asarray(spread))
        small = np.full((4, 1), 1e-3)
        wanted = third * (1e-6 / 6 + spread / 3)
        np.testing.assert_allclose(bend.push(small)[:, 0], wanted, rtol=1e-9)
        for eta in np.linspace(-9.0, 9.0, 41):
            at = np.full(4, eta)
            _, slope = jax.jvp(lambda x: bend.push(x[:, None])[:, 0], (at,), (np.ones(4),))
            np.testing.assert_allclose(w + slope, bend.curvature(at), rtol=1e-9, atol=1e-12)
            assert np.all(bend.curvature(at) >= 0.0)


@pytest.mark.parametrize(("made", "sd"), [(three, 1.5), (walk, 0.7)])
def test_weights_are_an_unbiased_estimate(made, sd):
    """To four Monte Carlo errors, constraints and gaps included; what they correct is far larger."""
    model, dense = made()
    reference = dense(sd)
    if made is three:
        exact = reference.integral(reach=13.0, nodes=71)
    else:  # eight effects: as many plain weighted points as it takes
        exact = _averaged(with_rung(model.analysed.marginal, "weighted", 8), sd, 40)[0]
    found, error = _averaged(with_rung(model.analysed.marginal, "transport", 256), sd, 20)
    assert error < 0.01 < abs(reference.laplace() - exact)
    assert abs(found - exact) < 4 * error + (0.0 if made is three else 0.004)


def test_even_parts_have_the_moments_that_are_known():
    """Their expectations with squares and fourth powers of the fixed effects, to four Monte Carlo errors."""
    model, _ = walk()
    post = with_rung(model.analysed.marginal, "transport", 2)
    p = post.dim - post.prior.q
    with jax.enable_x64(True):
        z = jax.random.normal(jax.random.key(5), (post.n_normals, 20_000))
        made = jax.tree.map(np.asarray, _fixed_points(post, jnp.array([0.7]), jnp.eye(p), z))
    sd = np.sqrt(np.diag(made.cov))[:, None]
    x = made.drawn / sd
    hermite = [x**2 - 1.0, x**4 - 6.0 * x**2 + 3.0]
    values, known = np.split(made.even.values, 2), (made.even.squares / sd.T**2, made.even.fourths / sd.T**4)
    for part, wanted, polynomial, factorial, clear in zip(
        values, known, hermite, (2.0, 24.0), (10.0, 2.0), strict=True
    ):
        products = part[:, None] * polynomial / factorial
        error = products.std(axis=-1) / np.sqrt(x.shape[1])
        assert np.all(np.abs(products.mean(axis=-1) - wanted) < 4.0 * error)
        assert np.any(np.abs(wanted) > clear * error)


@jit
def _fixed_points(post, theta, basis, z):
    data = post.data
    found = data.found_at(post.prior, post.analysis, theta)
    return data.fixed_points(post.prior, post.analysis, theta, found, basis, z)


def _averaged(post, sd, batches):
    """Log of an average over batches of 256 pairs, and its standard error."""
    with jax.enable_x64(True):
        gains = np.array(
            [
                float(
                    _effects(post, jnp.array([sd]), jax.random.normal(jax.random.key(seed), (post.n_normals, 256)))[0]
                )
                for seed in range(batches)
            ]
        )
    ratio = np.exp(gains - gains.mean())
    return gains.mean() + np.log(ratio.mean()), ratio.std(ddof=1) / np.sqrt(batches)
