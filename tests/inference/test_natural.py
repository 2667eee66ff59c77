"""The mode of theta itself: REML with flat priors, at boundaries, in any units; its standard errors."""

from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest
from dense_model import correlation, group, restricted
from helpers import reference
from scipy.optimize import approx_fprime, minimize

import lgm
from lgm import priors
from lgm.errors import IdentifiabilityError
from lgm.inference.natural import NaturalMode, find_natural_mode
from lgm.posterior import density
from lgm.posterior.priors import starts
from lgm.priors import flat
from lgm.xla import own_settings

FLAT = {"Intercept": flat(), "sd": flat(), "sigma": flat()}


def natural_mode_of(model: lgm.Model, times: float = 1.0) -> NaturalMode:
    """From the model's own first guess, or one that is so many times as large; theta as it is printed."""
    post = model.analysed.marginal
    found = find_natural_mode(post, times * starts(model.design, model.chosen_priors.theta))
    return replace(found, theta=np.asarray(post.hyper.printed(found.theta)))


def flat_model(formula: str, **columns: np.ndarray) -> lgm.Model:
    keys = ["Intercept", "sd", "sigma"] + ["fixed"] * ("~ 1" not in formula)
    keys += ["corr"] * ("||" not in formula and "(1" not in formula)
    return lgm.model(formula, columns, priors={key: flat() for key in keys})


@pytest.mark.parametrize(
    ("name", "extra"),
    [
        ("sleepstudy.lmer_reml", {"fixed": flat(), "corr": flat()}),
        ("Dyestuff.lmer_reml", {}),
        ("Penicillin.lmer_reml", {}),
        ("Pastes.lmer_reml", {}),
    ],
)
def test_flat_priors_give_reml(name: str, extra: dict) -> None:
    """lme4 stops at a relative tolerance of about 1e-5 in its parameters; the log likelihood must not be lower."""
    ref = reference(name)
    model = lgm.model(ref["formula"], lgm.load_dataset(ref["dataset"]), priors={**FLAT, **extra})
    found = natural_mode_of(model)
    assert found.settled
    theirs = [v["sd"] for v in ref["varcomp"] if "sd" in v and v["group"] != "Residual"]
    ours = {n: t for n, t in zip(model.design.theta_names, found.theta, strict=True) if n.startswith("sd")}
    np.testing.assert_allclose(sorted(ours.values()), sorted(theirs), rtol=1e-4)
    assert found.theta[-1] == pytest.approx(ref["residual_sd"], rel=1e-4)
    assert model.log_likelihood(dict(zip(model.design.theta_names, found.theta, strict=True))) >= ref["logLik"] - 1e-6


def test_a_variance_of_zero_is_found_exactly() -> None:
    model = lgm.model("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff2"), priors=FLAT)
    found = natural_mode_of(model)
    assert found.theta[0] == 0.0
    assert found.ends.tolist() == [True, False]
    assert found.theta[1] == pytest.approx(reference("Dyestuff2.lmer_reml")["residual_sd"], rel=1e-6)
    # without the groups, the variance has 29 degrees of freedom: a curvature of 2 * 29 / sigma^2
    assert np.isnan(found.standard_errors[0])
    assert found.standard_errors[1] == pytest.approx(found.theta[1] / np.sqrt(58), rel=1e-6)


@pytest.mark.parametrize("unit", [1.0, 1e-20, 1e20])
@pytest.mark.parametrize("groups", [2, 3])
def test_a_balanced_design_has_a_closed_form(groups: int, unit: float) -> None:
    """``sigma^2 = MSW``, ``sd^2 = (MSB - MSW) / m``, wherever the response lies and whatever its units."""
    rng = np.random.default_rng(groups)
    y = rng.normal(size=(groups, 5)) + 2.0 * np.arange(groups)[:, None]
    within, between = np.mean(y.var(axis=1, ddof=1)), 5 * y.mean(axis=1).var(ddof=1)
    exact = np.sqrt([(between - within) / 5, within])
    for shift, times in [(0.0, 1.0), (100.0, 1e-3), (-3.0, 30.0)]:
        model = flat_model("y ~ 1 + (1|g)", y=unit * (y + shift).ravel(), g=np.repeat(np.arange(groups), 5))
        found = natural_mode_of(model, times)
        np.testing.assert_allclose(found.theta / unit, exact, rtol=1e-6)
        assert found.settled and np.all(found.standard_errors > 0.1 * found.theta)


