"""Draws of the linear predictor at rows of data: what predictions, partial effects and plots stand on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray
from lgm.design.predictor import NewRows, Parts
from lgm.errors import LgmError
from lgm.inference.keys import normals
from lgm.posterior.latent_prior import Places, by_kind
from lgm.results.effects import KEPT_BYTES, fits
from lgm.results.exact import row_variances
from lgm.results.tables import is_named
from lgm.terms.term import Novel
from lgm.words import suggest

if TYPE_CHECKING:
    from lgm.results.fit import Fit


_HELD = 2_000_000  # numbers in one piece of work: rows times draws
_BLOCK = 64  # draws in one piece where effects that the fit does not have are too many to be held


@dataclass(frozen=True)
class _Fresh:
    """Effects of one term that the fit does not have.

    Parameters
    ----------
    fit : Fit
    novel : Novel
    own : slice
        Of the term's fitted effects in u.
    places : Places
        Of its hyperparameters in theta.
    seeds : tuple of int
    """

    fit: Fit
    novel: Novel
    own: slice
    places: Places
    seeds: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of effects."""
        return int(self.novel.z.shape[1])

    def draws(self, numbers: IntArray, u: FloatArray) -> FloatArray:
        """Draws (B, size) given those of theta with these numbers and of the fitted effects (B, p + q)."""
        return self._given(numbers, u, normals(*self.seeds, numbers=numbers, size=self.novel.normals))

    @cached_property
    def mean(self) -> FloatArray:
        """Mean (size,): linear in b, so where theta is not in it the mean of b gives it exactly; else over draws."""
        effects = self.fit.effects
        if not self.novel.mean_needs_theta:
            return self._given(np.arange(1), effects.mean[None], np.zeros((1, self.novel.normals)))[0]
        total = np.zeros(self.size)
        for numbers, u in effects.blocks():
            total += self._given(numbers, u, np.zeros((len(numbers), self.novel.normals))).sum(axis=0)
        return total / effects.size

    def _given(self, numbers: IntArray, u: FloatArray, z: FloatArray) -> FloatArray:
        theta = self.fit.effects.drawing.thetas[numbers]
        return np.asarray(self.novel.draw(by_kind(theta, self.places), u[:, self.own], z))


