"""Effective degrees of freedom: how many free coefficients each term is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from lgm.arrays import FloatArray
from lgm.errors import LgmError
from lgm.inference.compile import compiled
from lgm.posterior.density import Marginal, variances
from lgm.posterior.functionals import Sums
from lgm.posterior.laplace import LaplaceData
from lgm.posterior.latent_prior import by_kind
from lgm.terms.term import Smooth, Term
from lgm.xla import own_settings

if TYPE_CHECKING:
    from lgm.results.fit import Fit

MOST_THETAS = 50  # over which degrees of freedom are averaged


def of_terms(fit: Fit) -> pd.Series:
    """See `Fit.edf`."""
    parts = [(j, part) for j, term in enumerate(fit.design.terms) for part in term.smooths or (_whole(term),)]
    if not parts:
        raise LgmError("this model has no latent terms; a fixed effect is worth one.")
    return degrees_of_freedom(fit, parts)


def _whole(term: Term) -> Smooth:
    """A term that is no smooth, as one."""
    block = term.block
    lost = 0 if block.constraint is None else block.constraint.anchors.size
    return Smooth(term.label, np.arange(block.n), tuple(term.null), (), lost=lost)


def degrees_of_freedom(fit: Fit, parts: Sequence[tuple[int, Smooth]]) -> pd.Series:
    """Of parts of terms, with the number of the term: the trace of the smoother over its effects, averaged over theta.

    Of effects with the precision R of unit scale and the covariance C given the data, in units of their scale, both at
    one theta, it is ``rank(R) - tr(R C)``; a fixed effect of the null space counts as one.
    """
    d, thetas = fit.design, fit.effects.drawing.thetas
    chosen = np.unique(thetas[np.linspace(0, len(thetas) - 1, min(MOST_THETAS, len(thetas))).astype(int)], axis=0)
    post = fit.analysed.marginal
    if isinstance(post.data, LaplaceData):
        post = replace(post, data=replace(post.data, rung="laplace"))
    names, values = [], []
    slices = d.predictor.term_slices()
    for j, smooth in parts:
        penalised = _penalised(post, chosen, j, d.p + slices[j].start, smooth)
        names.append(smooth.name)
        values.append(penalised + len(set(smooth.fixed) & set(d.predictor.null_names)))
    return pd.Series(values, names, name="edf", dtype=float).rename_axis("term")


def _penalised(post: Marginal, thetas: FloatArray, j: int, start: int, smooth: Smooth) -> float:
    """Of the effects of block j, which starts there; ``tr(R C)`` is a sum over the entries of R.

    As ``2 C_ik = C_ii + C_kk - var(v_i - v_k)``, it takes a variance for each entry below the diagonal, and on the
    diagonal one for each row that does not sum to zero.
    """
    pattern = post.prior.templates[j].pattern
    kept = np.flatnonzero(np.isin(pattern.rows, smooth.effects) & np.isin(pattern.cols, smooth.effects))
    own = np.column_stack([pattern.rows[kept], pattern.cols[kept]])
    weights = np.where(own[:, :1] == own[:, 1:], 0.5, np.array([[1.0, -1.0]]))
    index = start + own
    pairs = post.analysis.pattern.positions(*np.broadcast_arrays(index[:, :, None], index[:, None, :]))
    sums = Sums(index, weights, pairs, np.arange(kept.size))
    with own_settings():
        each = [_traced(j, post, theta, sums, own, kept, smooth.lost) for theta in thetas]
        return float(np.mean([np.asarray(one) for one in each]))


@compiled(shapes=lambda post, j: ())
def _traced(
    j: int, post: Marginal, theta: jax.Array, sums: Sums, own: jax.Array, kept: jax.Array, lost: jax.Array
) -> jax.Array:
    at = post.prior.templates[j].whiten(by_kind(theta, post.prior.places[j]))
    there, values, diagonal = at.scale > 0.0, at.values[kept], own[:, 0] == own[:, 1]
    unit = jnp.where(there, at.scale, 1.0)
    variance = variances(post, theta, jnp.zeros((post.dim, 0)), (replace(sums, weights=sums.weights / unit[own]),))[0]
    total = jnp.zeros_like(unit).at[own[:, 0]].add(values).at[own[:, 1]].add(jnp.where(diagonal, 0.0, values))
    share = jnp.where(diagonal, total[own[:, 0]], -values) * variance
    rank = jnp.sum(diagonal & there[own[:, 0]]) - jnp.where(jnp.any(there[own[:, 0]]), lost, 0)
    return rank - jnp.sum(jnp.where(jnp.all(there[own], axis=1), share, 0.0))