class Dense:
    """The restricted likelihood of one group with some columns, by dense matrices, and its maximum by brute force.

    With ``V = sigma^2 (I + Z L L' Z')`` sigma is profiled out; L is lower triangular, or diagonal.
    """

    def __init__(self, y: np.ndarray, x: np.ndarray, z: np.ndarray, g: np.ndarray, correlated: bool) -> None:
        self.y, self.x, self.z, self.same = y, x, z, g[:, None] == g
        self.q = z.shape[1]
        self.place = np.tril_indices(self.q) if correlated else np.diag_indices(self.q)

    def value(self, sds: np.ndarray, corr: np.ndarray, sigma: float) -> float:
        columns = self.z * sds
        return self._value(sigma**2 * np.eye(self.y.size) + columns @ correlation(corr, self.q) @ columns.T * self.same)

    def _value(self, v: np.ndarray) -> float:
        return float(restricted(self.y, self.x, v)[0])

    def highest(self, rng: np.random.Generator) -> float:
        n, p = self.x.shape

        def negative(entries: np.ndarray) -> float:
            lower = np.zeros((self.q, self.q))
            lower[self.place] = entries
            columns = self.z @ lower
            root = np.linalg.cholesky(np.eye(n) + columns @ columns.T * self.same)
            x, y = np.linalg.solve(root, self.x), np.linalg.solve(root, self.y)
            left = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
            dets = 2.0 * np.log(np.diag(root)).sum() + np.linalg.slogdet(x.T @ x)[1]
            return 0.5 * (dets + (n - p) * (1.0 + np.log(2 * np.pi * (left @ left) / (n - p))))

        d = self.place[0].size
        scales = 10.0 ** np.array([-1.0, 0.0, 1.0])
        found = [minimize(negative, scale * rng.normal(size=d), method="BFGS").fun for scale in scales]
        return -min(*found, negative(np.zeros(d)))


@pytest.mark.slow
@pytest.mark.parametrize(("formula", "columns"), [("y ~ x + (1|g)", 1), ("y ~ x + (x||g)", 2), ("y ~ x + (x|g)", 2)])
def test_nothing_is_higher(formula: str, columns: int) -> None:
    """Small designs whose variances are large, small or zero, and correlations at their ends, in other units.

    What is nearly singular costs what a variance of 1e-8 beside others does: less than 1e-4 of log likelihood here.
    """
    rng = np.random.default_rng(11)
    correlated = formula == "y ~ x + (x|g)"
    for groups, rows in [(2, 5), (5, 3)]:
        g, x = np.repeat(np.arange(groups), rows), rng.normal(size=groups * rows)
        fixed = np.column_stack([np.ones(x.size), x])
        for k in range(3):
            effects = rng.normal(size=(groups, 1 + (k == 2))) @ rng.normal(size=(1 + (k == 2), 2))
            noise = 10.0 ** rng.uniform(-1.5, 0.5)
            y = 4.0 * x + (k > 0) * np.sum(fixed * effects[g], axis=1) + noise * rng.normal(size=x.size)
            dense = Dense(y, fixed, fixed[:, :columns], g, correlated)
            unit, of_x = [(1.0, 1e-3), (1e-20, 1e3), (1e20, 1.0)][k]
            found = natural_mode_of(flat_model(formula, y=unit * y, x=of_x * x, g=g))
            sds = found.theta[:columns] / np.array([unit, unit / of_x])[:columns]
            value = dense.value(sds, found.theta[columns:-1], found.theta[-1] / unit)
            assert found.settled
            assert value > dense.highest(rng) - 1e-4


def flat_corr_density(q: int) -> float:
    """Of the uniform distribution of q x q correlation matrices, q 2 or 3."""
    return {2: 0.5, 3: 2.0 / np.pi**2}[q]


def singular() -> dict[str, np.ndarray]:
    """Effects of a group in one level of f alone: other effects are, to the data, multiples of it."""
    rng = np.random.default_rng(26)
    g, f = np.repeat(np.arange(18), 6), np.tile(["a", "b", "c"], 36)
    y = rng.normal(size=108) + 1.5 * (f == "b") * rng.normal(size=18)[g]
    return {"y": y, "f": f, "g": g}


def test_a_first_guess_of_rho_at_which_effects_are_noise() -> None:
    """From rho = 0.5 at a step far below the range of the process, its sd falls to zero: noise is sigma's."""
    t = np.linspace(0.0, 10.0, 60)
    y = np.sin(t) + 0.3 * np.random.default_rng(2).normal(size=60)
    flat = {"rho": priors.uniform(0.0, 1.0)}
    for given in ({}, flat):
        model = lgm.model("y ~ ou(t, step=0.002)", {"y": y, "t": t}, priors=given)
        sd, rho, sigma = natural_mode_of(model).theta
        assert sd > 0.3 and rho > 0.95 and sigma < 0.5
    far = lgm.model("y ~ ou(t, step=1)", {"y": y, "t": t}, priors=flat)
    same = natural_mode_of(far).theta  # a flat prior of rho has the same mode at every step
    np.testing.assert_allclose([sd, rho**500, sigma], same, rtol=1e-4)


