"""Modes of theta: of the working density, where NUTS is scaled, and in folded coordinates.

In folded coordinates a standard deviation of zero is an ordinary point. Without their Jacobian the maximum is the mode
of the natural density (with flat priors: REML); with it, that of the density that importance sampling proposes from.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np
from scipy.optimize import minimize

from lgm.arrays import BoolArray, FloatArray
from lgm.errors import IdentifiabilityError
from lgm.inference import coordinates
from lgm.inference.compile import Plan, floats, jit
from lgm.inference.coordinates import Folded, Target, Working
from lgm.inference.scales import folded_scale, folded_to_natural, natural_scale, prior_draw, working_scale
from lgm.inference.search import VANISHING, Search, inverse_root
from lgm.posterior.density import Marginal
from lgm.xla import own_settings

_NEAR_ZERO = 1 / 3  # sd of a log standard deviation above which its mode may be at zero, three widths away or less


@dataclass(frozen=True, eq=False)
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


@dataclass(frozen=True, eq=False)
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


def evaluated(target: Target) -> Callable[[FloatArray], tuple[float, FloatArray]]:
    """Log density and its gradient as a function of x; ``(-inf, 0)`` where either is undefined."""
    of = _evaluate.bound(target)

    def at(x: FloatArray) -> tuple[float, FloatArray]:
        value, grad = of(x)
        return float(value), np.asarray(grad)

    return at


def evaluation(target: Target) -> Plan:
    """The program of `evaluated`, for targets like this."""
    return _evaluate.plan(target, floats(target.post.hyper.working_size))


def remembering(target: Target) -> Callable[[FloatArray], tuple[float, FloatArray]]:
    """`evaluated`, once for each point: searches come back to where they were."""
    of = evaluated(target)
    known: dict[bytes, tuple[float, FloatArray]] = {}

    def at(x: FloatArray) -> tuple[float, FloatArray]:
        key = x.tobytes()
        if key not in known:
            known[key] = of(x)
        return known[key]

    return at


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
    at = evaluated(Working(post))

    def negative(x: FloatArray) -> tuple[float, FloatArray]:
        value, grad = at(x)
        # a finite wall instead of infinity keeps the line search going back
        return (-value if np.isfinite(value) else 1e100), -grad

    with own_settings():
        x0 = finite_start(post, start)
        if x0.size == 0:
            return Mode(x0, np.zeros((0, 0)), -negative(x0)[0], 0.0)
        found = minimize(negative, x0, jac=True, method="BFGS", options={"gtol": 1e-6, "maxiter": 200})
        require_resolved(post, np.asarray(natural_scale(post.hyper, found.x)))
        local = Search(at, np.ones(x0.size))
        root = inverse_root(local.hessian(found.x, np.arange(x0.size)), local.scale)
    return Mode(found.x, root, -float(found.fun), float(np.max(np.abs(root.T @ found.jac))))


def finite_start(post: Marginal, start: FloatArray) -> FloatArray:
    """The guess on the working scale if the density is finite there, else the first of some others where it is."""
    at = evaluated(Working(post))

    def value(theta: FloatArray) -> float:
        x = np.asarray(working_scale(post.hyper, theta))
        return at(x)[0] if np.all(np.isfinite(x)) else -np.inf

    return np.asarray(working_scale(post.hyper, first_finite(post, start, value)))


def first_finite(post: Marginal, start: FloatArray, value: Callable[[FloatArray], float]) -> FloatArray:
    """The guess of theta if the density has a value there, else the first draw from the prior where it has.

    Raises
    ------
    IdentifiabilityError
        If there is none.
    """
    tries = range(20 if post.hyper.proper else 0)
    draws = (np.asarray(prior_draw(post.hyper, jax.random.key(attempt))) for attempt in tries)
    for theta in itertools.chain([start], draws):
        if np.isfinite(value(theta)):
            return theta
    also = f" or at {len(tries)} draws of theta from its prior" if tries else ""
    raise IdentifiabilityError(
        f"the posterior density is not finite at the starting value{also}. "
        "Look for a prior that excludes all reasonable values, or for effects that the data cannot tell apart."
    )


def require_resolved(post: Marginal, theta: FloatArray) -> None:
    """Refuse a mode (natural scale) at which rounding has taken the place of the effects.

    Raises
    ------
    IdentifiabilityError
    """
    lost = post.data.lost(theta)
    if lost is not None:
        raise IdentifiabilityError(lost)


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
    with own_settings():
        x = np.asarray(folded_scale(post.hyper, start.x))
        folded = np.array(post.hyper.folded, dtype=bool)
        search = Search(remembering(target), np.where(folded, np.abs(x), 1.0))
        boundary = np.zeros(x.size, dtype=bool)
        if np.any(folded & (np.sum(start.root**2, axis=1) > _NEAR_ZERO**2)):
            x = search.climb(x, np.where(folded, 0.0, -np.inf))
            x = search.at_zero(x, folded, lambda i: [np.array([i])])
            boundary = folded & (x <= VANISHING * search.scale)
        free = np.flatnonzero(~boundary)
        x = search.newton(x, free)
        value, hessian = search.target(x)[0], search.hessian(x, free)
        root = search.root(x, value, boundary, hessian)
        return FoldedMode(x, np.asarray(folded_to_natural(post.hyper, x)), root, value, boundary)
