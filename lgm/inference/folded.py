"""The mode of theta on its own scale, where a standard deviation of zero is an ordinary point.

Coordinates are those of `Hyperparameters.from_folded`: a standard deviation is itself, everything else is on its
working scale. Without the Jacobian the maximum is the mode of the natural density (with flat priors: REML); with it,
the mode of the density that importance sampling proposes from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from lgm.arrays import FloatArray
from lgm.inference.compile import jit
from lgm.inference.mode import Mode, folded_scale
from lgm.posterior import density
from lgm.posterior.density import Posterior

_WALL = 1e3  # how far below the best value so far an undefined density counts: finite, so that a line search turns back
_NEAR_ZERO = 1 / 3  # sd of a log standard deviation above which its mode may be at zero, three widths away or less
_VANISHING = 1e-2  # of its starting value: a mode below this is zero, where the density itself may be undefined
_NO_GAIN = 1e-9  # in log density: differences below this are rounding


@dataclass(frozen=True)
class FoldedMode:
    """A maximum in folded coordinates.

    Parameters
    ----------
    x : float array (d,)
    theta : float array (k,)
        The same on the natural scale.
    root : float array (d, d)
        ``root @ root.T`` is the inverse curvature; for a coordinate on the boundary, the squared distance at which the
        log density has fallen by one half.
    value : float
        Log density there.
    boundary : bool array (d,)
        Which standard deviations are zero.
    """

    x: FloatArray
    theta: FloatArray
    root: FloatArray
    value: float
    boundary: npt.NDArray[np.bool_]


def log_density(post: Posterior, x: jax.Array, jacobian: bool) -> jax.Array:
    """Log density in folded coordinates, with or without the Jacobian of those that are not folded."""
    theta = post.hyper.from_folded(x)
    value = density.log_likelihood(post, theta) + post.hyper.log_prior(theta)
    return value + post.hyper.log_jacobian_folded(x) if jacobian else value


@partial(jit, static_argnums=2)
def _value_and_grad(post: Posterior, x: jax.Array, jacobian: bool) -> tuple[jax.Array, jax.Array]:
    value, grad = jax.value_and_grad(log_density, argnums=1)(post, x, jacobian)
    fine = jnp.isfinite(value) & jnp.all(jnp.isfinite(grad))
    return jnp.where(fine, value, -jnp.inf), jnp.where(fine, grad, 0.0)


def value_and_grad(post: Posterior, x: FloatArray, *, jacobian: bool) -> tuple[float, FloatArray]:
    """`log_density` and its gradient; ``(-inf, 0)`` where either is undefined."""
    value, grad = _value_and_grad(post, x, jacobian)
    return float(value), np.asarray(grad)


@jit
def _natural(post: Posterior, x: jax.Array) -> jax.Array:
    return post.hyper.from_folded(x)


Target = Callable[[FloatArray], tuple[float, FloatArray]]


def find_folded_mode(post: Posterior, start: Mode, *, jacobian: bool) -> FoldedMode:
    """Maximise the density in folded coordinates by Newton steps, after L-BFGS-B where a boundary may be the answer.

    Parameters
    ----------
    post : Posterior
    start : Mode
        Of the working density: always inside the boundary, and close.
    jacobian : bool
        Whether the density is that of the coordinates or that of theta itself.
    """

    def target(x: FloatArray) -> tuple[float, FloatArray]:
        return value_and_grad(post, x, jacobian=jacobian)

    with jax.enable_x64(True):
        x = np.asarray(folded_scale(post, start.x))
        folded = np.array(post.hyper.folded, dtype=bool)
        scale = np.where(folded, np.maximum(np.abs(x), 1e-8), 1.0)
        boundary = np.zeros(x.size, dtype=bool)
        if np.any(folded & (np.sum(start.root**2, axis=1) > _NEAR_ZERO**2)):
            x = _climb(target, x, scale, folded)
            x = _at_zero(target, x, folded)
            boundary = folded & (x <= _VANISHING * scale)
        x, hessian = _newton(target, x, scale, ~boundary)
        value = target(x)[0]
        root = _root(target, x, value, scale, boundary, hessian)
        return FoldedMode(x, np.asarray(_natural(post, x)), root, value, boundary)


def _climb(target: Target, x: FloatArray, scale: FloatArray, folded: npt.NDArray[np.bool_]) -> FloatArray:
    best = target(x)[0]

    def negative(z: FloatArray) -> tuple[float, FloatArray]:
        nonlocal best
        value, grad = target(z * scale)
        best = max(best, value)
        return -max(value, best - _WALL), -grad * scale

    bounds = [(0.0 if fold else None, None) for fold in folded]
    options = {"maxiter": 500, "ftol": 1e-15, "gtol": 1e-8}
    found = minimize(negative, x / scale, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return np.asarray(found.x * scale)


def _at_zero(target: Target, x: FloatArray, folded: npt.NDArray[np.bool_]) -> FloatArray:
    """Put a standard deviation at zero where the density is as high: it is flat there, so a climb stops short."""
    for i in np.flatnonzero(folded):
        moved = x.copy()
        moved[i] = 0.0
        if target(moved)[0] >= target(x)[0] - _NO_GAIN:
            x = moved
    return x


def _newton(
    target: Target, x: FloatArray, scale: FloatArray, free: npt.NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray]:
    """Newton steps on the free coordinates, halved until they gain; the Hessian at the end is returned too.

    Directions that curve up, far from the mode, are climbed as if they curved down as much.
    """
    where = np.flatnonzero(free)
    hessian = _hessian(target, x, scale, where)
    for _ in range(20):
        value, grad = target(x)
        unit = hessian * np.outer(scale[where], scale[where])
        curvature, directions = np.linalg.eigh(unit)
        uphill = directions @ ((directions.T @ (grad[where] * scale[where])) / np.maximum(np.abs(curvature), 1e-6))
        step = np.zeros_like(x)
        step[where] = uphill * scale[where]
        size, gain = 1.0, -np.inf
        while size > 1e-3 and not gain > 0:
            gain = target(x + size * step)[0] - value
            size /= 2.0
        if not gain > 0:
            break
        x = x + 2.0 * size * step
        hessian = _hessian(target, x, scale, where)
        if gain < _NO_GAIN:
            break
    return x, hessian


def _hessian(target: Target, x: FloatArray, scale: FloatArray, where: npt.NDArray[np.int64]) -> FloatArray:
    """Central differences of the exact gradient in the coordinates ``where``."""
    rows = []
    for i in where:
        step = np.zeros_like(x)
        step[i] = np.cbrt(np.finfo(float).eps) * scale[i]
        rows.append((target(x + step)[1] - target(x - step)[1])[where] / (2.0 * step[i]))
    hessian = np.array(rows).reshape(where.size, where.size)
    return 0.5 * (hessian + hessian.T)


def _root(
    target: Target,
    x: FloatArray,
    value: float,
    scale: FloatArray,
    boundary: npt.NDArray[np.bool_],
    hessian: FloatArray,
) -> FloatArray:
    """Square root of the inverse curvature; directions that do not curve down get the scale of their coordinate."""
    root = np.zeros((x.size, x.size))
    where = np.flatnonzero(~boundary)
    if where.size:
        unit = hessian * np.outer(scale[where], scale[where])
        values, vectors = np.linalg.eigh(-unit)
        root[np.ix_(where, where)] = scale[where, None] * vectors / np.sqrt(np.maximum(values, 1e-2))
    for i in np.flatnonzero(boundary):
        step = np.zeros_like(x)
        step[i] = scale[i]
        for _ in range(60):  # halve or double until the density has fallen by about one half
            drop = value - target(x + step)[0]
            if 0.25 <= drop <= 1.0:
                break
            step *= 0.5 if drop > 1.0 else 2.0
        root[i, i] = step[i] / np.sqrt(2.0 * max(drop, 0.25))
    return root
