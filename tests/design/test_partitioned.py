"""A model of data in partitions is that of the same rows in memory: names, priors, pattern, statistics, density."""

import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lgm
from lgm.design import collapse, distinct, partitioned
from lgm.design.predictor import Parts
from lgm.posterior.laplace import LaplaceData

RNG = np.random.default_rng(0)
N = 1200
DATA = pd.DataFrame(
    {
        "g": RNG.integers(25, size=N),
        "h": RNG.choice(list("abcdefg"), N),
        "x": np.round(RNG.normal(3.0, 1.0, N), 1),
        "year": RNG.normal(2000.0, 10.0, N),
        "t": RNG.integers(60, size=N),
        "f": RNG.choice(["u", "v", "w"], N),
        "w": RNG.uniform(0.5, 2.0, N),
        "o": RNG.normal(size=N),
        "b": RNG.uniform(size=N) < 0.4,
        "region": RNG.choice(list("pqrs"), N),
        "floor": np.minimum(RNG.geometric(0.4, N), 5),
    }
)
DATA["y"] = 1.0 + 0.5 * DATA["x"] + np.sin(DATA["t"] / 10.0) + RNG.normal(size=25)[DATA["g"]] + RNG.normal(size=N)
EDGES = lgm.graph(pd.DataFrame({"a": list("pqr"), "b": list("qrs")}))
FORMULAS = [
    "y ~ x*f + (1|g)",
    "y ~ 0 + f + (1|g)",
    "y ~ year + (year|h) + (1|g)",
    "y ~ x + (x||g) + b",
    "y ~ scale(x) + s(t)",
    "y ~ poly(x, 3) + poly(year, 2) + (1|f/h)",
    "y ~ center(year):f + f",
    "y ~ rw1(t) + (f|g)",
    "y ~ x + t + s(t)",
    "y ~ x + offset(o) + icar(region, EDGES)",
    "y ~ s(t, bs='cr', k=8) + (1|g:h)",
    "y ~ s(x, bs='ps', m=(2, 1)) + s(t, bs='cc')",
    "y ~ s(x, bs='ts') + s(np.round(year, -1), k=4)",
    "y ~ s(x, t, k=12)",
    "log(y + 20) ~ log(x + 10) + I(x**2) + C(t > 30)",
    "y ~ year:f + f + C(h, contr.sum)",
    "y ~ rw2(t) + ar1(t)",
    "y ~ f + s(t, k=5, by=f)",
    "y ~ s(t, k=5, by=x)",
    "y ~ s(t, h, bs='fs', k=5) + x",
    "y ~ te(x, t, k=4)",
    "y ~ ti(x, k=4) + ti(t, k=4) + ti(x, t, k=3, by=f) + f",
    "y ~ t2(x, t, k=4, bs=['ps', 'cc'])",
    "y ~ mo(floor) + (1|g)",
]


