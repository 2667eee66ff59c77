"""Stationary autoregressions: of order one with gaps, of any order at successive times, and in continuous time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lgm.arrays import FloatArray, IntArray
from lgm.pattern import Pattern
from lgm.precision.intrinsic import EPS, MOST_LOST
from lgm.precision.template import Theta, Whitened


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Ar1:
    r"""Unit-variance AR(1) at increasing whole times ``t_1 < ... < t_n``: ``corr(u_i, u_j) = rho^|t_i - t_j|``.

    With ``a_i = rho^(t_{i+1} - t_i)``, R is tridiagonal:

        R[i, i+1] = -a_i / (1 - a_i^2),   R[i, i] = 1 + a_{i-1}^2 / (1 - a_{i-1}^2) + a_i^2 / (1 - a_i^2)

    (terms with an index outside 1..n-1 are absent) and ``log|R| = -sum_i log(1 - a_i^2)``.

    Parameters
    ----------
    gaps : int array (n - 1,)
        ``t_{i+1} - t_i``, each at least one; missing times need no effects of their own.
    n : int
        Number of times.

    Notes
    -----
    Hyperparameters: ``sd``, and ``rho`` in (-1, 1), the correlation of times one unit apart. For equal gaps this is Rue
    & Held (2005), sec. 1.1.1, where the innovations have unit variance; here the process has.

    Examples
    --------
    >>> import jax
    >>> with jax.enable_x64(True):
    ...     found = Ar1(np.array([1, 1]), 3).whiten({"sd": np.array([1.0]), "rho": np.array([0.5])})
    >>> found.values.round(4).tolist()
    [1.3333, -0.6667, 1.6667, -0.6667, 1.3333]
    """

    gaps: jax.Array | IntArray
    n: int = field(metadata={"static": True})

    @property
    def pattern(self) -> Pattern:
        """Tridiagonal."""
        return _banded(self.n, 1)

    def whiten(self, theta: Theta) -> Whitened:
        """Entries of R, shape (2 n - 1,): diagonal and subdiagonal in turn."""
        a = jnp.power(theta["rho"][0], self.gaps)
        # As a product: compiled code may round 1 - a^2 differently above and below, and near one the two must cancel.
        values = _markov_entries(a, (1.0 - a) * (1.0 + a))
        return Whitened(jnp.broadcast_to(theta["sd"], (self.n,)), values, -jnp.sum(jnp.log1p(-a) + jnp.log1p(a)))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Ou:
    r"""Unit-variance Ornstein-Uhlenbeck process at increasing times: ``corr(u_i, u_j) = rho^|t_i - t_j|``.

    The entries are those of `Ar1`, whose ``1 - a_i^2`` keeps all its digits however close two times are.

    Parameters
    ----------
    gaps : float array (n - 1,)
        ``t_{i+1} - t_i``, positive.
    n : int
        Number of times.

    Notes
    -----
    Hyperparameters: ``sd``, and ``rho`` in (0, 1), the correlation of times one unit apart: the continuous AR(1) of
    Jones (1993), `corCAR1` of R's nlme.
    """

    gaps: jax.Array | FloatArray
    n: int = field(metadata={"static": True})

    @property
    def pattern(self) -> Pattern:
        """Tridiagonal."""
        return _banded(self.n, 1)

    def whiten(self, theta: Theta) -> Whitened:
        """Entries of R, shape (2 n - 1,): diagonal and subdiagonal in turn."""
        logs = jnp.asarray(self.gaps) * jnp.log(theta["rho"][0])
        innovation = -jnp.expm1(2.0 * logs)
        values = _markov_entries(jnp.exp(logs), innovation)
        return Whitened(jnp.broadcast_to(theta["sd"], (self.n,)), values, -jnp.sum(jnp.log(innovation)))


def least_gap(n: int) -> float:
    """How close n times of `Ou` may be, in steps, so that up to a correlation of 0.999 its R keeps enough digits.

    Its entries are ``1 / (2 gap (1 - rho))``, and what rounding does to them acts like data on the level.
    """
    return n * EPS / (2.0 * MOST_LOST * (1.0 - 0.999))


def _markov_entries(a: jax.Array, innovation: jax.Array) -> jax.Array:
    """Entries of R (2 n - 1,) from the correlations of neighbours and ``1 - a^2``."""
    extra = a * a / innovation
    diagonal = 1.0 + jnp.concatenate([extra, jnp.zeros(1)]) + jnp.concatenate([jnp.zeros(1), extra])
    below = jnp.concatenate([-a / innovation, jnp.zeros(1)])
    return jnp.stack([diagonal, below], axis=1).ravel()[:-1]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Ar:
    r"""Unit-variance AR(p) at n successive times, by its partial autocorrelations ``psi_1, ..., psi_p``.

    ``R = L'D^-1 L``: row t of L holds one and minus the coefficients of the best predictor from the ``min(t - 1, p)``
    times before, ``D_t = prod_k (1 - psi_k^2)`` over as many k is its error variance (Durbin-Levinson), so that the
    process is stationary from its first time on, and ``log|R| = -sum_k (n - k) log(1 - psi_k^2)``.

    Parameters
    ----------
    n : int
        Number of times, more than p.
    p : int
        Order.

    Notes
    -----
    Hyperparameters: ``sd``, and p of the kind ``pacf`` in (-1, 1), any of which make a stationary process
    (Barndorff-Nielsen & Schou 1973).

    Examples
    --------
    >>> with jax.enable_x64(True):
    ...     found = Ar(3, 1).whiten({"sd": np.array([1.0]), "pacf": np.array([0.5])})
    >>> found.values.round(4).tolist()
    [1.3333, -0.6667, 1.6667, -0.6667, 1.3333]
    """

    n: int = field(metadata={"static": True})
    p: int = field(metadata={"static": True})

    @property
    def pattern(self) -> Pattern:
        """A diagonal and p below it."""
        return _banded(self.n, self.p)

    def whiten(self, theta: Theta) -> Whitened:
        """Entries of R, column by column."""
        n, p, psi = self.n, self.p, theta["pacf"]
        predictors = coefficients([psi[k] for k in range(p)])
        left = jnp.concatenate([jnp.ones(1), jnp.cumprod((1.0 - psi) * (1.0 + psi))])
        # One row for each order of predictor: its coefficients, from lag zero on, in units of its error.
        rows = [
            jnp.stack([jnp.ones(()), *(-c for c in each), *[jnp.zeros(())] * (p - len(each))]) for each in predictors
        ]
        table = jnp.stack(rows) / jnp.sqrt(left)[:, None]
        whole = jnp.pad(table[np.minimum(np.arange(n), p)], ((0, p), (0, 0)))
        bands = [
            sum(whole[j + m : j + m + n, m] * whole[j + m : j + m + n, j + m] for m in range(p + 1 - j))
            for j in range(p + 1)
        ]
        inside = np.add.outer(np.arange(n), np.arange(p + 1)) < n
        values = jnp.stack(bands, axis=1).ravel()[np.flatnonzero(inside)]
        counts = n - np.arange(1.0, p + 1.0)
        log_det = -jnp.vdot(counts, jnp.log1p(-psi) + jnp.log1p(psi))
        return Whitened(jnp.broadcast_to(theta["sd"], (n,)), values, log_det)


def coefficients(pacf: Sequence[Any]) -> list[list[Any]]:
    """Coefficients ``phi_1, ..., phi_k`` of the best predictors from 0, 1, ..., p times before, by Durbin-Levinson.

    Parameters
    ----------
    pacf : sequence of p numbers or arrays
        Partial autocorrelations.

    Examples
    --------
    >>> coefficients([0.8, -0.25])
    [[], [0.8], [1.0, -0.25]]
    """
    found: list[list[Any]] = [[]]
    for psi in pacf:
        before = found[-1]
        found.append([*(a - psi * b for a, b in zip(before, reversed(before), strict=True)), psi])
    return found


def _banded(n: int, width: int) -> Pattern:
    """A diagonal and as many below it."""
    lags = [np.arange(n - j) for j in range(1, width + 1)]
    cols = np.concatenate([np.zeros(0, dtype=np.int64), *lags])
    return Pattern.from_entries(n, cols + np.repeat(np.arange(1, width + 1), [each.size for each in lags]), cols)
