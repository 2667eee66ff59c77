r"""Laplace's approximation at one theta, differentiable in it.

At the maximum v^ of J (`lgm.posterior.inner`)

    log p_L(y | theta) = J(v^) - 1/2 log|H'|_C + 1/2 log|R|*

approximates ``log p(y | theta)`` (Tierney & Kadane 1986, JASA 81, 82-86), fixed effects inside. For the likelihoods
that the sparse kernel knows it finds v^, the value and its derivatives in one call; for others the search is JAX's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from lgm import linalg
from lgm.linalg import constrained, newton
from lgm.linalg._jax import sequential_vmap
from lgm.posterior.inner import Inner, Point, derivatives
from lgm.posterior.latent_prior import LOG_2PI

MOST_STEPS = 30  # of Newton's method
HALVINGS = 12  # of one step
CLOSE = 1e-10  # twice the gain in log density that one more step promises, at which the search ends


def approximate(inner: Inner, start: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The mode (d,) and ``log p_L(y | theta)``; NaN where there is none.

    Parameters
    ----------
    inner : Inner
    start : float array (d,)
        Where the search begins; within the constraints.
    """
    return _by_kernel(inner, start) if known(inner) else _polished(inner, start)


class Moments(NamedTuple):
    """The mode at one theta, and the normal approximation around it."""

    v: jax.Array  # (d,)
    value: jax.Array  # log p_L(y | theta)
    eta: jax.Array  # (n,)
    values: jax.Array  # H', bordered
    spread: jax.Array  # s, the variances of eta (n,)
    shift: jax.Array  # S D A'(s l''') / 2, from the mode to the mean in first order (d,)


def moments(inner: Inner, start: jax.Array) -> Moments:
    """The approximation in full; not differentiable. Arguments as for `approximate`."""
    if known(inner):
        nothing = jnp.zeros((inner.prior.dim + inner.prior.k, 0))
        return pairs(inner, start, nothing).moments
    v, value = _polished(inner, start)
    eta, _, values = inner.point(v)
    spread = inner.observed.a.quadratic(inner.whole(linalg.selected_inverse(inner.analysis, values)))
    third = derivatives(inner.observed.loglik(inner.theta), eta, 3)[2]
    push = 0.5 * inner.pull((spread * third)[:, None])[:, 0]
    return Moments(v, value, eta, values, spread, inner.step(Point(eta, push, values)))


class Pairs(NamedTuple):
    """Antithetic pairs of points about the first-order mean."""

    moments: Moments
    drawn: jax.Array  # draws of the normal approximation about zero (d, m)
    log_weights: jax.Array  # (2m,)


def pairs(inner: Inner, start: jax.Array, z: jax.Array) -> Pairs:
    """All of it in one native call, for a likelihood that the kernel knows; z are standard normals (d + k, m)."""
    prior, d = inner.prior, inner.prior.dim
    normals = constrained.normals(z, d, prior.k)
    arguments = (*_kernel_arguments(inner, start), normals)
    mode, found = newton.find_mode_and_pairs(*arguments)
    values = _curvature(inner, found.eta)
    of_mode = Moments(mode.v[:d], _value(inner, mode), found.eta, values, found.spread, found.shift[:d])
    return Pairs(of_mode, found.drawn[:d], found.log_weights)


def known(inner: Inner) -> bool:
    """Whether the kernel knows the likelihood."""
    return inner.observed.family.kernel is not None and isinstance(inner.analysis, linalg.SparseAnalysis)


# In JAX ---------------------------------------------------------------------------------------------------------------


def _polished(inner: Inner, start: jax.Array) -> tuple[jax.Array, jax.Array]:
    """After the search, one step with a system that is held: its derivative is that of the mode."""
    v = _search(*jax.lax.stop_gradient((inner, start)))
    point = inner.point(v)
    v = v + inner.step(point._replace(values=jax.lax.stop_gradient(point.values)))
    return v, inner.joint(v[:, None])[0] + 0.5 * (inner.logdet - inner.log_determinant(inner.point(v).values))


@sequential_vmap
def _search(inner: Inner, start: jax.Array) -> jax.Array:
    """Newton's method with halved steps, from a start or, where there is no density there, from the reference.

    Each element of a batch by itself: none waits for the slowest.
    """

    def joint(v: jax.Array) -> jax.Array:
        return inner.joint(v[:, None])[0]

    def climb(state: Any) -> Any:
        v, value, _, count = state
        step, gain = _direction(inner, v)

        def halve(tried: Any) -> Any:
            size, _, count = tried
            return 0.5 * size, joint(v + 0.5 * size * step), count + 1

        def short(tried: Any) -> jax.Array:
            size, new, count = tried
            # near the mode differences of the density are rounding
            enough = (new >= value + 1e-4 * size * gain) | ((gain < 1e-8) & (new >= value - 1e-7 * jnp.abs(value)))
            return ~enough & (count < HALVINGS)

        size, new, _ = jax.lax.while_loop(short, halve, (jnp.ones(()), joint(v + step), jnp.zeros((), int)))
        return v + size * step, new, gain, count + 1

    def on(state: Any) -> jax.Array:
        _, _, gain, count = state
        return (gain > CLOSE) & (count < MOST_STEPS)  # NaN ends it

    values = inner.joint(jnp.stack([start, jnp.zeros_like(start)], axis=1))
    fine = jnp.isfinite(values[0])
    v, value = jnp.where(fine, start, 0.0), jnp.where(fine, values[0], values[1])
    v, _, gain, _ = jax.lax.while_loop(on, climb, (v, value, jnp.array(jnp.inf), jnp.zeros((), int)))
    return jnp.where(gain < 1e-6, v, jnp.nan)


