"""The mode of the working density, and the coordinates in which it looks like a standard normal."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np
from scipy.optimize import minimize

from lgm.arrays import FloatArray
from lgm.errors import IdentifiabilityError
from lgm.inference.compile import jit
from lgm.posterior import density
from lgm.posterior.density import Posterior

_SOFTEST = 1e-2  # curvatures below this (working scale, where priors have curvature of order one) count as this


@dataclass(frozen=True)
class Mode:
    """Mode of the working density of theta (Jacobian included) and a square root of its inverse curvature.

    Parameters
    ----------
    x : float array (d,)
        The mode in working coordinates.
    root : float array (d, d)
        ``root @ root.T`` is the inverse of minus the Hessian; NUTS moves in ``z`` with ``x = mode + root @ z``.
    value : float
        Log density there.
    gradient_norm : float
        Largest entry of the gradient in z.
    """

    x: FloatArray
    root: FloatArray
    value: float
    gradient_norm: float


value_and_grad = jit(density.value_and_grad)


@jit
def working_scale(post: Posterior, theta: jax.Array) -> jax.Array:
    """Theta from its natural to its working scale."""
    return post.hyper.working(theta)


@jit
def folded_scale(post: Posterior, x: jax.Array) -> jax.Array:
    """Theta from its working to its folded scale."""
    return post.hyper.to_folded(post.hyper.natural(x))


@jit
def _prior_draw(post: Posterior, key: jax.Array) -> jax.Array:
    return post.hyper.sample(key)


def find_mode(post: Posterior, start: FloatArray) -> Mode:
    """Maximise the working density by BFGS on its exact gradient.

    Parameters
    ----------
    post : Posterior
    start : float array (k,)
        A first guess of theta, natural scale.

    Raises
    ------
    IdentifiabilityError
        If the density is not finite at any start.
    """
    d = post.hyper.working_size

    def negative(x: FloatArray) -> tuple[float, FloatArray]:
        value, grad = value_and_grad(post, x)
        # a finite wall instead of infinity keeps the line search going back
        return (1e100 if not np.isfinite(value) else -float(value)), -np.asarray(grad)

    with jax.enable_x64(True):
        x0 = finite_start(post, start)
        if d == 0:
            return Mode(np.zeros(0), np.zeros((0, 0)), -negative(np.zeros(0))[0], 0.0)
        found = minimize(negative, x0, jac=True, method="BFGS", options={"gtol": 1e-6, "maxiter": 200})
        root = _inverse_root(_hessian(post, found.x))
    return Mode(found.x, root, -float(found.fun), float(np.max(np.abs(root.T @ found.jac))))


def finite_start(post: Posterior, start: FloatArray) -> FloatArray:
    """The guess if the density is finite there, else the first of some prior draws where it is."""
    guesses = [start]
    for attempt in range(20):
        x = np.asarray(working_scale(post, guesses[-1]))
        if np.all(np.isfinite(x)) and np.isfinite(value_and_grad(post, x)[0]):
            return x
        guesses.append(_prior_draw(post, jax.random.key(attempt)))
    raise IdentifiabilityError(
        "the posterior density is not finite at the starting value or at 20 draws of theta from its prior. "
        "Look for a prior that excludes all reasonable values, or for effects that the data cannot tell apart."
    )


def _hessian(post: Posterior, x: FloatArray) -> FloatArray:
    """Central differences of the exact gradient."""
    h = np.cbrt(np.finfo(float).eps) * np.maximum(1.0, np.abs(x))
    rows = []
    for i in range(x.size):
        step = np.zeros(x.size)
        step[i] = h[i]
        up = np.asarray(value_and_grad(post, x + step)[1])
        down = np.asarray(value_and_grad(post, x - step)[1])
        rows.append((up - down) / (2.0 * h[i]))
    hessian = np.array(rows)
    return 0.5 * (hessian + hessian.T)


def _inverse_root(hessian: FloatArray) -> FloatArray:
    """``B`` with ``B B' = (-Hessian)^-1``; flat or rising directions get a unit-scale curvature instead."""
    values, vectors = np.linalg.eigh(-np.where(np.isfinite(hessian), hessian, 0.0))
    return vectors / np.sqrt(np.maximum(values, _SOFTEST))
