"""Covariance classes in groups against dense covariances of the response, and what they print."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dense_model import restricted, rounding
from helpers import reference
from scipy.linalg import toeplitz
from synthetic import around

import lgm
from lgm.errors import DataError, FormulaError, IdentifiabilityError
from lgm.precision.toeplitz import correlations
from lgm.priors import flat, lkj, uniform
from lgm.terms.group import GroupTerm

J, F = 7, "abc"


def _data() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    frame = pd.DataFrame(
        {"g": np.repeat(np.arange(J), 5), "f": rng.choice(list(F), 5 * J), "x": rng.normal(size=5 * J)}
    )
    return frame.assign(y=1.0 + 0.4 * frame["x"] + rng.standard_normal(5 * J))


DATA = _data()
PRIORS = {"Intercept": flat(), "fixed": flat()}
X = np.column_stack([np.ones(5 * J), DATA["x"]])
INDICATORS = np.equal.outer(DATA["f"].to_numpy(), np.array(list(F))).astype(float)
SDS = {"sd(f[a]|g)": 0.5, "sd(f[b]|g)": 1.3, "sd(f[c]|g)": 0.9}


def covariance(columns: np.ndarray, D: np.ndarray) -> np.ndarray:
    """Of the response without its error: ``x_i' D x_j`` for rows of one level."""
    g = DATA["g"].to_numpy()
    return np.where(g[:, None] == g, columns @ D @ columns.T, 0.0)


def of(sds: list[float], C: np.ndarray) -> np.ndarray:
    return np.outer(sds, sds) * C


def exchangeable(r: float) -> np.ndarray:
    return np.where(np.eye(3, dtype=bool), 1.0, r)


PACF = np.array([0.6, -0.3])
TOEPLITZ = toeplitz([1.0, *correlations(PACF)])
FREE, SAME = [0.5, 1.3, 0.9], [0.8] * 3

# term, its hyperparameters, covariance within a level, words
CASES = {
    "cs": ({**SDS, "rho(cs(0 + f | g))": -0.3}, of(FREE, exchangeable(-0.3)), "compound symmetry, variances differ"),
    "homcs": (
        {"sd(homcs(0 + f | g))": 0.8, "rho(homcs(0 + f | g))": 0.4},
        of(SAME, exchangeable(0.4)),
        "compound symmetry, equal variances",
    ),
    "toep": (
        {**SDS, "pacf1(toep(0 + f | g))": PACF[0], "pacf2(toep(0 + f | g))": PACF[1]},
        of(FREE, TOEPLITZ),
        "Toeplitz, variances differ",
    ),
    "homtoep": (
        {"sd(homtoep(0 + f | g))": 0.8, "pacf1(homtoep(0 + f | g))": PACF[0], "pacf2(homtoep(0 + f | g))": PACF[1]},
        of(SAME, TOEPLITZ),
        "Toeplitz, equal variances",
    ),
    "diag": (SDS, of(FREE, np.eye(3)), ""),
    "homdiag": ({"sd(homdiag(0 + f | g))": 0.8}, of(SAME, np.eye(3)), "independent effects of equal variance"),
}


@pytest.mark.parametrize("name", CASES)
def test_likelihood(name: str) -> None:
    theta, D, words = CASES[name]
    model = lgm.model(f"y ~ x + {name}(0 + f | g)", DATA, priors=PRIORS)
    y, V = DATA["y"].to_numpy(), covariance(INDICATORS, D) + 0.7**2 * np.eye(5 * J)
    assert list(model.design.theta_names) == [*theta, "sigma"]
    found = model.log_likelihood({**theta, "sigma": 0.7})
    assert found == pytest.approx(restricted(y, X, V)[0], abs=rounding(5 * J, V, X.T @ X) * 100)
    assert model.design.terms[0].size == "; ".join(["7 levels", *([words] if words else [])])
    assert words in repr(model)


def test_words_of_lme4_for_homogeneity() -> None:
    def label(term: str) -> str:
        return lgm.model(f"y ~ {term}", DATA).design.terms[0].label

    assert label("cs(0 + f | g, hom=True)") == label("cs(0 + f | g, hom=TRUE)") == "homcs(0 + f | g)"
    assert label("diag(0 + f | g, hom=FALSE)") == "diag(0 + f | g)"
    assert label("ar1(0 + f | g, hom=False)") == "hetar1(0 + f | g)"


