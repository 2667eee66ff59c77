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
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lgm import linalg
from lgm.arrays import FloatArray, Numbers
from lgm.families.family import Family
from lgm.families.response import Response
from lgm.linalg import constrained, newton
from lgm.linalg._jax import sequential_vmap
from lgm.linalg.rows import Rows
from lgm.posterior.functionals import Effects, Sums
from lgm.posterior.latent_prior import LatentPrior, Places, by_kind
from lgm.posterior.leaves import NODES, Given, Leaves, Nodes, averaged, ends, nodes
from lgm.posterior.linear_start import Start
from lgm.posterior.variances import normal_variances

LOG_2PI = 1.8378770664093453
MOST_STEPS = 30  # of Newton's method
HALVINGS = 12  # of one step
SPINE_STEPS = 2  # towards where the spine is once leaves are integrated out
PROBES = 24  # draws that estimate the second-order term
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
    start : Start
        Of the search for the mode.
    family : Family
    places : Places
        Of the family's parameters in theta.
    leaves : Leaves, optional
        Effects that can be integrated out given the others.
    rung : {"laplace", "shifted", "weighted", "leaves"}
        What stands for ``p(y | theta)`` and for the effects: the plain approximation; with its second-order term and
        the effects about their shifted mean; with antithetic pairs of points and their weights; or with such pairs of
        all but the leaves, which are integrated out.
    pairs : int
        Pairs that estimate the error at one theta, and of which effects are drawn.
    """

    a: Rows
    y: Response
    weights: Numbers
    offset: Numbers
    start: Start
    leaves: Leaves | None
    family: Family = field(metadata={"static": True})
    places: Places = field(metadata={"static": True})
    rung: str = field(default="weighted", metadata={"static": True})
    pairs: int = field(default=8, metadata={"static": True})

    normal = False  # the effects given theta

    @property
    def by_quadrature(self) -> bool:
        """Whether there are leaves, and their densities have one top."""
        return self.leaves is not None and self.family.log_concave

    @property
    def extra_normals(self) -> int:
        """One chooses a point, others draw the leaves."""
        return 1 + (self.leaves.size if self.rung == "leaves" and self.leaves is not None else 0)

    @property
    def exact(self) -> bool:
        """Whether nothing is known that would correct the density on which engines move."""
        return self.rung == "laplace"

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
        """The mode and the value there, differentiable in theta."""
        at = Prior(*_ordered(prior.whiten(theta)))
        if self.family.kernel is not None and isinstance(analysis, linalg.SparseAnalysis):
            v, value = _approximate(analysis, self, prior, at, theta)
        else:
            v, value = self._polished(prior, analysis, at, theta)
        point = self._point(prior, analysis, at, theta, v)
        return Found(v, value, point.eta, point.values)

    def _polished(
        self, prior: LatentPrior, analysis: linalg.Analysis, at: Prior, theta: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """The mode and the value there: after the search, one step with a system that is held."""
        start = self.start.at(theta)
        v = _search(analysis, *jax.lax.stop_gradient((self, prior, at, theta, start)))
        point = self._point(prior, analysis, at, theta, v)
        v = v + self._step(prior, analysis, point._replace(values=jax.lax.stop_gradient(point.values)))
        final = self._point(prior, analysis, at, theta, v)
        logdet, gram, _ = linalg.logdet_quad(analysis, final.values, prior.krige)
        gram = jnp.pad(gram, ((1, 0), (1, 0)))
        logdet_h = constrained.condition(logdet, gram, prior.kappa, prior.logdet_cct).logdet
        value = self._joint(prior, analysis, at, theta, v[:, None])[0]
        return v, value + 0.5 * (at.logdet - logdet_h)

    def mode(
        self, prior: LatentPrior, analysis: linalg.Analysis, at: Prior, theta: jax.Array, start: jax.Array
    ) -> jax.Array:
        """Newton's method with halved steps, from a start or, where there is no density there, from the reference."""

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

        both = jnp.stack([start, jnp.zeros_like(start)], axis=1)
        values = self._joint(prior, analysis, at, theta, both)
        fine = jnp.isfinite(values[0])
        v, value = jnp.where(fine, start, 0.0), jnp.where(fine, values[0], values[1])
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
        slope = at.scale * self.a.transposed_times(g[:, None], prior.dim)[:, 0] + prior.pull
        return Point(
            eta,
            slope - _times(prior, analysis, at.values, v[:, None])[:, 0],
            self._curvature(analysis, at, w),
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

    def started(self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array) -> LaplaceData:
        """The same with searches that start from a line through the mode at a theta."""

        def mode(at: jax.Array) -> jax.Array:
            return self._found(prior, analysis, at).v

        return replace(self, start=Start.through(self.start, theta, mode(theta), jax.jacfwd(mode)(theta)))

    # For the kernel

    def kernel_arguments(self, prior: LatentPrior, at: Prior, theta: jax.Array) -> tuple[Any, ...]:
        """Those of `newton.find_mode` after the analysis."""
        trials = newton.no_trials() if self.y.trials is None else self.y.trials
        pulls = prior.pull, prior.krige, prior.kappa
        problem = newton.Problem(self.a, self.offset, self.y.value, trials, self.weights, *pulls)
        own = theta[np.array([place for _, where in self.places for place in where], dtype=int)]
        return self.family.kernel, problem, at.values, at.scale, own, self.start.at(theta)

    def value(self, prior: LatentPrior, at: Prior, found: newton.Mode) -> jax.Array:
        """``log p_L(y | theta)`` with the constants that the kernel leaves out."""
        joint = found.joint - 0.5 * prior.constant + 0.5 * prior.flat * LOG_2PI
        return joint + 0.5 * (at.logdet - found.logdet + prior.logdet_cct)

    def leaning(self, theta: jax.Array, slopes: newton.Slopes) -> jax.Array:
        """What has the derivatives of the value by the family's own parameters."""
        g, w = self._derivatives(slopes.eta, theta, 2)
        found = self.family.loglik(self.y, slopes.eta, self._own(theta), self.weights)
        return jnp.sum(found - 0.5 * slopes.spread * w + slopes.lean * g)

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
        """``log p(y | theta)``, on its own scale without bias where effects are weighted, and the effects given theta.

        Parameters
        ----------
        z : float array (n_normals, m)
            Standard normals; each column gives a pair of points, draws leaves, and chooses one draw.
        draws : int, optional
            How many draws to return, at most m; by default m.
        """
        points = self._sampled(prior, analysis, theta, z)
        take = z.shape[1] if draws is None else draws
        share = jnp.cumsum(jax.nn.softmax(points.log_weights))
        wanted = jax.scipy.special.ndtr(z[-1, :take]) * share[-1]
        chosen = jnp.minimum(jnp.searchsorted(share, wanted), share.shape[0] - 1)
        drawn = points.mean[:, chosen]
        if points.nodes is not None and self.leaves is not None:
            uniform = jax.scipy.special.ndtr(z[-1 - self.leaves.size : -1, :take])
            own = points.nodes.take(chosen).draw(uniform)
            drawn = drawn.at[self.leaves.columns].set(points.at.scale[self.leaves.columns][:, None] * own)
        mean = points.mean @ jnp.diff(share, prepend=0.0)
        return points.found.value + points.gain, Effects(mean, drawn, points.gain)

    def variances(
        self,
        prior: LatentPrior,
        analysis: linalg.Analysis,
        theta: jax.Array,
        functionals: jax.Array,
        sums: Sequence[Sums],
        z: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        """Conditional variances of sums of effects and of linear functionals: the normal ones, and what weights add."""
        points = self._sampled(prior, analysis, theta, z)
        printed, others = normal_variances(prior, analysis, points.values, points.at.scale, functionals, sums)
        if self.rung not in ("weighted", "leaves"):
            return printed, others
        weights = jax.nn.softmax(points.log_weights)

        def weighted(values: jax.Array) -> jax.Array:
            return jnp.square(values - (values @ weights)[:, None]) @ weights

        def gained(values: jax.Array) -> jax.Array:
            average = jnp.mean(values, axis=1, keepdims=True)
            return weighted(values) - jnp.mean(jnp.square(values - average), axis=1)

        inside, own = jnp.zeros(prior.dim, bool), jnp.zeros(prior.dim)
        if points.nodes is not None and self.leaves is not None:
            inside = inside.at[self.leaves.columns].set(True)
            scale = points.at.scale[self.leaves.columns]
            own = own.at[self.leaves.columns].set(jnp.square(scale) * (points.nodes.moments()[1] @ weights))
        for some in sums:
            values = jnp.einsum("ms,msk->mk", some.weights, points.mean[some.index])
            within = jnp.sum(jnp.square(some.weights) * own[some.index], axis=1)
            of_leaves = jnp.any(inside[some.index], axis=1)
            found = jnp.where(of_leaves, weighted(values) + within, printed[some.place] + gained(values))
            printed = printed.at[some.place].set(found)
        return printed, others + gained(functionals.T @ points.mean)

    def accuracy(
        self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array, functionals: jax.Array, z: jax.Array
    ) -> Accuracy:
        """How good the approximation is at a theta.

        Parameters
        ----------
        functionals : float array (d, j)
            Of natural effects, whose shift is wanted in units of their sd.
        z : float array (n_normals, m)
            Standard normals, for m pairs.
        """
        around = self._around(prior, analysis, theta, z[: prior.dim + prior.kappa.shape[0]])
        log_weights = self._sampled(prior, analysis, theta, z).log_weights
        variance = normal_variances(prior, analysis, around.found.values, around.at.scale, functionals, ())[1]
        shift = functionals.T @ (around.at.scale * around.shift)
        pairs = jnp.logaddexp(*jnp.split(log_weights, 2)) - jnp.log(2.0)
        return Accuracy(pairs, shift / jnp.sqrt(variance), around.second)

    def _sampled(self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array, z: jax.Array) -> Points:
        """Points of the effects and their weights, by the rung."""
        normals = z[: prior.dim + prior.kappa.shape[0]]
        if self.rung == "leaves" and self.leaves is not None:
            return self._by_leaves(self.leaves, prior, analysis, theta, normals)
        around = self._around(prior, analysis, theta, normals)
        points = self._points(around)
        if self.rung == "weighted":
            log_weights = self._log_weights(prior, analysis, theta, around, points)
            gain = jax.nn.logsumexp(log_weights) - jnp.log(float(log_weights.shape[0]))
        else:
            log_weights = jnp.zeros(points.shape[1])
            gain = around.second if self.rung == "shifted" else jnp.zeros(())
        mean = points * around.at.scale[:, None]
        return Points(around.found, around.at, around.found.values, mean, log_weights, gain, None)

    def _by_leaves(
        self, leaves: Leaves, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array, z: jax.Array
    ) -> Points:
        """Points of the spine, each with its leaves integrated out.

        The spine's centre and precision are those of the mode with slopes and curvatures of the likelihood averaged
        over the leaves. With ``H_s`` what the averaged H' leaves of the spine, its weights are

            exp( J_s(s) - J(v^) + s'H_s s / 2 ) prod_g I_g(s) sqrt(H'_gg / 2 pi) |H'(v^)|^1/2 / |H'|^1/2
        """
        at = Prior(*_ordered(prior.whiten(theta)))
        found = self._found(prior, analysis, theta)
        own, col = self._own(theta), leaves.columns
        push, r = leaves.entry * leaves.by_row(at.scale[col]), at.values[leaves.diagonal]

        def loglik(eta: jax.Array) -> jax.Array:
            return self.family.loglik(self.y, eta, own, self.weights)

        def given(v: jax.Array) -> Given:
            return Given(self._eta(at, v.at[col].set(0.0)), push, r)

        def integrated(v: jax.Array) -> Integrated:
            here = given(v[:, None])
            low, high = ends(leaves, loglik, here, v[col])
            step = (high - low) / (NODES - 1)
            found = nodes(leaves, loglik, here, low[:, None], step[:, None])
            slope, w = averaged(leaves, loglik, here, found)
            return Integrated(low, step, found.moments()[0][:, 0], slope, w)

        def climb(v: jax.Array, _: None) -> tuple[jax.Array, None]:
            here = integrated(v)
            mean = v.at[col].set(here.mean)
            slope = at.scale * self.a.transposed_times(here.slope[:, None], prior.dim)[:, 0] + prior.pull
            slope = (slope - _times(prior, analysis, at.values, mean[:, None])[:, 0]).at[col].set(0.0)
            values = self._curvature(analysis, at, here.w)
            return mean + self._step(prior, analysis, Point(found.eta, slope, values)), None

        v = jax.lax.scan(climb, found.v, None, length=SPINE_STEPS)[0]
        low, step, _, _, w = integrated(v)
        values = self._curvature(analysis, at, w)
        logdet, solved, noise = linalg.solve_and_sample(analysis, values, prior.krige, z[: prior.dim])
        gram = jnp.pad(prior.krige.T @ solved, ((1, 0), (1, 0)))
        c = constrained.condition(logdet, gram, prior.kappa, prior.logdet_cct)
        noise = constrained.draw(noise, solved, prior.krige, c.kriging, z[prior.dim :])
        spread = self._eta(at, noise) - jnp.asarray(self.offset)[:, None]
        product = _times(prior, analysis, at.values, noise)
        product = product + at.scale[:, None] * self.a.transposed_times(w[:, None] * spread, prior.dim)
        precision = values[leaves.diagonal]
        away = product[col] / precision[:, None]  # of each leaf from its mean given the spine
        quad = jnp.sum(noise * product, axis=0) - jnp.sum(precision[:, None] * jnp.square(away), axis=0)
        moved = noise[col] - away
        spine = v[:, None] + jnp.concatenate([noise, -noise], axis=1)
        first = low[:, None] + jnp.concatenate([moved, -moved], axis=1)
        each = nodes(leaves, loglik, given(spine), first, jnp.broadcast_to(step[:, None], first.shape))
        mode = self._joint(prior, analysis, at, theta, found.v[:, None])[0]
        logdet_mode = at.logdet - 2.0 * (found.value - mode)
        known = 0.5 * (logdet_mode - c.logdet + jnp.sum(jnp.log(precision)) - leaves.size * LOG_2PI) - mode
        log_weights = self._joint(prior, analysis, at, theta, spine.at[col].set(0.0)) + known
        log_weights = log_weights + jnp.sum(each.log_integral, axis=0) + 0.5 * jnp.tile(quad, 2)
        gain = jax.nn.logsumexp(log_weights) - jnp.log(float(log_weights.shape[0]))
        means = at.scale[:, None] * spine.at[col].set(each.moments()[0])
        return Points(found, at, values, means, log_weights, gain, each)

    def _curvature(self, analysis: linalg.Analysis, at: Prior, w: jax.Array) -> jax.Array:
        """``H'`` with anchors, in pattern order, for weights w (n,)."""
        rows, cols = analysis.pattern.rows, analysis.pattern.cols
        return at.values + self.a.gram(w, analysis.pattern.nnz) * at.scale[rows] * at.scale[cols]

    def _around(self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array, z: jax.Array) -> Around:
        """The normal approximation at a theta and its draws, one for each column of normals z (d + k, m)."""
        at = Prior(*_ordered(prior.whiten(theta)))
        found = self._found(prior, analysis, theta)
        n = prior.dim
        _, solved, inverse = linalg.solve_and_invert(analysis, found.values, prior.krige)
        kriging = constrained.kriging(prior.krige.T @ solved, prior.kappa)
        rows, cols = analysis.pattern.rows, analysis.pattern.cols
        s = self.a.quadratic(inverse * at.scale[rows] * at.scale[cols])
        if prior.krige.shape[1]:
            s = s - constrained.variance_correction(self.a.times(at.scale[:, None] * solved), kriging)
        _, w, third, fourth = self._derivatives(found.eta, theta, 4)
        push = 0.5 * at.scale * self.a.transposed_times((s * third)[:, None], n)[:, 0]
        rhs = jnp.concatenate([push[:, None], prior.krige], axis=1)
        m = z.shape[1]
        if self.rung == "shifted":  # the same probes everywhere, so that the density is a function of theta
            probes = jax.random.normal(jax.random.key(0), (z.shape[0], PROBES))
            z = jnp.concatenate([z, probes], axis=1)
        _, x, noise = linalg.solve_and_sample(analysis, found.values, rhs, z[:n])
        shift = x[:, 0] - x[:, 1:] @ kriging.weights(prior.krige.T @ x[:, :1])[:, 0]
        noise = constrained.draw(noise, x[:, 1:], prior.krige, kriging, z[n:])
        spread = self._eta(at, noise) - jnp.asarray(self.offset)[:, None]
        cubes = _cubes(third, spread[:, m:] if self.rung == "shifted" else spread)
        second = jnp.vdot(fourth, jnp.square(s)) / 8.0 + 0.5 * jnp.vdot(push, shift) + cubes / 12.0
        return Around(found, at, shift, noise[:, :m], spread[:, :m], w, second)

    def _points(self, around: Around) -> jax.Array:
        """Antithetic points (d, 2m), whitened; the plain approximation does not shift them."""
        centre = around.found.v + (0.0 if self.rung == "laplace" else around.shift)
        return centre[:, None] + jnp.concatenate([around.noise, -around.noise], axis=1)

    def _log_weights(
        self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array, around: Around, points: jax.Array
    ) -> jax.Array:
        """Of points (d, 2m), whose average estimates what ``p(y | theta)`` is beside its approximation."""
        quad = jnp.sum(around.noise * _times(prior, analysis, around.at.values, around.noise), axis=0)
        quad = quad + around.w @ jnp.square(around.spread)
        mode = self._joint(prior, analysis, around.at, theta, around.found.v[:, None])[0]
        return self._joint(prior, analysis, around.at, theta, points) - mode + 0.5 * jnp.tile(quad, 2)


# The search, and the approximation at its end. Arrays are arguments, so that a batch is seen as one.


def _search(analysis: linalg.Analysis, *args: Any) -> jax.Array:
    """`LaplaceData.mode`, each element of a batch by itself: none waits for the slowest."""

    @sequential_vmap
    def one(data: LaplaceData, *rest: Any) -> jax.Array:
        prior, *others = rest
        return data.mode(prior, analysis, *others)

    return jnp.asarray(one(*args))


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _approximate(
    analysis: linalg.SparseAnalysis, data: LaplaceData, prior: LatentPrior, at: Prior, theta: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The mode and ``log p_L(y | theta)`` by the kernel."""
    found = newton.find_mode(analysis, *data.kernel_arguments(prior, at, theta))
    return found.v, data.value(prior, at, found)


@_approximate.defjvp
def _approximate_jvp(analysis: linalg.SparseAnalysis, primals: Any, tangents: Any) -> Any:
    data, prior, at, theta = primals
    d_at, d_theta = tangents[2:]
    found, slopes = newton.find_mode_and_slopes(analysis, *data.kernel_arguments(prior, at, theta))
    d_value = jnp.vdot(slopes.values, d_at.values) + jnp.vdot(slopes.scale, d_at.scale) + 0.5 * d_at.logdet
    if data.places:
        d_value = d_value + jax.jvp(lambda t: data.leaning(t, slopes), (theta,), (d_theta,))[1]

    def point(at: Prior, theta: jax.Array) -> Point:
        return data._point(prior, analysis, at, theta, found.v)

    here, change = jax.jvp(point, (at, theta), (d_at, d_theta))
    d_v = data._step(prior, analysis, here._replace(slope=change.slope))
    return (found.v, data.value(prior, at, found)), (d_v, d_value)


class Integrated(NamedTuple):
    """Leaves at one place of the spine: their nodes and means (G,), and the rows' average slope and curvature (n,)."""

    low: jax.Array
    step: jax.Array
    mean: jax.Array
    slope: jax.Array
    w: jax.Array


class Points(NamedTuple):
    """Weighted points of the effects at one theta."""

    found: Found
    at: Prior
    values: jax.Array  # the precision H' that they come from, with anchors
    mean: jax.Array  # (d, c), natural scale; of leaves, their means given the others
    log_weights: jax.Array  # (c,)
    gain: jax.Array  # log of their mean: what p(y | theta) is beside its approximation
    nodes: Nodes | None  # of the leaves at each point


class Around(NamedTuple):
    """The normal approximation at a theta, with draws of it about zero."""

    found: Found
    at: Prior
    shift: jax.Array  # of the mean from the mode, first order (d,)
    noise: jax.Array  # (d, m)
    spread: jax.Array  # what the noise adds to eta (n, m)
    w: jax.Array  # (n,)
    second: jax.Array  # second-order term of log p(y | theta) (), Shun & McCullagh (1995)


class Accuracy(NamedTuple):
    """Log weights of pairs (m,), shifts of functionals in sds (j,), and the second-order term of ``log p``."""

    log_weights: jax.Array
    shift: jax.Array
    second: jax.Array


def _cubes(third: jax.Array, spread: jax.Array) -> jax.Array:
    """``sum_ij l3_i l3_j s_ij^3`` as ``E (sum_i l3_i x_i y_i z_i)^2``, over draws of eta (n, m) by threes."""
    m = spread.shape[1] // 3
    if not m:
        return jnp.zeros(())
    x, y, z = (spread[:, k * m : (k + 1) * m] for k in range(3))
    return jnp.mean(jnp.square(third @ (x * y * z)))


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