def test_a_singular_fit_has_the_standard_errors_that_exist() -> None:
    """In two codings, which are one model; that of sigma is about ``sigma / sqrt(2 (n - p - effects of g))``."""
    found = []
    for formula in ("y ~ f + (f|g)", "y ~ f + (0 + f|g)"):
        model = flat_model(formula, **singular())
        found.append(natural_mode_of(model))
        sds, corr, sigma = found[-1].theta[:3], found[-1].theta[3:6], found[-1].theta[6]
        assert np.linalg.det(correlation(corr, 3)) < 1e-6
        errors = found[-1].standard_errors
        assert np.isnan(errors[3:6]).any() and np.isnan(errors[found[-1].ends]).all()
        assert errors[6] == pytest.approx(sigma / np.sqrt(2 * (108 - 3 - 18)), rel=0.1)
        assert np.all((sds == 0.0) | (errors[:3] < 1.0))
    assert found[0].value == pytest.approx(found[1].value, abs=1e-5)
    assert found[0].theta[6] == pytest.approx(found[1].theta[6], rel=1e-3)
    assert found[0].standard_errors[6] == pytest.approx(found[1].standard_errors[6], rel=1e-2)


@pytest.mark.slow
def test_reml_of_a_singular_fit() -> None:
    """Effects on three columns that are multiples of one: the likelihood is that of ``V = Z D C D Z' + sigma^2 I``."""
    rng = np.random.default_rng(25)
    g = np.repeat(np.arange(10), 6)
    x, z, b = rng.normal(size=60), rng.normal(size=60), 0.8 * rng.normal(size=10)
    y = 1 + x + b[g] * (1 + 0.8 * x + 0.5 * z) + 0.2 * rng.normal(size=60)
    found = natural_mode_of(flat_model("y ~ x + (x + z|g)", y=y, x=x, z=z, g=g))
    sds, corr, sigma = found.theta[:3], found.theta[3:6], found.theta[6]
    assert np.linalg.det(correlation(corr, 3)) < 1e-6
    V = group(g, np.column_stack([np.ones(60), x, z]), sds, corr) + sigma**2 * np.eye(60)
    wanted, _ = restricted(y, np.column_stack([np.ones(60), x]), V)
    assert found.value == pytest.approx(wanted + np.log(flat_corr_density(3)), abs=1e-5)


def test_what_the_data_do_not_speak_of_has_no_standard_error() -> None:
    """A correlation with an effect of no variance; that it is at an end is not said."""
    rng = np.random.default_rng(3)
    x, g = np.tile([-1.0, 1.0], 40), np.repeat(np.arange(10), 8)
    y = rng.normal(size=80)
    y -= np.array([np.mean(y[g == k]) for k in range(10)])[g]  # less than no variance between the groups
    y -= x * np.array([np.mean((x * y)[g == k]) for k in range(10)])[g]
    found = natural_mode_of(flat_model("y ~ x + (x|g)", y=y, x=x, g=g))
    assert found.theta[:3].tolist() == [0.0, 0.0, 0.0]
    assert np.isnan(found.standard_errors[:3]).all()
    assert found.ends.tolist() == [True, True, False, False]
    assert found.standard_errors[3] == pytest.approx(found.theta[3] / np.sqrt(2 * 78), rel=1e-5)


@pytest.mark.parametrize("term", ["cs(1 + x | g)", "ar1(t)"])
def test_nor_has_what_is_about_effects_without_variance(term: str) -> None:
    """Groups and times whose means are all the same: the correlations are what their prior says."""
    rng = np.random.default_rng(3)
    x, g, t = np.tile([-1.0, 1.0], 40), np.repeat(np.arange(10), 8), np.repeat(np.arange(10), 8)
    y = rng.normal(size=80)
    y -= np.array([np.mean(y[g == k]) for k in range(10)])[g]
    y -= x * np.array([np.mean((x * y)[g == k]) for k in range(10)])[g]
    model = lgm.model(f"y ~ x + {term}", {"y": y, "x": x, "g": g, "t": t})
    found = natural_mode_of(model)
    rho = next(i for i, name in enumerate(model.design.theta_names) if name.startswith("rho"))
    assert not found.theta[:rho].any() and np.isnan(found.standard_errors[rho])
    assert not found.ends[rho] and np.isfinite(found.standard_errors[-1])


