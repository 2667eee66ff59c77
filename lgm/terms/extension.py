r"""Draws of what copies of a term do not have: new places of known copies, and new copies.

The effects, copy by place, are X with covariance ``A (x) B``. Given X, a term at new places is linear in its effects
and in standard normals, ``W x + L z``, in each copy; with Z of covariance A across copies that is X at the new places
of all of them. Given X there too, new copies are ``W X + L Z`` once more, with the outer term's W and L place by place,
and Z drawn from the inner term's prior and continued to the new places.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lgm.arrays import FloatArray, IntArray
from lgm.precision.kronecker import Kronecker
from lgm.precision.population import normals_of, prior_draws
from lgm.terms.block import Block
from lgm.terms.term import Draw, Novel


@dataclass(frozen=True)
class Extension:
    """Effects that the fit does not have: new places of known copies, then all places of new copies.

    Parameters
    ----------
    template : Kronecker
    outer, inner : Block
        Of which the effects are the product.
    places, levels : Novel or None
        What the inner and the outer term say of new places and of new copies.
    continued : int array (c,)
        Known copies that need new places.
    independent : bool
        Whether copies are.
    """

    template: Kronecker
    outer: Block
    inner: Block
    places: Novel | None
    levels: Novel | None
    continued: IntArray
    independent: bool

    @property
    def width(self) -> int:
        """Number of new places."""
        return 0 if self.places is None else int(self.places.z.shape[1])

    @property
    def copies(self) -> int:
        """Number of new copies."""
        return 0 if self.levels is None else int(self.levels.z.shape[1])

    @property
    def known(self) -> int:
        """How many effects are of known copies."""
        return int(self.continued.size) * self.width

    @property
    def size(self) -> int:
        """How many effects there are."""
        return self.known + self.copies * (self.inner.n + self.width)

    @property
    def normals(self) -> tuple[int, int, int]:
        """How many standard normals known copies, new copies, and new places of new copies take."""
        across = self.continued.size if self.independent else normals_of(self.outer.template, self.outer.constraint)
        within = normals_of(self.inner.template, self.inner.constraint)
        return across * self.width * (self.known > 0), within * self.copies, self.width * self.copies

    def draw(self, theta: Mapping[str, FloatArray], b: FloatArray, normals: FloatArray) -> FloatArray:
        """As `lgm.terms.term.Draw`."""
        own, others = self.template.split(theta)
        size, x = len(b), b.reshape(len(b), self.outer.n, self.inner.n)
        first, second, third = np.split(normals, np.cumsum(self.normals)[:2], axis=1)
        parts = []
        if self.known and self.places is not None:
            z = first.reshape(size, self.width, -1)
            z = z if self.independent else prior_draws(self.outer.template, self.outer.constraint, others, z)
            more = _each(self.places.draw, own, x[:, self.continued], z.swapaxes(1, 2))
            parts.append(more.reshape(size, -1))
            x = x if self.independent else np.concatenate([x, more], axis=2)
        if self.levels is not None:
            z = second.reshape(size, self.copies, -1)
            new = prior_draws(self.inner.template, self.inner.constraint, own, z)
            if self.places is not None:
                new = np.concatenate(
                    [new, _each(self.places.draw, own, new, third.reshape(size, self.copies, -1))], axis=2
                )
            if not self.independent:
                new = _each(self.levels.draw, others, x.swapaxes(1, 2), new.swapaxes(1, 2)).swapaxes(1, 2)
            parts.append(new.reshape(size, -1))
        return np.concatenate(parts, axis=1)


def _each(draw: Draw, theta: Mapping[str, FloatArray], b: FloatArray, normals: FloatArray) -> FloatArray:
    """Draws (S, c, m) for each of c copies, of effects (S, c, n) and normals (S, c, m)."""
    size, c, _ = b.shape
    repeated = {kind: np.repeat(values, c, axis=0) for kind, values in theta.items()}
    drawn = draw(repeated, b.reshape(size * c, -1), normals.reshape(size * c, -1))
    return np.asarray(drawn).reshape(size, c, -1)
