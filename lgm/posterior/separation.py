"""Whether fixed effects tell responses apart so well that the likelihood has no maximum.

A row without a success is the likelier the smaller its linear predictor, and one with nothing but successes the larger.
If a direction d of the fixed effects has ``x_i'd <= 0`` at the former, ``x_i'd >= 0`` at the latter, zero at all rows
with some of both, and not zero everywhere, then the likelihood grows along d without end (Albert & Anderson 1984).
Linear programming finds such a d, or that there is none (Konis 2007).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog

from lgm.arrays import BoolArray, FloatArray, IntArray
from lgm.design.design import Design
from lgm.design.fixed_effects import prior_functionals, standardise
from lgm.errors import IdentifiabilityError, IdentifiabilityWarning, warn
from lgm.posterior.priors import Priors
from lgm.priors import Flat, Normal
from lgm.words import listed

_FIRST = 2000  # rows at a time: if some rows have no such direction, all have none
_MOST_TRIED = 20  # columns that are left out one by one
_EXCESS = 1e-6  # of a row against its side, of columns about as large as one; the solver's own is 1e-7
_NOTHING = 1e-5  # gain of a row


def check_separation(design: Design, priors: Priors) -> None:
    """Say what bounds the fixed effects where the responses do not.

    Raises
    ------
    IdentifiabilityError
        If nothing does; where proper priors do, it is a warning.
    """
    if design.family.conjugate:
        return
    x, y = design.outcomes
    sides = design.family.one_sided(y)
    if sides is None or not design.p:
        return
    predictor = design.predictor
    flat = np.array([isinstance(prior, Flat) for prior in priors.fixed], dtype=bool)
    rows = _Rows.of(x, sides, predictor.intercept)
    found = rows.separating(np.zeros((0, design.p)))
    if not found.any():
        return
    if flat.any():
        at_means = np.array([isinstance(prior, Normal) and prior.at_means for prior in priors.fixed], dtype=bool)
        bounded = prior_functionals(
            predictor.columns, predictor.intercept, at_means, centred_intercept=priors.centred_intercept
        ).toarray()[~flat]
        unbounded = rows.separating(bounded)
        if unbounded.any():
            raise IdentifiabilityError(
                f"{_of_what(design, sides, unbounded)}, nor does their prior, which is flat. Accepted: a proper one, "
                "such as lgm.priors.normal(0, 2.5), or fewer predictors."
            )
    proper = [f"{name} ~ {priors.table.loc[name, 'prior']}" for name in _names(design, found & ~flat)]
    shown = f": {listed(proper, 3)}" if proper else ""
    text = f"{_of_what(design, sides, found)}. Priors alone do, and their width decides the estimates{shown}"
    warn(text, IdentifiabilityWarning)


def _names(design: Design, columns: BoolArray) -> list[str]:
    return [name for name, one in zip(design.fixed_names, columns, strict=True) if one]


def _of_what(design: Design, sides: IntArray, columns: BoolArray) -> str:
    """The coefficients without a bound, and what in the response has no end."""
    response, names = design.formula.response.text, listed(_names(design, columns), 5)
    if np.all(sides == sides[0]):
        value = _value(design, int(sides[0]))
        return f"the response `{response}` is {value} in all {design.n} rows, so the data do not bound {names}"
    return (
        f"separation: along {names} some rows of `{response}` are fitted ever better and none worse, so the data do "
        f"not bound {names}"
    )


def _value(design: Design, side: int) -> str:
    if design.answer.categories:
        return design.answer.categories[0 if side < 0 else -1]
    if side < 0:
        return "0"
    trials = design.outcomes[1].trials if "trials" in design.family.forms else None
    return "1" if trials is None or np.all(trials == 1) else "the number of trials"


class _Rows(NamedTuple):
    """Rows, in a basis of the fixed effects in which columns are about as large as one.

    Parameters
    ----------
    x : sparse array (n, p)
    sides : int array (n,)
        -1 where ``x_i'd`` may only fall, 1 where it may only rise, 0 where it must not change.
    basis : float array (p, p)
        From its coefficients to those of the columns as they are.
    size : float array (p,)
        Largest entry of each column as it is.
    """

    x: sp.csr_array
    sides: IntArray
    basis: FloatArray
    size: FloatArray

    @classmethod
    def of(cls, x: sp.csc_array, sides: IntArray, intercept: int | None) -> _Rows:
        """Rows of a design."""
        scaled, basis = standardise(x, intercept)
        return cls(sp.csr_array(scaled), sides, basis, np.abs(x).max(axis=0).toarray().ravel())

    def separating(self, held: FloatArray) -> BoolArray:
        """Columns (p,) in a direction that separates the rows and does not change ``held @ d``; none if none does.

        Of several directions those without which there would be none are preferred.
        """
        found = self._columns(held)
        if 1 < np.count_nonzero(found) <= _MOST_TRIED:
            each = np.eye(found.size)
            needed = [j for j in np.flatnonzero(found) if not self._columns(np.vstack([held, each[j]])).any()]
            if needed:
                found = np.isin(np.arange(found.size), needed)
        return found

    def _columns(self, held: FloatArray) -> BoolArray:
        d = self.basis @ self._direction(held @ self.basis)
        return np.abs(d) * self.size > 1e-4

    def _direction(self, held: FloatArray) -> FloatArray:
        """A direction (p,) of entries up to one that gains most over some rows, and separates all; zero if none does.

        Rows come in as they are needed.
        """
        n = self.sides.size
        inside = np.zeros(n, dtype=bool)
        inside[np.random.default_rng(0).permutation(n)[:_FIRST]] = True
        while True:
            d = _solved(self.x[inside], self.sides[inside], held)
            along = self.x @ d
            wrong = np.where(self.sides == 0, np.abs(along), -self.sides * along)
            wrong[inside] = 0.0
            if not np.any(d) or not np.any(wrong > _EXCESS):
                return d
            worst = np.argsort(-wrong)[:_FIRST]
            inside[worst[wrong[worst] > _EXCESS]] = True


def _solved(x: sp.csr_array, sides: IntArray, held: FloatArray) -> FloatArray:
    one = sides != 0
    signed = sp.csr_array(sp.diags_array(sides[one].astype(float)) @ x[one])
    gain = np.asarray(signed.sum(axis=0)).ravel()
    fixed = sp.csr_array(sp.vstack([x[~one], sp.csr_array(held)]))
    limits = {"A_ub": -signed, "b_ub": np.zeros(signed.shape[0])} if signed.shape[0] else {}
    equal = {"A_eq": fixed, "b_eq": np.zeros(fixed.shape[0])} if fixed.shape[0] else {}
    found = linprog(-gain, **limits, **equal, bounds=(-1.0, 1.0), method="highs")
    d = np.zeros(x.shape[1]) if found.x is None else np.asarray(found.x)
    return d if np.max(signed @ d, initial=0.0) > _NOTHING else np.zeros(x.shape[1])