def test_standard_errors_are_those_of_the_curvature() -> None:
    """Of the likelihood, by differences in theta as it is printed."""
    priors = {**FLAT, "fixed": flat(), "corr": flat()}
    model = lgm.model("Reaction ~ Days + (Days|Subject)", lgm.load_dataset("sleepstudy"), priors=priors)
    found, names = natural_mode_of(model), model.design.theta_names

    def falls(theta: np.ndarray) -> float:
        return -float(model.log_likelihood(dict(zip(names, theta, strict=True))))

    step = 1e-4 * np.maximum(np.abs(found.theta), 1e-2)
    slope = partial(approx_fprime, f=falls, epsilon=step)
    rows = [(slope(found.theta + e) - slope(found.theta - e)) / (2 * e.sum()) for e in np.diag(step)]
    np.testing.assert_allclose(found.standard_errors, np.sqrt(np.diag(np.linalg.inv(rows))), rtol=1e-3)


def test_what_the_user_fixed_has_no_error() -> None:
    data = lgm.load_dataset("sleepstudy")
    model = lgm.model("Reaction ~ Days + (1|Subject)", data, priors={"sigma": priors.constant(30.0)})
    found = natural_mode_of(model)
    assert found.theta[1] == 30.0 and found.standard_errors[1] == 0.0 and not found.ends.any()


def test_no_mode_of_flat_priors_without_a_residual() -> None:
    x, g = np.tile([0.0, 1.0, 2.0], 5), np.repeat(np.arange(5), 3)
    model = flat_model("y ~ x + (1|g)", y=np.array([3.0, 1.0, 4.0, 1.5, 9.0])[g] + 2.0 * x, x=x, g=g)
    with pytest.raises(IdentifiabilityError, match="response has no residual"):
        natural_mode_of(model)


@pytest.mark.parametrize("term", ["ar1(t)", "rw1(t)"])
def test_no_mode_where_no_residual_is_best(term: str) -> None:
    """One row for each time of a walk: by its prior the density of sigma is highest at zero."""
    data = {"t": np.arange(8), "y": np.cumsum([3.0, 9.0, 7.0, 8.0, -2.0, 5.0, 6.0, -1.0])}
    with pytest.raises(IdentifiabilityError, match="one row for each time has.*such as lgm.priors.lognormal"):
        natural_mode_of(lgm.model(f"y ~ {term}", data))
    found = natural_mode_of(lgm.model(f"y ~ {term}", data, priors={"sigma": priors.lognormal(0.0, 1.0)}))
    assert found.settled and np.isfinite(found.standard_errors).all()


@pytest.mark.parametrize("sigma", [1e-7, 1e-100])
def test_a_sigma_held_too_small_is_refused(sigma: float) -> None:
    data = lgm.load_dataset("sleepstudy")
    model = lgm.model("Reaction ~ Days + (1|Subject)", data, priors={"sigma": priors.constant(sigma)})
    with pytest.raises(IdentifiabilityError, match="held by its prior: a larger one"):
        model.fit(method="mode", draws=10, seed=1, progress=False)


def test_a_sigma_held_small_gives_the_mean_of_the_groups() -> None:
    """The limit: group means without error, of which sd is the spread, with 17 degrees of freedom."""
    data = lgm.load_dataset("sleepstudy")
    model = lgm.model("Reaction ~ 1 + (1|Subject)", data, priors={**FLAT, "sigma": priors.constant(0.01)})
    found = natural_mode_of(model)
    means = data.groupby("Subject", observed=True)["Reaction"].mean()
    assert found.theta[0] == pytest.approx(means.std(ddof=1), rel=1e-6)
    assert found.standard_errors[0] == pytest.approx(found.theta[0] / np.sqrt(2 * 17), rel=1e-4)


def test_standard_errors_are_those_of_the_density_itself() -> None:
    """Where no covariance is nearly singular: by differences of its gradient in theta, carried to what is printed."""
    model = lgm.model("Reaction ~ Days + (Days|Subject)", lgm.load_dataset("sleepstudy"))
    post = model.analysed.marginal
    found = find_natural_mode(post, starts(model.design, model.chosen_priors.theta))
    with own_settings():
        grad = jax.jit(jax.grad(lambda theta: density.log_likelihood(post, theta) + post.hyper.log_prior(theta)))
        steps = np.diag(1e-5 * np.abs(found.theta))
        rows = [np.asarray(grad(found.theta + s) - grad(found.theta - s)) / (2.0 * s.sum()) for s in steps]
        slopes = np.asarray(jax.jit(jax.jacfwd(post.hyper.printed))(found.theta))
    inverse = slopes @ np.linalg.inv(-0.5 * (np.array(rows) + np.array(rows).T)) @ slopes.T
    np.testing.assert_allclose(found.standard_errors, np.sqrt(np.diag(inverse)), rtol=1e-6)
