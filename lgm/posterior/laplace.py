r"""The data side for any other response: the Laplace approximation of ``p(y | theta)`` with its error estimated.

In whitened coordinates ``u = D v`` (`lgm.posterior.latent_prior`) the effects have, given theta, the density

    J(v) = sum_i l_i(eta_i) - 1/2 v'Rv + v'b + constant,    eta = A D v + offset,  under C v = 0,

with R and b the precision and pull of the prior. At its maximum v^, with ``W = -l''`` and ``H' = R + D A'WA D``,

    log p_L(y | theta) = J(v^) - 1/2 log|H'|_C + 1/2 log|R|*

is Laplace's approximation (Tierney & Kadane 1986), fixed effects inside. Let S = H'^-1 and ``s_i`` the variance of
eta_i under it. The first-order change of the mean, ``delta = S D A'(s l''') / 2``, comes from one more solve, and with
pairs ``z ~ N(0, S)`` the average of the weights

    w(x) = exp( J(v^ + delta + x) - J(v^) + 1/2 x'H'x ),   x = z, -z

is an unbiased estimate of ``p(y | theta) / p_L(y | theta)`` (antithetic importance sampling; Durbin & Koopman 1997),
and points drawn in proportion to them are draws of the effects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lgm import linalg
from lgm.arrays import FloatArray, Numbers
from lgm.families.family import Family
from lgm.families.response import Response
from lgm.linalg import constrained
from lgm.linalg.rows import Rows
from lgm.posterior.functionals import Effects, Sums
from lgm.posterior.latent_prior import LatentPrior, Places, by_kind
from lgm.posterior.variances import normal_variances

LOG_2PI = 1.8378770664093453
MOST_STEPS = 30  # of Newton's method
HALVINGS = 12  # of one step
CLOSE = 1e-10  # twice the gain in log density that one more step promises, at which the search ends


class Prior(NamedTuple):
    """The prior of the effects at one theta, in whitened coordinates."""

    values: jax.Array  # R with anchors, in pattern order
    scale: jax.Array  # (d,)
    logdet: jax.Array


class Point(NamedTuple):
    """Newton's system at some v."""

    eta: jax.Array  # (n,)
    slope: jax.Array  # gradient of J (d,)
    values: jax.Array  # H' with anchors, in pattern order


