"""Draws of the linear predictor at rows of data: what predictions, partial effects and plots stand on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lgm.arrays import FloatArray, IntArray
from lgm.design.predictor import NewRows, Parts
from lgm.errors import LgmError
from lgm.posterior.latent_prior import by_kind
from lgm.results.tables import is_named
from lgm.words import suggest

if TYPE_CHECKING:
    from lgm.results.fit import Fit

_CHUNK = 8_000_000  # numbers held at once: new effects times draws


@dataclass(frozen=True)
class _Fresh:
    """Effects that the fit does not have: mean (m,) over draws of theta and fitted effects, and draws (m, S)."""

    mean: FloatArray
    draws: FloatArray


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

    def mean(self, take: IntArray | slice = slice(None)) -> FloatArray:
        """Posterior mean (rows,): an exact mixture over theta (at new times of an ar1, an average over draws)."""
        fresh = [None if new is None else new.mean[:, None] for new in self.fresh]
        return self._at(take, self.fit.effects.mean[None], fresh)[:, 0]

    def draws(self, take: IntArray | slice = slice(None)) -> FloatArray:
        """One draw for each kept draw of theta, (rows, S)."""
        return self._at(take, self.fit.effects.draws, [None if new is None else new.draws for new in self.fresh])

    def _at(self, take: IntArray | slice, u: FloatArray, fresh: list[FloatArray | None]) -> FloatArray:
        predictor, rows = self.fit.design.predictor, self.rows
        p = predictor.p
        eta = rows.offset[take, None] + rows.X[take] @ u[:, :p].T
        for place, encoded, new in zip(predictor.term_slices(), rows.encoded, fresh, strict=True):
            if encoded is not None:
                eta = eta + encoded.z[take] @ u[:, p + place.start : p + place.stop].T
                if new is not None and encoded.novel is not None:
                    eta = eta + encoded.novel.z[take] @ new
        return np.asarray(eta)


def linear_predictor(
    fit: Fit, rows: NewRows, *, new_levels: str = "sample", rng: np.random.Generator | None = None
) -> LinearPredictor:
    """The linear predictor at rows that `lgm.design.design.encode` has read.

    Parameters
    ----------
    fit : Fit
    rows : NewRows
        Parts that do not count are left out of them.
    new_levels : {"sample", "zero"}
        For levels of groups that the fit does not have.
    rng : numpy.random.Generator, optional
        For effects that the fit does not have; by default one from the seed of the fit.
    """
    rng = np.random.default_rng([fit.seed, 2]) if rng is None else rng
    fresh = []
    for j, encoded in enumerate(rows.encoded):
        novel = None if encoded is None else encoded.novel
        left_out = novel is None or (novel.population and new_levels == "zero")
        fresh.append(None if left_out else _fresh(fit, j, rows, rng))
    return LinearPredictor(fit, rows, tuple(fresh))


def _fresh(fit: Fit, j: int, rows: NewRows, rng: np.random.Generator) -> _Fresh:
    """The effects of term j that the fit does not have, given each posterior draw."""
    encoded, p, place = rows.encoded[j], fit.design.p, fit.design.predictor.term_slices()[j]
    assert encoded is not None and encoded.novel is not None
    novel, own = encoded.novel, slice(p + place.start, p + place.stop)
    theta = by_kind(fit.draws.theta.reshape(-1, fit.draws.theta.shape[-1]), fit.analysed.marginal.prior.places[j])
    b = fit.effects.draws[:, own]
    m = novel.z.shape[1]
    draws, mean = np.empty((m, len(b))), np.zeros(m)
    step = max(_CHUNK // max(m, 1), 1)
    for start in range(0, len(b), step):
        part = slice(start, start + step)
        own_theta, own_b = {kind: values[part] for kind, values in theta.items()}, b[part]
        draws[:, part] = novel.draw(own_theta, own_b, rng.standard_normal((len(own_b), m))).T
        if novel.mean_needs_theta:
            mean += np.sum(novel.draw(own_theta, own_b, np.zeros((len(own_b), m))), axis=0) / len(b)
    if not novel.mean_needs_theta:  # it is linear in b alone, so the mean of b gives it exactly
        first = {kind: values[:1] for kind, values in theta.items()}
        mean = np.asarray(novel.draw(first, fit.effects.mean[None, own], np.zeros((1, m))))[0]
    return _Fresh(mean, draws)


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
    for name in [names] if isinstance(names, str) else list(names):
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
            raise LgmError(f"{argument}= has {name!r}.{suggest(str(name), known)} Accepted: {', '.join(known)}.")
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
