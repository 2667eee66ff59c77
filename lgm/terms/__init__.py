"""Latent terms, one per file, and the table in which their calls register."""

from __future__ import annotations

import keyword
from collections.abc import Callable
from typing import NamedTuple

from lgm.data.expression import FUNCTIONS
from lgm.data.scope import Scope
from lgm.errors import FormulaError
from lgm.formula.sides import Call
from lgm.terms import ar1, bym2, icar, seasonal, smooth, tensor, walk
from lgm.terms.term import Signature, Term

Builder = Callable[[Call, Scope, str, float], Term]


class Entry(NamedTuple):
    """How a term is called, and what builds it."""

    signature: Signature
    build: Builder


TERMS: dict[str, Entry] = {
    "ar1": Entry(ar1.SIGNATURE, ar1.build),
    "bym2": Entry(bym2.SIGNATURE, bym2.build),
    "icar": Entry(icar.SIGNATURE, icar.build),
    "rw1": Entry(walk.SIGNATURE, walk.build),
    "rw2": Entry(walk.SIGNATURE, walk.build),
    "s": Entry(smooth.SIGNATURE, smooth.build),
    "seasonal": Entry(seasonal.SIGNATURE, seasonal.build),
    "t2": Entry(tensor.SIGNATURE, tensor.build),
    "te": Entry(tensor.SIGNATURE, tensor.build),
    "ti": Entry(tensor.SIGNATURE, tensor.build),
}


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