def _cut(data: pd.DataFrame, *cuts: int) -> list[pd.DataFrame]:
    return [data.iloc[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


PARTS = _cut(DATA, 1, 300, 300, 901)


def _statistics(model: lgm.Model) -> dict[str, np.ndarray]:
    data: Any = model.analysed.marginal.data
    size = np.sqrt(float(data.square))  # of residuals: a projection on fixed effects is rounding beside it
    found = {name: np.asarray(getattr(data, name)) for name in ("gram", "square", "n", "sum_log_w")}
    return {**found, "projection": np.asarray(data.projection) / size, "basis": model.analysed.basis}


def _require_same(one: lgm.Model, other: lgm.Model) -> None:
    pd.testing.assert_frame_equal(one.priors, other.priors)
    assert one.design.fixed_names == other.design.fixed_names
    assert one.analysed.pattern == other.analysed.pattern
    mine, theirs = _statistics(one), _statistics(other)
    for name, values in mine.items():
        np.testing.assert_allclose(
            theirs[name], values, rtol=1e-10, atol=1e-10 * np.max(np.abs(values), initial=1.0), err_msg=name
        )
    for level in (0.7, 1.3):
        theta: dict[str, float] = {}
        for parameter in one.design.parameters:
            usual = {"corr": 0.2 * level, "rho": 0.2 * level, "simplex": parameter.start, "scale": parameter.start}
            theta |= dict.fromkeys(parameter.names, usual.get(parameter.kind, level))
        assert np.isfinite(one.log_density(theta))
        np.testing.assert_allclose(other.log_density(theta), one.log_density(theta), rtol=0, atol=1e-8)
    _require_same_average(one, other)


def _require_same_average(one: lgm.Model, other: lgm.Model) -> None:
    """Of rows in memory the average is taken; parts that do not count are left out."""
    predictor = one.design.predictor
    every = Parts.all(predictor)
    some = Parts(every.fixed & (np.arange(predictor.p) % 2 == 0), tuple(i == 0 for i in range(len(every.terms))), False)
    for parts in (every, some):
        mine, theirs = one.design.average(parts), other.design.average(parts)
        pairs = [
            (mine.X, theirs.X),
            *((a.z, b.z) for a, b in zip(mine.encoded, theirs.encoded, strict=True) if a and b),
        ]
        assert [each is None for each in mine.encoded] == [each is None for each in theirs.encoded]
        for wanted, found in pairs:
            np.testing.assert_allclose(found.toarray(), wanted.toarray(), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(theirs.offset, mine.offset, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_model_is_that_in_memory(formula):
    weights = "w" if FORMULAS.index(formula) % 2 else None
    env = {"np": np, "EDGES": EDGES}
    _require_same(
        lgm.model(formula, DATA, weights=weights, env=env), lgm.model(formula, PARTS, weights=weights, env=env)
    )


@pytest.mark.parametrize(
    "formula", ["y ~ 0 + x + s(t)", "y ~ x + s(t, by=f)", "y ~ code + (1|g)", "y ~ (1|g) + (1|g:always)"]
)
def test_warnings_are_those_in_memory(formula):
    data = DATA.assign(code=DATA["t"].astype(str) + ".5", always="a")
    texts, models = [], []
    for each in (data, _cut(data, 300, 901)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            models.append(lgm.model(formula, each))
        texts.append([str(one.message) for one in caught])
    assert texts[0] == texts[1] != []
    _require_same(*models)


def test_slopes_of_which_each_level_begins_with_zero():
    """As in a table of people and days: rows that have the levels are not typical of the covariate."""
    late = DATA.assign(late=np.where(DATA.duplicated("g"), DATA["x"], 0.0))
    _require_same(lgm.model("y ~ late + (late|g)", late), lgm.model("y ~ late + (late|g)", _cut(late, 300)))


def test_priors_about_zero():
    """What a user says of the sd of intercepts is about x = 0, where default priors are about the mean."""
    priors = {"sd(Intercept|g)": lgm.priors.exponential(1.0)}
    _require_same(lgm.model("y ~ x + (x|g)", DATA, priors=priors), lgm.model("y ~ x + (x|g)", PARTS, priors=priors))


@pytest.mark.parametrize("ordered", [False, True])
def test_the_order_of_categories_is_theirs(ordered):
    """Not that in which partitions have them: the first one has its own level alone."""
    data = DATA.assign(f=pd.Categorical(DATA["f"], ["v", "none", "u", "w"], ordered=ordered)).sort_values("h")
    data = pd.concat([data[data["f"] == "w"], data[data["f"] != "w"]])
    parts = _cut(data, int((data["f"] == "w").sum()), 900)
    _require_same(lgm.model("y ~ f + s(t, k=5, by=f)", data), lgm.model("y ~ f + s(t, k=5, by=f)", parts))


def test_bits_are_those_of_the_partitioning():
    formula = "y ~ x + s(t) + (x|g)"
    first, again, other = (lgm.model(formula, parts) for parts in (PARTS, lambda: iter(PARTS), _cut(DATA, 500)))
    assert all(np.array_equal(value, _statistics(again)[name]) for name, value in _statistics(first).items())
    _require_same(first, other)


def test_dask_gives_the_same_bits():
    dd, dask = pytest.importorskip("dask.dataframe"), pytest.importorskip("dask")
    with dask.config.set(scheduler="synchronous"):
        frame = dd.from_map(lambda i: PARTS[i], range(len(PARTS)), meta=DATA.iloc[:0])
        found = _statistics(lgm.model("y ~ x + s(t) + (x|g)", frame))
    wanted = _statistics(lgm.model("y ~ x + s(t) + (x|g)", PARTS))
    assert all(np.array_equal(value, wanted[name]) for name, value in found.items())


def test_gaps_categories_and_late_levels():
    data = DATA.sort_values("h").reset_index(drop=True)  # levels come one after the other
    data["f"] = pd.Categorical(data["f"], categories=["w", "never", "u", "v"])
    data.loc[::50, "x"] = np.nan
    holed = data.copy()
    holed.loc[7::90, "y"] = np.nan
    with pytest.warns(lgm.errors.DataWarning, match=r"24 of 1176 rows|rows are dropped: missing values in x \(24\)"):
        whole = lgm.model("y ~ x + f + (1|h)", holed.dropna(subset=["y"]).reset_index(drop=True))
    with pytest.warns(lgm.errors.DataWarning, match="rows are dropped"):
        parts = lgm.model("y ~ x + f + (1|h)", _cut(holed, 3, 400, 800))
    _require_same(whole, parts)
    assert "no response" in repr(parts) and "missing predictors" in repr(parts)


def _require_same_pictures(whole: lgm.Fit, parts: lgm.Fit, *terms: str) -> None:
    """All lines and bands; of the rows in memory there are partial residuals or repeated values, too."""
    for term in terms:
        for kind in ("linear", "mean"):
            wanted, found = (fit.plot_term(term, kind, residuals=False) for fit in (whole, parts))  # type: ignore[arg-type]
            for mine, theirs in zip(wanted.axes, found.axes, strict=True):
                assert mine.get_xlabel() == theirs.get_xlabel() and mine.get_ylabel() == theirs.get_ylabel()
                pairs = zip(mine.lines, theirs.lines, strict=True)
                drawn = [(a.get_xydata(), b.get_xydata()) for a, b in pairs if a.get_marker() != "|"]
                bands = zip(mine.collections, theirs.collections, strict=True)
                drawn += [(a.get_paths()[0].vertices, b.get_paths()[0].vertices) for a, b in bands]
                assert len(drawn) > 3
                for one, other in drawn:
                    np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5)


def test_a_fit_is_that_in_memory():
    how = {"method": "importance", "seed": 1, "progress": False}
    formula = "y ~ x + s(t) + (1|g)"
    whole, parts = lgm.fit(formula, DATA, **how), lgm.fit(formula, PARTS, **how)
    pd.testing.assert_frame_equal(whole.summary(), parts.summary(), rtol=1e-5)
    pd.testing.assert_frame_equal(whole.ranef(), parts.ranef(), rtol=1e-5)
    pd.testing.assert_frame_equal(whole.predict(DATA.head()), pickle.loads(pickle.dumps(parts)).predict(DATA.head()))
    assert not hasattr(parts.idata, "observed_data")
    _require_same_pictures(whole, parts, "s(t)", "(1|g)")
    for call in (parts.residuals, parts.loo, parts.predict, parts.r2, parts.plot_residuals, parts.check):
        with pytest.raises(lgm.LgmError, match="were read in partitions and are not in memory"):
            call()
    with pytest.raises(lgm.LgmError, match=r"a file holds a model by its data.*pickle\.dumps"):
        parts.save("nowhere.lgm")
    with pytest.raises(lgm.LgmError, match=r"update\(\.\.\., data=\.\.\.\)"):
        parts.update(". ~ . - x")


@pytest.mark.parametrize(
    ("formula", "how", "message"),
    [
        ("y ~ gp(x)", {}, r"gp\(\) is not made of data in partitions"),
        ("y ~ s(h, bs='re')", {}, r"s\(h\), with bs='re', learns from all rows"),
        ("y ~ x + I(2 * x)", {}, r"`I\(2 \* x\)` is a linear function of `x`"),
        ("y ~ x + one", {}, "`one` is 1 in every row, like the intercept"),
        ("y ~ x", {"weights": np.ones(N)}, "weights of data in partitions are a column"),
        ("y ~ x", {"weights": "nope"}, "weights='nope' is not a column"),
        ("one ~ x", {}, "`one`"),
        ("y ~ x + (1|one)", {}, "has one level"),
        ("y | cens(b) ~ x", {}, 'family="gaussian" does not take censored values'),
    ],
)
def test_what_is_refused(formula, how, message):
    with pytest.raises(lgm.LgmError, match=message):
        lgm.model(formula, _cut(DATA.assign(one=1.0), 400), **how)


def test_data_that_change_between_passes():
    seen: list[None] = []

    def shrinking():
        seen.append(None)
        return iter(_cut(DATA.iloc[: N - len(seen)], 400))

    with pytest.raises(lgm.LgmError, match="not the same when they are read again.*1198 rows at first, 1197 later"):
        lgm.model("y ~ x", shrinking)


# Counts and proportions ----------------------------------------------------------------------------------------------

COUNTED = pd.DataFrame({name: DATA[name] for name in ("g", "h", "f", "b")})
COUNTED["x"] = np.round(DATA["x"])
COUNTED["o"] = np.round(np.abs(DATA["o"]))
COUNTED["w"] = 1.0 + DATA["t"] % 2
COUNTED["k"] = 1 + DATA["t"] % 3
ETA = -0.5 + 0.3 * (COUNTED["x"] - 3.0) + RNG.normal(size=25)[COUNTED["g"]]
COUNTED["y"] = (RNG.uniform(size=N) < 1.0 / (1.0 + np.exp(-ETA))).astype(int)
COUNTED["yes"] = np.where(COUNTED["y"] == 1, "yes", "no")
COUNTED["late"] = pd.Categorical(COUNTED["yes"], categories=["yes", "no"])
COUNTED["won"] = RNG.binomial(COUNTED["k"], 1.0 / (1.0 + np.exp(-ETA)))
COUNTED["lost"] = COUNTED["k"] - COUNTED["won"]
COUNTED["share"] = COUNTED["won"] / COUNTED["k"]
COUNTED["n"] = RNG.poisson(np.exp(ETA - 1.0))
COUNTED = COUNTED.sort_values(["yes", "g"], ignore_index=True)  # levels come one after the other


@pytest.mark.parametrize(
    ("formula", "family", "weights"),
    [
        ("y ~ x + offset(o) + (1|g)", "bernoulli", None),
        ("yes ~ x*f + (x|g)", "bernoulli", None),
        ("b ~ rw1(x) + (1|f/h)", "bernoulli", "w"),
        ("late ~ s(x, k=4) + f", "bernoulli", None),
        ("cbind(won, lost) ~ x + f + offset(o) + (1|g)", "binomial", "w"),
        ("share ~ x + (1|g)", "binomial", "k"),
        ("n ~ x + offset(o) + (1|g)", "poisson", "w"),
        ("n ~ x + offset(o) + (1|g)", "negativebinomial", "w"),
        ("n ~ x + (1|g)", "hurdle_poisson", "w"),
        ("won | trials(k) ~ 0 + f + (1|g)", "beta_binomial", None),
    ],
)
def test_collapsed_rows_are_those_in_memory(formula, family, weights, monkeypatch):
    monkeypatch.setattr(collapse, "WORTH", 1)
    one = lgm.model(formula, COUNTED, family, weights=weights)
    other = lgm.model(formula, _cut(COUNTED, 1, 300, 300, 901), family, weights=weights)
    pd.testing.assert_frame_equal(one.priors, other.priors)
    assert one.design.fixed_names == other.design.fixed_names and one.design.n == other.design.n
    assert one.analysed.pattern == other.analysed.pattern
    assert one.design.answer.meaning == other.design.answer.meaning
    for name in ("gram", "basis", "reference"):
        mine, theirs = getattr(one.analysed, name), getattr(other.analysed, name)
        np.testing.assert_allclose(theirs, mine, rtol=1e-10, atol=1e-10 * np.max(np.abs(mine), initial=1.0))
    mine, theirs = (_laplace(each).observed for each in (one, other))
    assert mine.y.size == theirs.y.size < 1000
    _require_same_average(one, other)
    np.testing.assert_allclose(theirs.constant, mine.constant, rtol=1e-10)
    np.testing.assert_allclose(_rows_of(theirs), _rows_of(mine), rtol=1e-9, atol=1e-9)


def _laplace(model: lgm.Model) -> LaplaceData:
    data = model.analysed.marginal.data
    assert isinstance(data, LaplaceData)
    return data


def _rows_of(observed: Any) -> np.ndarray:
    """Some functions of each row, in an order that does not hang on that of the rows."""
    a = sp.csr_array(tuple(np.asarray(each) for each in (observed.a.data, observed.a.columns, observed.a.starts)))
    spread = a @ np.random.default_rng(5).normal(size=(a.shape[1], 3))
    leaves = [observed.y.value, *([] if observed.y.trials is None else [observed.y.trials])]
    table = np.column_stack([spread, observed.offset, observed.weights, *leaves])
    return table[np.lexsort(np.round(table, 6).T)]


def test_a_fit_of_counts_is_that_in_memory():
    how = {"family": "binomial", "method": "importance", "seed": 1, "progress": False}
    formula = "cbind(won, lost) ~ x + (1|h)"
    whole, parts = lgm.fit(formula, COUNTED, **how), lgm.fit(formula, _cut(COUNTED, 300, 700), **how)
    theta = {"sd(Intercept|h)": 0.8}
    np.testing.assert_allclose(parts.model.log_density(theta), whole.model.log_density(theta), rtol=0, atol=1e-8)
    pd.testing.assert_frame_equal(whole.summary(), parts.summary(), rtol=1e-5)
    pd.testing.assert_frame_equal(whole.ranef(), parts.ranef(), rtol=1e-5, atol=1e-8)
    new = COUNTED.head()
    pd.testing.assert_frame_equal(whole.predict(new, kind="response"), parts.predict(new, kind="response"), atol=1e-6)
    assert "1200" in repr(parts)
    _require_same_pictures(whole, parts, "(1|h)")
    with pytest.raises(lgm.LgmError, match="were read in partitions and are not in memory"):
        parts.r2()


@pytest.mark.parametrize(
    ("formula", "family", "change", "message"),
    [
        ("y ~ x", "poisson", {"y": 0.5}, r"partition 1: the response `y` has 0.5 in row 3, but poisson is for counts"),
        ("y ~ x", "bernoulli", {"y": 2}, r"partition 1: the response `y` has 2 in row 3, but bernoulli"),
        ("yes ~ x", "bernoulli", {"yes": "maybe"}, r"`yes` has 3 values \(maybe, no, yes\), but bernoulli is for two"),
        ("won | trials(k) ~ x", "binomial", {"k": 0}, r"partition 1: the number of trials `k` is 0 in row 3"),
        ("yes ~ x", "poisson", {}, "partition 0: .*`yes` holds text, but it must be numeric"),
        ("y ~ x", "gamma", {}, 'family="gamma" with the log link needs each row by itself.*"bernoulli", "binomial"'),
        ("scale(n) ~ x", "poisson", {}, r"the response `scale\(n\)` learns from all rows"),
    ],
)
def test_bad_responses(formula, family, change, message):
    bad = COUNTED.copy()
    for name, value in change.items():
        bad[name] = bad[name].astype(object if isinstance(value, str) else float)
        bad.loc[403, name] = value
    with pytest.raises(lgm.LgmError, match=message):
        lgm.model(formula, _cut(bad, 400), family)


def test_what_keeps_rows_apart_is_named(monkeypatch):
    monkeypatch.setattr(distinct, "MOST", 100)
    monkeypatch.setattr(partitioned, "MOST", 100)
    data = COUNTED.assign(age=DATA["year"])
    message = r"more than 100 rows differ.*`age` alone has 1200 different values in 1200 of them.*`np.round\(age, 1\)`"
    with pytest.raises(lgm.LgmError, match=message):
        lgm.model("y ~ age + (1|h)", _cut(data, 80, 600), "bernoulli")


def test_separation_and_single_rows_are_seen():
    cell = pd.DataFrame({"y": [0, 0, 0, 1, 1] * 4, "a": ["u", "u", "u", "v", "v"] * 4, "one": range(20)})
    for formula, message in (("y ~ a", "separation: along"), ("y ~ (1|one)", "each level of `one` has one row")):
        with pytest.warns(lgm.errors.IdentifiabilityWarning, match=message):
            lgm.model(formula, _cut(cell, 7), "bernoulli")
