"""Latent terms, one per file, and the table in which their calls register.

What a term of a user's own needs is here under one name: either `custom`, or a subclass of `Term` with a `Block`.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable
from typing import NamedTuple

from lgm.data.expression import FUNCTIONS
from lgm.data.scope import Scope
from lgm.errors import FormulaError
from lgm.formula.sides import Call, Keyword
from lgm.parameter import Domain, Parameter, one, standard_deviation
from lgm.pattern import Pattern
from lgm.precision.intrinsic import Intrinsic, Structure
from lgm.precision.template import Constraint, Template, Whitened
from lgm.terms import (
    ar,
    ar1,
    bym2,
    car,
    copies,
    gp,
    icar,
    independent,
    matern,
    measured,
    monotonic,
    ou,
    seasonal,
    shrinkage,
    smooth,
    tensor,
    walk,
)
from lgm.terms.block import Block
from lgm.terms.own import Custom, custom
from lgm.terms.term import COPYING, Encoded, Novel, Signature, Term, Variable, arguments, one_hot
from lgm.terms.view import Curve, Levels, Map

Builder = Callable[[Call, Scope, str, float], Term]


class Entry(NamedTuple):
    """How a term is called, and what builds it."""

    signature: Signature
    build: Builder


TERMS: dict[str, Entry] = {
    "ar": Entry(ar.SIGNATURE, ar.build),
    "ar1": Entry(ar1.SIGNATURE, ar1.build),
    "bym2": Entry(bym2.SIGNATURE, bym2.build),
    "car": Entry(car.SIGNATURE, car.build),
    "gp": Entry(gp.SIGNATURE, gp.build),
    "hs": Entry(shrinkage.HS, shrinkage.build),
    "icar": Entry(icar.SIGNATURE, icar.build),
    "leroux": Entry(car.SIGNATURE, car.build),
    "matern": Entry(matern.SIGNATURE, matern.build),
    "me": Entry(measured.SIGNATURE, measured.build),
    "mo": Entry(monotonic.SIGNATURE, monotonic.build),
    "ou": Entry(ou.SIGNATURE, ou.build),
    "r2d2": Entry(shrinkage.R2, shrinkage.build),
    "rw1": Entry(walk.SIGNATURE, walk.build),
    "rw2": Entry(walk.SIGNATURE, walk.build),
    "s": Entry(smooth.SIGNATURE, smooth.build),
    "sar": Entry(car.SIGNATURE, car.build),
    "seasonal": Entry(seasonal.SIGNATURE, seasonal.build),
    "t2": Entry(tensor.SIGNATURE, tensor.build),
    "te": Entry(tensor.SIGNATURE, tensor.build),
    "ti": Entry(tensor.SIGNATURE, tensor.build),
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
    by = None if {*COPYING} & {*entry.signature.names} else copies.asked(call, scope)
    if by is None:
        return entry.build(call, scope, label, yardstick)
    inner = entry.build(copies.without(call), scope, label, yardstick)
    return copies.build(scope, label, inner, _outer(by, scope, label), by)


def _outer(by: Keyword, scope: Scope, label: str) -> Term:
    """The term whose places are the copies; its hyperparameters are called ``rho(icar(id, group=ar1(year))[year])``."""
    if by.call is None:
        return independent.build(by.value, scope, f"{label}[{by.value.text}]")
    signature = _signature(by.call)
    copies.require_places(signature, scope, by)
    variable = arguments(by.call, scope, signature)[signature.variables[0]]
    inside = f"{label}[{variable.text}]"
    if by.call.name == "iid":
        return independent.build(variable, scope, inside)
    return TERMS[by.call.name].build(by.call, scope, inside, 1.0)


def _signature(call: Call) -> Signature:
    return independent.SIGNATURE if call.name == "iid" else TERMS[call.name].signature


_BUILT_IN = frozenset(TERMS)
_FIRST = Signature(("variable",))


def register_term(name: str, build: Builder | Custom, signature: Signature | None = None) -> None:
    """Make ``name(...)`` a latent term of formulas.

    A term of one's own takes part in all that a fit does. A saved fit holds its call, not its code: register it again
    before `lgm.load`. Registered a second time, a name means the new term from then on.

    Parameters
    ----------
    name : str
        A Python name that no term of lgm has.
    build : Custom or callable
        What `lgm.terms.custom` makes, or ``build(call, scope, label, yardstick) -> Term``: the term of a call in a
        formula, on the rows of a `Scope`. The label is its printed name, and the yardstick the scale of the linear
        predictor, of which default priors are multiples. The vignette "A term in one file" builds one from nothing.
    signature : Signature, optional
        Which arguments a call has, and which of them are part of the term's name; by default its first one is.

    Raises
    ------
    FormulaError
        If the name is that of a term of lgm or of a function of formulas, or is not a Python name.
    """
    if not name.isidentifier() or keyword.iskeyword(name):
        raise FormulaError(f"the term {name!r} cannot be registered: its name must be a Python name.")
    if name in _BUILT_IN or name == "offset":
        known = ", ".join(sorted(_BUILT_IN))
        raise FormulaError(f"the term `{name}` cannot be registered: lgm has {known} and offset already.")
    if name in FUNCTIONS:
        raise FormulaError(f"the term `{name}` cannot be registered: `{name}` is a function of formulas.")
    own = build.signature if isinstance(build, Custom) else _FIRST
    TERMS[name] = Entry(signature or own, build)


__all__ = [
    "TERMS",
    "Block",
    "Constraint",
    "Curve",
    "Custom",
    "Domain",
    "Encoded",
    "Intrinsic",
    "Levels",
    "Map",
    "Novel",
    "Parameter",
    "Pattern",
    "Signature",
    "Structure",
    "Template",
    "Term",
    "Variable",
    "Whitened",
    "arguments",
    "custom",
    "one",
    "one_hot",
    "register_term",
    "standard_deviation",
]
