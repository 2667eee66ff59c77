"""``replicate=`` and ``group=`` against the dense covariance ``A (x) B``, both factors from their definitions."""

from __future__ import annotations

from contextlib import nullcontext as nothing
from dataclasses import dataclass
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from dense_model import (
    ar1,
    circular_structure,
    condition,
    derivatives,
    icar_structure,
    restricted,
    rounding,
    rw_structure,
    scaled_covariance,
    seasonal_structure,
)
from synthetic import around

import lgm
from lgm.posterior import density
from lgm.priors import flat

REGIONS, EDGES = list("nesw") + ["u", "v"], [(0, 1), (1, 2), (2, 3), (3, 0), (0, 2), (4, 5)]
GRAPH = lgm.graph([(REGIONS[i], REGIONS[j]) for i, j in EDGES], nodes=REGIONS)
LEVELS = ["a", "b", "c"]
N = 60


def _data():
    rng = np.random.default_rng(11)
    t = np.concatenate([[0, 7], rng.choice([0, 1, 2, 4, 5, 7], N - 2)])
    year = np.concatenate([[2001, 2002, 2004, 2007], rng.choice([2001, 2002, 2004, 2007], N - 4)])
    region, g = rng.choice(REGIONS, N), rng.choice(LEVELS, N)
    frame = pd.DataFrame({"t": t, "year": year, "r": region, "g": g, "x": rng.standard_normal(N)})
    return frame.assign(y=1.0 + 0.5 * frame["x"] + rng.standard_normal(N))


DATA = _data()
T, YEARS = np.array([0, 1, 2, 4, 5, 7]), np.array([2001, 2002, 2004, 2007])
EVERY = np.arange(8)


def codes(column, places):
    return np.array([list(places).index(value) for value in DATA[column]])


AT = {
    "t": (codes("t", T), T.size),
    "every": (codes("t", EVERY), EVERY.size),
    "year": (codes("year", YEARS), YEARS.size),
    "r": (codes("r", REGIONS), len(REGIONS)),
    "g": (codes("g", LEVELS), len(LEVELS)),
}
UNIT = {
    "iid": np.eye(3),
    "iid years": np.eye(4),
    "iid regions": np.eye(6),
    "rw1": scaled_covariance(rw_structure(1, T))[0],
    "rw2": scaled_covariance(rw_structure(2, T), 2)[0],
    "rw1 years": scaled_covariance(rw_structure(1, YEARS))[0],
    "rw2 years": scaled_covariance(rw_structure(2, YEARS), 2)[0],
    "cyclic": scaled_covariance(circular_structure(2, 8))[0],
    "seasonal": scaled_covariance(seasonal_structure(8, 3), 2)[0],
    "icar": scaled_covariance(icar_structure(6, EDGES))[0],
}
LINES = np.column_stack([np.where(DATA["g"] == level, DATA["t"] - T.mean(), 0.0) for level in LEVELS])
PHASES = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])[DATA["t"] % 3]
PATTERNS = np.column_stack([PHASES[:, j] * (DATA["g"] == level) for j in range(2) for level in LEVELS])
OTHERS = DATA["r"].isin(["u", "v"]) - 2.0 / 6.0  # the level of the second component
ISLES = np.column_stack([np.where(DATA["year"] == year, OTHERS, 0.0) for year in YEARS])


@dataclass(frozen=True)
class Case:
    """A term, the factors of its covariance, where rows stand in them, and its fixed columns."""

    call: str
    outer: str
    inner: str
    where: tuple[str, str]
    columns: np.ndarray | None = None


