"""``hs()`` and ``r2d2()`` against dense covariances, their priors, and what they cannot be."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from dense_model import condition, restricted, rounding
from synthetic import around

import lgm
from lgm.errors import DataError, FormulaError, IdentifiabilityError, PriorError
from lgm.priors import flat, gamma, half_normal

N = 30
RNG = np.random.default_rng(7)
DATA = pd.DataFrame(RNG.standard_normal((N, 4)) * [1.0, 20.0, 0.1, 1.0] + [0.0, 2000.0, 1.0, 0.0], columns=list("abcd"))
DATA["f"] = np.array(["p", "q", "r"])[RNG.integers(0, 3, N)]
DATA["y"] = 3.0 + 0.1 * (DATA["b"] - 2000.0) + RNG.standard_normal(N)
COLUMNS = np.column_stack([DATA[list("abc")], DATA["f"] == "q", DATA["f"] == "r"]).astype(float)
CENTRED, UNIT = COLUMNS - COLUMNS.mean(axis=0), COLUMNS.std(axis=0)
NAMES = ["a", "b", "c", "f[T.q]", "f[T.r]"]
LOCAL = np.array([0.3, 5.0, 1.0, 0.1, 2.0])
PRIORS = {"Intercept": flat()}


@cache
def model(term: str) -> lgm.Model:
    return lgm.model(f"y ~ 1 + {term}", DATA, priors=PRIORS)


HS, R2 = "hs(a, b, c, f)", "r2d2(a, b, c, f)"
LABELS = {HS: "hs(a, ..., f)", R2: "r2d2(a, ..., f)"}


def theta(term: str) -> dict[str, float]:
    label = LABELS[term]
    own = "lambda" if term == HS else "weight"
    local = {f"{own}({name})": value for name, value in zip(NAMES, LOCAL, strict=True)}
    one = {f"tau({label})": 0.2, **local, f"slab({label})": 2.5} if term == HS else {f"r2({label})": 0.7, **local}
    return {**one, "sigma": 0.8}


def scales(term: str) -> np.ndarray:
    if term == HS:
        return 0.2 * np.sqrt(2.5**2 * LOCAL**2 / (2.5**2 + 0.2**2 * LOCAL**2)) / UNIT
    return np.std(DATA["y"]) * np.sqrt(0.7 * LOCAL / LOCAL.sum()) / UNIT


@pytest.mark.parametrize("term", [HS, R2])
def test_likelihood(term: str) -> None:
    assert list(model(term).design.theta_names) == list(theta(term))
    V = (CENTRED * scales(term) ** 2) @ CENTRED.T + 0.64 * np.eye(N)
    wanted = restricted(DATA["y"].to_numpy(), np.ones((N, 1)), V)[0]
    assert model(term).log_likelihood(theta(term)) == pytest.approx(wanted, abs=100 * rounding(N, V))


def test_coefficients_are_printed_by_name_and_in_units_of_covariates() -> None:
    fit = around(model(HS), theta(HS), spread=0.0, chains=1, draws=4)
    G = np.diag(scales(HS) ** 2)
    V = CENTRED @ G @ CENTRED.T + 0.64 * np.eye(N)
    mean, cov = condition(DATA["y"].to_numpy(), np.column_stack([np.ones(N), CENTRED]), G, V, flat=1)
    table = fit.ranef()
    assert table.loc["hs(a, ..., f)"].index.tolist() == NAMES
    np.testing.assert_allclose(table["mean"], mean[1:], rtol=1e-8)
    np.testing.assert_allclose(table["sd"], np.sqrt(np.diag(cov))[1:], rtol=1e-8)
    new = DATA.iloc[[3, 4]].assign(f="r", a=[5.0, -5.0])
    x = np.column_stack([new[list("abc")], [0.0, 0.0], [1.0, 1.0]]).astype(float) - COLUMNS.mean(axis=0)
    np.testing.assert_allclose(fit.predict(new, kind="linear")["mean"], mean[0] + x @ mean[1:], rtol=1e-8)
    with pytest.raises(DataError, match=r"`f` has level\(s\) that the fit does not have: 'z'"):
        fit.predict(new.assign(f="z"))
    assert "5 coefficients of covariates about their means" in str(fit)


def test_default_priors() -> None:
    table = lgm.model("y ~ hs(a, b, c, d, p0=1)", DATA).priors["prior"]
    tau0 = np.std(DATA["y"]) / np.sqrt(N) / 3.0
    label = "hs(a, ..., d)"
    assert table[f"tau({label})"] == f"half_student_t(1, {tau0:.6g})"
    assert table[f"lambda({label})"] == "half_cauchy(1)"
    assert table[f"slab({label})"] == f"root_inverse_gamma(4, {np.std(DATA['y']):.6g})"
    draws = lgm.model("y ~ r2d2(a, b, c, concentration=2)", DATA).sample_prior(2000)
    share = draws["weight(a)"] / draws[["weight(a)", "weight(b)", "weight(c)"]].sum(axis=1)
    assert abs(share.mean() - 1 / 3) < 4 * np.sqrt(1 / 3 * 2 / 3 / 7) / np.sqrt(2000)


def test_priors_by_class_and_key() -> None:
    label = "hs(a, ..., d)"
    table = lgm.model(
        "y ~ hs(a, b, c, d)", DATA, priors={"lambda": gamma(2, 2), f"tau({label})": half_normal(1)}
    ).priors
    assert table.loc[f"lambda({label})", "prior"] == "gamma(2, 2)"
    with pytest.raises(PriorError, match=r"all lambda have one prior; its key is 'lambda\(hs\(a, ..., d\)\)'"):
        lgm.model("y ~ hs(a, b, c, d)", DATA, priors={"lambda(a)": half_normal(1)})
    with pytest.raises(PriorError, match="cannot be constant"):
        lgm.model("y ~ hs(a, b, c, d)", DATA, priors={"lambda": lgm.priors.constant(1.0)})


def test_bad_input() -> None:
    def build(term: str, data: pd.DataFrame = DATA) -> None:
        lgm.model(f"y ~ {term}", data)

    with pytest.raises(IdentifiabilityError, match=r"hs\(a, f\): the factor `f` has one level \('p'\)"):
        build("hs(a, f)", DATA.assign(f="p"))
    with pytest.raises(IdentifiabilityError, match=r"`a` does not vary"):
        build("hs(a, b)", DATA.assign(a=3.0))
    with pytest.raises(FormulaError, match="`a` is twice in hs"):
        build("hs(a, b, a)")
    with pytest.raises(FormulaError, match=r"The coefficient `a` is in hs\(a, b\) and in the fixed part"):
        lgm.model("y ~ a + hs(a, b)", DATA)
    with pytest.raises(FormulaError, match=r"The coefficient `b` is in r2d2\(b, c\) and in hs\(a, b\)"):
        lgm.model("y ~ hs(a, b) + r2d2(b, c)", DATA)
    with pytest.raises(FormulaError, match="needs covariates"):
        build("hs(p0=2)")
    with pytest.raises(FormulaError, match=r"has no argument `p`. Did you mean `p0`\?"):
        build("hs(a, b, p=2)")
    with pytest.raises(FormulaError, match="p0 must be a positive number"):
        build("hs(a, b, p0=-1)")
    with pytest.raises(DataError, match="p0=2 coefficients are expected to matter of 2"):
        build("hs(a, b, p0=2)")
    with pytest.raises(DataError, match="mean=1 is that of a share of variance"):
        build("r2d2(a, b, mean=1)")


def test_shares_are_drawn_where_their_weights_have_a_pole_at_zero() -> None:
    """The density of gamma(0.5, 1) weights is infinite at zero, that of their logs is not."""
    rng = np.random.default_rng(3)
    data = pd.DataFrame(rng.normal(size=(60, 3)), columns=["a", "b", "c"])
    data["y"] = 0.6 * data["a"] + rng.normal(size=60)
    built = lgm.model("y ~ r2d2(a, b, c)", data)
    assert built.analysed.marginal.hyper.folded == (False, False, False, False, True)
    fit = built.fit(method="importance", draws=200, seed=1, progress=False)
    assert fit.summary().attrs["pareto_k"] < 0.7
    least_squares = np.linalg.lstsq(np.column_stack([np.ones(60), data[["a", "b", "c"]]]), data["y"])[0]
    assert 0.5 * least_squares[1] < fit.ranef()["mean"].iloc[0] < least_squares[1]
