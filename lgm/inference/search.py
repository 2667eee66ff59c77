"""Climbing a log density in a few coordinates, some of which are values from zero up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize

from lgm.arrays import BoolArray, FloatArray, IntArray

_SOFTEST = 1e-2  # curvatures below this (in units of the scale, where priors have curvature of order one) count as this
_WALL = 1e3  # how far below the best value so far an undefined density counts: finite, so that a line search turns back
VANISHING = 1e-2  # of its starting value: a mode below this is zero, where the density itself may be undefined
_FORETOLD = 0.1  # of the gain of a Newton step: how far its Hessian may be wrong about it and serve again
CLOSELY = {"maxiter": 500, "ftol": 1e-15, "gtol": 1e-8}
_NEAR = 0.5  # of the scale at a top that is known: within this, a climb that rises towards it has nothing to find
_SMALL = 1e-2  # a step, in units of the scale, that is taken where values differ by rounding alone
_STEP = float(np.cbrt(np.finfo(float).eps))  # of differences, in units of the scale


def no_gain(value: float) -> float:
    """Differences in log density below this are rounding."""
    return 1e-9 * max(1.0, abs(value) / 1e3)


class Top(NamedTuple):
    """Where a climb ended (d,), and the scale of the coordinates there."""

    x: FloatArray
    scale: FloatArray


class Ascent(NamedTuple):
    """Where Newton's steps end (d,), and where their last Hessian was found (d,)."""

    x: FloatArray
    at: FloatArray


class _Joined(Exception):  # noqa: N818  (not an error: how a climb is left)
    """A climb has come to the slope of a top that is known."""

    def __init__(self, x: FloatArray) -> None:
        super().__init__()
        self.x = x


