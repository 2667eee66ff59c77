"""Assemble: from a design and its priors to a posterior, on the host, once per model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
import scipy.sparse as sp
from scipy.linalg import cho_factor, cho_solve

from lgm import linalg
from lgm.arrays import FloatArray, IntArray
from lgm.design.collapse import Observations, collapse
from lgm.design.design import Design
from lgm.design.fixed_effects import prior_functionals, standardise
from lgm.design.predictor import Predictor
from lgm.design.reference import in_basis
from lgm.design.summed import CollapsedDesign, SummedDesign, refuse_rows
from lgm.design.sums import moved
from lgm.gram import by_column, entries, from_columns, gram
from lgm.linalg.constrained import Border
from lgm.linalg.rows import Rows
from lgm.pattern import Pattern
from lgm.posterior.density import Marginal
from lgm.posterior.every_row import EveryRow
from lgm.posterior.functionals import Sums
from lgm.posterior.gaussian import GaussianData
from lgm.posterior.hyperparameters import Hyperparameters, Reprinted
from lgm.posterior.inner import Observed
from lgm.posterior.laplace import LaplaceData
from lgm.posterior.latent_prior import LatentPrior, Places, places_of
from lgm.posterior.leaves import Leaves
from lgm.posterior.linear_start import Start
from lgm.posterior.slots import slot
from lgm.posterior.solvers import solved
from lgm.precision.template import Template, Theta, leaves_determinant
from lgm.priors import FixedEffectPrior, Normal, ThetaPrior
from lgm.sparse import between
from lgm.terms.block import Block
from lgm.xla import QUICK, own_settings


@dataclass(frozen=True, eq=False)
class Analysed:
    """A posterior and the way back from its coordinates to the effects that are printed.

    Parameters
    ----------
    marginal : Marginal
        Its fixed effects are those of a centred and scaled basis, relative to a reference.
    basis : float array (p, p)
        Triangular but for the order of its columns. ``beta = reference + basis @ (internal fixed effects)``.
    reference : float array (p,)
        Least-squares coefficients.
    pattern : Pattern
        Of H.
    gram : float array (nnz,)
        ``A'WA`` with the known weights, in its order: what the rows can tell apart.
    """

    marginal: Marginal
    basis: FloatArray
    reference: FloatArray
    pattern: Pattern
    gram: FloatArray

    def natural(self, u: FloatArray) -> FloatArray:
        """Internal effects (..., p + q) to natural ones: fixed effects ``beta``, then ``b``."""
        p = self.reference.size
        return np.concatenate([self.reference + u[..., :p] @ self.basis.T, u[..., p:]], axis=-1)

    def printed(self, u: FloatArray) -> FloatArray:
        """Natural effects (..., p + q) to those that tables show: fixed effects, then the variables of the terms."""
        p, sums = self.reference.size, self.marginal.printed
        out = np.empty((*u.shape[:-1], p + sum(some.place.size for some in sums)))
        out[..., :p] = u[..., :p]
        for some in sums:
            out[..., p + np.asarray(some.place)] = np.sum(
                np.asarray(some.weights) * u[..., np.asarray(some.index)], axis=-1
            )
        return out


def analyse(
    design: Design,
    fixed_priors: Sequence[FixedEffectPrior],
    theta_priors: Sequence[ThetaPrior],
    *,
    centred_intercept: bool,
    solver: str = "direct",
) -> Analysed:
    """Build the posterior of a design.

    Parameters
    ----------
    design : Design
        Response, sparse columns and blocks.
    fixed_priors : sequence of p priors
        Of the fixed effects, in the order of the columns.
    theta_priors : sequence of priors
        Of the hyperparameters, block by block, those of the family last.
    centred_intercept : bool
        Whether the prior of the intercept is that of the level at the mean of all other columns.
    solver : str
        Of `lgm.posterior.solvers`.
    """
    with own_settings():
        if isinstance(design, CollapsedDesign):
            evidence = _collapsed(design)
        else:
            evidence = _summed(design) if isinstance(design, SummedDesign) else _of_rows(design)
        return _analysed(design, evidence, fixed_priors, theta_priors, solver, centred_intercept=centred_intercept)


class _Evidence(NamedTuple):
    """What the rows say, in the coordinates of the posterior.

    Parameters
    ----------
    basis : float array (p, p)
    reference : float array (p,)
    pattern : Pattern
    own : int array
        Places of the templates' entries in it.
    gram : float array (nnz,)
        ``A'WA``.
    side : callable
        The data side, given the bordered pattern and ``A'WA`` in its order.
    """

    basis: FloatArray
    reference: FloatArray
    pattern: Pattern
    own: IntArray
    gram: FloatArray
    side: Callable[[Pattern, FloatArray], GaussianData | LaplaceData]


def _of_rows(design: Design) -> _Evidence:
    predictor = design.predictor
    x, basis = standardise(predictor.X, predictor.intercept)
    given = Observations((x, predictor.Z), design.response, predictor.offset, design.weights, design.weights)
    rows = given if design.family.conjugate else collapse(design.family, given)
    known = None if design.weighs or rows is not given else predictor.gram
    return _evidence(design, basis, rows, known)


def _collapsed(design: CollapsedDesign) -> _Evidence:
    """The same from rows in which others are collapsed."""
    p, rows = design.p, design.distinct
    basis = design.sums.standard(design.reference)
    x = in_basis(between(rows.a, 0, p), basis)
    blocks = x, between(rows.a, p, p + design.q)
    return _evidence(design, basis, rows._replace(blocks=blocks, y=replace(rows.y, times=None)), None)


def _evidence(design: Design, basis: FloatArray, rows: Observations, known: FloatArray | None) -> _Evidence:
    """Of rows in the standardised basis; ``known`` is the product of the fixed columns."""
    predictor = design.predictor
    product = gram(rows.blocks, rows.mass, known)
    alike = None if np.any(rows.mass != 1.0) else product
    inner, own = _pattern(*entries(rows.blocks, alike), predictor.p, predictor.blocks)
    weighted = inner.values(product)
    normal = from_columns(weighted[inner.rows < predictor.p], predictor.p)
    x = rows.blocks[0] if len(rows.blocks) == 2 else between(rows.a, 0, predictor.p)
    internal = _least_squares(normal, x.T @ (rows.mass * _target(design, rows)))
    rows = rows._replace(offset=rows.offset + x @ internal)

    def side(pattern: Pattern, placed: FloatArray) -> GaussianData | LaplaceData:
        return _data_side(design, rows, placed, pattern, _places_of_family(design))

    return _Evidence(basis, basis @ internal, inner, own, weighted, side)


def _summed(design: SummedDesign) -> _Evidence:
    """The same from sums over rows that are not at hand."""
    predictor, sums = design.predictor, design.sums
    basis = sums.standard(design.reference)
    found = moved(sums, design.reference, basis)
    row, col = sums.places // sums.size, sums.places % sums.size
    inner, own = _pattern(row, col, predictor.p, predictor.blocks)
    weighted = inner.values(sp.coo_array((found.products, (row, col)), shape=(sums.size, sums.size)))

    def side(pattern: Pattern, placed: FloatArray) -> GaussianData:
        return GaussianData(
            gram=placed,
            projection=found.projection,
            square=np.asarray(found.square),
            n=np.asarray(float(sums.n)),
            sum_log_w=np.asarray(sums.log_weights),
            places=_places_of_family(design),
        )

    return _Evidence(basis, basis @ found.fit, inner, own, weighted, side)


def _analysed(
    design: Design,
    evidence: _Evidence,
    fixed_priors: Sequence[FixedEffectPrior],
    theta_priors: Sequence[ThetaPrior],
    solver: str,
    *,
    centred_intercept: bool,
) -> Analysed:
    predictor = design.predictor
    basis, beta_ref, inner, own_entries, weighted, data_side = evidence
    beta = _fixed_prior(predictor, fixed_priors, basis, beta_ref, centred_intercept)
    slots = (slot(prior, owner) for prior, owner in zip(theta_priors, design.parameters, strict=True))
    constraints = _constraints(predictor.blocks, predictor.p)
    border = Border.of(inner, *constraints)
    prior = _latent_prior(predictor, beta, border, constraints, border.inner[own_entries])
    placed = np.zeros(border.pattern.nnz)
    placed[border.inner] = weighted
    reprinted = (
        Reprinted(block.printing, places)
        for block, places in zip(predictor.blocks, prior.places, strict=True)
        if block.printing is not None
    )
    marginal = Marginal(
        hyper=Hyperparameters(tuple(slots), tuple(reprinted)),
        prior=prior,
        data=data_side(border.pattern, placed),
        printed=_printed(predictor, border.pattern),
        analysis=solved(design, border, solver),
    )
    return Analysed(jax.device_put(marginal), basis, beta_ref, inner, weighted)


def every_row(design: Design, analysed: Analysed) -> EveryRow:
    """The rows with a response, each by itself, in the coordinates of the posterior."""
    if not design.has_rows:
        refuse_rows()
    predictor, pattern = design.predictor, analysed.marginal.analysis.pattern
    if design.is_part:  # of which the columns are about the means of all
        fixed = in_basis(predictor.X, analysed.basis)
    else:
        fixed = standardise(predictor.X, predictor.intercept)[0]
    a = sp.csr_array(sp.hstack([fixed, predictor.Z], format="csr")) if predictor.q else sp.csr_array(fixed)
    offset = predictor.offset + predictor.X @ analysed.reference
    places = _places_of_family(design)
    observed = Observed(
        Rows.of(a, pattern), design.response, design.weights, offset, np.zeros(()), design.family, places
    )
    leaves = None if design.family.conjugate else Leaves.of(a, predictor.blocks, predictor.p, pattern)
    return jax.device_put(EveryRow(observed, leaves))


def _places_of_family(design: Design) -> Places:
    """Of the family's parameters in theta: after those of the blocks."""
    k = sum(len(parameter.names) for block in design.predictor.blocks for parameter in block.parameters)
    return places_of(design.family_parameters, k)