CASES = {
    "rw1": Case("rw1(t, replicate=g)", "iid", "rw1", ("g", "t")),
    "rw2": Case("rw2(t, replicate=g)", "iid", "rw2", ("g", "t"), LINES),
    "cyclic": Case("rw2(t, cyclic=True, replicate=g)", "iid", "cyclic", ("g", "every")),
    "seasonal": Case("seasonal(t, 3, replicate=g)", "iid", "seasonal", ("g", "every"), PATTERNS),
    "ar1": Case("ar1(t, replicate=g)", "iid", "ar1", ("g", "t")),
    "II": Case("rw1(t, group=iid(r))", "iid regions", "rw1", ("r", "t")),
    "III": Case("icar(r, GRAPH, group=iid(year))", "iid years", "icar", ("year", "r"), ISLES),
    "IV": Case("icar(r, GRAPH, group=rw1(year))", "rw1 years", "icar", ("year", "r")),
    "IV rw2": Case("icar(r, GRAPH, group=rw2(year))", "rw2 years", "icar", ("year", "r")),
    "IV time": Case("rw2(t, group=icar(r, GRAPH))", "icar", "rw2", ("r", "t")),
    "years": Case("icar(r, GRAPH, group=ar1(year))", "ar1 years", "icar", ("year", "r")),
    "ar1s": Case("ar1(t, group=ar1(year))", "ar1 years", "ar1", ("year", "t")),
    "maps": Case("ar1(t, group=icar(r, GRAPH))", "icar", "ar1", ("r", "t")),
}
PRIORS = {"Intercept": flat(), "fixed": flat()}


@cache
def model(name):
    return lgm.model(f"y ~ x + {CASES[name].call}", DATA, priors=PRIORS)


def indicators(case):
    """Of the effects, copy by copy, at the rows."""
    (a, _), (b, m) = AT[case.where[0]], AT[case.where[1]]
    return np.equal.outer(a * m + b, np.arange(AT[case.where[0]][1] * m)).astype(float)


def covariance(case, theta):
    """Of the effects: sd, then rho of the inner and of the outer term where they have one, then sigma."""
    rhos = list(theta[1:-1])
    inner = ar1(T, 1.0, rhos.pop(0)) if case.inner == "ar1" else UNIT[case.inner]
    outer = ar1(YEARS, 1.0, rhos.pop(0)) if case.outer == "ar1 years" else UNIT[case.outer]
    return theta[0] ** 2 * np.kron(outer, inner)


def theta_of(case):
    return np.array([0.8, *[0.6] * (case.inner == "ar1"), *[-0.4] * (case.outer == "ar1 years"), 0.7])


def definition(case):
    Z, X = indicators(case), np.column_stack([np.ones(N), DATA["x"]])
    X = X if case.columns is None else np.column_stack([X, case.columns])
    return X, Z, lambda t: Z @ covariance(case, t) @ Z.T + t[-1] ** 2 * np.eye(N)


def bound_of(X, V):
    y = DATA["y"].to_numpy()
    return rounding(N, V, X.T @ X) * (N + y @ np.linalg.solve(V, y))


@pytest.mark.parametrize("name", CASES)
def test_likelihood(name):
    case, built = CASES[name], model(name)
    X, _, V = definition(case)
    theta = theta_of(case)
    wanted, _ = restricted(DATA["y"].to_numpy(), X, V(theta))
    found = built.log_likelihood(dict(zip(built.design.theta_names, theta, strict=True)))
    assert found == pytest.approx(wanted, abs=bound_of(X, V(theta)))
    assert len(built.design.fixed_names) == X.shape[1]


def test_interaction_beside_its_main_effects():
    """Knorr-Held's model: space, time, and type IV."""
    both = "icar(r, GRAPH, group=rw1(year))"
    built = lgm.model(f"y ~ x + icar(r, GRAPH) + rw1(year) + {both}", DATA, priors=PRIORS)
    assert built.design.fixed_names == ("Intercept", "x", "icar(r)[component of u]")
    X = np.column_stack([np.ones(N), DATA["x"], DATA["r"].isin(["u", "v"])]).astype(float)
    theta = dict(zip(built.design.theta_names, (0.5, 0.9, 0.4, 0.7), strict=True))
    space, time, Z = np.eye(6)[AT["r"][0]], np.eye(4)[AT["year"][0]], indicators(CASES["IV"])
    V = 0.25 * space @ UNIT["icar"] @ space.T + 0.81 * time @ UNIT["rw1 years"] @ time.T + 0.49 * np.eye(N)
    V = V + 0.16 * Z @ np.kron(UNIT["rw1 years"], UNIT["icar"]) @ Z.T
    wanted, _ = restricted(DATA["y"].to_numpy(), X, V)
    assert built.log_likelihood(theta) == pytest.approx(wanted, abs=bound_of(X, V))


