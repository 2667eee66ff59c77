"""Latent terms, one per file, and the table in which their calls register."""

from __future__ import annotations

import keyword
from collections.abc import Callable
from typing import NamedTuple

from lgm.data.expression import FUNCTIONS
from lgm.data.scope import Scope
from lgm.errors import FormulaError
from lgm.formula.sides import Call, Keyword
from lgm.terms import ar1, bym2, car, copies, gp, icar, independent, matern, seasonal, smooth, walk
from lgm.terms.term import Signature, Term, arguments

Builder = Callable[[Call, Scope, str, float], Term]


class Entry(NamedTuple):
    """How a term is called, and what builds it."""

    signature: Signature
    build: Builder


TERMS: dict[str, Entry] = {
    "ar1": Entry(ar1.SIGNATURE, ar1.build),
    "bym2": Entry(bym2.SIGNATURE, bym2.build),
    "car": Entry(car.SIGNATURE, car.build),
    "gp": Entry(gp.SIGNATURE, gp.build),
    "icar": Entry(icar.SIGNATURE, icar.build),
    "leroux": Entry(car.SIGNATURE, car.build),
    "matern": Entry(matern.SIGNATURE, matern.build),
    "rw1": Entry(walk.SIGNATURE, walk.build),
    "rw2": Entry(walk.SIGNATURE, walk.build),
    "s": Entry(smooth.SIGNATURE, smooth.build),
    "sar": Entry(car.SIGNATURE, car.build),
    "seasonal": Entry(seasonal.SIGNATURE, seasonal.build),
}


def label_of(call: Call) -> str:
    """The name of a term: its call without what does not matter to it."""
    signature, by = TERMS[call.name].signature, call.keyword("replicate") or call.keyword("group")
    plain = signature.label(call)
    if by is None or by.name in signature.names:
        return plain
    return copies.label_of(plain, by, by.value.text if by.call is None else _signature(by.call).label(by.call))


def build(call: Call, scope: Scope, label: str, yardstick: float) -> Term:
    """Read a call against the data, or copies of it where it asks for them."""
    entry = TERMS[call.name]
    by = None if {*copies.KEYWORDS} & {*entry.signature.names} else copies.asked(call, scope)
    if by is None:
        return entry.build(call, scope, label, yardstick)
    inner = entry.build(copies.without(call), scope, label, yardstick)
    return copies.build(scope, label, inner, _outer(by, scope, label), by)


def _outer(by: Keyword, scope: Scope, label: str) -> Term:
    """The term whose places are the copies; its hyperparameters are called ``rho(icar(id, group=ar1(year))[year])``."""
    if by.call is None:
        return independent.build(by.value, scope, f"{label}[{by.value.text}]")
    signature = _signature(by.call)
    variable = arguments(by.call, scope, signature)[signature.variables[0]]
    inside = f"{label}[{variable.text}]"
    if by.call.name == "iid":
        return independent.build(variable, scope, inside)
    return TERMS[by.call.name].build(by.call, scope, inside, 1.0)


def _signature(call: Call) -> Signature:
    return independent.SIGNATURE if call.name == "iid" else TERMS[call.name].signature


_FIRST = Signature(("variable",))


def register_term(name: str, build: Builder, signature: Signature = _FIRST) -> None:
    """Make ``name(...)`` a latent term of formulas.

    Parameters
    ----------
    name : str
        A Python name that no term has yet.
    build : callable
        ``build(call, scope, label, yardstick) -> Term``, where the yardstick is the scale of the linear predictor, for
        default priors: see `lgm.terms.seasonal` for one in a hundred lines.
    signature : Signature, optional
        What of a call is part of the term's name; by default its first argument.

    Raises
    ------
    FormulaError
        If the name is taken, by a term or by a function of formulas, or is not a Python name.
    """
    if not name.isidentifier() or keyword.iskeyword(name):
        raise FormulaError(f"the term {name!r} cannot be registered: its name must be a Python name.")
    if name in TERMS or name == "offset":
        raise FormulaError(f"the term `{name}` cannot be registered: lgm has {', '.join(TERMS)} and offset already.")
    if name in FUNCTIONS:
        raise FormulaError(f"the term `{name}` cannot be registered: `{name}` is a function of formulas.")
    TERMS[name] = Entry(signature, build)