def _target(design: Design, rows: Observations) -> FloatArray:
    """What the fixed effects of the reference are to give (n,)."""
    if design.family.conjugate:
        return rows.y.value - rows.offset
    return np.full(rows.n, design.level)


def _data_side(
    design: Design, rows: Observations, weighted: FloatArray, pattern: Pattern, places: Places
) -> GaussianData | LaplaceData:
    """Of rows with what the reference adds among their offsets."""
    predictor = design.predictor
    if design.family.conjugate:
        return GaussianData.of(rows.blocks, rows.weights, rows.y.value - rows.offset, weighted, places)
    by_row = sp.csr_array(rows.a)
    leaves = Leaves.of(by_row, predictor.blocks, predictor.p, pattern)
    constant = np.asarray(rows.constant)
    observed = Observed(Rows.of(by_row, pattern), rows.y, rows.weights, rows.offset, constant, design.family, places)
    return LaplaceData(observed, Start.nowhere(by_row.shape[1], design.parameters), leaves)


def _least_squares(left: FloatArray, right: FloatArray) -> FloatArray:
    """Coefficients; only a reference, so where weights make them hard to tell apart the shortest will do."""
    try:
        return np.asarray(cho_solve(cho_factor(left), right)) if left.size else np.zeros(0)
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.lstsq(left, right, rcond=None)[0], dtype=float)


