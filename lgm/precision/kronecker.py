r"""Copies of effects: the precision ``A (x) B``, where A says how copies depend on each other and B what each is like.

Independent copies have ``A = I``. With other A these are the interactions of Knorr-Held (2000): type I to IV by which
of A and B are structured.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp

from lgm import linalg
from lgm.arrays import IntArray
from lgm.pattern import Pattern
from lgm.precision.template import Constraint, Kinds, Template, Theta, Whitened, leaves_determinant


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Kronecker:
    """``R = A (x) B``: effect j of copy i is at ``i m + j``, where B is (m, m).

    The scale is the product of those of both factors, where that of A has sd one, and for generalised determinants

        log|A (x) B|* = rank(B) log|A|* + rank(A) log|B|*

    Parameters
    ----------
    outer, inner : Template
        A and B.
    left, right : int arrays (nnz,)
        Of each entry of R, the entries of A and B of which it is the product.
    pattern : Pattern
    ranks : (int, int)
        Of A and B.
    counts : tuple of (str, int)
        How many hyperparameters of each kind B has; the others are those of A, which has no sd of its own.
    factored : (Analysis or None, Analysis or None)
        How A and B are factored, where no closed form of their determinants is known.

    Examples
    --------
    >>> import jax
    >>> from lgm.precision.ar import Ar1
    >>> from lgm.precision.iid import Iid
    >>> copies = Kronecker.of(Iid(2), Ar1(np.array([1]), 2), ((("sd", 1),), (("sd", 1), ("rho", 1))))
    >>> with jax.enable_x64(True):
    ...     found = copies.whiten({"sd": np.array([2.0]), "rho": np.array([0.6])})
    >>> copies.pattern.matrix(found.values).toarray().round(4).tolist()[2]
    [0.0, 0.0, 1.5625, -0.9375]
    >>> found.scale.tolist(), round(float(found.logdet), 4)
    ([2.0, 2.0, 2.0, 2.0], 0.8926)
    """

    outer: Template
    inner: Template
    left: jax.Array | IntArray
    right: jax.Array | IntArray
    pattern: Pattern = field(metadata={"static": True})
    ranks: tuple[int, int] = field(metadata={"static": True})
    counts: Kinds = field(metadata={"static": True})
    factored: tuple[linalg.Analysis | None, linalg.Analysis | None] = field(metadata={"static": True})

    @classmethod
    def of(
        cls,
        outer: Template,
        inner: Template,
        counts: tuple[Kinds, Kinds],
        constraints: tuple[Constraint | None, Constraint | None] = (None, None),
    ) -> Kronecker:
        """The product of two templates.

        Parameters
        ----------
        outer, inner : Template
            A and B.
        counts : (Kinds, Kinds)
            How many hyperparameters of each kind they have.
        constraints : (Constraint or None, Constraint or None)
            Their null spaces.
        """
        pattern, left, right = product_of_patterns(outer.pattern, inner.pattern)
        both = (outer, inner)
        ranks = [each.n - _nullity(constraint) for each, constraint in zip(both, constraints, strict=True)]
        factored = [
            linalg.analyse(each.pattern) if leaves_determinant(each, kinds) else None
            for each, kinds in zip(both, counts, strict=True)
        ]
        return cls(outer, inner, left, right, pattern, (ranks[0], ranks[1]), counts[1], (factored[0], factored[1]))

    @property
    def n(self) -> int:
        """Number of effects, copies times effects of each."""
        return self.outer.n * self.inner.n

    def whiten(self, theta: Theta) -> Whitened:
        """Products of the entries of both factors."""
        own, others = self.split(theta)
        a, b = self.outer.whiten(others), self.inner.whiten(own)
        logdet = self.ranks[1] * self._logdet(a, 0) + self.ranks[0] * self._logdet(b, 1)
        return Whitened(jnp.outer(a.scale, b.scale).ravel(), a.values[self.left] * b.values[self.right], logdet)

    def split(self, theta: Theta) -> tuple[Theta, Theta]:
        """The hyperparameters (..., k) of B, and those of A with an sd of one."""
        counts = dict(self.counts)
        own = {kind: theta[kind][..., :count] for kind, count in counts.items()}
        others = {kind: values[..., counts.get(kind, 0) :] for kind, values in theta.items()}
        first = own["sd"][..., :1]
        return own, {**others, "sd": first.__array_namespace__().ones_like(first)}

    def _logdet(self, found: Whitened, which: int) -> jax.Array:
        if found.logdet is not None:
            return found.logdet
        analysis = self.factored[which]
        assert analysis is not None
        return linalg.logdet(analysis, found.values)


def _nullity(constraint: Constraint | None) -> int:
    return 0 if constraint is None else int(constraint.anchors.size)


def product_of_patterns(a: Pattern, b: Pattern) -> tuple[Pattern, IntArray, IntArray]:
    """The pattern of ``A (x) B``, and the entries of A and B behind each of its entries.

    Below the diagonal of A all of B counts, on it the lower triangle.
    """
    below = np.flatnonzero(b.rows > b.cols)
    entry = np.concatenate([np.arange(b.nnz), below])  # of B as a whole
    rows, cols = np.concatenate([b.rows, b.cols[below]]), np.concatenate([b.cols, b.rows[below]])
    sizes = np.where(a.rows == a.cols, b.nnz, entry.size)
    left = np.repeat(np.arange(a.nnz), sizes)
    part = np.arange(left.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    i, j = a.rows[left] * b.n + rows[part], a.cols[left] * b.n + cols[part]
    order = np.lexsort((i, j))
    n = a.n * b.n
    indptr = np.searchsorted(j[order], np.arange(n + 1))
    return Pattern(n, indptr, i[order]), left[order], entry[part][order]


def constraint_of(outer: Constraint | None, inner: Constraint | None, copies: int, size: int) -> Constraint | None:
    """The null space of ``A (x) B``, A (copies, copies) and B (size, size), from those of A and B.

    It holds what is in the null space of A in one place of B, ``N_A (x) e_j``, and what is in that of B in one copy,
    ``e_i (x) N_B``. What both ways give is left out of the second, by leaving out the copies i that are anchors of A:
    there are ``copies size - rank(A) rank(B)`` directions in all.
    """
    if outer is None and inner is None:
        return None
    a = outer or _nothing(copies)
    b = inner or _nothing(size)
    others = np.setdiff1d(np.arange(copies), a.anchors)
    places = np.arange(size)
    of_copies = sp.csc_array((np.ones(others.size), (others, np.arange(others.size))), shape=(copies, others.size))
    columns = [sp.kron(a.null_space, sp.eye_array(size), "csc"), sp.kron(of_copies, b.null_space, "csc")]
    anchors = [np.add.outer(a.anchors * size, places).ravel(), np.add.outer(others * size, b.anchors).ravel()]
    return Constraint(sp.csc_array(sp.hstack(columns, format="csc")), np.concatenate(anchors))


def _nothing(n: int) -> Constraint:
    return Constraint(sp.csc_array((n, 0)), np.zeros(0, dtype=np.int64))
