r"""The mode of effects given their prior and a likelihood that the kernel knows, and Laplace's approximation there.

The density of v, with the prior's precision R, its pull b and scales D, and without its constants, is

    J(v) = sum_i l_i(eta_i) - 1/2 v'Rv + b'v,    eta = A D v + offset;

its maximum is found by Newton's method in one native call for each element of a batch, which runs as long as that
element needs. Under constraints v has d + 2k elements, R is bordered (`lgm.linalg.constrained`), A has no columns for
the border, and the maximum is a saddle point.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lgm.arrays import Numbers
from lgm.linalg import _calls
from lgm.linalg.analysis import SparseAnalysis
from lgm.linalg.rows import Rows


class Problem(NamedTuple):
    """What searches at all hyperparameters have in common.

    Parameters
    ----------
    rows : Rows
        A.
    offset, value, weights : float arrays (n,)
        Of the rows, with their response.
    trials : float array (n,) or (0,)
        Empty for single trials, and where there are none.
    pull : float array (d,)
        b.
    """

    rows: Rows
    offset: Numbers
    value: Numbers
    trials: Numbers
    weights: Numbers
    pull: Numbers


class Mode(NamedTuple):
    """Where the density is highest; NaN where no mode was found."""

    v: jax.Array  # (d,)
    joint: jax.Array  # J there, with the constants of the likelihood
    logdet: jax.Array  # of H = R + D A'WA D, of its absolute value
    gain: jax.Array  # twice what one more step would promise
    counts: jax.Array  # factorisations, and steps (2,)


class Slopes(NamedTuple):
    """Derivatives of ``J - 1/2 log|H|`` at the mode, and of what they are made.

    By the likelihood's parameters they are those of ``sum l - 1/2 sum s W + sum lean l'`` at fixed eta.
    """

    values: jax.Array  # by R (nnz,), a stored off-diagonal standing for two
    scale: jax.Array  # (d,)
    eta: jax.Array  # (n,)
    spread: jax.Array  # s, the variances of eta under H^-1 (n,)
    shift: jax.Array  # H^-1 D A'(s l''') / 2, from the mode to the mean in first order (d,)
    lean: jax.Array  # A D times that (n,)


class Pairs(NamedTuple):
    """Pairs of points ``m + x``, ``m - x`` about the first-order mean ``m = v + shift``, x of the covariance H^-1.

    Their log weights are those of ``exp(J(m +- x) - J(v) + x'Hx / 2)``.
    """

    eta: jax.Array  # at the mode (n,)
    spread: jax.Array  # as of `Slopes` (n,)
    shift: jax.Array  # (d,)
    drawn: jax.Array  # x (d, m)
    log_weights: jax.Array  # of all m + x, then of all m - x (2m,)


def find_mode(
    sym: SparseAnalysis,
    likelihood: str,
    problem: Problem,
    values: jax.Array,
    scale: jax.Array,
    own: jax.Array,
    start: jax.Array,
) -> Mode:
    """Search from a start (d,), within constraints, or from zero if the density is not finite there.

    Parameters
    ----------
    sym : SparseAnalysis
        Of the pattern of H.
    likelihood : str
        As the kernel calls it.
    problem : Problem
    values : float array (nnz,)
        R in pattern order.
    scale : float array (d,)
        D.
    own : float array (p,)
        The likelihood's parameters.
    start : float array (d,)
    """
    return _searched("lgm_find_mode", sym, likelihood, problem, [], values, scale, own, start)[0]


def find_mode_and_slopes(
    sym: SparseAnalysis,
    likelihood: str,
    problem: Problem,
    values: jax.Array,
    scale: jax.Array,
    own: jax.Array,
    start: jax.Array,
) -> tuple[Mode, Slopes]:
    """The same, and the derivatives there; arguments as for `find_mode`."""
    d, n = sym.n, problem.rows.n
    more = [(sym.nnz,), (d,), (n,), (n,), (d,), (n,)]
    given = values, scale, own, start
    mode, out = _searched("lgm_find_mode_and_slopes", sym, likelihood, problem, more, *given)
    return mode, Slopes(*out)


def find_mode_and_pairs(
    sym: SparseAnalysis,
    likelihood: str,
    problem: Problem,
    values: jax.Array,
    scale: jax.Array,
    own: jax.Array,
    start: jax.Array,
    normals: jax.Array,
) -> tuple[Mode, Pairs]:
    """The mode, and pairs of points about it of standard normals (d, m); other arguments as for `find_mode`."""
    d, n, m = sym.n, problem.rows.n, normals.shape[-1]
    more = [(n,), (n,), (d,), (d, m), (2 * m,)]
    given = values, scale, own, start, normals
    mode, out = _searched("lgm_find_mode_and_pairs", sym, likelihood, problem, more, *given)
    return mode, Pairs(*out)


def _searched(
    target: str,
    sym: SparseAnalysis,
    likelihood: str,
    problem: Problem,
    more: Sequence[tuple[int, ...]],
    *given: jax.Array,
) -> tuple[Mode, Sequence[jax.Array]]:
    """What a native search finds: the mode, and arrays of more shapes."""
    d = sym.n

    def shapes(batch: tuple[int, ...]) -> Any:
        floats = [((*batch, *shape), np.float64) for shape in [(d,), (), (), (), *more]]
        return [*floats[:4], ((*batch, 2), np.int32), *floats[4:]]

    out = _calls.shared(target, problem, shapes, analysis=sym.key, family=likelihood)(*given)
    return Mode(*out[:5]), out[5:]


def no_trials() -> jax.Array:
    """Of a response without them."""
    return jnp.zeros(0)
