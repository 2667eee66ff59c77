"""Analyse: from a design and its priors to a posterior, on the host, once per model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp

from lgm import linalg
from lgm.arrays import FloatArray, IntArray
from lgm.design.design import Design
from lgm.design.fixed_effects import standardise
from lgm.errors import DataError
from lgm.linalg import constrained
from lgm.pattern import Pattern
from lgm.posterior.density import BlockLayout, Posterior
from lgm.posterior.hyperparameters import Hyperparameters, slot
from lgm.precision.intrinsic import Intrinsic, Structure
from lgm.precision.template import Template
from lgm.priors import FixedEffectPrior, Normal, ThetaPrior
from lgm.terms.block import Block

MOST_LOST = 0.1  # n eps max|R|; the log likelihood is then wrong by 0.01 or so


@dataclass(frozen=True)
class Analysed:
    """A posterior and the way back from its coordinates to the coefficients that are printed.

    Parameters
    ----------
    posterior : Posterior
        Its fixed effects are those of a centred and scaled basis, relative to a reference.
    basis : float array (p, p)
        ``beta = reference + basis @ (internal fixed effects)``.
    reference : float array (p,)
        Least-squares coefficients.
    scales : dict
        Per intrinsic or smooth term, the factor(s) that multiplied its structure matrix or penalty.
    """

    posterior: Posterior
    basis: FloatArray
    reference: FloatArray
    scales: dict[str, FloatArray]

    def natural(self, u: FloatArray) -> FloatArray:
        """Internal effects (..., p + q) to printed ones: fixed effects ``beta``, then ``b``."""
        p = self.reference.size
        return np.concatenate([self.reference + u[..., :p] @ self.basis.T, u[..., p:]], axis=-1)


def analyse(
    design: Design,
    fixed_priors: Sequence[FixedEffectPrior],
    theta_priors: Sequence[ThetaPrior],
    *,
    centred_intercept: bool,
) -> Analysed:
    """Build the posterior of a design.

    Parameters
    ----------
    design : Design
        Response, sparse columns and blocks.
    fixed_priors : sequence of p priors
        Of the fixed effects, in the order of the columns.
    theta_priors : sequence of priors
        Of the hyperparameters, block by block, sigma last.
    centred_intercept : bool
        Whether the prior of the intercept is that of the level at the mean of all other columns.
    """
    with jax.enable_x64(True):
        x, basis = standardise(design.X, design.intercept)
        a = sp.csc_array(sp.hstack([x, design.Z], format="csc"))
        w = design.weights
        reference = _least_squares(x, w, design.y - design.offset)
        beta_ref = basis @ reference
        residual = design.y - design.offset - design.X @ beta_ref
        prior = _fixed_prior(design, fixed_priors, basis, beta_ref, centred_intercept)
        templates, scales = _scaled_templates(design.blocks)
        constraints = _constraints(design, templates)
        pattern, places = _pattern(a, design.p, templates)
        base = np.zeros(pattern.nnz)
        rows, cols = np.tril_indices(design.p)
        base[pattern.positions(rows, cols)] = prior.precision[rows, cols]
        base[pattern.positions(constraints.anchors, constraints.anchors)] += constraints.kappa
        constants = np.array(
            [residual @ (w * residual), design.y.size, np.sum(np.log(w)), prior.constant, prior.flat], dtype=float
        )
        posterior = Posterior(
            hyper=Hyperparameters(
                tuple(slot(prior, q) for prior, q in zip(theta_priors, _correlated(design), strict=True))
            ),
            templates=tuple(templates),
            cross=jax.device_put(pattern.values(a.T @ sp.diags_array(w) @ a)),
            projection=jax.device_put(a.T @ (w * residual)),
            prior_pull=jax.device_put(np.concatenate([prior.pull, np.zeros(design.q)])),
            constants=jax.device_put(constants),
            base=jax.device_put(base),
            places=jax.device_put(places),
            sd_of=jax.device_put(_sd_index(design)),
            krige=jax.device_put(constraints.krige),
            kappa=jax.device_put(constraints.kappa),
            logdet_cct=jax.device_put(constraints.logdet_cct),
            analysis=linalg.analyse(pattern),
            layout=_layout(design.blocks),
        )
        return Analysed(jax.device_put(posterior), basis, beta_ref, scales)


def _least_squares(x: sp.csc_array, w: FloatArray, y: FloatArray) -> FloatArray:
    gram = (x.T @ sp.diags_array(w) @ x).toarray()
    return np.linalg.lstsq(gram, x.T @ (w * y), rcond=None)[0] if gram.size else np.zeros(0)


class _FixedPrior(NamedTuple):
    precision: FloatArray  # B' Q_beta B
    pull: FloatArray  # B' Q_beta (m - beta_ref)
    constant: float  # d' Q_beta d - log|Q_beta| - 2 log|B|
    flat: int


def _fixed_prior(
    design: Design, priors: Sequence[FixedEffectPrior], basis: FloatArray, beta_ref: FloatArray, centred: bool
) -> _FixedPrior:
    """The normal prior of ``F beta`` in internal coordinates; F is the identity but for a centred intercept."""
    functionals = np.eye(design.p)
    if centred and design.intercept is not None:
        functionals[design.intercept] = design.X.mean(axis=0)
        functionals[design.intercept, design.intercept] = 1.0
    means = np.array([pr.mean if isinstance(pr, Normal) else 0.0 for pr in priors])
    precisions = np.array([pr.sd**-2 if isinstance(pr, Normal) else 0.0 for pr in priors])
    proper = precisions > 0
    distance = means - functionals @ beta_ref
    f = functionals @ basis
    log_basis = np.linalg.slogdet(basis)[1]  # H is in the basis B, and log|B'HB| = log|H| + 2 log|B|
    constant = float(np.sum(precisions * distance**2) - np.sum(np.log(precisions[proper])) - 2.0 * log_basis)
    return _FixedPrior(
        f.T @ (precisions[:, None] * f), f.T @ (precisions * distance), constant, int(np.count_nonzero(~proper))
    )


def _scaled_templates(blocks: Sequence[Block]) -> tuple[list[Template], dict[str, FloatArray]]:
    templates: list[Template] = []
    scales = {}
    for block in blocks:
        template = block.template
        if isinstance(template, Structure):
            template, scales[block.label] = template.scaled(*(template.moments or intrinsic_moments(template)))
            _require_precise(template, block.label)
        elif block.scale is not None:
            scales[block.label] = np.array([block.scale])
        templates.append(template)
    return templates, scales


def _require_precise(template: Intrinsic, label: str) -> None:
    """Rounding in R acts like data on its null space, and unit-scale effects do not drown it any more."""
    lost = template.n * float(np.finfo(np.float64).eps * np.max(np.abs(template.entries)))
    if lost > MOST_LOST:
        raise DataError(
            f"{label}: some of its values are so close to each other, compared with their range, that double precision "
            "does not suffice. Round them, so that close ones coincide, or use s(...)."
        )


def intrinsic_moments(structure: Structure) -> tuple[FloatArray, float]:
    """Marginal variances under the constraint, and the generalised log-determinant, of an intrinsic structure.

    Exact and sparse: the anchored matrix is factored once, anchor and constraint are handled by kriging
    (`lgm.linalg.constrained`); no pseudo-inverse is formed.
    """
    n, k = structure.null_space.shape
    krige, logdet_cct = _krige_matrix(n, structure.anchors, structure.null_space)
    values = structure.entries.copy()
    diagonal = structure.pattern.indptr[:-1]
    kappa = np.full(k, values[diagonal].mean())
    values[diagonal[structure.anchors]] += kappa
    variances, logdet = _moments(linalg.analyse(structure.pattern), values, krige, kappa, logdet_cct)
    return np.asarray(variances), float(logdet)


@jax.jit(static_argnums=0)
def _moments(
    sym: linalg.Analysis, values: jax.Array, krige: jax.Array, kappa: jax.Array, logdet_cct: float
) -> tuple[jax.Array, jax.Array]:
    logdet, gram, solved = linalg.logdet_quad(sym, values, krige)
    padded = jnp.pad(gram, ((1, 0), (1, 0)))
    inner = constrained.condition(logdet, padded, kappa, logdet_cct)
    correction = constrained.variance_correction(solved, gram, kappa)
    return linalg.marginal_variances(sym, values) - correction, inner.logdet


def _krige_matrix(n: int, anchors: IntArray, null_space: FloatArray) -> tuple[FloatArray, float]:
    k = anchors.size
    krige = np.zeros((n, 2 * k))
    krige[anchors, np.arange(k)] = 1.0
    krige[:, k:] = null_space
    return krige, float(np.linalg.slogdet(null_space.T @ null_space)[1]) if k else 0.0


class _Constraints(NamedTuple):
    krige: FloatArray
    kappa: FloatArray
    anchors: IntArray
    logdet_cct: float


def _constraints(design: Design, templates: Sequence[Template]) -> _Constraints:
    """All constraints of all blocks; a null direction needs its anchor because at sd = 0 the data do not see it."""
    dim = design.p + design.q
    anchors, kappas = [np.zeros(0, dtype=np.int64)], [np.zeros(0)]
    columns = [np.zeros((dim, 0))]
    start = design.p
    for block, template in zip(design.blocks, templates, strict=True):
        if isinstance(block.template, Structure):
            null = block.template.null_space
            entries = np.asarray(template.values(jnp.zeros(0)))
            diagonal = entries[template.pattern.indptr[:-1]]
            anchors.append(block.template.anchors + start)
            kappas.append(np.full(null.shape[1], diagonal.mean()))
            placed = np.zeros((dim, null.shape[1]))
            placed[start : start + block.n] = null
            columns.append(placed)
        start += block.n
    where = np.concatenate(anchors)
    krige, logdet_cct = _krige_matrix(dim, where, np.concatenate(columns, axis=1))
    return _Constraints(krige, np.concatenate(kappas), where, logdet_cct)


def _pattern(a: sp.csc_array, p: int, templates: Sequence[Template]) -> tuple[Pattern, IntArray]:
    """Pattern of H from structure alone, and the places of the templates' entries in it."""
    ones = sp.csc_array((np.ones(a.indices.size), a.indices, a.indptr), shape=a.shape)
    data = Pattern.of(ones.T @ ones)  # sums of ones never cancel
    blocks = Pattern.block_diagonal([t.pattern for t in templates])
    rows, cols = np.tril_indices(p)
    whole = Pattern.from_entries(
        a.shape[1],
        np.concatenate([data.rows, blocks.rows + p, rows]),
        np.concatenate([data.cols, blocks.cols + p, cols]),
    )
    return whole, whole.positions(blocks.rows + p, blocks.cols + p)


def _sd_index(design: Design) -> IntArray:
    index, start = [np.zeros(design.p, dtype=np.int64)], 1
    for block in design.blocks:
        index.append(start + block.sd_of)
        start += 1 + int(block.sd_of.max())
    return np.concatenate(index)


def _correlated(design: Design) -> list[int]:
    return [parameter.q for parameter in design.parameters]


def _layout(blocks: Sequence[Block]) -> tuple[BlockLayout, ...]:
    layout, start = [], 0
    for block in blocks:
        n_sd = 1 + int(block.sd_of.max())
        n = sum(len(parameter.names) for parameter in block.parameters)
        layout.append(BlockLayout((start, start + n_sd), (start + n_sd, start + n)))
        start += n
    return tuple(layout)