@pytest.mark.parametrize("name", ["rw2", "ar1s", "years"])
def test_gradient(name):
    case, theta = CASES[name], theta_of(CASES[name])
    X, _, V = definition(case)
    _, slopes = restricted(DATA["y"].to_numpy(), X, V(theta), derivatives(V, theta))
    with jax.enable_x64(True):
        grad = jax.jit(jax.grad(density.log_likelihood, argnums=1))(model(name).analysed.marginal, jnp.asarray(theta))
    np.testing.assert_allclose(grad, slopes, rtol=0, atol=20 * bound_of(X, V(theta)))


@pytest.mark.parametrize("name", ["rw2", "IV"])
def test_an_sd_of_zero_is_an_ordinary_point(name):
    case, built = CASES[name], model(name)
    X, _, V = definition(case)
    theta = np.where(np.arange(2) == 0, 0.0, theta_of(case))
    wanted, _ = restricted(DATA["y"].to_numpy(), X, V(theta))
    found = built.log_likelihood(dict(zip(built.design.theta_names, theta, strict=True)))
    assert found == pytest.approx(wanted, abs=bound_of(X, V(theta)))


DRAWS = 2000


@cache
def held(name):
    built = model(name)
    theta = dict(zip(built.design.theta_names, theta_of(CASES[name]), strict=True))
    return around(built, theta, spread=0.0, draws=DRAWS // 4)


@pytest.mark.parametrize("name", ["rw2", "IV", "years"])
def test_effects_and_their_sds(name):
    case, fit = CASES[name], held(name)
    X, Z, V = definition(case)
    theta = theta_of(case)
    mean, cov = condition(DATA["y"].to_numpy(), np.hstack([X, Z]), covariance(case, theta), V(theta), flat=X.shape[1])
    found = pd.concat([fit.fixef(), fit.ranef()])
    bound = bound_of(X, V(theta))
    np.testing.assert_allclose(found["mean"], mean, rtol=0, atol=bound)
    np.testing.assert_allclose(found["sd"] ** 2, np.diag(cov), rtol=0, atol=bound)


def walked(times, new):
    """Covariance of a walk of unit typical variance at its times, then at new times before, between and after them."""
    known, (factor,) = scaled_covariance(rw_structure(1, times))
    whole = np.sort(np.concatenate([times, new]))
    Q = factor * rw_structure(1, whole)
    old, fresh = (np.searchsorted(whole, each) for each in (times, new))
    left = np.linalg.inv(Q[np.ix_(fresh, fresh)])
    pull = -left @ Q[np.ix_(fresh, old)]
    return np.block([[known, known @ pull.T], [pull @ known, pull @ known @ pull.T + left]])


NEW_T, NEW_YEARS = np.array([3, 9, 12]), np.array([1999, 2003, 2009, 2010])
EXTENDED = {
    "iid": lambda: np.eye(5),
    "rw1": lambda: walked(T, NEW_T),
    "ar1": lambda: ar1(np.concatenate([T, NEW_T]), 1.0, 0.6),
    "rw1 years": lambda: walked(YEARS, NEW_YEARS),
    "ar1 years": lambda: ar1(np.concatenate([YEARS, NEW_YEARS]), 1.0, -0.4),
    "icar": lambda: UNIT["icar"],
}
PLACES = {"g": [*LEVELS, "d", "e"], "t": [*T, *NEW_T], "year": [*YEARS, *NEW_YEARS], "r": REGIONS}


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("rw1", {"g": ["a", "a", "b", "d", "d", "e"], "t": [9, 3, 12, 5, 9, 5]}),
        ("ar1", {"g": ["c", "c", "e", "e"], "t": [3, 9, 0, 12]}),
        ("IV", {"year": [2010, 2010, 2009, 2003, 1999], "r": ["n", "e", "n", "u", "w"]}),
        ("years", {"year": [2009, 2009, 2010, 2010, 2003], "r": ["n", "v", "n", "e", "s"]}),
        ("ar1s", {"year": [2009, 2009, 2001, 2004, 2010], "t": [9, 1, 9, 12, 3]}),
        ("maps", {"r": ["n", "e", "n", "v"], "t": [9, 9, 12, 3]}),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_is_new_follows_the_conditional_gaussian(name, asked):
    """New copies, new places, and new places of new copies, together."""
    case, fit, theta = CASES[name], held(name), theta_of(CASES[name])
    rows = pd.DataFrame(asked).assign(x=0.0)
    (outer, inner), (left, right) = case.where, (EXTENDED[case.outer](), EXTENDED[case.inner]())
    G = theta[0] ** 2 * np.kron(left, right)

    def columns(frame):
        where = [np.array([PLACES[each].index(value) for value in frame[each]]) for each in (outer, inner)]
        return np.equal.outer(where[0] * len(right) + where[1], np.arange(len(G))).astype(float)

    X, Z = np.column_stack([np.ones(N), DATA["x"]]), columns(DATA)
    V = Z @ G @ Z.T + theta[-1] ** 2 * np.eye(N)
    mean, cov = condition(DATA["y"].to_numpy(), np.hstack([X, Z]), G, V, flat=2)
    at = np.hstack([np.ones((len(rows), 1)), np.zeros((len(rows), 1)), columns(rows)])
    wanted, spread = at @ mean, at @ cov @ at.T
    with pytest.warns(lgm.PredictionWarning, match="new levels? of g") if "g" in asked else nothing():
        found = fit.predict(rows)
        drawn = fit.predict(rows, "draws").stack(s=("chain", "draw")).transpose("row", "s").to_numpy()
    averaged = 5 * np.sqrt(np.diag(spread) / DRAWS)
    np.testing.assert_array_less(np.abs(found["mean"] - wanted), averaged if "ar1" in case.call else 1e-8)
    # each entry of the covariance of draws, by the variance of products of normals
    error = 5 * np.sqrt((np.outer(np.diag(spread), np.diag(spread)) + spread**2) / DRAWS)
    np.testing.assert_array_less(np.abs(np.cov(drawn) - spread), error)
    np.testing.assert_allclose(found["sd"] ** 2, np.diag(spread), rtol=5 * np.sqrt(2 / DRAWS))


def by_name(built, value):
    return dict.fromkeys(built.design.theta_names, value)


def test_copies_of_counts_are_separate_models():
    """With levels of their own and the same hyperparameters, likelihoods multiply."""
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"t": np.tile(np.arange(6), 8), "g": np.repeat(list("ab"), 24)})
    data["y"] = rng.poisson(3.0, 48).astype(float)
    both = lgm.model("y ~ 0 + g + rw1(t, replicate=g)", data, "poisson", priors={"fixed": flat()})
    apart = [
        lgm.model("y ~ rw1(t)", data[data["g"] == level], "poisson", priors={"Intercept": flat()}) for level in "ab"
    ]
    for sd in (0.0, 0.6, 2.0):
        wanted = sum(each.log_likelihood(by_name(each, sd)) for each in apart)
        assert both.log_likelihood(by_name(both, sd)) == pytest.approx(wanted, abs=1e-8)


