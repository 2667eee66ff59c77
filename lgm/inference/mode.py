"""Modes of theta: of the working density, where NUTS is scaled, and in folded coordinates.

In folded coordinates a standard deviation of zero is an ordinary point. Without their Jacobian the maximum is the mode
of the natural density (with flat priors: REML); with it, that of the density that importance sampling proposes from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy.optimize import minimize

from lgm.arrays import BoolArray, FloatArray, IntArray
from lgm.errors import IdentifiabilityError
from lgm.inference import coordinates
from lgm.inference.compile import jit
from lgm.inference.coordinates import Folded, Target, Working
from lgm.posterior.density import Marginal

_SOFTEST = 1e-2  # curvatures below this (in units of the scale, where priors have curvature of order one) count as this
_WALL = 1e3  # how far below the best value so far an undefined density counts: finite, so that a line search turns back
_NEAR_ZERO = 1 / 3  # sd of a log standard deviation above which its mode may be at zero, three widths away or less
_VANISHING = 1e-2  # of its starting value: a mode below this is zero, where the density itself may be undefined
_NO_GAIN = 1e-9  # in log density: differences below this are rounding


@dataclass(frozen=True)
class Mode:
    """Mode of the working density of theta (Jacobian included) and a square root of its inverse curvature.

    Parameters
    ----------
    x : float array (d,)
        The mode in working coordinates.
    root : float array (d, d)
        ``root @ root.T`` is the inverse of minus the Hessian.
    value : float
        Log density there.
    gradient_norm : float
        Largest entry of the gradient in ``z``, where ``x = mode + root @ z``.
    """

    x: FloatArray
    root: FloatArray
    value: float
    gradient_norm: float


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
    boundary: BoolArray


_evaluate = jit(coordinates.value_and_grad)


def evaluate(target: Target, x: FloatArray) -> tuple[float, FloatArray]:
    """Log density and its gradient; ``(-inf, 0)`` where either is undefined."""
    value, grad = _evaluate(target, x)
    return float(value), np.asarray(grad)


@jit
def working_scale(post: Marginal, theta: jax.Array) -> jax.Array:
    """Theta from its natural to its working scale."""
    return post.hyper.working(theta)


@jit
def folded_scale(post: Marginal, x: jax.Array) -> jax.Array:
    """Theta from its working to its folded scale."""
    return post.hyper.to_folded(post.hyper.natural(x))


@jit
def _natural(target: Target, x: jax.Array) -> jax.Array:
    return target.natural(x)


@jit
def _prior_draw(post: Marginal, key: jax.Array) -> jax.Array:
    return post.hyper.sample(key)


# Working coordinates --------------------------------------------------------------------------------------------------


def find_mode(post: Marginal, start: FloatArray) -> Mode:
    """Maximise the working density by BFGS on its exact gradient.

    Parameters
    ----------
    post : Marginal
    start : float array (k,)
        A first guess of theta, natural scale.

    Raises
    ------
    IdentifiabilityError
        If the density is not finite at any start.
    """
    target = Working(post)

    def negative(x: FloatArray) -> tuple[float, FloatArray]:
        value, grad = evaluate(target, x)
        # a finite wall instead of infinity keeps the line search going back
        return (-value if np.isfinite(value) else 1e100), -grad

    with jax.enable_x64(True):
        x0 = finite_start(post, start)
        if x0.size == 0:
            return Mode(x0, np.zeros((0, 0)), -negative(x0)[0], 0.0)
        found = minimize(negative, x0, jac=True, method="BFGS", options={"gtol": 1e-6, "maxiter": 200})
        local = _Search(lambda x: evaluate(target, x), np.maximum(1.0, np.abs(found.x)))
        root = inverse_root(local.hessian(found.x, np.arange(x0.size)), np.ones(x0.size))
    return Mode(found.x, root, -float(found.fun), float(np.max(np.abs(root.T @ found.jac))))


def finite_start(post: Marginal, start: FloatArray) -> FloatArray:
    """The guess if the density is finite there, else the first of some prior draws where it is."""
    guesses = [start]
    for attempt in range(20):
        x = np.asarray(working_scale(post, guesses[-1]))
        if np.all(np.isfinite(x)) and np.isfinite(evaluate(Working(post), x)[0]):
            return x
        guesses.append(np.asarray(_prior_draw(post, jax.random.key(attempt))))
    raise IdentifiabilityError(
        "the posterior density is not finite at the starting value or at 20 draws of theta from its prior. "
        "Look for a prior that excludes all reasonable values, or for effects that the data cannot tell apart."
    )


# Folded coordinates ---------------------------------------------------------------------------------------------------


def find_folded_mode(post: Marginal, start: Mode, *, jacobian: bool) -> FoldedMode:
    """Maximise the density in folded coordinates by Newton steps, after L-BFGS-B where a boundary may be the answer.

    Parameters
    ----------
    post : Marginal
    start : Mode
        Of the working density: always inside the boundary, and close.
    jacobian : bool
        Whether the density is that of the coordinates or that of theta itself.
    """
    target = Folded(post, jacobian)
    with jax.enable_x64(True):
        x = np.asarray(folded_scale(post, start.x))
        folded = np.array(post.hyper.folded, dtype=bool)
        search = _Search(lambda x: evaluate(target, x), np.where(folded, np.maximum(np.abs(x), 1e-8), 1.0))
        boundary = np.zeros(x.size, dtype=bool)
        if np.any(folded & (np.sum(start.root**2, axis=1) > _NEAR_ZERO**2)):
            x = search.at_zero(search.climb(x, folded), folded)
            boundary = folded & (x <= _VANISHING * search.scale)
        x, hessian = search.newton(x, np.flatnonzero(~boundary))
        value = search.target(x)[0]
        root = search.root(x, value, boundary, hessian)
        return FoldedMode(x, np.asarray(_natural(target, x)), root, value, boundary)


class _Search(NamedTuple):
    """A log density with its gradient, and the scale (d,) of its coordinates."""

    target: Callable[[FloatArray], tuple[float, FloatArray]]
    scale: FloatArray

    def climb(self, x: FloatArray, folded: BoolArray) -> FloatArray:
        """By L-BFGS-B, with folded coordinates kept from zero up."""
        best = self.target(x)[0]

        def negative(z: FloatArray) -> tuple[float, FloatArray]:
            nonlocal best
            value, grad = self.target(z * self.scale)
            best = max(best, value)
            return -max(value, best - _WALL), -grad * self.scale

        bounds = [(0.0 if fold else None, None) for fold in folded]
        options = {"maxiter": 500, "ftol": 1e-15, "gtol": 1e-8}
        found = minimize(negative, x / self.scale, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        return np.asarray(found.x * self.scale)

    def at_zero(self, x: FloatArray, folded: BoolArray) -> FloatArray:
        """Put a standard deviation at zero where the density is as high: it is flat there, so a climb stops short."""
        for i in np.flatnonzero(folded):
            moved = x.copy()
            moved[i] = 0.0
            if self.target(moved)[0] >= self.target(x)[0] - _NO_GAIN:
                x = moved
        return x

    def newton(self, x: FloatArray, where: IntArray) -> tuple[FloatArray, FloatArray]:
        """Newton steps on some coordinates, halved until they gain; the Hessian at the end is returned too.

        Directions that curve up, far from the mode, are climbed as if they curved down as much.
        """
        scale, hessian = self.scale[where], self.hessian(x, where)
        for _ in range(20):
            value, grad = self.target(x)
            curvature, directions = np.linalg.eigh(hessian * np.outer(scale, scale))
            uphill = directions @ ((directions.T @ (grad[where] * scale)) / np.maximum(np.abs(curvature), 1e-6))
            step = np.zeros_like(x)
            step[where] = uphill * scale
            size, gain = 1.0, -np.inf
            while size > 1e-3 and not gain > 0:
                gain = self.target(x + size * step)[0] - value
                size /= 2.0
            if not gain > 0:
                break
            x = x + 2.0 * size * step
            hessian = self.hessian(x, where)
            if gain < _NO_GAIN:
                break
        return x, hessian

    def hessian(self, x: FloatArray, where: IntArray) -> FloatArray:
        """Central differences of the exact gradient in the coordinates ``where``."""
        rows = []
        for i in where:
            step = np.zeros_like(x)
            step[i] = np.cbrt(np.finfo(float).eps) * self.scale[i]
            rows.append((self.target(x + step)[1] - self.target(x - step)[1])[where] / (2.0 * step[i]))
        hessian = np.array(rows).reshape(where.size, where.size)
        return 0.5 * (hessian + hessian.T)

    def root(self, x: FloatArray, value: float, boundary: BoolArray, hessian: FloatArray) -> FloatArray:
        """Square root of the inverse curvature; on the boundary, of how far the density reaches."""
        root = np.zeros((x.size, x.size))
        free = np.flatnonzero(~boundary)
        if free.size:
            root[np.ix_(free, free)] = inverse_root(hessian, self.scale[free])
        for i in np.flatnonzero(boundary):
            root[i, i] = self._reach(x, value, i)
        return root

    def _reach(self, x: FloatArray, value: float, i: np.signedinteger[Any]) -> float:
        """How far coordinate i moves until the density has fallen by one half."""
        step = np.zeros_like(x)
        step[i] = self.scale[i]
        for _ in range(60):  # halve or double until the density has fallen by about one half
            drop = value - self.target(x + step)[0]
            if 0.25 <= drop <= 1.0:
                break
            step *= 0.5 if drop > 1.0 else 2.0
        return float(step[i] / np.sqrt(2.0 * max(drop, 0.25)))


def inverse_root(hessian: FloatArray, scale: FloatArray) -> FloatArray:
    """``B`` with ``B B' = (-Hessian)^-1``; directions that do not curve down, by this scale, get a small curvature."""
    unit = np.where(np.isfinite(hessian), hessian, 0.0) * np.outer(scale, scale)
    values, vectors = np.linalg.eigh(-unit)
    return scale[:, None] * vectors / np.sqrt(np.maximum(values, _SOFTEST))
