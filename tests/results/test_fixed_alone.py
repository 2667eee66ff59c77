"""Fixed effects at one theta against quadrature, and what is computed for a table of them."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import logsumexp

import lgm
from lgm.inference import importance
from lgm.posterior.functionals import Even, FixedPoints, Odd
from lgm.results import at_theta, drawing, effects, fixed_alone, normal, variances
from lgm.results.drawing import Drawing

SD = 1.5
GROUPS, ROWS = 6, 3


def _data() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    g = np.repeat(np.arange(GROUPS), ROWS)
    eta = -0.5 + SD * rng.standard_normal(GROUPS)[g]
    return pd.DataFrame({"y": rng.binomial(1, 1.0 / (1.0 + np.exp(-eta))), "g": g})


@cache
def _held(draws: int = 5000, approximation: str = "auto") -> lgm.Fit:
    """The sd of groups is known, and the intercept has a prior of its own."""
    priors = {"sd": lgm.priors.constant(SD), "Intercept": lgm.priors.normal(0.0, 2.0)}
    return lgm.fit(
        "y ~ 1 + (1|g)",
        _data(),
        family="bernoulli",
        priors=priors,
        method="mode",
        approximation=approximation,
        draws=draws,
        seed=2,
        progress=False,
    )


def _quadrature(probability: float) -> tuple[float, float, np.ndarray]:
    """Mean, sd and interval of the intercept, groups integrated out one by one."""
    beta, b = np.linspace(-10.0, 10.0, 4001), np.linspace(-9.0 * SD, 9.0 * SD, 1201)
    log_density = -0.5 * (beta / 2.0) ** 2
    for _, own in _data().groupby("g"):
        y = own["y"].sum()
        eta = beta[:, None] + b
        log_density += logsumexp(y * eta - ROWS * np.logaddexp(0.0, eta) - 0.5 * (b / SD) ** 2, axis=1)
    weights = np.exp(log_density - logsumexp(log_density))
    mean = weights @ beta
    levels = [(1.0 - probability) / 2.0, (1.0 + probability) / 2.0]
    return mean, np.sqrt(weights @ (beta - mean) ** 2), np.interp(levels, np.cumsum(weights), beta)


@pytest.mark.parametrize("approximation", ["weighted", "quadrature", "transport"])
def test_moments_equal_quadrature(approximation: str) -> None:
    """As near as 20,000 independent draws would be, or 5,000 where points are costly."""
    fit = _held(approximation=approximation)
    mean, sd, ends = _quadrature(0.95)
    found = fit.summary().loc["Intercept"]
    error = sd / np.sqrt(20_000 if approximation == "weighted" else 5_000)
    assert abs(found["mean"] - mean) < 4.0 * error
    assert abs(found["sd"] - sd) < 4.0 * error / np.sqrt(2.0)
    density = 0.058  # of a normal distribution of sd one at these ends
    assert np.all(np.abs(found[["2.5%", "97.5%"]] - ends) < 4.0 * error * np.sqrt(0.025 * 0.975) / density)


@pytest.mark.filterwarnings("ignore:Not exact:lgm.ConvergenceWarning")
def test_normal_points_are_exact() -> None:
    """Those of Laplace's approximation: one call, the moments of the normal distribution."""
    fit = _held(approximation="laplace")
    found = fit.summary().loc["Intercept"]
    ends = found["mean"] + np.array([-1.0, 1.0]) * 1.959963984540054 * found["sd"]
    np.testing.assert_allclose(found[["2.5%", "97.5%"]].to_numpy(dtype=float), ends, rtol=1e-9)
    assert abs(found["mean"] - _quadrature(0.95)[0]) > 0.05  # which is not that of the model


def test_other_tables_have_the_same_numbers() -> None:
    alone = _held(draws=250).summary().loc["Intercept"]
    fit = _held.__wrapped__(draws=250)
    assert fit.ranef().shape == (GROUPS, 4)
    pd.testing.assert_series_equal(fit.summary().loc["Intercept"], alone, check_exact=True)
    pd.testing.assert_series_equal(fit.fixef().loc["Intercept"], alone[fit.fixef().columns], check_exact=True)
    kept = fit.effects.kept
    np.testing.assert_array_equal([kept.mean[0], kept.sd[0], *kept.ends[:, 0]], kept.table[:, 0])
    narrow = fit.summary(interval=0.5).loc["Intercept"]
    assert alone["2.5%"] < narrow["25%"] < narrow["mean"] < narrow["75%"] < alone["97.5%"]
    pd.testing.assert_series_equal(narrow, _held(draws=250).summary(interval=0.5).loc["Intercept"], check_exact=True)