def test_names_tables_and_scales():
    built, fit = model("years"), held("years")
    label = "icar(r, group=ar1(year))"
    assert built.design.theta_names == (f"sd({label})", f"rho({label}[year])", "sigma")
    effects = fit.ranef()
    assert effects.loc[label].index.tolist()[:8] == [*(f"2001:{r}" for r in REGIONS), "2002:n", "2002:e"]
    assert fit.posterior[label].dims[-1] == "year:r"
    outer, inner = scaled_covariance(rw_structure(1, YEARS))[1], scaled_covariance(icar_structure(6, EDGES))[1]
    np.testing.assert_allclose(model("IV").design.scales["icar(r, group=rw1(year))"], np.kron(outer, inner), rtol=1e-10)
    text = " ".join(repr(built).split())
    assert f"{label} 4 times of year, each with 6 regions, 6 edges, 2 components" in text
    assert "3 levels of g, each with 6 distinct values" in " ".join(repr(model("rw1")).split())


def test_fixed_columns_are_those_of_each_copy():
    found = [f"rw2(t, replicate=g)[linear|{level}]" for level in LEVELS]
    assert model("rw2").design.fixed_names == ("Intercept", "x", *found)
    assert model("IV time").design.fixed_names == ("Intercept", "x")
    spanned = lgm.model("y ~ g*t + rw2(t, replicate=g)", DATA)
    assert spanned.design.fixed_names == ("Intercept", "g[T.b]", "g[T.c]", "t", "g[T.b]:t", "g[T.c]:t")
    moved = lgm.model("y ~ x + rw2(t, replicate=g)", DATA.assign(t=DATA["t"] + 1000), priors=PRIORS)
    theta = by_name(moved, 0.5)  # lines are centred with their walk, so the origin of time does not matter
    assert moved.log_likelihood(theta) == pytest.approx(model("rw2").log_likelihood(theta), abs=1e-8)


