"""What to say of a call that lgm does not have, to users of other packages."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from lgm.words import suggest

_BYM = " It is written `bym2(region, graph)`."

_ELSEWHERE = {
    "f": (
        ' INLA\'s `f(x, model="rw1")` is written with the name of the model as the call, as in `rw1(x)`, and '
        '`model="iid"` as a bar, `(1 | g)`.'
    ),
    "iid": " A group effect is written as a bar, `(1 | g)`.",
    "re": " A group effect is written as a bar, `(1 | g)`.",
    "gr": " A group effect is written as a bar, `(1 | g)`, with the name of the group alone.",
    "mo": " Monotonic effects, as brms has them, are not available.",
    "mm": " Multi-membership groups, as brms has them, are not available.",
    "gp": " Gaussian processes are not available; `s(x)` is a smooth function.",
    "car1": " Autoregression in continuous time is written `ou(t)`.",
    "car": " Map effects are written `icar(region, graph)`.",
    "besag": " Map effects are written `icar(region, graph)`.",
    "bym": _BYM,
    "factor": " A factor is written `C(x)`.",
    "relevel": " Another reference level is written `C(x, contr.treatment('level'))`.",
    "ifelse": " It is written `np.where(condition, a, b)`.",
    "cbind": " It stands before `~`: `cbind(successes, failures) ~ x`.",
    "trials": " It stands before `~`: `y | trials(n) ~ x`.",
    "cens": " It stands before `~`: `y | cens(code) ~ x`.",
}


def unknown_call_message(name: str, term_names: Collection[str]) -> str:
    """Message for a call that is neither a term nor a function in reach, with hints for users of other packages."""
    numpy = f" NumPy's is written `np.{name}()`." if isinstance(getattr(np, name, None), np.ufunc) else ""
    hint = _ELSEWHERE.get(name) or numpy or suggest(name, term_names)
    listed = ", ".join(f"`{term}`" for term in sorted(term_names))
    return f"lgm has no term `{name}()`, nor is there a function of that name.{hint} The terms are {listed}."