@dataclass(frozen=True)
class LinearPredictor:
    """The posterior of ``eta = A u + offset`` at some rows, made by `linear_predictor`; evaluated piece by piece."""

    fit: Fit
    rows: NewRows
    fresh: tuple[_Fresh | None, ...]

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.rows.index)

    @property
    def in_one(self) -> bool:
        """Whether all draws of the effects behind it may be held in memory."""
        effects, more = self.fit.effects, sum(new.size for new in self.fresh if new is not None)
        return effects.held and fits(effects.size, more)

    def pieces(self, bytes_per_row: int) -> Iterator[IntArray]:
        """The rows, as many at once as bounded memory allows where each takes so much besides a block of draws."""
        size = self.fit.effects.size
        step = max(_HELD // size if self.in_one else int(KEPT_BYTES // bytes_per_row), 1)
        for start in range(0, self.n, step):
            yield np.arange(start, min(start + step, self.n))

    def mean(self, take: IntArray | slice = slice(None)) -> FloatArray:
        """Posterior mean (rows,): an exact mixture over theta (at new times of an ar1, an average over draws)."""
        fresh = [None if new is None else new.mean[None] for new in self.fresh]
        return self._at(take, self.fit.effects.mean[None], fresh)[:, 0]

    def exact_sd(self) -> FloatArray | None:
        """Standard deviations (rows,) where eta is normal: with one theta, and only effects that the fit has.

        None elsewhere, and where more than as many solves as draws would be needed.
        """
        effects, predictor = self.fit.effects, self.fit.design.predictor
        if not effects.drawing.normal or any(new is not None for new in self.fresh):
            return None
        sizes = [block.n for block in predictor.blocks]
        parts = [
            sp.csr_array((self.n, size)) if encoded is None else encoded.z
            for encoded, size in zip(self.rows.encoded, sizes, strict=True)
        ]
        rows = sp.csr_array(sp.hstack([self.rows.X, *parts], format="csr"))
        variance = row_variances(effects.drawing, rows, solves=effects.size)
        return None if variance is None else np.sqrt(variance)

    def draws(self, take: IntArray | slice = slice(None), only: IntArray | None = None) -> FloatArray:
        """One draw for each kept draw of theta, (rows, S), or those of only some, by number in increasing order."""
        chosen = np.arange(self.n)[take]
        wanted = np.arange(self.fit.effects.size) if only is None else only
        out = np.empty((chosen.size, wanted.size))
        step = max(_HELD // wanted.size, 1) if self.in_one else max(chosen.size, 1)
        for start in range(0, chosen.size, step):
            for numbers, eta in self.blocks(chosen[start : start + step], only):
                out[start : start + step, np.searchsorted(wanted, numbers)] = eta
        return out

    def blocks(
        self, take: IntArray | slice = slice(None), only: IntArray | None = None
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        """Draws (rows, B) with their numbers (B,): all at once where they may be held, else block by block."""
        for numbers, u, fresh in [self._whole] if self.in_one else self._sections():
            kept = slice(None) if only is None else np.flatnonzero(np.isin(numbers, only))
            if isinstance(kept, slice) or kept.size == numbers.size:
                yield numbers, self._at(take, u, fresh)
            elif kept.size:
                yield numbers[kept], self._at(take, u[kept], [None if new is None else new[kept] for new in fresh])

    @cached_property
    def _whole(self) -> _Section:
        [section] = self._sections()
        return section

    def _sections(self) -> Iterator[_Section]:
        for numbers, u in self.fit.effects.blocks():
            step = numbers.size if self.in_one else _BLOCK
            for start in range(0, numbers.size, step):
                part, given = numbers[start : start + step], u[start : start + step]
                yield part, given, [None if new is None else new.draws(part, given) for new in self.fresh]

    def _at(self, take: IntArray | slice, u: FloatArray, fresh: list[FloatArray | None]) -> FloatArray:
        predictor, rows = self.fit.design.predictor, self.rows
        p = predictor.p
        eta = rows.offset[take, None] + rows.X[take] @ u[:, :p].T
        for place, encoded, new in zip(predictor.term_slices(), rows.encoded, fresh, strict=True):
            if encoded is not None:
                eta += encoded.z[take] @ u[:, p + place.start : p + place.stop].T
                if new is not None and encoded.novel is not None:
                    eta += encoded.novel.z[take] @ new.T
        return np.asarray(eta)


_Section: TypeAlias = tuple[IntArray, FloatArray, list[FloatArray | None]]


def linear_predictor(
    fit: Fit, rows: NewRows, *, new_levels: str = "sample", seed: int | None = None
) -> LinearPredictor:
    """The linear predictor at rows that `lgm.design.design.encode` has read.

    Parameters
    ----------
    fit : Fit
    rows : NewRows
        Parts that do not count are left out of them.
    new_levels : {"sample", "zero"}
        For levels of groups that the fit does not have.
    seed : int, optional
        For effects that the fit does not have; by default that of the fit.
    """
    seed = fit.seed if seed is None else seed
    predictor, prior = fit.design.predictor, fit.analysed.marginal.prior
    if new_levels == "zero":
        rows = replace(
            rows, encoded=tuple(None if each is None else each.without_population() for each in rows.encoded)
        )
    fresh: list[_Fresh | None] = []
    for j, (encoded, place) in enumerate(zip(rows.encoded, predictor.term_slices(), strict=True)):
        novel = None if encoded is None else encoded.novel
        if novel is None:
            fresh.append(None)
        else:
            own = slice(predictor.p + place.start, predictor.p + place.stop)
            fresh.append(_Fresh(fit, novel, own, prior.places[j], (seed, 2, j)))
    return LinearPredictor(fit, rows.by_row(), tuple(fresh))


def parts_of(fit: Fit, terms: Any, exclude: Any, groups: Any) -> Parts:
    """Which parts count, by what a user says.

    Parameters
    ----------
    fit : Fit
    terms, exclude : None or list of str
        Only these, or all but these: fixed effects by name or by their term in the formula, latent terms or groups, and
        ``"offset"``.
    groups : bool or list of str
        Whether group effects count, or those of which groups do.

    Raises
    ------
    LgmError
        For a name that the model does not have, or both lists at once.
    """
    predictor = fit.design.predictor
    chosen = Parts.all(predictor)
    if terms is not None and exclude is not None:
        raise LgmError("terms= names all parts that count and exclude= those that do not; give one of them.")
    if terms is not None:
        chosen = _named(fit, terms, "terms")
    elif exclude is not None:
        out = _named(fit, exclude, "exclude")
        used = tuple(not left for left in out.terms)
        chosen = Parts(chosen.fixed & ~out.fixed, used, not out.offset)
    wanted = _groups(fit, groups)
    used = tuple(
        use and (term.group is None or term.group in wanted)
        for use, term in zip(chosen.terms, predictor.terms, strict=True)
    )
    return Parts(chosen.fixed, used, chosen.offset)


def _named(fit: Fit, names: Any, argument: str) -> Parts:
    predictor = fit.design.predictor
    fixed, terms, offset = np.zeros(predictor.p, dtype=bool), [False] * len(predictor.terms), False
    spec = predictor.spec
    by_term = {str(t): spec.column_names[s] for t, s in spec.term_slices.items()}
    for typed in [names] if isinstance(names, str) else list(names):
        name = predictor.as_printed(str(typed))
        found = name == "offset" and bool(predictor.side.offsets)
        offset |= found
        columns = [name] if name in predictor.fixed_names else by_term.get(name, ())
        for column in columns:
            fixed[predictor.fixed_names.index(column)] = found = True
        for j, term in enumerate(predictor.terms):
            own = [printed for printed in predictor.printed() if printed.term is term]
            if any(is_named(name, printed) for printed in own):
                if not all(is_named(name, printed) for printed in own):
                    whole = f"{name!r} is a part of {term.label}, which counts as a whole"
                    raise LgmError(f"{argument}= has {name!r}: {whole}. Accepted: {term.label!r}.")
                terms[j] = found = True
                fixed |= np.isin(predictor.fixed_names, list(term.null))  # a straight line is part of its walk
        if not found:
            known = list(dict.fromkeys([*predictor.fixed_names, *by_term, *(term.label for term in predictor.terms)]))
            known = [*(k for k in known if k != "1"), *(["offset"] if predictor.side.offsets else [])]
            raise LgmError(f"{argument}= has {typed!r}.{suggest(name, known)} Accepted: {', '.join(known)}.")
    return Parts(fixed, tuple(terms), offset)


def _groups(fit: Fit, wanted: Any) -> Iterable[str]:
    known = [term.group for term in fit.design.terms if term.group]
    if isinstance(wanted, (bool, np.bool_)):
        return known if wanted else []
    names = [wanted] if isinstance(wanted, str) else list(wanted) if isinstance(wanted, Iterable) else [wanted]
    for name in names:
        if name not in known:
            groups = ", ".join(repr(group) for group in dict.fromkeys(known)) or "there are none"
            raise LgmError(
                f"include_group_specific has {name!r}.{suggest(str(name), known)} Accepted: True, False, or a list of "
                f"groups ({groups})."
            )
    return names
