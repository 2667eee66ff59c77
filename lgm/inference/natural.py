"""The mode of theta itself, on the natural scale: with flat priors, that of the restricted likelihood.

Nothing here may depend on the units of the response or the covariates. The search is global as far as standard
deviations go: the density may have a second mode inside where one is at zero, and the other way round.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from lgm.arrays import BoolArray, FloatArray
from lgm.inference.compile import Plan, floats, jit
from lgm.inference.factors import Factors
from lgm.inference.mode import evaluation, first_finite, remembering, require_resolved
from lgm.inference.quasi_newton import climb
from lgm.inference.search import CLOSELY, Search, Top, no_gain
from lgm.posterior import density
from lgm.posterior.density import Marginal
from lgm.posterior.slots import Slot
from lgm.xla import own_settings

_FACTORS = tuple(10.0 ** (-0.5 * np.arange(13)))  # by which the sds of a first guess may be too large
_STARTS = (1.0, 0.1, 4.0)  # times the first guess of the sds of effects
_LIFTED = (0.3, 0.1, 0.03, 0.01, 0.003)  # times its first guess: where an sd of zero may start again
# And with it what is free at zero, such as a rho whose first guess makes its effects noise.
_MOVED = (0.0, -3.0, 3.0, -6.0, 6.0)
# Variance of an effect given others, beside its own, at which its group's covariance counts as singular: the precision
# is its inverse, and rounding grows with it, most in derivatives. In the first climbs, and where second derivatives are
# wanted; in the last climb; where only the value is wanted.
_SOFT = 1e-4
_LEAST = 1e-6
_VALUE = 1e-8
_SLACK = 1e-7  # in log density: the rounding where a covariance is singular
_STEP = 1e-4  # of differences that give them, in units of the scale
_SAME = 1e-6  # distance, in units of the scale, over which a Hessian is the same: standard errors to as many digits
_OWN = 0.1  # of the sd of an effect is its own, beside others: from there on a softer density has the same curvature
_FLAT = 1e-5  # curvatures below this, in units of the scale, are none
_LEAK = 1e-3  # share of a parameter's slope along directions without curvature that counts as none
_STILL = 1e-5  # distance of a correlation from one, or its slope, below which it is at the end of its range
_FEW, _MANY = 3, 20  # Newton steps to the mode from a climb that ended loosely, or tightly
_AT_REST = 1e-4  # in log density: where a Newton step would gain more, this is no mode
_RESIDUAL = 100.0  # times the least: as small, a residual still keeps its digits
_LEVEL = 0.01  # in log density: what a residual that small loses where zero is best, by its prior and by rounding


@dataclass(frozen=True)
class NaturalMode:
    """A maximum of the density of theta.

    Parameters
    ----------
    theta : float array (k,)
        Natural scale.
    value : float
        Log density there, without a Jacobian.
    standard_errors : float array (k,)
        Of theta as it is printed, from the curvature, with what is at the end of its range held there; NaN for that,
        and for what the density does not speak of. Zero for what the prior holds.
    ends : bool array (k,)
        What, as it is printed, is at the end of its range.
    settled : bool
        Whether the slope vanishes there.
    covariance : float array (k, k)
        The inverse curvature by theta as it is printed, along the directions in which the density falls.
    """

    theta: FloatArray
    value: float
    standard_errors: FloatArray
    ends: BoolArray
    settled: bool
    covariance: FloatArray


@jit
def _likelihood(target: Factors, z: jax.Array) -> jax.Array:
    return density.log_likelihood(target.post, target.natural(z))


@jit
def _theta(target: Factors, z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Natural, and the slopes of what is printed."""

    def printed(z: jax.Array) -> tuple[jax.Array, jax.Array]:
        theta = target.natural(z)
        return target.post.hyper.printed(theta), theta

    slopes, theta = jax.jacfwd(printed, has_aux=True)(z)
    return theta, slopes


def _natural(target: Factors, z: FloatArray) -> FloatArray:
    return np.asarray(_theta(target, z)[0])


def searching(post: Marginal) -> list[Plan]:
    """What `find_natural_mode` will call."""
    with own_settings():
        target = Factors.of(post, _SOFT)
    return [evaluation(target), _theta.plan(target, floats(post.hyper.working_size))]


