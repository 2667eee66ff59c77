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
    "gr": " A grouping stands after a bar: `(1 | gr(g, cov=K))`, or `(1 | g, cov=K)`.",
    "besagproper": " It is written `car(region, graph)`, and INLA's `besagproper2` is `leroux(region, graph)`.",
    "besagproper2": " It is written `leroux(region, graph)`.",
    "slm": " It is written `sar(region, graph)`.",
    "spde": " Fields are written `matern(lon, lat)`.",
    "car1": " Autoregression in continuous time is written `ou(t)`.",
    "mm": " A grouping stands after a bar: `(1 | mm(a, b))`.",
    "me": (
        " A covariate that is measured with error has true values, which are unknown and multiplied by an unknown "
        "coefficient: given its hyperparameters such a model is not Gaussian, and lgm does not have it. Instead, fit "
        "data sets with values drawn for the covariate and join the draws (multiple imputation), or a joint model."
    ),
    "horseshoe": " It is written `hs(x1, x2, ...)`.",
    "R2D2": " It is written `r2d2(x1, x2, ...)`.",
    "besag": " Map effects are written `icar(region, graph)`.",
    "bym": _BYM,
    "factor": " A factor is written `C(x)`.",
    "relevel": " Another reference level is written `C(x, contr.treatment('level'))`.",
    "ifelse": " It is written `np.where(condition, a, b)`.",
    "cbind": " It stands before `~`: `cbind(successes, failures) ~ x`.",
    "trials": " It stands before `~`: `y | trials(n) ~ x`.",
    "cens": " It stands before `~`: `y | cens(code) ~ x`.",
}


_SMOOTH_ARGUMENTS = {
    "fx": (
        " Smooths are penalised here, as with fx=FALSE. One without a penalty is fixed effects: `bs(x, df=6)` or "
        "`poly(x, 3)`."
    ),
    "id": (
        " Each smooth, and each copy of by=, has an sd of its own. Curves of the levels of a factor that share one are "
        "`s(x, g, bs='fs')`."
    ),
    "sp": " To hold a smooth's sd pass a prior, such as priors={'sd(s(x))': lgm.priors.constant(0.5)}.",
    "pc": " A smooth sums to zero over the rows of the data, and cannot be pinned to a point.",
}
_BARRIER = (
    " Barriers are not available. A mesh of your own without the triangles of the barrier, mesh=(points, triangles), "
    "keeps the field from reaching through it; the variance then is larger along its edge."
)
_ARGUMENTS = {
    **{call: _SMOOTH_ARGUMENTS for call in ("s", "te", "ti", "t2")},
    "matern": {name: _BARRIER for name in ("barrier", "barriers", "barrier_triangles")},
}


def argument_hint(call: str, name: str) -> str:
    """What users of other packages mean by an argument that a term does not have, and how it is written.

    Examples
    --------
    >>> argument_hint("s", "pc")
    ' A smooth sums to zero over the rows of the data, and cannot be pinned to a point.'
    >>> argument_hint("rw1", "fx")
    ''
    """
    return _ARGUMENTS.get(call, {}).get(name, "")


def unknown_call_message(name: str, term_names: Collection[str], classes: Collection[str] = ()) -> str:
    """Message for a call that is neither a term nor a function in reach, with hints for users of other packages.

    ``classes`` are those of covariances, where the call is around a bar.
    """
    if classes:
        hint = suggest(name, classes)
        return (
            f"lgm has no term `{name}()`, nor is there a function of that name.{hint} Covariance classes around a bar "
            f"are {', '.join(classes)}."
        )
    numpy = f" NumPy's is written `np.{name}()`." if isinstance(getattr(np, name, None), np.ufunc) else ""
    hint = _ELSEWHERE.get(name) or numpy or suggest(name, term_names)
    listed = ", ".join(f"`{term}`" for term in sorted(term_names))
    return f"lgm has no term `{name}()`, nor is there a function of that name.{hint} The terms are {listed}."
