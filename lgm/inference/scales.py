"""Theta from scale to scale, by programs of the hyperparameters alone: models of all sizes share them."""

from __future__ import annotations

import jax

from lgm.inference.compile import jit
from lgm.posterior.hyperparameters import Hyperparameters


@jit
def working_scale(hyper: Hyperparameters, theta: jax.Array) -> jax.Array:
    """Natural to working."""
    return hyper.working(theta)


@jit
def natural_scale(hyper: Hyperparameters, x: jax.Array) -> jax.Array:
    """Working to natural."""
    return hyper.natural(x)


@jit
def folded_scale(hyper: Hyperparameters, x: jax.Array) -> jax.Array:
    """Working to folded."""
    return hyper.to_folded(hyper.natural(x))


@jit
def natural_to_folded(hyper: Hyperparameters, theta: jax.Array) -> jax.Array:
    """Natural to folded."""
    return hyper.to_folded(theta)


@jit
def folded_to_natural(hyper: Hyperparameters, y: jax.Array) -> jax.Array:
    """Folded to natural."""
    return hyper.from_folded(y)


@jit
def prior_draw(hyper: Hyperparameters, key: jax.Array) -> jax.Array:
    """One draw of theta from its prior, natural."""
    return hyper.sample(key)