def _direction(inner: Inner, v: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A step of ascent and what it gains, twice: Newton's; where that is none, with the Fisher information."""

    def along(*, fisher: bool) -> tuple[jax.Array, jax.Array]:
        point = inner.point(v, fisher=fisher)
        step = inner.step(point)
        return step, jnp.vdot(step, point.slope)

    step, gain = along(fisher=False)
    if inner.observed.family.log_concave:
        return step, gain
    return jax.lax.cond(gain > 0.0, lambda: (step, gain), lambda: along(fisher=True))


# By the kernel --------------------------------------------------------------------------------------------------------


@jax.custom_jvp
def _by_kernel(inner: Inner, start: jax.Array) -> tuple[jax.Array, jax.Array]:
    mode = newton.find_mode(*_kernel_arguments(inner, start))
    return mode.v[: inner.prior.dim], _value(inner, mode)


def _by_kernel_jvp(primals: Any, tangents: Any) -> Any:
    inner, start = primals
    d_inner = tangents[0]
    mode, slopes = newton.find_mode_and_slopes(*_kernel_arguments(inner, start))
    v, by_scale = mode.v[: inner.prior.dim], slopes.scale[: inner.prior.dim]
    d_theta, d_values, d_scale, d_logdet = map(_instant, (d_inner.theta, d_inner.values, d_inner.scale, d_inner.logdet))
    d_value = jnp.vdot(slopes.values, d_values) + jnp.vdot(by_scale, d_scale) + 0.5 * d_logdet
    # What rows say moves with the family's own parameters, and with an offset that is someone's function. Responses of
    # these families are counts, which do not move.
    offset, d_offset = jnp.asarray(inner.observed.offset), d_inner.observed.offset
    still = isinstance(d_offset, SymbolicZero)

    def of_rows(theta: jax.Array, *moved: jax.Array) -> Inner:
        observed = replace(inner.observed, offset=moved[0]) if moved else inner.observed
        return replace(inner, observed=observed, theta=theta)

    def leaning(theta: jax.Array, *moved: jax.Array) -> jax.Array:
        eta = slopes.eta + moved[0] - offset if moved else slopes.eta
        return _leaning(inner, theta, slopes._replace(eta=eta))

    at, along = ((inner.theta,), (d_theta,)) if still else ((inner.theta, offset), (d_theta, d_offset))
    if inner.observed.places or not still:
        d_value = d_value + jax.jvp(leaning, at, along)[1]

    def point(values: jax.Array, scale: jax.Array, *rows: jax.Array) -> Point:
        return replace(of_rows(*rows), values=values, scale=scale).point(v)

    here, change = jax.jvp(point, (inner.values, inner.scale, *at), (d_values, d_scale, *along))
    return (v, _value(inner, mode)), (inner.step(here._replace(slope=change.slope)), d_value)


_by_kernel.defjvp(_by_kernel_jvp, symbolic_zeros=True)


def _instant(tangent: Any) -> Any:
    """A tangent as an array, zeros included."""
    return jnp.zeros(tangent.shape, tangent.dtype) if isinstance(tangent, SymbolicZero) else tangent


def _curvature(inner: Inner, eta: jax.Array) -> jax.Array:
    """H' at linear predictors (n,)."""
    return inner.curvature(-derivatives(inner.observed.loglik(inner.theta), eta, 2)[1])


def _kernel_arguments(inner: Inner, start: jax.Array) -> tuple[Any, ...]:
    o, prior = inner.observed, inner.prior
    trials = newton.no_trials() if o.y.trials is None else o.y.trials
    pull, scale = (constrained.bordered(each, prior.k) for each in (prior.pull, inner.scale))
    problem = newton.Problem(o.a, o.offset, o.y.value, trials, o.weights, pull)
    start = constrained.extended(start, prior.anchors)
    return inner.analysis, o.family.kernel, problem, inner.values, scale, o.own_vector(inner.theta), start


def _value(inner: Inner, mode: newton.Mode) -> jax.Array:
    """``log p_L(y | theta)`` with the constants that the kernel leaves out."""
    prior = inner.prior
    joint = mode.joint + inner.observed.constant - 0.5 * prior.constant + 0.5 * prior.flat * LOG_2PI
    return joint + 0.5 * (inner.logdet - mode.logdet + prior.log_border)


def _leaning(inner: Inner, theta: jax.Array, slopes: newton.Slopes) -> jax.Array:
    """What has the derivatives of the value by the family's own parameters."""
    loglik = inner.observed.loglik(theta)
    g, second = derivatives(loglik, slopes.eta, 2)
    return jnp.sum(loglik(slopes.eta) + 0.5 * slopes.spread * second + slopes.lean * g)