class _FixedPrior(NamedTuple):
    precision: FloatArray  # B' Q_beta B
    pull: FloatArray  # B' Q_beta (m - beta_ref)
    constant: float  # d' Q_beta d - log|Q_beta| - 2 log|B|
    flat: int


def _fixed_prior(
    predictor: Predictor, priors: Sequence[FixedEffectPrior], basis: FloatArray, beta_ref: FloatArray, centred: bool
) -> _FixedPrior:
    """The normal prior of ``F beta`` in internal coordinates; F is the identity but for priors at means."""
    at_means = np.array([isinstance(pr, Normal) and pr.at_means for pr in priors], dtype=bool)
    functionals = prior_functionals(predictor.columns, predictor.intercept, at_means, centred_intercept=centred)
    means = np.array([pr.mean if isinstance(pr, Normal) else 0.0 for pr in priors])
    precisions = np.array([pr.sd**-2 if isinstance(pr, Normal) else 0.0 for pr in priors])
    proper = precisions > 0
    distance = means - functionals @ beta_ref
    f = functionals @ sp.csr_array(basis)
    log_basis = np.sum(np.log(basis.diagonal()))  # H is in the basis B, and log|B'HB| = log|H| + 2 log|B|
    constant = float(np.sum(precisions * distance**2) - np.sum(np.log(precisions[proper])) - 2.0 * log_basis)
    return _FixedPrior(
        (f.T @ sp.diags_array(precisions) @ f).toarray(),
        f.T @ (precisions * distance),
        constant,
        int(np.count_nonzero(~proper)),
    )