def test_domain_of_an_exchangeable_correlation() -> None:
    name = "rho(homcs(0 + f | g))"
    table = lgm.model("y ~ homcs(0 + f | g)", DATA).priors
    assert table.loc[name, "prior"] == "beta(2, 2) over (-0.5, 1)"
    with pytest.raises(lgm.errors.PriorError, match=r"allows values that are not in \(-0.5, 1\)"):
        lgm.model("y ~ homcs(0 + f | g)", DATA, priors={name: uniform(-0.8, 1.0)})
    with pytest.raises(lgm.errors.PriorError, match="an LKJ prior is for correlations"):
        lgm.model("y ~ homcs(0 + f | g)", DATA, priors={name: lkj(2.0)})
    lgm.model("y ~ homcs(0 + f | g)", DATA, priors={"rho": uniform(-0.4, 0.9)})


def test_default_priors_have_no_density_where_matrices_are_singular() -> None:
    def prior(formula: str) -> list[str]:
        table = lgm.model(f"y ~ {formula}", DATA).priors["prior"]
        return [text for name, text in table.items() if name.startswith(("rho", "pacf"))]

    assert prior("cs(1 + x | g)") == ["lkj(2)"]
    assert prior("toep(0 + f | g)") == ["lkj(2.5)", "lkj(2)"]
    assert prior("ar1(0 + f | g)") == ["lkj(1.5)"] and prior("ou(0 + x | g)") == ["beta(1.5, 1.5)"]
    model = lgm.model("y ~ homcs(0 + f | g)", DATA)
    draws = model.sample_prior(4000)["rho(homcs(0 + f | g))"]
    assert abs(draws.mean() - 0.25) < 4 * 0.75 * 2 * np.sqrt(0.05) / np.sqrt(4000)
    assert draws.min() > -0.5 and draws.max() < 1.0


def test_one_effect_has_no_class() -> None:
    with pytest.raises(DataError, match=r"cs\(1 \| g\) has one effect in each level \(Intercept\)"):
        lgm.model("y ~ cs(1 | g)", DATA)


def test_too_many_effects() -> None:
    many = DATA.assign(h=np.arange(5 * J).astype(str))
    with pytest.raises(IdentifiabilityError, match=r"toep\(0 \+ h \| g\) would have 35 effects in each level"):
        lgm.model("y ~ toep(0 + h | g)", many)


def test_unknown_classes_are_listed() -> None:
    with pytest.raises(FormulaError, match=r"no term `foo\(\)`.*Covariance classes around a bar are us, diag, homdiag"):
        lgm.model("y ~ foo(0 + f | g)", DATA)


def test_draws_of_new_levels() -> None:
    term = lgm.model("y ~ toep(0 + f | g)", DATA).design.terms[0]
    assert isinstance(term, GroupTerm)
    theta = {"sd": np.tile(FREE, (20_000, 1)), "pacf": np.tile(PACF, (20_000, 1))}
    draws = term._draw(theta, np.zeros((20_000, 3 * J)), np.random.default_rng(0).standard_normal((20_000, 3)))
    D = of(FREE, TOEPLITZ)
    error = np.sqrt((np.outer(np.diag(D), np.diag(D)) + D**2) / 20_000)
    assert np.all(np.abs(np.cov(draws.T) - D) < 4 * error)


TERMS = {
    "cs": ("cs(0 + part | Subject)", lambda C: [C[0, 1]]),
    "toep": ("toep(0 + part | Subject)", lambda C: [C[0, 1], (C[0, 2] - C[0, 1] ** 2) / (1.0 - C[0, 1] ** 2)]),
    "diag": ("diag(0 + part | Subject)", lambda C: []),
    "ou": ("ou(0 + Days | Subject)", lambda rho: [rho]),
    "ar1": ("ar1(0 + Days | Subject)", lambda rho: [rho]),  # the same model: days are evenly spaced
}


@pytest.mark.parametrize("name", TERMS)
def test_fits_of_glmmtmb(name: str) -> None:
    """Likelihood and fitted values at its REML estimates."""
    known = reference(f"sleepstudy.tmb_{'ou' if name == 'ar1' else name}_reml")
    data = lgm.load_dataset("sleepstudy")
    data["part"] = np.array(list("aaabbbbccc"))[data["Days"].astype(int)]
    term, others = TERMS[name]
    model = lgm.model(f"Reaction ~ Days + {term}", data, priors=PRIORS)
    structure = known["structure"]
    correlations = np.array(structure["correlation"]) if "correlation" in structure else structure["rho"]
    values = [*np.atleast_1d(structure["sd"]), *others(correlations), known["residual_sd"]]
    theta = dict(zip(model.design.theta_names, values, strict=True))
    assert model.log_likelihood(theta) == pytest.approx(known["logLik"], abs=1e-7)
    if name in ("cs", "ou"):
        fit = around(model, theta, spread=0.0, chains=1, draws=2)
        np.testing.assert_allclose(fit.predict()["mean"], known["fitted"], atol=1e-6 * np.ptp(known["fitted"]))