def _without_effects(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Draws and variances of all effects are out of reach; pairs of points of the fixed effects are counted."""

    def none(*args: Any) -> Any:
        raise AssertionError("effects that the table does not show")

    pairs: list[int] = []
    points = at_theta.fixed_points

    def counted(m: int, *args: Any) -> Any:
        pairs.append(m)
        return points(m, *args)

    monkeypatch.setattr(drawing, "_draw_chunk", none)
    monkeypatch.setattr(at_theta, "draw", none)
    monkeypatch.setattr(variances, "_chunk", none)
    monkeypatch.setattr(normal, "_moments", none)
    monkeypatch.setattr(at_theta, "fixed_points", counted)
    monkeypatch.setattr(effects, "programs", lambda *_: [])
    return pairs


@cache
def _counts() -> lgm.Model:
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"y": rng.poisson(np.exp(1.0 + 0.5 * rng.standard_normal(20)[np.arange(100) % 20]))})
    data["g"] = np.arange(100) % 20
    return lgm.model("y ~ 1 + (1|g)", data, family="poisson")


def test_a_summary_at_the_mode_makes_no_other_effects(monkeypatch: pytest.MonkeyPatch) -> None:
    """And few points, where weights are nearly alike: 64 pairs instead of 4000 draws."""
    pairs = _without_effects(monkeypatch)
    fit = _counts().fit(method="mode", seed=1, progress=False)
    assert "Intercept" in str(fit)
    assert fit.run.rung is not None and fit.run.rung.variance < 0.1
    assert sum(pairs) <= 8 * fixed_alone.MOST
    with pytest.raises(AssertionError, match="does not show"):
        fit.ranef()


def test_a_summary_of_weighted_points_makes_no_other_effects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where their draws are too large to be kept, those of the fixed effects are."""
    whole = _counts().fit(method="importance", draws=250, seed=1, progress=False).summary()
    _without_effects(monkeypatch)
    monkeypatch.setattr(importance, "STORED_BYTES", 0.0)
    fit = _counts().fit(method="importance", draws=250, seed=1, progress=False)
    assert "Intercept" in str(fit)
    found = fit.summary()
    pd.testing.assert_series_equal(found["mean"], whole["mean"], rtol=1e-9)
    ends = ["2.5%", "97.5%"]
    error = 4.0 * whole.loc["Intercept", "sd"] * np.sqrt(0.025 * 0.975 / 500) / 0.058
    assert np.all(np.abs(found.loc["Intercept", ends] - whole.loc["Intercept", ends]) < error)
    assert found.loc["Intercept", "sd"] == pytest.approx(whole.loc["Intercept", "sd"], rel=1e-9)
    with pytest.raises(AssertionError, match="does not show"):
        fit.ranef()


def test_parts_of_weights_tilt_what_is_known_of_the_normal_draws() -> None:
    """Weights ``1 + 0.02 He3(z) + 0.01 He2(z) + 0.002 He4(z)`` of a normal variable, all parts of known moments.

    Points then add nothing to what is known, so that ends are those of ``cdf - density (0.02 He2 + 0.01 He1 + 0.002
    He3)`` to the rounding of bisection, whatever the draws. The second and the last even part have no slope.
    """
    sd, odd, second, fourth = 2.0, 0.02, 0.01, 0.002
    rng = np.random.default_rng(1)
    z, other = rng.uniform(-2.5, 2.5, size=(2, 50))
    cubic = z**3 - 3.0 * z
    even = np.stack([z**2 - 1.0, other**2 - 1.0, z**4 - 6.0 * z**2 + 3.0, other**4 - 6.0 * other**2 + 3.0])
    same = 1.0 + second * even[0] + fourth * even[2]
    weights = np.concatenate([same + odd * cubic, same - odd * cubic])
    none = np.zeros(1)
    made = FixedPoints(
        values=sd * np.concatenate([z, -z])[None],
        log_weights=np.log(weights),
        drawn=sd * z[None],
        cov=np.array([[sd**2]]),
        mean=none,
        gain=np.array(0.0),
        odd=Odd(cubic, none, none, np.array([6.0 * sd**3])),
        even=Even(even, np.array([[sd**2], [0.0]]), np.array([[sd**4], [0.0]])),
    )
    analysed = SimpleNamespace(basis=np.eye(1), reference=np.zeros(1))
    found, slope = fixed_alone._paired(cast(Drawing, SimpleNamespace(p=1, analysed=analysed)), [made])
    assert slope == pytest.approx(odd)
    np.testing.assert_allclose(found.variance, sd**2 * (1.0 + 2.0 * second))
    for end, level in zip(found.interval(0.9)[:, 0] / sd, (0.05, 0.95), strict=True):
        tilt = odd * (end**2 - 1.0) + second * end + fourth * (end**3 - 3.0 * end)
        assert stats.norm.cdf(end) - tilt * stats.norm.pdf(end) == pytest.approx(level, abs=1e-9)
