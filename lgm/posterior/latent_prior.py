r"""The prior side of the posterior: ``u | theta ~ N(m, Q(theta)^-1)``, block by block, under linear constraints.

Blocks are *whitened*: ``b = D v`` with D the diagonal of scales, so that v has the unit-scale precision R of its block.
All ``log sd`` then cancel between prior and posterior, and a standard deviation of zero is an ordinary point.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from lgm import linalg
from lgm.arrays import Numbers
from lgm.linalg import constrained, products
from lgm.linalg.rows import Rows
from lgm.parameter import Parameter
from lgm.precision.template import Template

LOG_2PI = 1.8378770664093453

# Where the hyperparameters of an owner (a block, the family) stand in theta: positions by kind.
Places: TypeAlias = tuple[tuple[str, tuple[int, ...]], ...]


def places_of(parameters: Iterable[Parameter], start: int) -> Places:
    """Positions in theta of parameters that follow each other from ``start`` on, by kind."""
    found: dict[str, list[int]] = {}
    for parameter in parameters:
        found.setdefault(parameter.kind, []).extend(range(start, start + len(parameter.names)))
        start += len(parameter.names)
    return tuple((kind, tuple(where)) for kind, where in found.items())


def by_kind(theta: Any, places: Places) -> dict[str, Any]:
    """An owner's slice of theta (..., k), traced or not: a vector for each kind."""
    return {kind: _taken(theta, where) for kind, where in places}


def _taken(theta: Any, where: tuple[int, ...]) -> Any:
    first = where[0]
    if where == tuple(range(first, first + len(where))):
        return theta[..., first : first + len(where)]
    return theta[..., np.array(where)]


class Whitened(NamedTuple):
    """The prior of all effects at a theta: scales (p + q,), its bordered precision, and log-determinant."""

    scale: jax.Array
    values: jax.Array
    logdet: jax.Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LatentPrior:
    """All that an evaluation needs of the prior of u: numbers are arguments of compiled functions, structure is static.

    Parameters
    ----------
    templates : tuple of Template
        One per block.
    base : float array (nnz,)
        What does not depend on theta, in the order of the bordered pattern of H: ``Q_beta`` and the border.
    entries : int array
        Positions in H of the entries of the templates, one template after the other.
    pull : float array (p + q,)
        ``Q_beta d`` for the fixed effects, zero elsewhere.
    constant : float array ()
        ``d'Q_beta d - log|Q_beta| - 2 log|B|`` (B: basis of the fixed effects), up to ``log 2 pi`` of flat ones.
    flat : float array ()
        Number of flat fixed effects.
    constraints : Rows
        C (k, p + q).
    anchors : int array (k,)
        Of the border (`lgm.linalg.constrained`): which effects.
    log_border : float array ()
        What it adds to log-determinants.
    places : tuple of Places
        Of each block's hyperparameters in theta.
    factored : tuple of (Analysis or None)
        For each block: how its R is factored, where no closed form of its determinant is known.
    """

    templates: tuple[Template, ...]
    base: Numbers
    entries: Numbers
    pull: Numbers
    constant: Numbers
    flat: Numbers
    constraints: Rows
    anchors: Numbers
    log_border: Numbers
    places: tuple[Places, ...] = field(metadata={"static": True})
    factored: tuple[linalg.Analysis | None, ...] = field(metadata={"static": True})

    @property
    def dim(self) -> int:
        """Number of effects, p + q."""
        return int(self.pull.shape[0])

    @property
    def k(self) -> int:
        """Number of constraints."""
        return int(self.anchors.shape[0])

    @property
    def q(self) -> int:
        """Number of latent effects."""
        return sum(template.n for template in self.templates)

    def whiten(self, theta: jax.Array) -> Whitened:
        """Scales, precision and its determinant at a theta (natural scale)."""
        scales, entries, logdet = [jnp.ones(self.dim - self.q)], [], jnp.zeros(())
        for template, places, analysis in zip(self.templates, self.places, self.factored, strict=True):
            own = template.whiten(by_kind(theta, places))
            scales.append(own.scale)
            entries.append(own.values)
            logdet = logdet + _logdet(own.logdet, own.values, analysis)
        values = jnp.asarray(self.base)
        if entries:
            values = values.at[self.entries].add(jnp.concatenate(entries), unique_indices=True)
        return Whitened(jnp.concatenate(scales), values, logdet)

    def log_density(self, at: Whitened, analysis: linalg.Analysis, v: jax.Array) -> jax.Array:
        """``log p(v | theta)`` of whitened effects v (p + q,) within the constraints, flat fixed effects left out."""
        square = quadratic(analysis, at.values, constrained.extended(v, self.anchors))
        proper = self.dim - self.k - self.flat
        return 0.5 * (at.logdet - square - self.constant - proper * LOG_2PI) + self.pull @ v


def quadratic(analysis: linalg.Analysis, values: Numbers, x: jax.Array) -> jax.Array:
    """``x'Mx`` for a symmetric M in pattern order."""
    return jnp.vdot(values, products.gradient(analysis, x[:, None], x[:, None]))


def _logdet(known: jax.Array | None, values: jax.Array, analysis: linalg.Analysis | None) -> jax.Array:
    if known is not None:
        return known
    assert analysis is not None
    return linalg.logdet(analysis, values)
