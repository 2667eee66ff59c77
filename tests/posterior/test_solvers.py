"""Crossed groups without a factorisation: the same model, up to an error that is told."""

import jax
import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.linalg import IterativeAnalysis
from lgm.linalg.constrained import Border
from lgm.posterior import solvers

FORMULA = "y ~ x + (x|g) + (1|h) + (1|few)"
THETA = {"sd(Intercept|g)": 0.7, "sd(x|g)": 0.4, "corr(Intercept,x|g)": 0.3, "sd(Intercept|h)": 0.5}
THETA |= {"sd(Intercept|few)": 0.2, "sigma": 1.1}


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(3)
    n = 1200
    g, h, few = (rng.integers(levels, size=n) for levels in (150, 90, 8))
    x = rng.normal(1.0, 1.0, n)
    y = 1.0 + 0.5 * x + rng.normal(size=150)[g] + rng.normal(size=90)[h] + rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "g": g, "h": h, "few": few, "count": rng.poisson(2.0, n)})


@pytest.fixture(scope="module")
def models(frame):
    return [lgm.model(FORMULA, frame, solver=solver) for solver in solvers.SOLVERS]


def theta_of(model, values):
    return np.array([values[name] for name in model.design.theta_names])


def test_parts_are_the_largest_group_and_what_has_few_effects(models):
    sym = models[1].analysed.marginal.analysis
    p = models[1].design.p
    assert sym.head.shape == (150, 2) and sym.head[0, 0] == p
    np.testing.assert_array_equal(sym.border, [0, 1, *(p + 300 + 90 + np.arange(8))])


def test_likelihood_and_gradient_are_within_the_error_that_is_told(models):
    direct, ours = (model.analysed.marginal for model in models)
    at = theta_of(models[0], THETA)
    assert solvers.estimated(direct, at) is None
    told = solvers.estimated(ours, at)
    found, wanted = (model.log_likelihood(THETA) for model in models)
    assert told.probes == solvers.PROBES and 0.0 < abs(found - wanted) < 4.0 * told.value
    with jax.enable_x64(True):
        slope, other = (
            np.asarray(jax.grad(post.data.log_likelihood, argnums=2)(post.prior, post.analysis, at))
            for post in (ours, direct)
        )
    away = slope - other
    assert np.all(np.abs(away) < 4.0 * np.sqrt(np.diag(told.slopes)) + 1e-9)  # that of few effects has none
    assert np.any(np.abs(away) > 0.1 * np.sqrt(np.diag(told.slopes)))


def test_slopes_in_smaller_groups(frame):
    formula = "y ~ x + (x|g) + (x|h)"
    models = [lgm.model(formula, frame, solver=solver) for solver in solvers.SOLVERS]
    direct, ours = (model.analysed.marginal for model in models)
    assert isinstance(ours.analysis, IterativeAnalysis)
    assert ours.analysis.head.shape == (150, 2) and len(ours.analysis.border) == 2
    at = theta_of(models[0], THETA | {"sd(x|h)": 0.3, "corr(Intercept,x|h)": -0.2})
    told, known = solvers.estimated(ours, at), models[0].design.theta_names
    with jax.enable_x64(True):
        both = [
            jax.jit(jax.value_and_grad(lambda theta, p=post: p.data.log_likelihood(p.prior, p.analysis, theta)))
            for post in (ours, direct)
        ]
        (value, slope), (wanted, other) = (function(at) for function in both)
        assert 0.0 < abs(value - wanted) < 4.0 * told.value
        assert np.all(np.abs(slope - other) < 4.0 * np.sqrt(np.diag(told.slopes)))
        for i in range(at.size):
            step = 1e-4 * np.eye(at.size)[i]
            change = (both[0](at + step)[0] - both[0](at - step)[0]) / 2e-4
            assert float(slope[i]) == pytest.approx(float(change), rel=1e-5, abs=1e-4), known[i]
    held = {name: lgm.priors.constant(float(value)) for name, value in zip(known[1:], at[1:], strict=True)}
    fits = [
        lgm.model(formula, frame, priors=held, solver=solver).fit(method="mode", seed=1, progress=False)
        for solver in ("iterative", "direct")
    ]
    for group in ("g", "h"):  # of h the intercepts are sums of two effects, whose covariance is an estimate
        found, wanted = (fit.ranef(group) for fit in fits)
        assert np.sqrt(np.mean((found["sd"] / wanted["sd"] - 1.0) ** 2)) < 0.05
        np.testing.assert_allclose(found["mean"], wanted["mean"], atol=0.05 * wanted["sd"].max())


def test_the_same_rows_in_partitions(frame):
    parts = [frame[:500], frame[500:]]
    found = lgm.model("y ~ x + (1|g) + (1|h)", parts, solver="iterative")
    whole = lgm.model("y ~ x + (1|g) + (1|h)", frame, solver="iterative")
    theta = {name: THETA[name] for name in found.design.theta_names}
    assert found.log_likelihood(theta) == pytest.approx(whole.log_likelihood(theta), rel=1e-9)


@pytest.mark.parametrize(
    ("formula", "family", "what"),
    [
        ("count ~ (1|g) + (1|h)", "poisson", "the family is poisson"),
        ("y ~ (1|g) + (1|h) + s(x)", "gaussian", r"s\(x\) is not a group"),
        ("y ~ (1|g) + (C(few)|h)", "gaussian", r"\(C\(few\) \| h\) is not a group"),
        ("y ~ x", "gaussian", "there is no group"),
    ],
)
def test_other_models_are_refused(frame, formula, family, what):
    with pytest.raises(lgm.LgmError, match=what) as caught:
        lgm.model(formula, frame, family, solver="iterative")
    assert "Accepted: a Gaussian response with crossed or nested groups" in str(caught.value)


def test_what_needs_more_is_refused(frame, models):
    with pytest.raises(lgm.LgmError, match="solver='sparse'; accepted: 'direct', 'iterative'"):
        lgm.model(FORMULA, frame, solver="sparse")
    with pytest.raises(lgm.LgmError, match='method=\'nuts\' with solver="iterative"; accepted: method="mode"'):
        models[1].fit(method="nuts")
    held = {name: lgm.priors.constant(value) for name, value in THETA.items() if name in ("sigma", "sd(Intercept|g)")}
    fixed = lgm.model("y ~ (1|g)", frame, priors=held, solver="iterative")
    with pytest.raises(lgm.LgmError, match="no hyperparameter to find"):
        fixed.fit(method="mode")


def test_what_a_factorisation_takes_is_said_before_it_is_made(frame, monkeypatch):
    monkeypatch.setattr(solvers, "_LONG", 0.0)
    with pytest.warns(lgm.LgmWarning, match=r"each factorisation takes .* operations and .* GB.*solver=\"iterative\""):
        lgm.model("y ~ (1|g) + (1|h)", frame)

    def huge(self):
        raise MemoryError("the factor takes 900 GiB")

    monkeypatch.setattr(Border, "analyse", huge)
    with pytest.raises(MemoryError, match=r"takes 900 GiB. solver=\"iterative\" with method=\"mode\""):
        lgm.model("y ~ (1|g) + (1|h)", frame)
    with pytest.raises(MemoryError, match="takes 900 GiB$"):
        lgm.model("y ~ (1|g) + s(x)", frame)
