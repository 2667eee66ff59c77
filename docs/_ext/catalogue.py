"""What the pages of reference say beside what the code says of itself: examples, and what arguments mean.

Everything here is looked up by names that come from the code, so that a term without an example, or an argument without
a meaning, stops the build (and `tests/test_docs.py`).
"""

from __future__ import annotations

import inspect
from types import FunctionType
from typing import Any

import numpy as np
import pandas as pd

import lgm

N = 60


def _data() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    at = np.arange(N)
    y = rng.standard_normal(N)
    return pd.DataFrame(
        {
            "y": (y - y.mean()) / y.std(),
            "t": at,
            "when": at + rng.uniform(0.0, 0.5, N),
            "month": at % 12,
            "x": rng.uniform(0.0, 1.0, N),
            "z": rng.uniform(0.0, 1.0, N),
            "x1": rng.standard_normal(N),
            "x2": rng.standard_normal(N),
            "x3": rng.standard_normal(N),
            "lon": rng.uniform(0.0, 10.0, N),
            "lat": rng.uniform(0.0, 10.0, N),
            "region": at % 10,
            "year": at // 10,
            "g": pd.Categorical(np.char.add("g", (at % 12).astype(str))),
            "h": pd.Categorical(np.char.add("g", ((at + 5) % 12).astype(str))),
            "kind": pd.Categorical(np.where(at % 12 < 6, "a", "b")),
            "visit": pd.Categorical(np.array(["v1", "v2", "v3"])[(at // 12) % 3]),
            "dose": pd.Categorical(np.array(["low", "mid", "high"])[at % 3], ["low", "mid", "high"], ordered=True),
        }
    )


DATA = _data()
ENV: dict[str, Any] = {
    "graph": lgm.graph([(i, (i + 1) % 10) for i in range(10)]),
    "K": pd.DataFrame(0.5 + 0.5 * np.eye(12), [f"g{i}" for i in range(12)], [f"g{i}" for i in range(12)]),
}

# Terms ----------------------------------------------------------------------------------------------------------------

TERMS: dict[str, str] = {
    "ar": "ar(t, p=2)",
    "ar1": "ar1(t)",
    "bym2": "bym2(region, graph)",
    "car": "car(region, graph)",
    "gp": "gp(x)",
    "hs": "hs(x1, x2, x3)",
    "icar": "icar(region, graph)",
    "leroux": "leroux(region, graph)",
    "matern": "matern(lon, lat)",
    "mo": "mo(dose)",
    "ou": "ou(when)",
    "r2d2": "r2d2(x1, x2, x3)",
    "rw1": "rw1(t)",
    "rw2": "rw2(t)",
    "s": "s(x)",
    "sar": "sar(region, graph)",
    "seasonal": "seasonal(t, 12)",
    "t2": "t2(x, z)",
    "te": "te(x, z)",
    "ti": "ti(x, z)",
}

_GRAPH = "the neighbours: an edge table, a sparse, networkx or libpysal graph, a GeoDataFrame, or `lgm.graph` of one"
_COPIES = {
    "replicate": "a factor: an independent copy of the process for each level, with common hyperparameters",
    "group": "copies that depend on each other: ``ar1(year)``, ``rw1(year)``, ``icar(...)``, ``iid(g)``",
}
_FREQ = 'the unit in which dates are counted, such as ``"M"``'
_SHRUNK = "covariates, any number of them; of a factor all levels but the first"
_BASIS = {
    "x": "variables, one or several; numbers",
    "k": "dimension of the basis, by default 10 for one variable, 30 for two",
    "m": "order of the derivatives (``tp``), or degree less one and order of the differences (``ps``)",
    "by": "numbers that multiply the smooth, or a factor, each level of which has a smooth of its own",
}
_MARGINS = {
    **_BASIS,
    "x": "variables, each with a margin",
    "bs": "basis of the margins, ``cr`` by default, or a list with one for each",
    "k": "dimension of the margins, 5 by default, or a list with one for each",
    "m": "order of the margins, or a list with one for each",
    "knots": 'places of the knots, by variable: ``knots={"x": [0, 1, 2]}``',
}
_WALK = {
    "t": "times or another ordered variable: numbers at any spacing, dates or periods",
    "cyclic": "whether the last time is followed by the first",
    "period": "number of times in one turn of the circle",
    "freq": _FREQ,
}
_WHOLE = {"t": "whole times, with or without gaps: numbers, dates or periods", "freq": _FREQ}
_AREA = {"region": "names of regions as the graph has them", "graph": _GRAPH}

ARGUMENTS: dict[str, dict[str, str]] = {
    "ar": {**_WHOLE, "p": "order, 1 by default"},
    "ar1": _WHOLE,
    "bym2": _AREA,
    "car": _AREA,
    "gp": {
        "x": "a number",
        "alpha": "2 for smoothness 3/2, the default; 1 for 1/2, an exponential covariance",
        "k": "number of knots, by default 201, or 1001 with ``alpha=1``",
    },
    "hs": {"x1, x2, ...": _SHRUNK, "p0": "how many coefficients are expected to matter, by default a tenth of them"},
    "icar": _AREA,
    "leroux": _AREA,
    "matern": {
        "x": "first coordinate",
        "y": "second coordinate, in the same unit",
        "mesh": "a mesh by `lgm.mesh`, or a pair of points and triangles; by default one for the data",
        "alpha": "2, for smoothness one",
    },
    "mo": {"x": "an ordered factor, or whole numbers"},
    "ou": {
        "t": "times at any spacing: numbers, dates or periods",
        "step": "the lag to which rho belongs, by default the median spacing",
        "freq": _FREQ,
    },
    "r2d2": {
        "x1, x2, ...": _SHRUNK,
        "mean": "prior mean of R2, by default 0.5",
        "precision": "of the beta prior of R2: the sum of its two parameters, by default 2",
        "concentration": "of the Dirichlet prior of the shares, by default 0.5",
    },
    "rw1": _WALK,
    "rw2": _WALK,
    "s": {
        **_BASIS,
        "bs": "basis, see below; ``tp`` by default",
        "knots": "places of the knots, a list or by variable",
        "xt": "basis of the curves of ``fs``",
        "graph": "of ``mrf``: " + _GRAPH,
    },
    "sar": _AREA,
    "seasonal": {**_WHOLE, "period": "number of times in one period"},
    "t2": _MARGINS,
    "te": _MARGINS,
    "ti": _MARGINS,
}


def arguments(name: str) -> dict[str, str]:
    """What each argument of a term means, in the order of its signature."""
    signature = lgm.terms.TERMS[name].signature
    said = {**ARGUMENTS[name], **_COPIES}
    names = signature.names if signature.variables else ("x1, x2, ...", *signature.names)
    return {argument: said[argument] for argument in (*names, *signature.copying)}


BASES: dict[str, tuple[str, str]] = {
    "tp": ("s(x)", "thin plate regression spline, of one variable or several"),
    "ts": ('s(x, bs="ts")', "the same, whose straight part is shrunk too, so that the term can vanish"),
    "cr": ('s(x, bs="cr", k=20)', "cubic regression spline with knots at quantiles; for many rows"),
    "cs": ('s(x, bs="cs")', "the same, whose straight part is shrunk too"),
    "cc": ('s(month, bs="cc")', "cubic spline on a circle"),
    "ps": ('s(x, bs="ps", k=20)', "P-spline: B-splines with a penalty on differences; sparse"),
    "cp": ('s(month, bs="cp")', "P-spline on a circle"),
    "re": ('s(g, bs="re")', "independent effects of levels, as ``(1|g)``"),
    "fs": ('s(x, g, bs="fs", k=5)', "a curve for each level of a factor, drawn from one population"),
    "mrf": ('s(region, bs="mrf", graph=graph)', "effects of regions of which neighbours are alike"),
}

# Of each covariance class of `(... | g)` an example, and what it says.
BARS: dict[str, tuple[str, str]] = {
    "us": ("(x|g)", "levels and slopes with any correlations; ``(1|g)`` has levels only"),
    "diag": (
        "(x||g)",
        "the same without correlations, a variance for each effect; ``diag(x|g)`` is another way to say it",
    ),
    "homdiag": ("homdiag(0 + visit|g)", "independent effects of equal variance"),
    "cs": ("cs(0 + visit|g)", "one correlation for all pairs, a variance for each effect"),
    "homcs": ("homcs(0 + visit|g)", "one correlation for all pairs, one variance"),
    "toep": ("toep(0 + visit|g)", "a correlation for each distance, a variance for each effect"),
    "homtoep": ("homtoep(0 + visit|g)", "a correlation for each distance, one variance"),
    "ar1": ("ar1(0 + t|g)", "a stationary series in each level, at whole times"),
    "hetar1": ("hetar1(0 + visit|g)", "the same with a variance for each time"),
    "ou": ("ou(0 + when|g)", "a stationary series in each level, at times of any spacing"),
}
MORE_BARS: dict[str, str] = {
    "(1|g, cov=K)": "levels are relatives, with a known covariance up to a factor; ``precision=`` takes its inverse",
    "(1|mm(g, h))": "a row belongs to several levels, with the same weight each or ``weights=``",
    "(1|g, by=kind)": "levels of several kinds, each with variances of its own",
    "(1|g/visit)": "nested: ``(1|g) + (1|g:visit)``",
}

# Families -------------------------------------------------------------------------------------------------------------

_COUNTS = "counts"
_SHARES = "cbind(successes, failures)"
# How the response of an example is made of `DATA`, and what may stand on the left of a formula.
RESPONSES: dict[str, tuple[str, str]] = {
    "gaussian": ("y", "numbers"),
    "bernoulli": ("event", "two categories, booleans, or 0 and 1"),
    "binomial": (_SHARES, "``cbind(successes, failures)``, ``y | trials(n)``, or shares with ``weights=``"),
    "beta_binomial": (_SHARES, "as for ``binomial``"),
    "zero_inflated_binomial": (_SHARES, "as for ``binomial``"),
    "poisson": (_COUNTS, "counts"),
    "negativebinomial": (_COUNTS, "counts"),
    "nbinom1": (_COUNTS, "counts"),
    "zero_inflated_poisson": (_COUNTS, "counts"),
    "zero_inflated_negativebinomial": (_COUNTS, "counts"),
    "hurdle_poisson": (_COUNTS, "counts"),
    "hurdle_negativebinomial": (_COUNTS, "counts"),
    "t": ("y", "numbers"),
    "gamma": ("positive", "positive numbers"),
    "wald": ("positive", "positive numbers"),
    "lognormal": ("positive", "positive numbers; ``y | cens(code, upper)`` for censored ones"),
    "exponential": ("positive", "positive numbers; ``y | cens(code, upper)`` for censored ones"),
    "weibull": ("positive", "positive numbers; ``y | cens(code, upper)`` for censored ones"),
    "beta": ("share", "numbers between 0 and 1"),
    "cumulative": ("dose", "an ordered factor"),
}


def responses() -> pd.DataFrame:
    """`DATA` with a response for every family."""
    rng = np.random.default_rng(2)
    counts = rng.poisson(2.0, N) * (rng.uniform(size=N) < 0.8)
    return DATA.assign(
        event=rng.uniform(size=N) < 0.5,
        successes=np.minimum(counts, 6),
        failures=6 - np.minimum(counts, 6),
        counts=counts,
        positive=rng.gamma(2.0, 1.0, N),
        share=rng.beta(2.0, 3.0, N),
    )


# Priors ---------------------------------------------------------------------------------------------------------------


def priors() -> dict[str, FunctionType]:
    """The public functions of `lgm.priors`, in the order of its text."""
    found = {name: f for name, f in vars(lgm.priors).items() if inspect.isfunction(f) and not name.startswith("_")}
    # Of a function with two names, the one that it calls itself.
    return {name: f for name, f in found.items() if f.__module__ == "lgm.priors" and f.__name__ == name}


# For what each may stand: classes of ``priors={...}``, and an example.
PRIORS: dict[str, tuple[str, str]] = {
    "normal": ("fixed effects, numbers of any sign", "normal(0, 2.5)"),
    "flat": ("fixed effects, bounded or positive numbers; improper", "flat()"),
    "constant": ("anything that is held", "constant(1)"),
    "exponential": ("standard deviations and other positive numbers", "exponential(1)"),
    "pc_sd": ("standard deviations", "pc_sd(1, 0.05)"),
    "pc_prec": ("standard deviations, in INLA's words for a precision", "pc_prec(1, 0.01)"),
    "half_normal": ("standard deviations and other positive numbers", "half_normal(1)"),
    "half_student_t": ("standard deviations and other positive numbers", "half_student_t(3, 2.5)"),
    "half_cauchy": ("standard deviations and other positive numbers", "half_cauchy(1)"),
    "student_t": (
        "numbers of any sign that are not integrated out, such as what `lgm.families.custom` names",
        "student_t(3, 0, 2.5)",
    ),
    "lognormal": ("positive numbers", "lognormal(0, 1)"),
    "inverse_gamma": ("positive numbers", "inverse_gamma(2, 1)"),
    "gamma": ("positive numbers", "gamma(2, 0.1)"),
    "shifted_gamma": ("numbers above a bound, such as ``nu`` of ``t``", "shifted_gamma(2, 2, 0.1)"),
    "beta": ("shares and probabilities: ``phi``, ``zi``", "beta(1, 1)"),
    "uniform": ("bounded numbers", "uniform(-1, 1)"),
    "lkj": ("correlations of the effects in a level", "lkj(2)"),
    "dirichlet": ("shares that sum to one, of ``mo(x)``", "dirichlet(1)"),
    "pc_corr": ("correlations and autocorrelations, base model zero", "pc_corr(0.5, 0.5)"),
    "pc_corr1": ("autocorrelations, base model one", "pc_corr1(0.5, 0.9)"),
    "pc_phi": ("``phi`` of ``bym2``", "pc_phi(0.5, 2 / 3)"),
    "pc_range": ("``range`` of ``matern`` and ``gp``", "pc_range(1, 0.05)"),
}
