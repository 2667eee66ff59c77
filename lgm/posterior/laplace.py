"""The data side for any other response: Laplace's approximation of ``p(y | theta)``, with its error put back.

The density of the effects at one theta is in `lgm.posterior.inner`, its mode and Laplace's approximation in
`lgm.posterior.approximation`, weighted points in `lgm.posterior.points` and, for groups with few outcomes and for large
fields, in `lgm.posterior.spine` and `lgm.posterior.transport`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from lgm import linalg
from lgm.arrays import FloatArray
from lgm.linalg._jax import vmap_in_parts
from lgm.linalg.rows import Rows
from lgm.posterior import points, spine, stretch, transport
from lgm.posterior.approximation import Moments, approximate, moments
from lgm.posterior.every_row import EveryRow
from lgm.posterior.functionals import Effects, EffectsAtPoints, Even, FixedPoints, Linear, Odd, Sums
from lgm.posterior.inner import Inner, Observed, derivatives
from lgm.posterior.latent_prior import LatentPrior, Places
from lgm.posterior.leaves import Leaves
from lgm.posterior.linear_start import Start
from lgm.posterior.points import Points
from lgm.posterior.stretch import Tails
from lgm.posterior.variances import normal_variances

TOGETHER = 2**18  # rows times points that are gone through at once where leaves are integrated out
COSTLY = ("leaves", "transport")  # rungs for densities with one top, where every point takes time
# Where points are costly. Second moments of m draws among those of P pairs are as good as of m P / (m + P) independent
# draws: of a quarter of m here.
DRAWS_OF_A_PAIR = 3

Found: TypeAlias = Moments | spine.Found  # what is common to all points at one theta


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LaplaceData:
    """Rows with a response, and how ``p(y | theta)`` and the effects are approximated.

    Parameters
    ----------
    observed : Observed
    start : Start
        Of the search for the mode.
    leaves : Leaves, optional
        Effects that can be integrated out given the others.
    rung : {"laplace", "shifted", "weighted", "leaves", "transport"}
        What stands for ``p(y | theta)`` and for the effects: the plain approximation; with its second-order term and
        the effects about their shifted mean; with antithetic pairs of points and their weights; with such pairs of
        all but the leaves, which are integrated out; or with such pairs after a map that bends them.
    pairs : int
        Pairs that estimate the error at one theta, and of which effects are drawn.
    tails : Tails, optional
        Effects whose long tails weighted points follow, where leaves are integrated out and where none are.
    """

    observed: Observed
    start: Start
    leaves: Leaves | None
    rung: str = field(default="weighted", metadata={"static": True})
    pairs: int = field(default=8, metadata={"static": True})
    tails: Tails | None = None

    normal = False  # the effects given theta

    @property
    def places(self) -> Places:
        """Of the family's parameters in theta."""
        return self.observed.places

    def serves(self, rung: str) -> bool:
        """Whether there is such a rung: some need densities with one top, or leaves."""
        if rung == "leaves" and self.leaves is None:
            return False
        return rung not in COSTLY or self.observed.family.log_concave

    @property
    def costly(self) -> bool:
        """Whether each point costs a factorisation or many integrals."""
        return self.rung in COSTLY

    @property
    def bent(self) -> bool:
        """Whether each point costs a factorisation, and was made from a normal draw of all effects."""
        return self.rung == "transport"

    @property
    def extra_normals(self) -> int:
        """One chooses a point, others draw the leaves."""
        return 1 + (self.leaves.columns.size if self.rung == "leaves" and self.leaves is not None else 0)

    @property
    def exact(self) -> bool:
        """Whether nothing is known that would correct the density on which engines move."""
        return self.rung == "laplace"

    @property
    def least_residual(self) -> float:
        """Nothing is lost to rounding where a parameter of the family is small."""
        return 1e-300

    @property
    def scaled_rows(self) -> float:
        """None: a parameter of the family is no sd of a residual."""
        return 0.0

    def lost(self, theta: FloatArray) -> str | None:
        """Nothing is."""
        return None

    def columns(self, draws: int) -> int:
        """Columns of normals that estimate the error and give so many draws."""
        return max(draws, self.pairs)

    def log_likelihood(self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array) -> jax.Array:
        """``log p_L(y | theta)``; NaN where it is undefined."""
        return approximate(*self.at(prior, analysis, theta))[1]

    def started(self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array) -> LaplaceData:
        """The same with searches that start from a line through the mode at a theta."""
        mode = partial(self.mode, prior, analysis)
        return replace(self, start=Start.through(self.start, theta, mode(theta), jax.jacfwd(mode)(theta)))

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
            Standard normals; each column draws leaves and chooses one draw, and gives a pair of points: where these
            are costly, so many only as the density wants, or a third of the draws.
        draws : int, optional
            How many draws to return, at most m; by default m.
        """
        take = z.shape[1] if draws is None else draws

        def found(data: LaplaceData, prior: LatentPrior, theta: jax.Array, z: jax.Array) -> tuple[jax.Array, Effects]:
            return data._conditional(prior, analysis, theta, z, take)

        return self._few(found, z.shape[1])(self, prior, theta, z)

    def _conditional(
        self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array, z: jax.Array, take: int
    ) -> tuple[jax.Array, Effects]:
        inner, start = self.at(prior, analysis, theta)
        made = self._anew(inner, start, self._for_draws(z, take))
        return made.value + made.gain, self._drawn(inner, made, z, take)

    def _for_draws(self, z: jax.Array, take: int) -> jax.Array:
        """Normals of the points among which so many draws are chosen."""
        return z[:, : max(self.pairs, take // DRAWS_OF_A_PAIR)] if self.costly else z

    def _drawn(self, inner: Inner, made: Points, z: jax.Array, take: int) -> Effects:
        """The effects by weighted points, and draws chosen among these by the last normals of columns."""
        share = jnp.cumsum(jax.nn.softmax(made.log_weights))
        wanted = jax.scipy.special.ndtr(z[-1, :take]) * share[-1]
        chosen = jnp.minimum(jnp.searchsorted(share, wanted), share.shape[0] - 1)
        drawn = made.mean[:, chosen]
        if made.nodes is not None and self.leaves is not None:
            columns = self.leaves.columns
            uniform = jax.scipy.special.ndtr(z[-1 - columns.size : -1, :take]).reshape(*columns.shape, take)
            own = spine.drawn_leaves(inner, self.leaves, made.nodes, chosen, uniform)
            drawn = drawn.at[columns].set(own)
        return Effects(made.mean @ jnp.diff(share, prepend=0.0), drawn, made.gain)

    def found_at(self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array) -> Found:
        """What `fixed_points` and `effects_and_squares` at this theta have in common, whatever their normals."""
        return self.found(*self.at(prior, analysis, theta))

    def effects_and_squares(
        self,
        prior: LatentPrior,
        analysis: linalg.Analysis,
        theta: jax.Array,
        found: Found,
        sums: Sequence[Sums],
        z: jax.Array,
        draws: int,
    ) -> tuple[Effects, jax.Array]:
        """The effects as from `conditional`, and of sums of them what the same points say of their spread.

        Parameters
        ----------
        found : Found
            That of theta.
        sums : sequence of Sums
        z : float array (n_normals, m)
        draws : int

        Returns
        -------
        effects : Effects
        squares : float array (number of sums,)
            Averages of the squares about `centre`, less those of the normal draws that points were made from: with
            these averaged over calls, the variance is ``known + squares - (mean - centre)^2``, where ``known`` is that
            of `normal_spread`.
        """
        inner, _ = self.at(prior, analysis, theta)
        made = self.points(inner, found, self._for_draws(z, draws))
        squares = self._squares(inner, made, sums, inner.scale * found.v)[0]
        return self._drawn(inner, made, z, draws), squares

    def effects_at_points(
        self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array, found: Found, z: jax.Array
    ) -> EffectsAtPoints:
        """All effects at pairs of weighted points, from columns of normals z (n_normals, m), and what is found."""
        made = self.points(self.at(prior, analysis, theta)[0], found, z)
        return EffectsAtPoints(made.mean, made.drawn, made.log_weights)

    def normal_spread(
        self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array, found: Found, sums: Sequence[Sums]
    ) -> tuple[jax.Array, jax.Array]:
        """The centre of all points (d,), natural scale, and the known part of the variances of sums."""
        inner, _ = self.at(prior, analysis, theta)
        nothing = jnp.zeros((prior.dim, 0))
        known = normal_variances(prior, analysis, found.values, inner.scale, nothing, sums)[0]
        if self.rung == "leaves" and self.leaves is not None:
            for some in sums:
                known = known.at[some.place].multiply(~self.leaves.inside(some, prior.dim))
        return inner.scale * found.v, known

    def _squares(
        self, inner: Inner, made: Points, sums: Sequence[Sums], centre: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """See `effects_and_squares`; and which sums have leaves, of which nothing is known beside the points."""
        weights = jax.nn.softmax(made.log_weights)
        size = sum(some.place.shape[0] for some in sums)
        squares, inside = jnp.zeros(size), jnp.zeros(size, bool)
        for some in sums:
            away, normal = (
                jnp.einsum("ms,msk->mk", some.weights, v[some.index]) for v in (made.mean - centre[:, None], made.drawn)
            )
            own = jnp.square(away) @ weights
            known = jnp.mean(jnp.square(normal), axis=1)
            if made.nodes is not None and self.leaves is not None:
                of_leaf = self.leaves.inside(some, inner.prior.dim)
                within = self.leaves.variances(some, inner.scale, made.nodes.cov @ weights)
                own, known = own + within, jnp.where(of_leaf, 0.0, known)
                inside = inside.at[some.place].set(of_leaf)
            squares = squares.at[some.place].set(own - known)
        return squares, inside

    def fixed_points(
        self,
        prior: LatentPrior,
        analysis: linalg.Analysis,
        theta: jax.Array,
        found: Found,
        basis: jax.Array,
        z: jax.Array,
    ) -> FixedPoints:
        """Fixed effects at pairs of weighted points, and parts of the weights whose moments are known.

        Parameters
        ----------
        found : Found
            That of theta.
        basis : float array (p, p)
            Combinations of the fixed effects, of which cubes are wanted.
        z : float array (n_normals, m)
            Standard normals, a column for each pair.
        """
        inner, _ = self.at(prior, analysis, theta)
        made = self.points(inner, found, z)
        p = prior.dim - prior.q
        own = inner.scale[:, None] * jnp.eye(prior.dim, p)
        solved = inner.solve(made.values, own)
        cov = inner.scale[:p, None] * solved[:p]
        mean = made.mean @ jax.nn.softmax(made.log_weights)
        skew, parts = made.skew, made.even
        odd = even = None
        along = inner.spread(solved) @ basis.T  # covariances with linear predictors
        if skew is not None:
            odd = Odd(skew.odd, inner.scale * skew.found, inner.scale * skew.known, skew.third @ along**3)
        if parts is not None:
            even = Even(parts.values, (parts.rows * parts.spread) @ along**2, parts.rows @ along**4)
        return FixedPoints(made.mean[:p], made.log_weights, made.drawn[:p], cov, mean, made.gain, odd, even)

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

        def found(data: LaplaceData, prior: LatentPrior, *args: Any) -> tuple[jax.Array, jax.Array]:
            return data._variances(prior, analysis, *args)

        return self._few(found, z.shape[1])(self, prior, theta, functionals, tuple(sums), z)

    def _variances(
        self,
        prior: LatentPrior,
        analysis: linalg.Analysis,
        theta: jax.Array,
        functionals: jax.Array,
        sums: Sequence[Sums],
        z: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        inner, start = self.at(prior, analysis, theta)
        made = self._anew(inner, start, z)
        printed, others = normal_variances(prior, analysis, made.values, inner.scale, functionals, sums)
        if self.rung != "weighted" and not self.costly:
            return printed, others
        weights = jax.nn.softmax(made.log_weights)
        centre = made.mean @ weights
        squares, inside = self._squares(inner, made, sums, centre)
        away = functionals.T @ (made.mean - centre[:, None])
        gained = jnp.square(away) @ weights - jnp.mean(jnp.square(functionals.T @ made.drawn), axis=1)
        return jnp.where(inside, 0.0, printed) + squares, others + gained

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
        inner, start = self.at(prior, analysis, theta)
        common = self.found(inner, start)
        log_weights = self.points(inner, common, z).log_weights
        pairs = jnp.logaddexp(*jnp.split(log_weights, 2)) - jnp.log(2.0)
        found = common if isinstance(common, Moments) else moments(inner, start)
        variance = normal_variances(prior, analysis, found.values, inner.scale, functionals, ())[1]
        shift = functionals.T @ (inner.scale * found.shift)
        eta = points.noise(inner, found.values, _of_effects(prior, z)).eta
        second = points.second_order(inner, found, eta)
        return Accuracy(pairs, shift / jnp.sqrt(variance), second, stretch.lean(inner, found))

    def leaning(
        self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array, start: jax.Array
    ) -> stretch.Leaning:
        """Combinations of effects along which the density leans most, of those near some functionals (d, J).

        Effects of leaves are in none: where their densities lean far, they are integrated out.
        """
        inner, begin = self.at(prior, analysis, theta)
        apart = np.zeros(0, dtype=int) if self.leaves is None else self.leaves.columns
        return stretch.leaning(inner, moments(inner, begin), start, apart)

    def widths(self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array) -> jax.Array:
        """How far points follow the tails, below and above (J, 2)."""
        assert self.tails is not None
        inner, start = self.at(prior, analysis, theta)
        found = self.found(inner, start)
        own = found.stretch if isinstance(found, spine.Found) else points.stretched(inner, found, self.tails)[1]
        assert own is not None
        return own.widths

    def linear(self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array, a: Rows) -> Linear:
        """Modes, variances and shifts of ``A u`` by the normal approximation.

        For rows whose pairs of columns are in the pattern of H.
        """
        inner, start = self.at(prior, analysis, theta)
        found = moments(inner, start)
        variance = a.quadratic(inner.whole(linalg.selected_inverse(analysis, found.values)))
        both = a.times(inner.scale[:, None] * jnp.stack([found.v, found.shift], axis=1))
        return Linear(both[:, 0], variance, both[:, 1])

    def keeping(self, rows: EveryRow, counted: jax.Array, nnz: int) -> LaplaceData:
        """Those of all rows that have a one (n,)."""
        return replace(self, observed=rows.observed.keeping(counted), leaves=rows.leaves)

    def answering(self, rows: EveryRow) -> LaplaceData:
        """All rows one by one, with responses and offsets of their own."""
        return replace(self, observed=rows.observed, leaves=rows.leaves)

    def given(self, analysis: linalg.Analysis, theta: jax.Array, u: jax.Array) -> jax.Array:
        """``log p(y | u, theta)`` at effects u (p + q,)."""
        return jnp.sum(self.observed.loglik(theta)(self.observed.eta(u)))

    def information(self, analysis: linalg.Analysis, theta: jax.Array, u: jax.Array) -> jax.Array:
        """``A'WA`` in pattern order, at effects u."""
        loglik = self.observed.loglik(theta)
        return self.observed.a.gram(-derivatives(loglik, self.observed.eta(u), 2)[1], analysis.pattern.nnz)

    def mode(self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array) -> jax.Array:
        """The most probable whitened effects given theta."""
        return approximate(*self.at(prior, analysis, theta))[0]

    def _few(self, function: Callable[..., Any], m: int) -> Callable[..., Any]:
        """The function, which takes few thetas of a batch at a time where rows have leaves at all of m pairs."""
        if self.rung != "leaves":
            return function
        return vmap_in_parts(function, max(TOGETHER // (2 * m * self.observed.a.n), 1))

    def at(self, prior: LatentPrior, analysis: linalg.Analysis, theta: jax.Array) -> tuple[Inner, jax.Array]:
        """The density of the effects at a theta, and where the search for its mode starts."""
        return Inner.at(self.observed, prior, analysis, theta), self.start.at(theta)

    def found(self, inner: Inner, start: jax.Array) -> Found:
        """What is common to all points by the rung."""
        if self.rung == "leaves" and self.leaves is not None:
            return spine.found(inner, self.leaves, start, self.tails)
        return moments(inner, start)

    def points(self, inner: Inner, found: Found, z: jax.Array) -> Points:
        """By the rung, from columns of normals z (n_normals, m)."""
        z = _of_effects(inner.prior, z)
        if isinstance(found, spine.Found):
            assert self.leaves is not None
            return spine.weighted(inner, self.leaves, found, z)
        if self.rung == "weighted":
            return points.weighted(inner, found, z, self.tails)
        if self.rung == "transport":
            return transport.weighted(inner, found, z)
        return points.normal(inner, found, z, shifted=self.rung == "shifted")

    def _anew(self, inner: Inner, start: jax.Array, z: jax.Array) -> Points:
        """The same at a theta of which nothing is known yet."""
        if self.rung == "weighted":
            return points.weighted_anew(inner, start, _of_effects(inner.prior, z), self.tails)
        return self.points(inner, self.found(inner, start), z)


class Accuracy(NamedTuple):
    """Log weights of pairs (m,), shifts of functionals in sds (j,), and the second-order term of ``log p``.

    And how the densities of effects lean at the mode (d,).
    """

    log_weights: jax.Array
    shift: jax.Array
    second: jax.Array
    lean: jax.Array


def _of_effects(prior: LatentPrior, z: jax.Array) -> jax.Array:
    """The normals of effects and constraints."""
    return z[: prior.dim + prior.k]