def test_iid_copies_are_replicates():
    one = lgm.model("y ~ x + rw1(t, group=iid(g))", DATA, priors=PRIORS)
    theta = dict(zip(one.design.theta_names, (0.8, 0.7), strict=True))
    again = model("rw1").log_likelihood(dict(zip(model("rw1").design.theta_names, (0.8, 0.7), strict=True)))
    assert one.log_likelihood(theta) == again and one.design.theta_names[0] == "sd(rw1(t, group=iid(g)))"


def test_options_tell_terms_apart():
    graph = lgm.graph([("n", "e"), ("e", "s"), ("s", "w"), ("w", "u"), ("u", "v")])
    call = "icar(r, {}, group=ar1(year))"
    built = lgm.model(f"y ~ {call.format('GRAPH')} + {call.format('graph')}", DATA)
    assert [term.label for term in built.design.terms] == [call.format("GRAPH"), call.format("graph")]
    assert len(set(built.design.theta_names)) == 5 and graph.n == 6


def test_saved_and_read(tmp_path):
    fit = held("years")
    fit.save(tmp_path / "fit.lgm")
    again = lgm.load(tmp_path / "fit.lgm")
    pd.testing.assert_frame_equal(again.ranef(), fit.ranef())
    new = pd.DataFrame({"year": [2010, 2002], "r": ["n", "u"], "x": 0.0})
    pd.testing.assert_frame_equal(again.predict(new), fit.predict(new))


def test_rows_without_a_response_are_predicted():
    """A level that only they have is a new one; missing levels are missing predictors."""
    data = DATA.assign(y=DATA["y"].where(DATA["g"] != "c"))
    built = lgm.model("y ~ rw1(t, replicate=g)", data)
    assert [term.size for term in built.design.terms] == ["2 levels of g, each with 6 distinct values"]
    fit = around(built, by_name(built, 0.5), spread=0.0, chains=1, draws=20)
    with pytest.warns(lgm.PredictionWarning, match=r"1 new level of g \(c\)"):
        assert len(fit.predict()) == N
    with pytest.warns(lgm.DataWarning, match=r"2 of 60 rows are dropped: missing values in g \(2\)"):
        lgm.model("y ~ rw1(t, replicate=g)", DATA.assign(g=DATA["g"].where(DATA.index > 1)))


def test_new_levels():
    fit = held("rw1")
    rows = pd.DataFrame({"g": ["d", "a", "a"], "t": [9, 9, 5], "x": 0.0})
    with pytest.warns(lgm.PredictionWarning, match=r"1 new level of g \(d\): their effects are set to zero"):
        zero = fit.predict(rows, "draws", new_levels="zero")
    with pytest.warns(lgm.PredictionWarning, match=r"drawn from the population"):
        drawn = fit.predict(rows, "draws")
    np.testing.assert_array_equal(zero[..., 1:], drawn[..., 1:])  # new times of known levels have theirs either way
    level = fit.posterior["Intercept"].to_numpy()
    np.testing.assert_allclose(zero[..., 0], level, rtol=0, atol=1e-12)
    with pytest.raises(lgm.DataError, match=r"new_data has 1 new level of g \(d\); accepted"):
        fit.predict(rows, new_levels="error")


@pytest.mark.parametrize(("name", "new"), [("rw2", {"g": ["d"], "t": [5]}), ("III", {"year": [2003], "r": ["n"]})])
def test_a_new_copy_has_no_line(name, new):
    """Nothing is known of fixed effects of its own."""
    with pytest.raises(
        lgm.DataError, match=r"has 1 new level of .*fixed effects of its own, such as .*nothing is known"
    ):
        held(name).predict(pd.DataFrame(new).assign(x=0.0))


@pytest.mark.parametrize(
    ("name", "new", "message"),
    [
        ("years", {"year": [2008], "r": ["z"]}, "z"),
        ("maps", {"t": [3], "r": ["z"]}, "z"),
        ("seasonal", {"t": [3.5], "g": ["a"]}, "needs whole times"),
    ],
)
def test_places_that_do_not_exist(name, new, message):
    with pytest.raises(lgm.DataError, match=message):
        held(name).predict(pd.DataFrame(new).assign(x=0.0))


