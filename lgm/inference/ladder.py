"""Which approximation of ``p(y | theta)`` serves a model: the cheapest whose error is known to be small.

At the mode of theta by Laplace's approximation, 64 pairs of points tell how far their weights spread; the choice
follows, unless the user made it. Where outcomes are few and binary, weights that serve at the mode may spread too far
for larger standard deviations, of which too little mass is then found, and nothing tells: so one sd away from the mode
on all sides they have to serve as well. Where effects have long tails, points that can follow these do
(`lgm.inference.tails`). For a Gaussian response there is nothing to choose.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import numpy as np

from lgm.arrays import FloatArray
from lgm.errors import LgmError
from lgm.inference import pareto
from lgm.inference.compile import compiled, jit, wholes
from lgm.inference.keys import key
from lgm.inference.mode import Mode, find_mode
from lgm.inference.scales import natural_scale
from lgm.inference.tails import Followed, following, long_tails, no_tails
from lgm.posterior.density import Marginal, started
from lgm.posterior.laplace import Accuracy, LaplaceData
from lgm.posterior.stretch import Tails
from lgm.words import counted, listed
from lgm.xla import own_settings

MEASURED, BATCHES = 64, 4  # pairs at the mode, and how often so many where the tail of their weights is in doubt
BATCHES_ALONE = 16  # how often where theta does not move, so that nothing else judges the weights
SMALL_VARIANCE = 1.0  # of the log weight of a pair, up to which weights serve
SMALL_K = 0.7  # their Pareto k
PER_VARIANCE = 0.1  # of the log of the average weight
FEWEST, MOST = 8, 32  # pairs at each theta
# Where one pair can outweigh the others. ESS per second is about the same from 8 to 16: where two groups cross, a pair
# costs a twentieth of the search before it, and the optimum is flat. Of 16, one that stands out does half the harm.
FEWEST_SPREAD = 16
FEWEST_COSTLY = 2  # where a point costs a factorisation or many integrals, and weights are nearly alike
SMALL_MOVE = 0.1  # posterior sds by which the plain approximation may be off unseen
SMALL_SECOND = 0.5  # sd of the second-order term up to which it is a correction
# Of the variance of log weights for each effect: more than that, and effects are not nearly normal one by one, as in
# large fields, where it is some .002. Derivatives at the mode, and so that term, say nothing of a plateau's edge.
SMALL_EACH = 0.1

# What users call the rungs, and the data side's names.
USUAL = "weighted"
APPROXIMATIONS = {
    "laplace": "laplace",
    "second-order": "shifted",
    "weighted": "weighted",
    "quadrature": "leaves",
    "transport": "transport",
}
# Where effects are sampled with theta, what stands for ``p(y | theta)`` elsewhere: as in `lgm.compare`.
JOINT = "joint"
RUNGS = {**APPROXIMATIONS, JOINT: APPROXIMATIONS[USUAL]}
OTHERWISE = 'method="joint" samples effects with the hyperparameters, slower but exact up to Monte Carlo error'
FOLLOWING = (USUAL, "quadrature")  # those whose points can follow long tails
EXACT = (USUAL, "quadrature", "transport")  # up to Monte Carlo error, in the order of what they cost
NEEDED = {
    "quadrature": (
        "a group with one, two or three effects in each level, such as (1|g), (x|g) or (x + z||g), and a family whose "
        "likelihood is log-concave"
    ),
    "transport": "a family whose likelihood is log-concave",
}


@dataclass(frozen=True)
class Rung:
    """How ``p(y | theta)`` is approximated, and what was measured at the mode of theta.

    Parameters
    ----------
    name : str
        ``"weighted"``, ``"quadrature"``, ``"transport"``, ``"second-order"``, ``"laplace"``, or ``"joint"``, which
        approximates nothing.
    pairs : int
        Of points at each theta.
    sd_second : float
        Sd, over the posterior of theta, of the second-order term of ``log p(y | theta)``: about how many posterior sds
        hyperparameters move when it is left out.
    shift : float
        Largest first-order move of a fixed effect's mean from its mode, in its sds.
    variance : float
        Of the log weights of pairs: at the mode, or one sd from it if there it is too large.
    k : float
        Pareto k of the weights.
    effects : int
        Number of effects.
    tails : float array (d, J)
        Combinations of effects whose long tails points follow.
    reach : float array (J, 2)
        How far from the centre these tails are looked at, in sds.
    more : bool
        Whether there are long tails, or may be, that points do not follow.
    """

    name: str
    pairs: int
    sd_second: float
    shift: float
    variance: float
    k: float
    effects: int
    tails: FloatArray
    reach: FloatArray
    more: bool

    @property
    def exact(self) -> bool:
        """Whether what the approximation leaves out is put back by weights."""
        return self.name in EXACT

    @property
    def facts(self) -> dict[str, Any]:
        """For the attributes of tables."""
        return {
            "approximation": self.name,
            "pairs": self.pairs,
            "sd_second_order": self.sd_second,
            "largest_shift": self.shift,
            "log_weight_variance": self.variance,
            "pair_k": self.k,
            "long_tails": len(self.reach),
        }

    def doubt(self, *, held: bool) -> str | None:
        """What is wrong with it, if something is; ``held`` is whether theta is at its mode, where nothing weighs it."""
        if held and self.sd_second > SMALL_MOVE:
            return (
                f"the mode of the hyperparameters is that of Laplace's approximation, off by about "
                f'{self.sd_second:.1g} posterior sds: use method="importance" or "nuts"'
            )
        if self.exact and not trusted(self.variance, self.k):
            return f"the weights of effects spread too far (variance {self.variance:.2g}, k {self.k:.2f}); {OTHERWISE}"
        if self.more and self.name in FOLLOWING:
            return f"more effects may have long tails than the {len(self.reach)} that points follow; {OTHERWISE}"
        if self.more:
            follows = f'approximation="{USUAL}" follows them'
            return f"some effects have long tails on one side, which this approximation cuts; {follows}, {OTHERWISE}"
        if self.exact:
            return None
        if self.name == "laplace" and max(self.sd_second, self.shift) > SMALL_MOVE:
            return (
                f"Laplace's approximation is off by about {max(self.sd_second, self.shift):.1g} posterior sds, and "
                "nothing corrects it"
            )
        if self.name == "second-order" and self.sd_second > SMALL_SECOND:
            return (
                f"the second-order term is no small correction (its sd over the posterior is {self.sd_second:.2g}); "
                f"{OTHERWISE}"
            )
        if self.name != JOINT and not nearly_normal(self.variance, self.effects):
            return (
                "derivatives at the mode of the effects do not describe their density (log weights of points around it "
                f"have a variance of {self.variance:.2g}, of {counted(self.effects, 'effect')}); {OTHERWISE}"
            )
        return None

    def said(self, *, held: bool) -> list[tuple[str, str]]:
        """The approximation in words, and what the plain one would miss."""
        spread = f"log-weight variance {self.variance:.2g}, k {self.k:.2f}"
        if len(self.reach):
            spread += f", {counted(len(self.reach), 'long tail')} followed"
        how = {
            "weighted": f"exact up to Monte Carlo error: effects weighted, {self.pairs} pairs at each theta ({spread})",
            "quadrature": f"exact up to Monte Carlo error: a group integrated out, {self.pairs} pairs ({spread})",
            "transport": f"exact up to Monte Carlo error: effects bent and weighted, {self.pairs} pairs ({spread})",
            "second-order": f"second order, not exact: mean and density corrected, not weighted ({spread})",
            "laplace": f"Laplace, not corrected ({spread})",
            JOINT: "exact up to Monte Carlo error: effects sampled with the hyperparameters",
        }[self.name]
        if held and self.exact:
            how = f"hyperparameters at Laplace's mode; effects given them {how}"
        word = "is" if self.name == "laplace" else "alone would be"
        off = f"{self.shift:.2f} sd in fixed effects, {self.sd_second:.2f} sd in hyperparameters"
        return [("Approximation", how), ("Laplace", f"{word} off by about {off}")]


def settle(
    post: Marginal, start: FloatArray, basis: FloatArray, approximation: str, seed: int
) -> tuple[Marginal, FloatArray, Rung | None]:
    """The posterior by the approximation that serves it, a better first guess of theta, and what was measured.

    Parameters
    ----------
    post : Marginal
    start : float array (k,)
        A first guess of theta, natural scale.
    basis : float array (p, p)
        From the internal fixed effects to those that are printed.
    approximation : {"auto", "weighted", "quadrature", "transport", "second-order", "laplace", "joint"}
        With the last one it is only measured what Laplace's would miss.
    seed : int
    """
    if not isinstance(post.data, LaplaceData):
        return post, start, None
    post = with_rung(post, "weighted", FEWEST)  # which most models keep, and their programs with it
    found = find_mode(post, start)
    p = len(basis)
    functionals = np.zeros((post.dim, 2 * p))
    functionals[:p] = np.hstack([basis.T, np.eye(p)])  # those of the centred basis too: the level at the means
    with own_settings():
        theta = np.asarray(natural_scale(post.hyper, found.x))
        post = started(post, theta)
        data = post.data
        assert isinstance(data, LaplaceData)
        normals = partial(cache(_drawn_for), seed)
        around = partial(_around, found=found, functionals=functionals, z=normals(post.n_normals, 0))
        plain = around(post)
        sd_second = plain.sd_second

        @cache
        def tails(name: str) -> Followed | None:
            return long_tails(with_rung(post, APPROXIMATIONS[name], FEWEST), found.x, plain.lean)

        def tried(name: str, *, follow: bool = True) -> _Measured:
            there = with_rung(post, APPROXIMATIONS[name], FEWEST)
            followed = tails(name) if follow and name in FOLLOWING else None
            if followed is not None:
                there = following(there, followed.tails)
            at_mode = _measured(there, found.x, functionals, partial(normals, there.n_normals))
            at_mode = at_mode._replace(followed=followed)
            if name == USUAL:
                variance = (plain if followed is None else around(there)).variance
                if variance > SMALL_VARIANCE:
                    return at_mode._replace(variance=max(at_mode.variance, variance))
            return at_mode

        if approximation == "auto":
            name, measured = _least(data, tried)
            small = sd_second <= SMALL_SECOND and nearly_normal(measured.variance, post.dim)
            if not measured.serves and small and tails(USUAL) is None:
                name = "second-order"
        else:
            name = approximation
            if not data.serves(RUNGS[name]):
                there = [
                    f'"{each}"' for each in ("auto", *APPROXIMATIONS) if data.serves(APPROXIMATIONS.get(each, each))
                ]
                raise LgmError(f'approximation="{name}" is for {NEEDED[name]}. Accepted here: {listed(there)}.')
            measured = tried(name) if name in EXACT else tried(USUAL, follow=False)
        cut = name not in (*FOLLOWING, JOINT) and tails(USUAL) is not None
    pairs = _pairs(name, measured.variance)
    at_mode = sd_second, measured.shift, measured.variance, measured.k
    (functionals, reach), more = (measured.followed if name in FOLLOWING else None) or no_tails(post.dim)
    rung = Rung(name, pairs, *at_mode, post.dim, np.asarray(functionals), np.asarray(reach), more or cut)
    return approximated(post, rung), theta, rung


def approximated(post: Marginal, rung: Rung | None) -> Marginal:
    """The posterior by an approximation that was chosen before."""
    if rung is None or not isinstance(post.data, LaplaceData):
        return post
    post = with_rung(post, RUNGS[rung.name], rung.pairs)
    return following(post, Tails(rung.tails, rung.reach)) if len(rung.reach) else post


class _Measured(NamedTuple):
    """Spread of the weights of pairs, and the largest shift of a fixed effect."""

    variance: float
    k: float
    shift: float
    followed: Followed | None = None

    @property
    def serves(self) -> bool:
        return trusted(self.variance, self.k)


def _least(data: LaplaceData, tried: Callable[[str], _Measured]) -> tuple[str, _Measured]:
    """The first exact approximation whose weights serve, or the one whose weights spread least."""
    found: dict[str, _Measured] = {}
    for name in EXACT:
        if data.serves(APPROXIMATIONS[name]):
            found[name] = tried(name)
            if found[name].serves:
                return name, found[name]
    name = min(found, key=lambda each: found[each].variance)
    return name, found[name]


def trusted(variance: float, k: float) -> bool:
    """Whether log weights of pairs with this variance, and weights with this Pareto k, may be averaged.

    k has no scale: weights that are all alike have one too, and of 64 it is a guess. It counts where the weights differ
    enough to matter.
    """
    return variance <= PER_VARIANCE or (variance <= SMALL_VARIANCE and k < SMALL_K)


def nearly_normal(variance: float, effects: int) -> bool:
    """Whether log weights of pairs vary as little as those of so many effects do that are nearly normal one by one."""
    return variance <= SMALL_EACH * effects


def _measured(post: Marginal, x: FloatArray, functionals: FloatArray, normals: Callable[[int], jax.Array]) -> _Measured:
    """By 64 pairs, and by four times as many where these say that the tail alone is in doubt; by more at one theta."""
    parts: list[FloatArray] = []
    found = _Measured(np.inf, np.inf, np.inf)
    for batch in range(BATCHES if x.size else BATCHES_ALONE):
        at = _accuracy(post, x, functionals, normals(batch))
        parts.append(np.asarray(at.log_weights))
        raw, shift = np.concatenate(parts), float(np.max(np.abs(np.asarray(at.shift)), initial=0.0))
        fine = bool(np.all(np.isfinite(raw)))
        found = _Measured(*(float(np.var(raw, ddof=1)), pareto.smooth(raw).k) if fine else (np.inf, np.inf), shift)
        if batch == 0 and ((found.serves and x.size) or found.variance > SMALL_VARIANCE):
            break
    return found


def _drawn_for(seed: int, size: int, batch: int) -> jax.Array:
    """Standard normals (size, 64)."""
    found: jax.Array = _drawn(size, key(seed, 8), np.asarray(batch))
    return found


@compiled(shapes=lambda post, how: (key(0), wholes()))
def _drawn(size: int, key: jax.Array, batch: jax.Array) -> jax.Array:
    return jax.random.normal(jax.random.fold_in(key, batch), (size, MEASURED))


def with_rung(post: Marginal, rung: str, pairs: int) -> Marginal:
    """The posterior with another approximation on its data side, which calls some otherwise than users do."""
    assert isinstance(post.data, LaplaceData) and rung in RUNGS.values()
    return replace(post, data=replace(post.data, rung=rung, pairs=pairs))


def _pairs(name: str, variance: float) -> int:
    """A power of two, so that few programs serve all."""
    if name not in EXACT:
        return FEWEST if name == JOINT else 1
    fewest = FEWEST_COSTLY
    if name == USUAL:
        fewest = FEWEST if variance <= PER_VARIANCE else FEWEST_SPREAD
    wanted = np.clip(np.ceil(variance / PER_VARIANCE), fewest, MOST)
    return int(2 ** np.ceil(np.log2(wanted)))


class _Around(NamedTuple):
    """Over the posterior of theta, to first order: by differences along its axes."""

    sd_second: float  # of the second-order term
    variance: float  # largest of the log weights of pairs, one sd from the mode
    lean: FloatArray  # how much the densities of effects lean there, at most (d,)


def _around(post: Marginal, found: Mode, functionals: FloatArray, z: jax.Array) -> _Around:
    if not found.x.size:  # nothing is around it
        return _Around(0.0, 0.0, np.abs(np.asarray(_accuracy(post, found.x, functionals, z).lean)))
    total, variance, lean = 0.0, 0.0, np.zeros(post.dim)
    for axis in found.root.T:
        ends = [_accuracy(post, found.x + side * axis, functionals, z) for side in (1.0, -1.0)]
        total += (0.5 * (float(ends[0].second) - float(ends[1].second))) ** 2
        for end in ends:
            raw = np.asarray(end.log_weights)
            variance = max(variance, float(np.var(raw, ddof=1)) if np.all(np.isfinite(raw)) else np.inf)
            lean = np.fmax(lean, np.abs(np.asarray(end.lean)))
    return _Around(float(np.sqrt(total)) if np.isfinite(total) else np.inf, variance, lean)


@jit
def _accuracy(post: Marginal, x: jax.Array, functionals: jax.Array, z: jax.Array) -> Accuracy:
    data: Any = post.data
    return data.accuracy(post.prior, post.analysis, post.hyper.natural(x), functionals, z)