class Found(NamedTuple):
    """The mode at one theta and the normal approximation around it."""

    v: jax.Array  # (d,)
    value: jax.Array  # log p_L(y | theta)
    eta: jax.Array  # (n,)
    values: jax.Array  # H' with anchors


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LaplaceData:
    """Rows with a response, the columns A and the family.

    Parameters
    ----------
    a : Rows
        Columns of all effects, relative to a reference of the fixed effects.
    y : Response
    weights : float array (n,)
    offset : float array (n,)
        That of the formula, and what the reference adds.
    family : Family
    places : Places
        Of the family's parameters in theta.
    pairs : int
        Antithetic pairs that estimate the error at one theta, and of which effects are drawn; 0 for the plain
        approximation.
    """

    a: Rows
    y: Response
    weights: Numbers
    offset: Numbers
    family: Family = field(metadata={"static": True})
    places: Places = field(metadata={"static": True})
    pairs: int = field(default=8, metadata={"static": True})

    normal = False  # the effects given theta
    extra_normals = 1  # which chooses a point

    @property
    def least_residual(self) -> float:
        """Nothing is lost to rounding where a parameter of the family is small."""
        return 1e-300

    def lost(self, theta: FloatArray) -> str | None:
        """Nothing is."""
        return None

    def columns(self, draws: int) -> int:
        """Columns of normals that estimate the error and give so many draws."""
        return max(draws, self.pairs)

    # The approximation ------------------------------------------------------------------------------------------------

    def log_likelihood(self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array) -> jax.Array:
        """``log p_L(y | theta)``; NaN where it is undefined."""
        return self._found(prior, analysis, theta).value

    def _found(self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array) -> Found:
        """The mode, differentiable in theta: after the search, one step with a system that is held."""
        at = Prior(*_ordered(prior.whiten(theta)))
        v = self._mode(prior, analysis, jax.lax.stop_gradient(at), jax.lax.stop_gradient(theta))
        point = self._point(prior, analysis, at, theta, v)
        v = v + self._step(prior, analysis, point._replace(values=jax.lax.stop_gradient(point.values)))
        final = self._point(prior, analysis, at, theta, v)
        logdet, gram, _ = linalg.logdet_quad(analysis, final.values, prior.krige)
        gram = jnp.pad(gram, ((1, 0), (1, 0)))
        logdet_h = constrained.condition(logdet, gram, prior.kappa, prior.logdet_cct).logdet
        value = self._joint(prior, analysis, at, theta, v[:, None])[0]
        return Found(v, value + 0.5 * (at.logdet - logdet_h), final.eta, final.values)

    def _mode(self, prior: LatentPrior, analysis: linalg.Analysis, at: Prior, theta: jax.Array) -> jax.Array:
        """Newton's method with halved steps, from no effects at all but the reference."""

        def climb(state: Any) -> Any:
            v, value, _, count = state
            step, gain = self._direction(prior, analysis, at, theta, v)

            def halve(tried: Any) -> Any:
                size, _, count = tried
                half = 0.5 * size
                return half, self._joint(prior, analysis, at, theta, (v + half * step)[:, None])[0], count + 1

            def short(tried: Any) -> jax.Array:
                size, new, count = tried
                # near the mode differences of the density are rounding
                enough = (new >= value + 1e-4 * size * gain) | ((gain < 1e-8) & (new >= value - 1e-7 * jnp.abs(value)))
                return ~enough & (count < HALVINGS)

            first = self._joint(prior, analysis, at, theta, (v + step)[:, None])[0]
            size, new, _ = jax.lax.while_loop(short, halve, (jnp.ones(()), first, jnp.zeros((), int)))
            return v + size * step, new, gain, count + 1

        def on(state: Any) -> jax.Array:
            _, _, gain, count = state
            return (gain > CLOSE) & (count < MOST_STEPS)  # NaN ends it

        v = jnp.zeros(prior.dim)
        value = self._joint(prior, analysis, at, theta, v[:, None])[0]
        v, _, gain, _ = jax.lax.while_loop(on, climb, (v, value, jnp.array(jnp.inf), jnp.zeros((), int)))
        return jnp.where(gain < 1e-6, v, jnp.nan)

    def _direction(
        self, prior: LatentPrior, analysis: linalg.Analysis, at: Prior, theta: jax.Array, v: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """A step of ascent and what it gains, twice: Newton's; where that is none, with the Fisher information."""

        def along(*, fisher: bool) -> tuple[jax.Array, jax.Array]:
            point = self._point(prior, analysis, at, theta, v, fisher=fisher)
            step = self._step(prior, analysis, point)
            return step, jnp.vdot(step, point.slope)

        step, gain = along(fisher=False)
        if self.family.log_concave:
            return step, gain
        return jax.lax.cond(gain > 0.0, lambda: (step, gain), lambda: along(fisher=True))

    def _point(
        self,
        prior: LatentPrior,
        analysis: linalg.Analysis,
        at: Prior,
        theta: jax.Array,
        v: jax.Array,
        *,
        fisher: bool = False,
    ) -> Point:
        eta = self._eta(at, v[:, None])[:, 0]
        g, w = self._derivatives(eta, theta, 2)
        if fisher:
            w = jnp.maximum(w, self.family.information(self.y, eta, self._own(theta), self.weights))
        rows, cols = analysis.pattern.rows, analysis.pattern.cols
        gram = self.a.gram(w, analysis.pattern.nnz)
        slope = at.scale * self.a.transposed_times(g[:, None], prior.dim)[:, 0] + prior.pull
        return Point(
            eta,
            slope - _times(prior, analysis, at.values, v[:, None])[:, 0],
            at.values + gram * at.scale[rows] * at.scale[cols],
        )

    @staticmethod
    def _step(prior: LatentPrior, analysis: linalg.Analysis, point: Point) -> jax.Array:
        """Newton's, within the constraints."""
        rhs = jnp.concatenate([point.slope[:, None], prior.krige], axis=1)
        logdet, gram, x = linalg.logdet_quad(analysis, point.values, rhs)
        found = constrained.condition(logdet, gram, prior.kappa, prior.logdet_cct)
        return x[:, 0] - x[:, 1:] @ found.weights

    def _joint(
        self, prior: LatentPrior, analysis: linalg.Analysis, at: Prior, theta: jax.Array, v: jax.Array
    ) -> jax.Array:
        """``J`` (m,) at each column of v (d, m), with all constants but those of the determinants."""
        eta = self._eta(at, v)
        own = self._own(theta)
        found = jax.vmap(lambda e: jnp.sum(self.family.loglik(self.y, e, own, self.weights)), in_axes=1)(eta)
        quad = jnp.sum(v * _times(prior, analysis, at.values, v), axis=0)
        return found - 0.5 * quad + prior.pull @ v - 0.5 * prior.constant + 0.5 * prior.flat * LOG_2PI

    def _eta(self, at: Prior, v: jax.Array) -> jax.Array:
        return jnp.asarray(self.offset)[:, None] + self.a.times(at.scale[:, None] * v)

    def _own(self, theta: jax.Array) -> dict[str, jax.Array]:
        """The family's parameters: a number for each kind, or a vector for a kind of several."""
        found = by_kind(theta, self.places)
        return {kind: values[0] if values.shape[0] == 1 else values for kind, values in found.items()}

    def _derivatives(self, eta: jax.Array, theta: jax.Array, order: int) -> list[jax.Array]:
        """First derivatives of the log-likelihoods in eta, elementwise; of even order with a minus for W."""
        own = self._own(theta)

        def one(e: jax.Array) -> jax.Array:
            return self.family.loglik(self.y, e, own, self.weights)

        found: list[jax.Array] = []
        function: Any = one
        for _ in range(order):
            function = _slope(function)
            found.append(function(eta))
        found[1] = -found[1]
        return found

    # The effects ------------------------------------------------------------------------------------------------------

    def conditional(
        self,
        prior: LatentPrior,
        analysis: linalg.Analysis,
        theta: jax.Array,
        z: jax.Array,
        draws: int | None = None,
    ) -> tuple[jax.Array, Effects]:
        """``log p(y | theta)``, unbiased on its own scale, and the effects given theta.

        Parameters
        ----------
        z : float array (d + k + 1, m)
            Standard normals; each column gives a pair of points, and chooses one draw.
        draws : int, optional
            How many draws to return, at most m; by default m.
        """
        found, at, pairs = self._pairs(prior, analysis, theta, z[:-1])
        m = z.shape[1]
        take = m if draws is None else draws
        share = jnp.cumsum(jnp.exp(pairs.log_weights - jax.nn.logsumexp(pairs.log_weights)))
        chosen = jnp.searchsorted(share, jax.scipy.special.ndtr(z[-1, :take]) * share[-1])
        points = pairs.points * at.scale[:, None]
        weights = jnp.diff(share, prepend=0.0)
        value = found.value + jax.nn.logsumexp(pairs.log_weights) - jnp.log(2.0 * m)
        return value, Effects(points @ weights, points[:, jnp.minimum(chosen, 2 * m - 1)])

    def variances(
        self,
        prior: LatentPrior,
        analysis: linalg.Analysis,
        theta: jax.Array,
        functionals: jax.Array,
        sums: Sequence[Sums],
        z: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        """Conditional variances of sums of effects and of linear functionals, by weighted points."""
        found, at, pairs = self._pairs(prior, analysis, theta, z[:-1])
        points = pairs.points * at.scale[:, None]
        weights = jax.nn.softmax(pairs.log_weights)

        def gained(values: jax.Array) -> jax.Array:
            """What weights add to the variance: its part without them is known."""
            average = jnp.mean(values, axis=1, keepdims=True)
            weighted = jnp.square(values - (values @ weights)[:, None]) @ weights
            return weighted - jnp.mean(jnp.square(values - average), axis=1)

        printed, others = normal_variances(prior, analysis, found.values, at.scale, functionals, sums)
        for some in sums:
            values = jnp.einsum("ms,msk->mk", some.weights, points[some.index])
            printed = printed.at[some.place].add(gained(values))
        return printed, others + gained(functionals.T @ points)

    def _pairs(
        self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array, z: jax.Array
    ) -> tuple[Found, Prior, Pairs]:
        at = Prior(*_ordered(prior.whiten(theta)))
        found = self._found(prior, analysis, theta)
        n = prior.dim
        k = prior.krige.shape[1]
        _, solved, inverse = linalg.solve_and_invert(analysis, found.values, prior.krige)
        kriging = constrained.kriging(prior.krige.T @ solved, prior.kappa)
        rows, cols = analysis.pattern.rows, analysis.pattern.cols
        s = self.a.quadratic(inverse * at.scale[rows] * at.scale[cols])
        if k:
            s = s - constrained.variance_correction(self.a.times(at.scale[:, None] * solved), kriging)
        _, w, third = self._derivatives(found.eta, theta, 3)
        push = 0.5 * at.scale * self.a.transposed_times((s * third)[:, None], n)[:, 0]
        rhs = jnp.concatenate([push[:, None], prior.krige], axis=1)
        _, x, noise = linalg.solve_and_sample(analysis, found.values, rhs, z[:n])
        shift = x[:, 0] - x[:, 1:] @ kriging.weights(prior.krige.T @ x[:, :1])[:, 0]
        noise = constrained.draw(noise, x[:, 1:], prior.krige, kriging, z[n:])
        points = found.v[:, None] + shift[:, None] + jnp.concatenate([noise, -noise], axis=1)
        quad = jnp.sum(noise * _times(prior, analysis, at.values, noise), axis=0)
        spread = self._eta(at, noise) - jnp.asarray(self.offset)[:, None]
        quad = quad + w @ jnp.square(spread)
        mode = self._joint(prior, analysis, at, theta, found.v[:, None])[0]
        log_weights = self._joint(prior, analysis, at, theta, points) - mode + 0.5 * jnp.tile(quad, 2)
        return found, at, Pairs(points, log_weights, shift)


class Pairs(NamedTuple):
    """Antithetic points (d, 2m), whitened, their log weights (2m,), and the shift of their centre from the mode."""

    points: jax.Array
    log_weights: jax.Array
    shift: jax.Array


def _ordered(whitened: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    return whitened.values, whitened.scale, whitened.logdet


def _slope(function: Any) -> Any:
    """The derivative of an elementwise function."""
    return lambda x: jax.jvp(function, (x,), (jnp.ones_like(x),))[1]


def _times(prior: LatentPrior, analysis: linalg.Analysis, values: jax.Array, v: jax.Array) -> jax.Array:
    """``R v`` (d, m) without the anchors."""
    rows, cols = analysis.pattern.rows, analysis.pattern.cols
    below = jnp.where(rows == cols, 0.0, values)
    out = jnp.zeros_like(v).at[rows].add(values[:, None] * v[cols]).at[cols].add(below[:, None] * v[rows])
    k = prior.kappa.shape[0]
    anchors = prior.krige[:, :k]
    return out - anchors @ (prior.kappa[:, None] * (anchors.T @ v))
