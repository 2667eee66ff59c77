"""Effects of the draws of others, beside those of a fit and of quadrature."""

import numpy as np
import pytest
from compilations import compilations
from scipy.special import logsumexp
from scipy.stats import nbinom, norm

import lgm
from lgm.results import given_theta

DAYS = lgm.load_dataset("sleepstudy")


def test_draws_at_the_thetas_of_a_fit_are_its_own() -> None:
    model = lgm.model("Reaction ~ Days + (Days|Subject)", DAYS)
    fit = model.fit(chains=2, draws=30, warmup=30, seed=3, progress=False)
    thetas = {name: fit.posterior[name].to_numpy() for name in model.design.theta_names}
    found = model.draw_effects(thetas, seed=3)
    for name in ("Intercept", "Days", "Intercept|Subject", "Days|Subject"):
        np.testing.assert_allclose(found[name], fit.posterior[name], rtol=1e-8, atol=1e-8)
    some = model.draw_effects(thetas, term="Days|Subject", levels=[309], seed=3)
    np.testing.assert_array_equal(some["Days|Subject"], found["Days|Subject"].sel(Subject=[309]))
    assert "Intercept|Subject" not in some
    with compilations() as names:
        model.draw_effects({name: values + 0.01 for name, values in thetas.items()}, seed=4)
    assert not names


def test_each_theta_has_its_own_data() -> None:
    """What is added to all rows comes off the level, whose prior is flat."""
    sleep = lgm.model("Reaction ~ 1 + (1|Subject)", DAYS, priors={"Intercept": lgm.priors.flat()})
    thetas = {"sd(Intercept|Subject)": np.full((1, 20), 40.0), "sigma": np.full((1, 20), 30.0)}
    plain = sleep.draw_effects(thetas, seed=1)
    shift = np.linspace(-50.0, 50.0, 20).reshape(1, 20)
    moved = sleep.draw_effects(thetas, offset=shift[..., None] + np.zeros(180), seed=1)
    np.testing.assert_allclose(moved["Intercept"], plain["Intercept"] - shift, rtol=1e-9)
    np.testing.assert_allclose(moved["Intercept|Subject"], plain["Intercept|Subject"], atol=1e-8)
    same = sleep.draw_effects(thetas, y=DAYS["Reaction"] + 7.0, seed=1)
    np.testing.assert_allclose(same["Intercept"], plain["Intercept"] + 7.0, rtol=1e-9)


def test_weighted_draws_are_exact() -> None:
    """Counts with one level, whose posterior is known by quadrature."""
    counts, shape, size = np.array([0, 1, 0, 2]), 1.5, 2000
    priors = {"Intercept": lgm.priors.normal(1.0, 1.5)}
    model = lgm.model("y ~ 1", {"y": counts}, "negativebinomial", priors=priors)
    grid = np.linspace(-10.0, 12.0, 20001)
    log_joint = nbinom.logpmf(counts[:, None], shape, shape / (shape + np.exp(grid))).sum(axis=0)
    log_joint += norm.logpdf(grid, 1.0, 1.5)
    log_p = logsumexp(log_joint) + np.log(grid[1] - grid[0])
    p = np.exp(log_joint - logsumexp(log_joint))
    mean = p @ grid
    sd = np.sqrt(p @ (grid - mean) ** 2)
    found = model.draw_effects({"shape": np.full(size, shape)}, seed=1)
    log_weight, u = found["log_weight"].to_numpy().ravel(), found["Intercept"].to_numpy().ravel()
    weights = np.exp(log_weight)
    known = model.log_likelihood({"shape": shape})
    error = weights.std() / weights.mean() / np.sqrt(size)
    assert known + np.log(weights.mean()) == pytest.approx(log_p, abs=4 * error + 1e-7)
    assert np.average(u, weights=weights) == pytest.approx(mean, abs=4 * sd / np.sqrt(size))
    assert np.average((u - mean) ** 2, weights=weights) == pytest.approx(sd**2, abs=4 * sd**2 * np.sqrt(3 / size))
    assert abs(known - log_p) > 4 * error  # Laplace's approximation is off by more


def test_the_same_in_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    model = lgm.model("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"))
    thetas = {"sd(Intercept|Batch)": np.linspace(20.0, 60.0, 20), "sigma": np.linspace(40.0, 60.0, 20)}
    offset = np.linspace(-1.0, 1.0, 20)[:, None] * np.ones(30)
    whole = model.draw_effects(thetas, offset=offset, seed=2)
    monkeypatch.setattr(given_theta, "CHUNK_BYTES", 8 * 4 * 30 * 3)
    pieces = model.draw_effects(thetas, offset=offset, seed=2)
    for name in whole:
        np.testing.assert_allclose(pieces[name], whole[name], rtol=1e-10)
    monkeypatch.setattr("lgm.results.effects.KEPT_BYTES", 100.0)
    with pytest.raises(lgm.LgmError, match="20 draws of 7 effects take"):
        model.draw_effects(thetas, seed=2)