def _latent_prior(
    predictor: Predictor, beta: _FixedPrior, border: Border, constraints: _Constraints, entries: IntArray
) -> LatentPrior:
    blocks, p = predictor.blocks, predictor.p
    base = border.values.copy()
    base[border.pattern.rows < p] += by_column(beta.precision)
    ends = np.cumsum([0, *(sum(len(q.names) for q in block.parameters) for block in blocks)])
    places = tuple(places_of(block.parameters, int(start)) for block, start in zip(blocks, ends[:-1], strict=True))
    counts = [tuple((kind, len(positions)) for kind, positions in where) for where in places]
    return LatentPrior(
        templates=tuple(block.template for block in blocks),
        base=base,
        entries=entries,
        pull=np.concatenate([beta.pull, np.zeros(predictor.q)]),
        constant=np.asarray(beta.constant, dtype=float),
        flat=np.asarray(beta.flat, dtype=float),
        constraints=_rows(constraints.null_space),
        anchors=constraints.anchors,
        log_border=np.asarray(border.log_scale, dtype=float),
        places=places,
        factored=tuple(
            linalg.analyse(block.template.pattern) if leaves_determinant(block.template, kinds) else None
            for block, kinds in zip(blocks, counts, strict=True)
        ),
    )


class _Constraints(NamedTuple):
    null_space: sp.csc_array  # (p + q, k)
    anchors: IntArray
    kappa: FloatArray


def _constraints(blocks: Sequence[Block], p: int) -> _Constraints:
    """All constraints of all blocks; a null direction needs its anchor because at sd = 0 the data do not see it."""
    columns, anchors, kappas = [sp.csc_array((p, 0))], [np.zeros(0, dtype=np.int64)], [np.zeros(0)]
    start = p
    for block in blocks:
        if block.constraint is None:
            columns.append(sp.csc_array((block.n, 0)))
        else:
            k = block.constraint.anchors.size
            columns.append(block.constraint.null_space)
            anchors.append(block.constraint.anchors + start)
            kappas.append(np.full(k, _typical_diagonal(block)))
        start += block.n
    whole = sp.csc_array(sp.block_diag(columns, format="csc"))
    return _Constraints(whole, np.concatenate(anchors), np.concatenate(kappas))


def _rows(null_space: sp.csc_array) -> Rows:
    """Constraints as rows, whose pairs nothing asks for."""
    c = sp.csr_array(null_space.T)
    return Rows(c.data, c.indices.astype(np.int32), c.indptr.astype(np.int32), np.zeros(0, dtype=np.int32))


def _typical_diagonal(block: Block) -> float:
    """The mean diagonal entry of R; constraints belong to structures that theta does not change."""
    unit = {parameter.kind: np.full(len(parameter.names), parameter.start) for parameter in block.parameters}
    entries = np.asarray(_entries(block.template, unit))
    return float(entries[block.template.pattern.indptr[:-1]].mean())


@partial(jax.jit, compiler_options=QUICK)
def _entries(template: Template, theta: Theta) -> jax.Array:
    return template.whiten(theta).values


def _pattern(rows: IntArray, cols: IntArray, p: int, blocks: Sequence[Block]) -> tuple[Pattern, IntArray]:
    """Pattern of H from the entries of ``A'A``, and the places of the templates' entries in it."""
    latent = rows >= p
    own = Pattern.block_diagonal([block.template.pattern for block in blocks])
    j, i = np.triu_indices(p)  # fixed effects: all of them
    whole = Pattern.from_entries(
        p + own.n,
        np.concatenate([i, rows[latent], own.rows + p]),
        np.concatenate([j, cols[latent], own.cols + p]),
    )
    return whole, whole.positions(own.rows + p, own.cols + p)


def _printed(predictor: Predictor, pattern: Pattern) -> tuple[Sums, ...]:
    """The printed effects of all terms, gathered by the number of effects that each is a sum of."""
    by_size: dict[int, list[tuple[IntArray, FloatArray, IntArray]]] = {}
    for printed in predictor.printed():
        place = np.arange(printed.place.start, printed.place.stop)
        weights = np.broadcast_to(printed.weights, printed.index.shape)
        by_size.setdefault(printed.index.shape[1], []).append((printed.index, weights, place))
    sums = []
    for parts in by_size.values():
        index, weights, place = (np.concatenate(column) for column in zip(*parts, strict=True))
        pairs = pattern.positions(*np.broadcast_arrays(index[:, :, None], index[:, None, :]))
        sums.append(Sums(index, weights, pairs, place))
    return tuple(sums)
