"""Coordinates for the search of the mode of theta, in which a covariance may be singular.

At ``sd = 0`` the correlations of an effect say nothing, so that a climb which arrives there with the wrong sign of one
stays. In the entries of the lower factor of the covariance matrix of a group's effects the likelihood is smooth, and a
singular matrix has a zero on the diagonal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lgm.arrays import BoolArray, FloatArray, IntArray
from lgm.inference.compile import jit
from lgm.inference.scales import natural_to_folded
from lgm.posterior import density
from lgm.posterior.density import Marginal
from lgm.posterior.slots import Scalars, Slot

_DEPENDENT = 1e-4  # what a row of a factor has of its own, beside all of it, below which that is nothing
_LEFT = 0.01  # of a variance after a step of EM, whose slope may be off where the density is no normal one
_SLIGHT = 1e-6  # change of a logarithm that is linear


class Group(NamedTuple):
    """Where a group of q correlated effects stands: its sds and correlations in theta, their places in coordinates."""

    sd: tuple[int, ...]
    corr: tuple[int, ...]
    diagonal: tuple[int, ...]
    below: tuple[int, ...]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Factors:
    """The density of theta itself: folded coordinates, but entries of the factors of groups, and logs for the family.

    The sign of a diagonal entry does not matter but for the first, which turns all covariances with its effect around.
    The family's scale is not zero, as sds of effects may be.

    Parameters
    ----------
    post : Marginal
    least : float array ()
        Least variance of an effect given those before it in its group, beside what these explain of it: the precision
        of a singular matrix is infinite.
    groups : tuple of Group
    logs : tuple of (int, int)
        Where values from zero up of the family stand in theta, and their coordinates.
    """

    post: Marginal
    least: FloatArray
    groups: tuple[Group, ...] = field(metadata={"static": True})
    logs: tuple[tuple[int, int], ...] = field(metadata={"static": True})

    @classmethod
    def of(cls, post: Marginal, least: float) -> Factors:
        """With all groups of which no sd or correlation is held or bounded by its prior."""
        places = _coordinates(post)
        latent = {i for block in post.prior.places for _, where in block for i in where}
        folded = post.hyper.folded
        logs = tuple((i, at) for i, at in places.items() if i not in latent and folded[at])
        return cls(post, np.asarray(least, dtype=float), tuple(_groups(post, places)), logs)

    @property
    def folded(self) -> BoolArray:
        """Which coordinates are values from zero up (d,)."""
        out = np.array(self.post.hyper.folded, dtype=bool)
        out[[at for _, at in self.logs]] = False
        return out

    def vanishing(self, i: int) -> list[IntArray]:
        """What may be zero with coordinate i: its row of a factor, where nothing of its effect is left, or it alone."""
        for group in self.groups:
            if i in group.diagonal:
                return [self._rows(group)[group.diagonal.index(i)], np.array([i])]
        return [np.array([i])]

    def beside(self, i: int) -> IntArray:
        """Coordinates of the block of coordinate i that are neither sds nor in a factor: a rho, a range, a share."""
        at = _scalars(self.post)
        factors = {place for group in self.groups for place in (*group.diagonal, *group.below)}
        blocks = [[at[k] for _, where in block for k in where if k in at] for block in self.post.prior.places]
        own = next((block for block in blocks if i in block), [])
        return np.array([k for k in own if not self.folded[k] and k not in factors], dtype=np.int64)

    def beside_zero(self, z: FloatArray) -> dict[int, int]:
        """Values of theta and their coordinates that are neither sds nor in a factor, of blocks with an sd of zero."""
        at = _scalars(self.post)
        beside = {k for i in map(int, np.flatnonzero(self.folded & (z == 0.0))) for k in self.beside(i).tolist()}
        return {place: k for place, k in at.items() if k in beside}

    def moves(self, z: FloatArray) -> BoolArray:
        """Which coordinates move the density where those that are zero stay there."""
        out = ~self.folded | (z != 0.0)
        for group in self.groups:
            for row, column in zip(self._rows(group), self._columns(group), strict=True):
                out[row] &= bool(np.any(z[row]))
                out[column] &= bool(z[row[0]] != 0.0)
        return out

    def singular(self, z: FloatArray, share: float = 0.0) -> bool:
        """Whether an effect of a group is nothing, or a sum of others but for a share of its sd."""
        scale = self.scale(z)
        return any(
            bool(np.any(np.abs(z[at]) <= share * scale[at])) for at in (list(group.diagonal) for group in self.groups)
        )

    def canonical(self, z: FloatArray) -> FloatArray:
        """The same covariances (but for rounding) by factors whose diagonals are not negative.

        Where a diagonal entry is zero so is the column below, which would else say what other columns can.
        """
        z = z.copy()
        for group in self.groups:
            q, below = len(group.sd), np.tril_indices(len(group.sd), -1)
            own = z[list(group.diagonal)]
            given, found = np.diag(np.where(np.arange(q) > 0, np.abs(own), own)), np.zeros((q, q))
            given[below] = z[list(group.below)]
            basis = np.zeros((q, q))
            for i, row in enumerate(given):
                found[i] = basis @ row
                left = row - found[i] @ basis
                own = np.sqrt(left @ left)
                if own > _DEPENDENT * np.sqrt(row @ row):
                    basis[i], found[i, i] = left / own, own
            z[list(group.diagonal)], z[list(group.below)] = np.diag(found), found[below]
        return z

    def unspoken(self, theta: FloatArray) -> BoolArray:
        """Which values of theta (k,) are correlations of an effect that has no variance."""
        out = np.zeros(theta.size, dtype=bool)
        for group in self.groups:
            none = theta[list(group.sd)] == 0.0
            rows, cols = np.tril_indices(len(group.sd), -1)
            out[list(group.corr)] = none[rows] | none[cols]
        return out

    @staticmethod
    def _columns(group: Group) -> list[IntArray]:
        """Below each entry of the diagonal."""
        _, cols = np.tril_indices(len(group.sd), -1)
        return [np.array(group.below, dtype=np.int64)[cols == k] for k in range(len(group.sd))]

    def lower(self) -> FloatArray:
        """Lower ends of the coordinates (d,); diagonals of factors have none."""
        out = np.where(self.folded, 0.0, -np.inf)
        for group in self.groups:
            out[list(group.diagonal)] = -np.inf
        out[[at for _, at in self.logs]] = np.log(self.post.data.least_residual)
        return out

    @staticmethod
    def _rows(group: Group) -> list[IntArray]:
        """Each entry of the diagonal, and those before it."""
        rows, _ = np.tril_indices(len(group.sd), -1)
        below = np.array(group.below, dtype=np.int64)
        return [np.array([i, *below[rows == k]]) for k, i in enumerate(group.diagonal)]

    def natural(self, z: jax.Array) -> jax.Array:
        """Theta, natural scale."""
        theta = self.post.hyper.from_folded(z)
        for group in self.groups:
            sd, corr = self._group(z[np.array(group.diagonal)], z[np.array(group.below)])
            theta = theta.at[np.array(group.sd)].set(sd).at[np.array(group.corr)].set(corr)
        for i, at in self.logs:
            theta = theta.at[i].set(jnp.exp(z[at]))
        return theta

    def log_density(self, z: jax.Array) -> jax.Array:
        """Log density of theta at z, without a Jacobian."""
        theta = self.natural(z)
        return density.log_likelihood(self.post, theta) + self.post.hyper.log_prior(theta)

    def start(self, theta: FloatArray) -> FloatArray:
        """Coordinates of a theta whose correlations are ignored, as those of a first guess are."""
        x = np.array(natural_to_folded(self.post.hyper, np.asarray(theta)))
        for group in self.groups:
            x[list(group.diagonal)], x[list(group.below)] = theta[list(group.sd)], 0.0
        for i, at in self.logs:
            x[at] = np.log(theta[i])
        return x

    def scaled(self, z: FloatArray, factor: float) -> FloatArray:
        """The same with all sds times a factor."""
        out = np.where(self.folded, factor * z, z)
        for group in self.groups:
            out[list(group.below)] *= factor
        out[[at for _, at in self.logs]] += np.log(factor)
        return out

    def growing(self, z: FloatArray) -> FloatArray:
        """How `scaled` moves with the log of its factor (d,)."""
        out = np.where(self.folded, z, 0.0)
        for group in self.groups:
            out[list(group.below)] = z[list(group.below)]
        out[[at for _, at in self.logs]] = 1.0
        return out

    def scale(self, z: FloatArray, otherwise: FloatArray | float = 1.0) -> FloatArray:
        """Units of the coordinates: sds where these are not zero (else as given), one where there are other units."""
        out = np.where(self.folded, np.where(z != 0.0, np.abs(z), otherwise), 1.0)
        for group in self.groups:
            rows, _ = np.tril_indices(len(group.sd), -1)
            diagonal, below = np.array(group.diagonal), np.array(group.below)
            square = np.square(z[diagonal])
            np.add.at(square, rows, np.square(z[below]))
            out[diagonal] = np.where(square > 0.0, np.sqrt(square), np.broadcast_to(otherwise, z.shape)[diagonal])
            out[below] = out[diagonal[rows]]
        return out

    def complete(self, unit: FloatArray, z: FloatArray, grad: FloatArray) -> FloatArray:
        """Curvature along each coordinate (d,) by which a step of Newton's is, or is about, one of the EM algorithm.

        With q effects of the sd s, EM has the variance ``s^2 (1 + g / q)``, g being the slope of the log density by
        log s, and the information of complete data about log s is 2q. An sd far below its unit, where EM hardly moves,
        is taken for one of a unit; coordinates of which nothing is known have a curvature of one.
        """
        out, at = 1.0 / np.square(unit), _scalars(self.post)
        own = np.where(np.abs(z) >= 0.5 * unit, np.abs(z), unit)
        for places, template in zip(self.post.prior.places, self.post.prior.templates, strict=True):
            sds = [at[i] for i in dict(places).get("sd", ()) if i in at]
            for i in sds:
                count = template.n / len(sds)
                slope = float(grad[i] * z[i]) if own[i] == abs(z[i]) else 0.0
                change = 0.5 * np.log(max(1.0 + slope / count, _LEFT))
                out[i] = (
                    slope / (own[i] ** 2 * np.expm1(change)) if abs(change) > _SLIGHT else 2.0 * count / own[i] ** 2
                )
        for group in self.groups:
            rows, _ = np.tril_indices(len(group.sd), -1)
            out[list(group.below)] = self._effects(group) / np.square(own[np.array(group.diagonal)[rows]])
        for _, i in self.logs:
            count = self.post.data.scaled_rows
            if count:
                change = 0.5 * np.log(max(1.0 + grad[i] / count, _LEFT))
                out[i] = grad[i] / change if abs(change) > _SLIGHT else 2.0 * count
        return out

    def _effects(self, group: Group) -> float:
        """Number of levels of a group."""
        blocks = zip(self.post.prior.places, self.post.prior.templates, strict=True)
        return next(template.n for places, template in blocks if dict(places).get("sd") == group.sd) / len(group.sd)

    def _group(self, diagonal: jax.Array, below: jax.Array) -> tuple[jax.Array, jax.Array]:
        q = diagonal.size
        rows, cols = np.tril_indices(q, -1)
        explained = jnp.zeros(q).at[rows].add(jnp.square(below))
        own = _root(jnp.square(diagonal) + self.least * explained).at[0].set(diagonal[0])
        sd = _root(jnp.square(own) + explained)
        there = sd > 0.0
        unit = jnp.where(there, sd, 1.0)
        lower = jnp.diag(jnp.where(there, own / unit, 1.0)).at[rows, cols].set(below / unit[rows])
        return sd, (lower @ lower.T)[rows, cols]


@jit
def _natural(slot: Slot, x: jax.Array) -> jax.Array:
    return slot.natural(x)


def _root(square: jax.Array) -> jax.Array:
    """Square root, with a derivative of zero at zero."""
    positive = square > 0.0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)


def _coordinates(post: Marginal) -> dict[int, int]:
    """For values of theta that are free over all of their range, and are coordinates one by one: where they stand."""
    return {place: at for place, (slot, at) in _slots(post).items() if slot.working_size == slot.size and _whole(slot)}


def _scalars(post: Marginal) -> dict[int, int]:
    """The same for all but correlations, whatever their range."""
    return {place: at for place, (slot, at) in _slots(post).items() if isinstance(slot, Scalars)}


def _slots(post: Marginal) -> dict[int, tuple[Slot, int]]:
    """For each value of theta: its slot, and where its coordinate stands if the slot has one for each."""
    found: dict[int, tuple[Slot, int]] = {}
    natural = working = 0
    for slot in post.hyper.slots:
        found |= {natural + i: (slot, working + i) for i in range(slot.size)}
        natural, working = natural + slot.size, working + slot.working_size
    return found


def _groups(post: Marginal, at: Mapping[int, int]) -> Iterator[Group]:
    """Blocks with all correlations of q effects, whose sds and correlations have coordinates over their whole range."""
    for places in post.prior.places:
        kinds = dict(places)
        sd, corr = kinds.get("sd", ()), kinds.get("corr", ())
        if corr and len(corr) == len(sd) * (len(sd) - 1) // 2 and all(i in at for i in (*sd, *corr)):
            yield Group(sd, corr, tuple(at[i] for i in sd), tuple(at[i] for i in corr))


def _whole(slot: Slot) -> bool:
    """Whether a prior allows all values of an sd or of a correlation."""
    if slot.half_line or not isinstance(slot, Scalars):
        return True
    low, high = (np.asarray(_natural(slot, np.array([end])))[0] for end in (-40.0, 40.0))
    return bool(np.allclose(sorted((low, high)), (-1.0, 1.0)))
