"""What is asked of the effects given theta: their mean, draws, and variances of sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax

from lgm.arrays import Numbers


class Effects(NamedTuple):
    """Effects given theta, on their natural scale: the conditional mean, and draws."""

    mean: jax.Array  # (p + q,)
    draws: jax.Array  # (p + q, m)
    gain: jax.Array  # log of what p(y | theta) is beside its deterministic value (), zero where that is exact


class EffectsAtPoints(NamedTuple):
    """Effects at weighted points given theta, and the normal draws about zero that these were made from."""

    values: jax.Array  # (p + q, 2m), of two points for each draw
    drawn: jax.Array  # (p + q, m)
    log_weights: jax.Array  # (2m,)


class FixedNormal(NamedTuple):
    """Distribution of the fixed effects given theta, where it is normal."""

    mean: jax.Array  # (p,)
    cov: jax.Array  # (p, p)


class FixedPoints(NamedTuple):
    """Fixed effects at weighted points given theta, and the normal draws about zero that these were made from."""

    values: jax.Array  # (p, 2m), of two points for each draw
    log_weights: jax.Array  # (2m,)
    drawn: jax.Array  # (p, m)
    cov: jax.Array  # of the draws (p, p)
    mean: jax.Array  # weighted, of all effects (p + q,)
    gain: jax.Array  # log of the average weight ()
    odd: Odd | None  # where weights have such a part
    even: Even | None


class Odd(NamedTuple):
    """The third-order part T of log weights, which has one sign at a draw and the other at its mirror image."""

    values: jax.Array  # T at each draw x (m,)
    found: jax.Array  # average of T x over the draws, of all effects (p + q,)
    known: jax.Array  # its expectation (p + q,)
    cubes: jax.Array  # expectation of T He3(x / sd) sd^3 for each combination of the fixed effects (p,)


class Even(NamedTuple):
    """Parts E of weights that are the same at a draw and at its mirror image: two of second degree, two of fourth."""

    values: jax.Array  # E at each draw x (4, m)
    squares: jax.Array  # of the first two: expectation of E He2(x / sd) sd^2 / 2 for each combination (2, p)
    fourths: jax.Array  # of the others: expectation of E He4(x / sd) sd^4 / 24 (2, p)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Sums:
    """Weighted sums of s effects each, all pairs of which have a place in the pattern of H.

    Parameters
    ----------
    index : int array (m, s)
        Positions in u.
    weights : float array (m, s)
    pairs : int array (m, s, s)
        Position in H of each pair of these.
    place : int array (m,)
        Where each sum stands among all that are printed.
    """

    index: Numbers
    weights: Numbers
    pairs: Numbers
    place: Numbers


class Linear(NamedTuple):
    """Linear functionals of the effects given theta (n,), one for each of some rows."""

    mean: jax.Array  # where the effects are normal; else at their mode
    variance: jax.Array  # of the normal approximation, where they are not
    shift: jax.Array  # from the mode to the mean, to first order