def find_natural_mode(post: Marginal, start: FloatArray) -> NaturalMode:
    """Maximise the density of theta.

    Parameters
    ----------
    post : Marginal
    start : float array (k,)
        A first guess of theta, natural scale, of which only sizes of sds beside each other matter.

    Raises
    ------
    IdentifiabilityError
        If the density is not finite at any start, or has no maximum.
    """
    with own_settings():
        softly, closely, finely = (_Seen.of(post, least) for least in (_SOFT, _LEAST, _VALUE))
        if not softly.target.groups:  # nothing that may be singular: the three are one
            closely = finely = softly
        z, units = _highest(softly, _sized(softly, softly.target.start(_guess(softly, start))))
        if not np.isfinite(closely.at(z)[0]):
            closely = softly
        target = closely.target
        search = Search(closely.at, target.scale(z, units))
        top = None if target.singular(z) else _top(search, softly, closely, z, units, _FEW)
        if top is None or not top.rests:
            top = _top(search, softly, closely, _climbed(search, target, z, loosely=False), units, _MANY)
        _require_residual(closely, top.z)
        finest = max(closely, finely, key=lambda each: each.at(top.z)[0])
        theta, value = _natural(finest.target, top.z), finest.at(top.z)[0]
        require_resolved(post, theta)
        return _described(target, theta, value, top)


class _Seen(NamedTuple):
    """A density, and what it is at points (`evaluated`), each of which is evaluated once."""

    target: Factors
    at: Callable[[FloatArray], tuple[float, FloatArray]]

    @classmethod
    def of(cls, post: Marginal, least: float) -> _Seen:
        target = Factors.of(post, least)
        return cls(target, remembering(target))


def _require_residual(seen: _Seen, z: FloatArray) -> None:
    """Refuse a residual whose density is highest at zero, where a climb ends somewhere near.

    Raises
    ------
    IdentifiabilityError
    """
    target, least = seen.target, seen.target.lower()
    for _, at in target.logs:
        small = z.copy()
        small[at] = least[at] + np.log(_RESIDUAL)
        if np.isfinite(least[at]) and seen.at(small)[0] >= seen.at(z)[0] - _LEVEL:
            small[at] = least[at]
            require_resolved(target.post, _natural(target, small))


def _guess(seen: _Seen, start: FloatArray) -> FloatArray:
    """A theta at which the density is finite."""
    return first_finite(seen.target.post, start, lambda theta: seen.at(seen.target.start(theta))[0])


def _sized(seen: _Seen, first: FloatArray) -> FloatArray:
    """A first guess with all sds times the factor that serves it best.

    The spread of the response may be that of the fixed effects alone, far above all of them. In a common factor c of
    all sds the log likelihood of a normal response is ``-n log c - S / (2 c^2)``, which rises and then falls: its slope
    says on which side of its top a factor is.
    """
    low, high = 0, len(_FACTORS)  # the slope is not yet known to be downhill in the factor below low, from high on
    target = seen.target
    tries = [first]
    while low < high:
        middle = (low + high) // 2 if low else 0
        z = target.scaled(first, _FACTORS[middle])
        value, grad = seen.at(z)
        tries.append(z)
        if np.isfinite(value) and float(grad @ target.growing(z)) >= 0.0:
            high = middle
        else:
            low = middle + 1
    return max(tries, key=lambda z: seen.at(z)[0])


