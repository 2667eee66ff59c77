"""Where the posterior reaches standard deviations of zero, as parts of a proposal.

The curvature at its mode says little of a standard deviation's zero far off: there the others may be elsewhere, and
what belongs to that effect, such as an autoregression's rho, is free. The density need not vanish there, though, and no
weight tells of a region that no point has reached. So each of these faces of theta's space is looked at: the other
coordinates move to where the density is highest on it, and if that is high beside the proposal, a part is added with
that centre and the curvature there. One gradient is enough for a face where the others need not move.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lgm.arrays import BoolArray, FloatArray
from lgm.inference.coordinates import BentMode, Folded
from lgm.inference.mode import evaluated
from lgm.inference.proposal import Mixture, Proposal
from lgm.inference.search import Search, inverse_root
from lgm.posterior.density import Marginal

NEAREST = 0.5  # in widths: a mode this close to a face covers it
EDGE = 1e-3  # of its width: a standard deviation this small is at zero, where the density itself may be undefined
LOWEST = 12.0  # in log density below the mode: lower faces are left out
SETTLED = 0.5  # in log density: a face where the others would gain less than this is not searched
NEAR = 2.0  # in log density below the mode: a face this high needs no search for what is even there
INSIDE = (1.0, 3.0)  # in widths: the least standard deviations of the others where a search starts
STEPS = 60  # evaluations of the search on a face
LOOK = 1.5  # first distance from a centre at which the density is compared with a Gaussian; the next are twice as far
FARTHEST_LOOK = 1e4
ALIKE = 0.3  # of the draws are shared alike by all parts, the others by mass


@dataclass(frozen=True)
class Surroundings:
    """The density of bent coordinates around its mode.

    Parameters
    ----------
    post : Marginal
    at : BentMode
    """

    post: Marginal
    at: BentMode

    @property
    def folded(self) -> BoolArray:
        """Which coordinates are standard deviations, (d,)."""
        return self.at.bend.bent

    @cached_property
    def _in_folded(self) -> Callable[[FloatArray], tuple[float, FloatArray]]:
        return evaluated(Folded(self.post, True))

    def height(self, x: FloatArray) -> tuple[float, FloatArray]:
        """Log density and gradient; ``(-inf, 0)`` where either is undefined."""
        with np.errstate(over="ignore"):
            there = self.at.bend.to_folded(x)
        if not np.all(np.isfinite(there)):
            return -np.inf, np.zeros_like(x)
        value, grad = self._in_folded(there)
        gained = np.tanh(np.where(self.folded, x, 0.0))
        return value + float(self.at.bend.log_jacobian(x)), grad * self.at.bend.slope(x) + gained

    def widened(self, x: FloatArray, root: FloatArray) -> FloatArray:
        """The root with each direction as wide as the density is around x, on its wider side.

        At distance t, in units of the root, a Gaussian has fallen by ``t^2 / 2``; where the density has fallen by less,
        that side is ``t / sqrt(2 drop)`` wide. The curvature alone says nothing of a shoulder further out, and a kink
        has none, such as that of a prior of rho at zero.
        """
        top = self.height(x)[0]
        return root * np.array([max(self._width(x, top, step), self._width(x, top, -step)) for step in root.T])

    def _width(self, x: FloatArray, top: float, step: FloatArray) -> float:
        width, t, drop = 1.0, LOOK, 0.0
        while t <= 2.0 * LOOK or (drop < 1.0 and t < FARTHEST_LOOK):
            drop = top - self.height(x + t * step)[0]
            width = max(width, t / np.sqrt(2.0 * max(drop, 0.5)))
            t *= 2.0
        return width


def proposal(post: Marginal, at: BentMode) -> Mixture:
    """A part around the mode, and one for each face that the parts before it would miss.

    Must be called in x64 mode.
    """
    around = Surroundings(post, at)
    parts = [Proposal(at.x, around.widened(at.x, at.root), post.hyper.folded)]
    width = np.sqrt(np.sum(parts[0].root ** 2, axis=1))
    heights = [around.height(at.x)[0]]
    for j in np.flatnonzero(around.folded & (at.x > NEAREST * width)):
        face = _Face(around, j, width, heights[0])
        x, value = face.highest()
        now = Mixture(parts, _shares(heights, parts))
        at_mode, here = now.log_density(np.array([at.x, x]))
        if value > heights[0] - LOWEST and value - here > heights[0] - at_mode:
            parts.append(Proposal(x, around.widened(x, face.root(x, value)), post.hyper.folded))
            heights.append(value)
    return Mixture(parts, _shares(heights, parts))


@dataclass(frozen=True)
class _Face:
    """Where one standard deviation is zero.

    Parameters
    ----------
    around : Surroundings
    j : int
        Which coordinate.
    width : float array (d,)
        Of the density around its mode.
    top : float
        Log density at the mode.
    """

    around: Surroundings
    j: np.signedinteger
    width: FloatArray
    top: float

    def highest(self) -> tuple[FloatArray, float]:
        """The highest point of the face, and its log density.

        The curvature at the mode points to a first guess; a search goes on where the gradient there promises a gain, or
        where a standard deviation is at zero, which is a stationary point whatever the density is.
        """
        root, j, folded = self.around.at.root, self.j, self.around.folded
        covariance = root @ root.T
        towards = covariance[j] / covariance[j, j]
        x = self.around.at.x + (EDGE * self.width[j] - self.around.at.x[j]) * towards
        x = np.where(folded, np.abs(x), x)
        value, grad = self.around.height(x)
        gain = 0.5 * grad @ (covariance - np.outer(covariance[j], towards)) @ grad
        flat = np.any(self._at_zero(x)[np.arange(x.size) != j])
        if gain < SETTLED and not (flat and value < self.top - NEAR):
            return x, value
        found = [self._climbed(x, inside) for inside in INSIDE]
        return max(((x, self.around.height(x)[0]) for x in found), key=lambda pair: pair[1])

    def root(self, x: FloatArray, value: float) -> FloatArray:
        """A root of the inverse curvature on the face; from zero up, how far the density stays about the same."""
        at_zero = self._at_zero(x)
        free = np.flatnonzero(~at_zero)
        hessian = Search(self.around.height, self.width).hessian(x, free)
        root = np.zeros((x.size, x.size))
        root[np.ix_(free, free)] = inverse_root(hessian, self.width[free])
        for i in np.flatnonzero(at_zero):
            step = np.zeros_like(x)
            step[i] = self.around.at.x[i] / 2.0 if i == self.j else self.width[i]
            while step[i] > EDGE * self.width[i] and not abs(self.around.height(x + step)[0] - value) < 1.0:
                step[i] /= 2.0
            root[i, i] = step[i]
        return root

    def _at_zero(self, x: FloatArray) -> BoolArray:
        return self.around.folded & (x <= 2.0 * EDGE * self.width)

    def _climbed(self, x: FloatArray, inside: float) -> FloatArray:
        """By L-BFGS-B, starting where no other standard deviation is zero.

        Farther inside, the other coordinates start off the guess too: a prior of rho may have a kink there.
        """
        others = np.arange(x.size) != self.j
        width, folded = self.width[others], self.around.folded[others]

        def placed(z: FloatArray) -> FloatArray:
            there = x.copy()
            there[others] = z
            return there

        def on_face(z: FloatArray) -> tuple[float, FloatArray]:
            value, grad = self.around.height(placed(z))
            return value, grad[others]

        start = x[others] / width
        start = np.where(folded, np.maximum(start, inside), start + (inside - min(INSIDE)))
        lower = np.where(folded, EDGE, -np.inf)
        return placed(Search(on_face, width).climb(start * width, lower * width, {"maxfun": STEPS}))


def refitted(old: Mixture, points: FloatArray, weights: FloatArray, *, recentred: bool = False) -> Mixture:
    """Each part with the weighted second moment about its centre, which widens it where the posterior is skewed.

    A point belongs to the parts by their shares of the proposal there (Cappe et al. 2008). What a few points say counts
    for little beside the scale, and the centre, that a part had.

    Parameters
    ----------
    old : Mixture
    points : float array (n, d)
    weights : float array (n,)
    recentred : bool
        Whether parts move to the weighted mean, but for what they hold at zero.
    """
    belongs = np.exp(old.log_parts(points) - old.log_density(points)) * weights
    parts = [_rescaled(*pair, points, recentred=recentred) for pair in zip(old.parts, belongs, strict=True)]
    return Mixture(parts, _partly_alike(belongs.sum(axis=1)))


def _rescaled(part: Proposal, weights: FloatArray, points: FloatArray, *, recentred: bool) -> Proposal:
    mass, d = weights.sum(), part.centre.size
    if not mass > 0:
        return part
    ess = mass**2 / np.sum(weights**2)
    centre = part.centre
    if recentred:
        held = np.array(part.folded) & (centre == 0.0)
        centre = np.where(held, centre, (ess * (weights @ points) / mass + d * centre) / (ess + d))
    away = points - centre
    moment = away.T @ (weights[:, None] * away) / mass
    both = (ess * moment + d * part.root @ part.root.T) / (ess + d)
    return Proposal(centre, np.asarray(np.linalg.cholesky(both), dtype=np.float64), part.folded)


def _shares(heights: Sequence[float], parts: Sequence[Proposal]) -> FloatArray:
    """By height times volume, partly alike."""
    mass = np.array([height + np.linalg.slogdet(part.root)[1] for height, part in zip(heights, parts, strict=True)])
    return _partly_alike(np.exp(mass - mass.max()))


def _partly_alike(mass: FloatArray) -> FloatArray:
    return ALIKE / mass.size + (1.0 - ALIKE) * mass / mass.sum()
