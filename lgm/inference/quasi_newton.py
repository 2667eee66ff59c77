"""Climbing a log density of variance components by the information that complete data would have.

Were the effects known, the log of the standard deviation of q of them would have the information 2q, and one step of
Newton's method by it is, to first order, one of the EM algorithm, which never overshoots but is slow where data say
little. As the first Hessian of a quasi-Newton method it is both (Lange 1995, Statistica Sinica 5, 1-18; Jamshidian &
Jennrich 1997, JRSS B 59, 569-587): the first step is that of EM, and gradients teach the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lgm.arrays import FloatArray
from lgm.inference.search import VANISHING, Search, Top, no_gain

_RESTS = 1e-8  # in log density: a step that is foretold to gain less is taken and is the last
_MOST = 100  # steps
_SHORTEST = 1e-6  # of a step: a line search that is here found nothing
_ENOUGH = 1e-4  # of the gain that the slope foretells: with less a step is shortened
_KEPT = 0.1  # of the distance from a lower end in one step: at an end that is zero there is no slope back
_WIDER = 2.0  # by which steps may be longer after one that was taken whole
_DAMPED = 0.2  # of the curvature expected along a step, below which that found is not believed (Powell 1978)


def climb(
    search: Search,
    x: FloatArray,
    lower: FloatArray,
    expected: Callable[[FloatArray, FloatArray], FloatArray],
    known: Sequence[Top] = (),
) -> FloatArray:
    """To a top near x, which is not below lower ends (d,), some of which are minus infinity.

    Parameters
    ----------
    search : Search
        Its scale is the unit of coordinates. The first step is no longer than that, or than the size of a coordinate;
        later ones are about as long as those that gained.
    x, lower : float arrays (d,)
    expected : callable
        Of a point and the gradient there: a first guess of the curvature along each coordinate (d,), positive.
    known : sequence of Top
        Reached before: a climb that joins the slope of one of them ends there.
    """
    unit, radius = search.scale, 1.0
    x = np.maximum(x, lower)
    grad = search.target(x)[1]
    first = np.maximum(expected(x, grad) * unit**2, np.abs(grad * unit) / np.maximum(1.0, np.abs(x) / unit))
    curvature = np.diag(first)
    for _ in range(_MOST):
        joined = next((top for top in known if search.joins(x, top)), None)
        if joined is not None:
            return joined.x
        free = np.flatnonzero((x > lower) | (grad > 0.0))
        step = np.zeros_like(x)
        step[free] = unit[free] * np.linalg.solve(curvature[np.ix_(free, free)], (grad * unit)[free])
        if 0.5 * float(grad @ step) < _RESTS:
            return np.asarray(np.maximum(x + step, lower))
        length = float(np.max(np.abs(step) / np.maximum(unit, np.abs(x))))
        step *= min(1.0, radius / length)
        moved, slope, size = _along(search, x, step, _floor(x, lower, unit))
        if size == 0.0:
            return x
        length = min(length, radius)
        radius = max(radius, _WIDER * length) if size == 1.0 else size * length
        curvature = _learnt(curvature, (moved - x) / unit, (grad - slope) * unit)
        x, grad = moved, slope
    return x


def _floor(x: FloatArray, lower: FloatArray, unit: FloatArray) -> FloatArray:
    """How far one step may go down; from nearby to the lower end itself."""
    out = lower.copy()
    above = np.isfinite(lower) & (x - lower > VANISHING * unit)
    out[above] += _KEPT * (x - lower)[above]
    return out


def _along(search: Search, x: FloatArray, step: FloatArray, lower: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """Where as much of a step leads as gains what the slope foretells, the slope there, and how much; none is zero."""
    value, grad = search.target(x)
    size = 1.0
    while size > _SHORTEST:
        moved = np.maximum(x + size * step, lower)
        there, slope = search.target(moved)
        along = float(grad @ (moved - x))
        if there - value > _ENOUGH * along - no_gain(value):
            return moved, slope, size
        size *= _shorter(there - value, along, float(slope @ (moved - x)))
    return x, grad, 0.0


def _learnt(curvature: FloatArray, step: FloatArray, fall: FloatArray) -> FloatArray:
    """BFGS, damped so that what is left curves down."""
    expected = curvature @ step
    along, found = float(step @ expected), float(step @ fall)
    if not along > 0.0:
        return curvature
    if found < _DAMPED * along:
        share = (1.0 - _DAMPED) * along / (along - found)
        fall = share * fall + (1.0 - share) * expected
        found = float(step @ fall)
    old, new = expected / np.sqrt(along), fall / np.sqrt(found)  # squares of slopes may be no doubles
    return np.asarray(curvature - np.outer(old, old) + np.outer(new, new))


def _shorter(gain: float, along: float, slope: float) -> float:
    """By what to shorten a step that gained too little: to the top of the cubic through what is known of it."""
    if not (np.isfinite(gain) and along > 0.0):
        return 0.25
    gain, slope = gain / along, slope / along
    third = 1.0 + slope - 2.0 * gain  # of t + second t^2 + third t^3
    second = 3.0 * gain - 2.0 - slope
    root = float(np.sqrt(max(second**2 - 3.0 * third, 0.0)))
    return float(np.clip(1.0 / (root - second), 0.1, 0.5)) if root > second else 0.5
