"""Latent terms, one per file, and the table in which their calls register."""

from __future__ import annotations

from collections.abc import Callable

from lgm.formula import Call
from lgm.scope import Scope
from lgm.terms import areal, autoregressive, smooth, walk
from lgm.terms.term import Term

Builder = Callable[[Call, Scope, str], Term]

TERMS: dict[str, Builder] = {
    "ar1": autoregressive.build,
    "icar": areal.build,
    "rw1": walk.build,
    "rw2": walk.build,
    "s": smooth.build,
}


def register_term(name: str, build: Builder) -> None:
    """Make ``name(...)`` a latent term of formulas.

    Parameters
    ----------
    name : str
        A Python name that no term has yet.
    build : callable
        ``build(call, scope, label) -> Term``: see `lgm.terms.walk` for one in a hundred lines.

    Raises
    ------
    ValueError
        If the name is taken or is not a Python name.
    """
    if name in TERMS or name == "offset" or not name.isidentifier():
        raise ValueError(
            f"`{name}` cannot be registered: it must be a Python name that is not taken ({', '.join(TERMS)})"
        )
    TERMS[name] = build
