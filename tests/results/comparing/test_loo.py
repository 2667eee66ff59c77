"""Leave-one-out: against densities of the response by their definition, and against real refits."""

from dataclasses import replace

import left_out
import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.special import logsumexp
from scipy.stats import norm, poisson

import lgm
from lgm.results.comparing.loo import notes
from lgm.results.comparing.passes import Thetas


@pytest.mark.parametrize("name", left_out.CASES)
def test_a_gaussian_row_given_all_others_is_exact(name: str) -> None:
    """With crossed groups, slopes, weights, and constraints; flat fixed effects."""
    case = left_out.case(name)
    rows = np.arange(0, case.y.size, 7)
    found = case.fit.loo()
    expected = [case.log_density(i) for i in rows]
    np.testing.assert_allclose(found.table["elpd"].iloc[rows], expected, atol=1e-8)
    assert found.elpd == pytest.approx(found.pointwise["elpd"].sum())
    assert found.pointwise["p_loo"].gt(0).all()


@pytest.fixture(scope="module")
def counts() -> lgm.Fit:
    """Counts whose effects are independent, each of two rows; one hyperparameter."""
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"g": np.repeat(np.arange(15), 2), "y": rng.poisson(3.0, 30)}, index=np.arange(100, 130))
    data.loc[101, "y"] = 14
    priors = {"sd(Intercept|g)": lgm.priors.constant(0.9)}
    return lgm.fit("y ~ 0 + (1|g)", data, "poisson", priors=priors, method="mode", draws=50, seed=1, progress=False)


def _two(y: tuple[int, ...]) -> float:
    """``log p(y)`` of rows that share an effect."""
    return float(np.log(quad(lambda b: norm.pdf(b, scale=0.9) * np.prod(poisson.pmf(y, np.exp(b))), -6, 6)[0]))


def test_counts_are_left_out_by_fits_without_them(counts: lgm.Fit) -> None:
    """Laplace's approximation in both terms, of effects with a single row left: the outlier too."""
    y = counts.design.y.astype(int).reshape(-1, 2)
    expected = [_two(tuple(pair)) - _two((pair[1 - k],)) for pair in y for k in (0, 1)]
    found = counts.loo()
    np.testing.assert_allclose(found.table["elpd"], expected, atol=0.02)
    assert found.table.index.equals(pd.RangeIndex(100, 130))
    assert "held" in repr(found)


def test_pit_of_counts(counts: lgm.Fit) -> None:
    """By simulation from the cavities, within their noise and the approximation."""
    pair = counts.design.y.astype(int)[:2]
    given = _two((pair[0],))
    up_to = sum(np.exp(_two((pair[0], y)) - given) for y in range(pair[1] + 1))
    below = up_to - np.exp(_two((pair[0], pair[1])) - given)
    np.testing.assert_allclose(counts.loo().pit.iloc[1], [below, up_to], atol=0.02)


def test_theta_is_weighted() -> None:
    """As by its definition: an average over the posterior of theta given all other rows, by fine quadrature."""
    y = np.array([1.0, 2.0, 4.0, 3.0, 9.0, 2.5])
    data = pd.DataFrame({"y": y})
    priors = {"Intercept": lgm.priors.normal(3.0, 5.0), "sigma": lgm.priors.exponential(0.5)}
    found = lgm.fit("y ~ 1", data, priors=priors, method="importance", seed=1, progress=False).loo()
    sigma = np.exp(np.linspace(-4, 5, 4001))
    prior = np.log(0.5) - 0.5 * sigma + np.log(sigma)

    def evidence(y: np.ndarray) -> float:
        V = sigma[:, None, None] ** 2 * np.eye(y.size) + 25.0
        away = y - 3.0
        quad = np.einsum("i,sij,j->s", away, np.linalg.inv(V), away)
        return float(logsumexp(prior - 0.5 * (np.linalg.slogdet(2 * np.pi * V)[1] + quad)))

    expected = [evidence(y) - evidence(np.delete(y, i)) for i in range(y.size)]
    error = np.abs(found.table["elpd"].to_numpy() - expected)
    assert np.all(error < 4 * found.table["se"] + 0.01)
    again = found.log_likelihood.values.reshape(-1, y.size)
    usual = y < 9.0  # the posterior's own draws do not reach where it is without the outlier; weighted points do
    harmonic = -logsumexp(-again, axis=0) + np.log(len(again))
    np.testing.assert_allclose(harmonic[usual], np.array(expected)[usual], atol=0.1)


def test_a_row_that_alone_tells_of_a_flat_effect_has_no_density() -> None:
    data = pd.DataFrame({"y": [1.0, 2.0, 4.0, 3.0], "a": ["x", "x", "x", "z"]})
    priors = {"Intercept": lgm.priors.flat(), "fixed": lgm.priors.flat(), "sigma": lgm.priors.constant(1.0)}
    fit = lgm.fit("y ~ a", data, priors=priors, method="mode", draws=4, seed=1, progress=False)
    with pytest.warns(lgm.IdentifiabilityWarning, match="without 3 of row some fixed effect with a flat prior"):
        found = fit.loo()
    assert np.flatnonzero(found.table["elpd"].isna()).tolist() == [3]
    assert "1 of 4 have no density" in repr(found)


def test_draws_that_do_not_reach_are_said() -> None:
    """Weighted points reach further than draws of the posterior, so the same k says more of these."""
    size = 400
    whole = np.arange(size)
    drawn = Thetas(np.linspace(0, 1, size)[:, None], np.full(size, -np.log(size)), whole[None], whole, whole)
    table = pd.DataFrame({"elpd": [-1.0, -2.0], "pareto_k": [0.1, 0.55]})
    said = notes(drawn, table, 0.01)
    assert said[-1].startswith("Not reliable: 1 (Pareto k up to 0.55), without which")
    assert "fit.loo(reloo=True)" in said[-1]
    assert (
        len(notes(drawn, table.assign(pareto_k=0.3), 0.01))
        == len(notes(replace(drawn, proposed=True), table, 0.01))
        == 1
    )