def _highest(seen: _Seen, first: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The highest of what is reached from several starts, then from each sd of zero lifted again; and units."""
    target, folded = seen.target, seen.target.folded
    search = Search(seen.at, target.scale(first))
    starts = [np.where(folded, times * first, first) for times in _STARTS]
    tops: list[Top] = []
    for x in sorted(starts, key=lambda x: -seen.at(x)[0]):
        if np.isfinite(seen.at(x)[0]):
            top = climb(search, x, target.lower(), partial(target.complete, search.scale), tops)
            tops.append(Top(top, target.scale(top, search.scale)))
    z = _settled(search, target, max(tops, key=lambda top: seen.at(top.x)[0]).x)
    for i in map(int, np.flatnonzero(folded)):
        if z[i] == 0.0:
            reached = [_climbed(search, target, x, loosely=True) for x in _lifts(search, target, z, i)]
            z = max([z, *reached], key=lambda x: seen.at(x)[0] - (0.0 if x is z else no_gain(seen.at(x)[0])))
    return z, search.scale


def _lifts(search: Search, target: Factors, z: FloatArray, i: int) -> list[FloatArray]:
    """Where the density is higher than with an sd of zero, for each place of what is free there.

    Places are not compared with each other: their prior is lost where effects are gained.
    """
    found = []
    for by in _MOVED if target.beside(i).size else _MOVED[:1]:
        tries = [_lifted(target, z, i, size * search.scale[i], by) for size in _LIFTED]
        best, none = max(tries, key=lambda x: search.target(x)[0]), _lifted(target, z, i, 0.0, by)
        if search.target(best)[0] > search.target(none)[0]:
            found.append(best)
    return found


def _lifted(target: Factors, z: FloatArray, i: int, value: float, by: float) -> FloatArray:
    out = z.copy()
    out[i] = value
    out[target.beside(i)] += by
    return out


def _climbed(search: Search, target: Factors, x: FloatArray, *, loosely: bool) -> FloatArray:
    lower = target.lower()
    expected = partial(target.complete, search.scale)
    top = climb(search, x, lower, expected) if loosely else search.climb(x, lower, CLOSELY)
    return _settled(search, target, top)


def _settled(search: Search, target: Factors, top: FloatArray) -> FloatArray:
    """A top with sds of zero where these are as good."""
    return target.canonical(search.at_zero(target.canonical(top), target.folded, target.vanishing, _SLACK))


class _Top(NamedTuple):
    """Where Newton's steps lead.

    Parameters
    ----------
    z : float array (d,)
    grad, curvature : float array (free,)
        Along orthogonal directions of the coordinates that move the density, in units of the scale.
    slopes : float array (k, free)
        Of printed theta, along the same.
    """

    z: FloatArray
    grad: FloatArray
    curvature: FloatArray
    slopes: FloatArray

    @property
    def rests(self) -> bool:
        """Whether another step would gain no more than rounding."""
        unit = np.sqrt(np.maximum(np.abs(self.curvature), _FLAT))
        away = np.abs(self.grad / unit)
        return bool(np.all(away < 1.0) and np.sum(away**2) < 2.0 * _SLACK)  # a slope may have no square


def _top(search: Search, soft: _Seen, seen: _Seen, z: FloatArray, units: FloatArray, most: int) -> _Top:
    """By at most so many Newton steps; near a singular covariance, curvatures are those of the softer density."""
    target = seen.target
    search = search._replace(scale=target.scale(z, units))
    free = np.flatnonzero(target.moves(z))
    unit = search.scale[free]
    z, at = search.ascend(z, free, most, _STEP, roughly=True)
    where = z if np.any(np.abs(z - at) > _SAME * search.scale) else at
    if seen is not soft and target.singular(z, _OWN):
        search, where = search._replace(target=soft.at), z
    hessian = search.hessian(where, free, _STEP)
    curvature, directions = np.linalg.eigh(-hessian * np.outer(unit, unit))
    slopes = np.asarray(_theta(target, z)[1])[:, free] * unit
    return _Top(z, directions.T @ (seen.at(z)[1][free] * unit), curvature, slopes @ directions)


def _described(target: Factors, theta: FloatArray, value: float, top: _Top) -> NaturalMode:
    """With standard errors."""
    slots, printed = target.post.hyper.slots, np.asarray(target.post.hyper.printed(theta))
    held = _each(slots, lambda slot: slot.working_size == 0)
    half_line = _each(slots, lambda slot: slot.half_line)
    steep, along = top.curvature > _FLAT, top.slopes
    length = np.sqrt(np.sum(along**2, axis=1))
    at_one = np.abs(printed) > 1.0 - _STILL
    unspoken = _unspoken(target, top.z, printed)
    still = np.where(half_line, printed == 0.0, at_one | (length < _STILL)) & ~held
    lost = np.sqrt(np.sum(along[:, ~steep] ** 2, axis=1)) > _LEAK * length
    errors = np.sqrt(np.sum(along[:, steep] ** 2 / top.curvature[steep], axis=1))
    gain = 0.5 * float(np.sum(top.grad[steep] ** 2 / top.curvature[steep]))
    return NaturalMode(
        theta=theta,
        value=value,
        standard_errors=np.where(held, 0.0, np.where(still | lost | unspoken, np.nan, errors)),
        ends=still & ~unspoken,
        settled=gain < _AT_REST,
        covariance=(along[:, steep] / top.curvature[steep]) @ along[:, steep].T,
    )


def _unspoken(target: Factors, z: FloatArray, printed: FloatArray) -> BoolArray:
    """Which values of theta (k,) the data do not speak of, because effects that they are about have no variance."""
    out, beside = target.unspoken(printed), target.beside_zero(z)
    here = float(_likelihood(target, z)) if beside else 0.0
    for place, at in beside.items():
        moved = z.copy()
        moved[at] += 1.0
        out[place] |= abs(float(_likelihood(target, moved)) - here) <= no_gain(here)
    return out


def _each(slots: tuple[Slot, ...], of: Callable[[Slot], bool]) -> BoolArray:
    """An answer of each slot, for all of its values."""
    return np.array([answer for slot in slots for answer in [of(slot)] * slot.size], dtype=bool)