class Search(NamedTuple):
    """A log density with its gradient, and the scale (d,) of its coordinates.

    The density is ``(-inf, 0)`` where it is undefined.
    """

    target: Callable[[FloatArray], tuple[float, FloatArray]]
    scale: FloatArray

    def climb(
        self,
        x: FloatArray,
        lower: FloatArray,
        options: Mapping[str, float] = CLOSELY,
        known: Sequence[Top] = (),
    ) -> FloatArray:
        """By L-BFGS-B with options of SciPy, above lower ends (d,), some of which are minus infinity.

        ``known`` are tops that were reached before: a climb that joins the slope of one of them ends there.
        """
        if x.size == 0:
            return x
        best = self.target(x)[0]

        def negative(z: FloatArray) -> tuple[float, FloatArray]:
            nonlocal best
            here = z * self.scale
            value, grad = self.target(here)
            best = max(best, value)
            for top in known:
                if self.joins(here, top):
                    raise _Joined(top.x)
            return -max(value, best - _WALL), -grad * self.scale

        bounds = [(end, None) for end in lower / self.scale]
        try:
            found = minimize(
                negative, x / self.scale, jac=True, method="L-BFGS-B", bounds=bounds, options=dict(options)
            )
        except _Joined as joined:
            return joined.x
        return np.asarray(found.x * self.scale)

    def joins(self, x: FloatArray, top: Top) -> bool:
        """Whether x is on the slope of a top: it is near, and the way there rises as a concave one does."""
        away = top.x - x
        if np.any(np.abs(away) > _NEAR * top.scale):
            return False
        value, grad = self.target(x)
        return 0.0 <= self.target(top.x)[0] - value <= float(grad @ away)

    def at_zero(
        self, x: FloatArray, folded: BoolArray, vanishing: Callable[[int], list[IntArray]], slack: float = 0.0
    ) -> FloatArray:
        """Put coordinates at zero where the density is as high: it is flat there, so a climb stops short.

        Where zero itself has no density, its place is taken by what counts as zero. ``vanishing(i)`` are the sets of
        coordinates that may be zero with coordinate i; ``slack`` is how much less of log density counts as the same.
        """
        for i in map(int, np.flatnonzero(folded)):
            for together in vanishing(i):
                x, found = self._at_zero(x, together, VANISHING * self.scale[i], slack)
                if found:
                    break
        return x

    def _at_zero(self, x: FloatArray, together: IntArray, nearly: float, slack: float) -> tuple[FloatArray, bool]:
        here = self.target(x)[0]
        for least in (0.0, nearly):
            moved, size = x.copy(), abs(x[together[0]])
            moved[together] *= min(least, size) / (size or 1.0)
            there = self.target(moved)[0]
            if there >= here - no_gain(here) - slack:
                return moved, True
            if np.isfinite(there):
                break
        return x, False

    def newton(self, x: FloatArray, where: IntArray, most: int = 20) -> FloatArray:
        """At most so many Newton steps on some coordinates, halved until they gain.

        Directions that curve up, far from the mode, are climbed as if they curved down as much. A Hessian serves as
        long as it foretells what steps gain.
        """
        return self.ascend(x, where, most).x

    def ascend(
        self, x: FloatArray, where: IntArray, most: int = 20, difference: float = _STEP, *, roughly: bool = False
    ) -> Ascent:
        """`newton`, with the place of the last Hessian, by differences of this size in units of the scale.

        ``roughly`` takes them to one side only, which is enough for steps, and half of what `hessian` there takes.
        """
        of = self._rough if roughly else self.hessian
        scale, hessian, at = self.scale[where], of(x, where, difference), x
        for _ in range(most):
            value, grad = self.target(x)
            curvature, directions = np.linalg.eigh(hessian * np.outer(scale, scale))
            uphill = directions @ ((directions.T @ (grad[where] * scale)) / np.maximum(np.abs(curvature), 1e-6))
            step = np.zeros_like(x)
            step[where] = uphill * scale
            foretold = 0.5 * float(grad[where] @ step[where])
            if foretold < no_gain(value) and np.all(np.abs(step) <= _SMALL * self.scale):
                if self.target(x + step)[0] > value - no_gain(value):  # the slope knows better than values do
                    x = x + step
                break
            size, gain = 1.0, -np.inf
            while size > 1e-3 and not gain > 0:
                gain = self.target(x + size * step)[0] - value
                size /= 2.0
            if not gain > 0:
                break
            x = x + 2.0 * size * step
            if gain < no_gain(value):
                break
            if abs(gain - foretold) > _FORETOLD * foretold:
                hessian, at = of(x, where, difference), x
        return Ascent(x, at)

    def hessian(self, x: FloatArray, where: IntArray, size: float = _STEP) -> FloatArray:
        """Central differences of the exact gradient in the coordinates ``where``, with steps in units of the scale."""
        steps = self._steps(x, where, size)
        rows = [self.target(x + step)[1] - self.target(x - step)[1] for step in steps]
        return _hessian(rows, 2.0 * steps, where)

    def _rough(self, x: FloatArray, where: IntArray, size: float) -> FloatArray:
        """The same by differences to one side."""
        steps, here = self._steps(x, where, size), self.target(x)[1]
        return _hessian([self.target(x + step)[1] - here for step in steps], steps, where)

    def _steps(self, x: FloatArray, where: IntArray, size: float) -> FloatArray:
        """A step along each coordinate (m, d)."""
        steps = np.zeros((where.size, x.size))
        steps[np.arange(where.size), where] = size * self.scale[where]
        return steps

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


def _hessian(rows: Sequence[FloatArray], steps: FloatArray, where: IntArray) -> FloatArray:
    """From differences of the gradient (m, d) over steps along coordinates."""
    found = np.array([row[where] / step[i] for row, step, i in zip(rows, steps, where, strict=True)])
    found = found.reshape(where.size, where.size)
    return 0.5 * (found + found.T)


def inverse_root(hessian: FloatArray, scale: FloatArray) -> FloatArray:
    """``B`` with ``B B' = (-Hessian)^-1``; directions that do not curve down, by this scale, get a small curvature."""
    unit = np.where(np.isfinite(hessian), hessian, 0.0) * np.outer(scale, scale)
    values, vectors = np.linalg.eigh(-unit)
    return scale[:, None] * vectors / np.sqrt(np.maximum(values, _SOFTEST))