GRAPHS = "group=ar1\\(year\\), group=rw1\\(year\\)"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            "rw1(t, group=year)",
            rf"group=year does not say how .* depend on each other\.(.|\n)*{GRAPHS}(.|\n)*replicate=year",
        ),
        ("rw1(t, group=log(year))", r"group=log\(year\) does not say how"),
        (
            "rw1(t, replicate=g, group=ar1(year))",
            r"rw1\(\) has replicate= and group=\.(.|\n)*replicate=g is group=iid\(g\)",
        ),
        ("s(x, replicate=g)", r"s\(x, replicate=g\) cannot be copied: .* coefficients of a basis"),
        (
            "bym2(r, GRAPH, replicate=g)",
            r"bym2\(r, replicate=g\) cannot be copied: its effects are not those of one process",
        ),
        ("hs(x, z, replicate=g)", r"hs\(x, z, replicate=g\) cannot be copied: its effects are coefficients"),
        ("rw1(t, group=r2d2(x, z))", r"group=r2d2\(x, z\) cannot say how copies depend on each other: .*coefficients"),
        ("rw1(t, group=s(x))", r"group=s\(x\) cannot say how copies depend on each other: .*basis"),
        ("rw1(t, group=bym2(r, GRAPH))", r"group=bym2\(r, GRAPH\) cannot say how copies depend"),
        ("rw1(t, group=ar1())", r"ar1\(\) needs `t`"),
        ("rw1(t, group=ar1(year, replicate=g))", r"ar1\(\) has no argument `replicate`"),
        ("rw1(t, groups=iid(g))", r"rw1\(\) has no argument `groups`\. Did you mean `group`\?"),
        ("rw1(t, replicates=g)", r"rw1\(\) has no argument `replicates`\. Did you mean `replicate`\?"),
        ("rw1(t, group=iid())", r"iid\(\) needs `g`"),
        ("rw1(t, replicate=None)", "None"),
        ("iid(g)", r"lgm has no term `iid\(\)`.* A group effect is written as a bar"),
    ],
)
def test_what_cannot_be_copied(call, message):
    with pytest.raises(lgm.FormulaError, match=message):
        lgm.model(f"y ~ x + {call}", DATA.assign(z=DATA["x"] ** 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("ar1(t, group=ar1(x))", r"ar1\(t, group=ar1\(x\)\)\[x\] needs whole times"),
        ("rw2(t, group=rw2(z))", r"rw2\(t, group=rw2\(z\)\)\[z\] needs at least 3 distinct values"),
        ("rw1(t, group=icar(g, GRAPH))", r"\[g\]: .*a"),
    ],
)
def test_outer_terms_check_their_variable(call, message):
    with pytest.raises(lgm.DataError, match=message):
        lgm.model(f"y ~ x + {call}", DATA.assign(z=DATA["t"] % 2))


def test_hundreds_of_copies_cost_what_their_entries_cost():
    """Each with its own constraint, none of which becomes a dense row or column."""
    rows = np.arange(8000)
    data = pd.DataFrame({"y": rows % 7 + 0.5, "t": rows % 10, "g": rows // 10})
    analysis = lgm.model("y ~ rw1(t, replicate=g)", data).analysed.marginal.analysis
    assert isinstance(analysis, lgm.linalg.SparseAnalysis) and analysis.constraints == 800
    assert analysis.nnz_factor < 8 * 8000


def test_a_curve_for_each_copy():
    """Effects and lines of each copy, as they stand in the model."""
    fit = held("rw2")
    figure = fit.plot_term("rw2(t, replicate=g)")
    effects = fit.ranef()["mean"].to_numpy().reshape(3, -1)
    lines = fit.fixef()["mean"].to_numpy()[2:, None] * (T - T.mean())
    for ax, level, wanted in zip(figure.axes, LEVELS, effects + lines, strict=True):
        assert ax.get_title(loc="left") == f"rw2(t, replicate=g)[{level}]"
        curve = max(ax.lines, key=lambda line: len(line.get_xdata()))
        shown = np.isin(curve.get_xdata(), T)
        np.testing.assert_allclose(curve.get_ydata()[shown], wanted, rtol=0, atol=1e-9)


def test_curves_of_dependent_copies():
    figure = held("ar1s").plot_term("ar1(t, group=ar1(year))")
    assert [ax.get_title(loc="left") for ax in figure.axes] == [f"ar1(t, group=ar1(year))[{year}]" for year in YEARS]
