"""The operations of `lgm.linalg.backend` by dense algebra: slow for large matrices, short and plainly right.

Any hardware can run it, and it is the oracle of the sparse kernel. Derivatives are those of the dense factorisation
``Q = L L'`` (`lgm.linalg.small`), to any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import scipy.sparse as sp

from lgm.linalg import backend
from lgm.linalg.analysis import Analysis, allowed_bytes, pattern_to_factor
from lgm.linalg.small import Factored, factor
from lgm.pattern import Pattern

# Outside a trace each of the thirty steps would be compiled by itself.
_one_program = partial(jax.jit, static_argnums=0, inline=True)


@dataclass(frozen=True)
class DenseAnalysis(Analysis):
    """An analysis whose verbs are done by dense algebra; made by `analyse_dense`.

    Attributes
    ----------
    pattern : Pattern
        The stored positions; values given to the verbs of `lgm.linalg` are in this order.
    constraints : int
        k: the last 2k rows are the border of k constraints.
    """

    pattern: Pattern
    constraints: int = 0


def analyse_dense(
    matrix: sp.sparray | sp.spmatrix | Pattern, *, constraints: int = 0, memory_limit: int | None = None
) -> DenseAnalysis:
    """Have the verbs of `lgm.linalg` done by dense algebra: a check of the sparse kernel, or a way round it.

    One call costs of the order of n^3 operations and n^2 memory, whatever the pattern. The results are those of
    `analyse` up to rounding, except draws, which are others of the same distribution.

    Parameters
    ----------
    matrix : sparse matrix or array (n, n), or Pattern
        Only the pattern counts, as in `analyse`.
    constraints : int
        As in `analyse`.
    memory_limit : int, optional
        Largest factor in bytes. By default three quarters of the machine's memory.

    Returns
    -------
    DenseAnalysis

    Raises
    ------
    MemoryError
        If a dense factor would not fit.
    ValueError
        If the matrix is empty or not square.

    Examples
    --------
    >>> import jax, numpy as np, scipy.sparse as sp
    >>> from lgm.linalg import solve
    >>> Q = sp.csc_array([[4.0, 2.0], [2.0, 5.0]])
    >>> sym = analyse_dense(Q)
    >>> with jax.enable_x64(True):
    ...     x = solve(sym, sym.values(Q), np.array([4.0, 2.0]))
    >>> x.round(6).tolist()
    [1.0, 0.0]
    """
    pattern = pattern_to_factor(matrix)
    needed, limit = 8 * pattern.n**2, allowed_bytes(memory_limit)
    if needed > limit:
        raise MemoryError(
            f"a dense factor of this {pattern.n} x {pattern.n} matrix takes {needed / 2**30:.3g} GiB, where at most "
            f"{limit / 2**30:.3g} GiB are allowed; analyse(Q) keeps it sparse"
        )
    return DenseAnalysis(pattern, constraints)


@backend.logdet_quad.register(DenseAnalysis)
@_one_program
def _logdet_quad(sym: DenseAnalysis, q: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    found = _factor(sym, q)
    x = found.solve(b)
    return found.logdet, b.T @ x, x


@backend.solve.register(DenseAnalysis)
@_one_program
def _solve(sym: DenseAnalysis, q: jax.Array, b: jax.Array) -> jax.Array:
    return _factor(sym, q).solve(b)


@backend.solve_and_invert.register(DenseAnalysis)
@_one_program
def _solve_and_invert(sym: DenseAnalysis, q: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    found = _factor(sym, q)
    return found.logdet, found.solve(b), found.inverse[sym.pattern.rows, sym.pattern.cols]


@backend.solve_and_sample.register(DenseAnalysis)
@_one_program
def _solve_and_sample(
    sym: DenseAnalysis, q: jax.Array, b: jax.Array, z: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    found = _factor(sym, q)
    return found.logdet, found.solve(b), found.draw(z)


@backend.factor_info.register(DenseAnalysis)
@_one_program
def _factor_info(sym: DenseAnalysis, q: jax.Array) -> jax.Array:
    """By bisection: leading blocks that end before the pivot have a factor, those that include it have none."""
    full, place, k = _matrix(sym, q), jnp.arange(sym.n), sym.constraints
    signs = jnp.where((place >= sym.n - 2 * k) & (place < sym.n - k), -1.0, 1.0)

    def fails(order: jax.Array | int) -> jax.Array:
        inside = (place < order)[:, None] & (place < order)
        return ~jnp.isfinite(_factored(jnp.where(inside, full, jnp.diag(signs)), k).logdet)

    def halve(_: int, bounds: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        below, above = bounds
        middle = (below + above) // 2
        failed = fails(middle)
        return jnp.where(failed, below, middle), jnp.where(failed, middle, above)

    first = jax.lax.fori_loop(0, sym.n.bit_length(), halve, (jnp.int32(0), jnp.int32(sym.n)))[1]
    return jnp.where(fails(sym.n), first, 0)


def _matrix(sym: DenseAnalysis, q: jax.Array) -> jax.Array:
    lower = jnp.zeros((sym.n, sym.n)).at[sym.pattern.rows, sym.pattern.cols].set(q)
    return lower + jnp.tril(lower, -1).T


class _Plain(NamedTuple):
    """A positive definite Q."""

    found: Factored

    @property
    def logdet(self) -> jax.Array:
        return self.found.logdet

    @property
    def inverse(self) -> jax.Array:
        return self.found.inverse

    def solve(self, b: jax.Array) -> jax.Array:
        return self.found.root.T @ (self.found.root @ b)

    def draw(self, z: jax.Array) -> jax.Array:
        return self.found.root.T @ z


class _Bordered(NamedTuple):
    """``K = [H B'; B M]``, eliminated block by block: effects, multipliers (with the other sign), slacks."""

    effects: _Plain
    b: jax.Array  # (2k, d)
    multipliers: Factored  # of P = C H^-1 C'
    cross: jax.Array  # (k, k), slacks by multipliers, of what the effects leave of M
    slacks: Factored

    @property
    def logdet(self) -> jax.Array:
        return self.effects.logdet + self.multipliers.logdet + self.slacks.logdet

    @property
    def inverse(self) -> jax.Array:
        away = self.cross @ self.multipliers.inverse
        below = self.slacks.inverse @ away
        border = jnp.block([[away.T @ below - self.multipliers.inverse, below.T], [below, self.slacks.inverse]])
        solved = self.effects.inverse @ self.b.T
        corner = solved @ border
        return jnp.block([[self.effects.inverse + corner @ solved.T, -corner], [-corner.T, border]])

    def solve(self, b: jax.Array) -> jax.Array:
        return self.inverse @ b

    def draw(self, z: jax.Array) -> jax.Array:
        """Multipliers are none of the variables, and stay at zero."""
        d, k = self.effects.inverse.shape[0], self.cross.shape[0]
        slacks = self.slacks.root.T @ z[d + k :]
        free = self.effects.draw(z[:d]) - self.effects.inverse @ (self.b[k:].T @ slacks)
        c = self.b[:k]
        kriged = free - self.effects.inverse @ (c.T @ (self.multipliers.inverse @ (c @ free)))
        return jnp.concatenate([kriged, jnp.zeros_like(slacks), slacks])


def _factor(sym: DenseAnalysis, q: jax.Array) -> _Plain | _Bordered:
    """All NaN where there is no factor. An infinite entry, which LAPACK lets pass, is made NaN first."""
    return _factored(_matrix(sym, q * jnp.where(jnp.all(jnp.isfinite(q)), 1.0, jnp.nan)), sym.constraints)


def _factored(full: jax.Array, k: int) -> _Plain | _Bordered:
    d = full.shape[0] - 2 * k
    effects = _Plain(factor(full[:d, :d]))
    if not k:
        return effects
    b = full[d:, :d]
    left = full[d:, d:] - b @ effects.inverse @ b.T
    multipliers, cross = factor(-left[:k, :k]), left[k:, :k]
    return _Bordered(effects, b, multipliers, cross, factor(left[k:, k:] + cross @ multipliers.inverse @ cross.T))
