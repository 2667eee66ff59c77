"""``mo(x)``: one coefficient and the shares of the steps, against dense covariances."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest
from scipy.stats import multivariate_normal, norm
from statistical import monte_carlo
from synthetic import around

import lgm
from lgm.errors import DataError, FormulaError, IdentifiabilityError, PriorError
from lgm.priors import constant, dirichlet, flat, normal
from lgm.results.again import sensitivity

RNG = np.random.default_rng(8)
N = 60
DATA = pd.DataFrame({"k": RNG.integers(2, 7, N), "z": RNG.normal(size=N), "g": RNG.integers(0, 5, N)})
DATA.loc[DATA.k == 4, "k"] = 3  # which no row has
DATA["y"] = 1.0 + np.array([0.0, 0.5, 0.5, 2.0, 2.2])[DATA.k - 2] + 0.5 * DATA.z + 0.4 * RNG.normal(size=N)
SIMPLEX = np.array([0.1, 0.3, 0.0, 0.6])
PRIORS = {"Intercept": normal(0.0, 3.0), "fixed": normal(0.0, 2.0), "scale(mo(k))": constant(0.7)}


def theta(simplex: np.ndarray = SIMPLEX, scale: float = 0.7, **others: float) -> dict[str, float]:
    shares = {f"simplex(mo(k))[{j + 1}]": share for j, share in enumerate(simplex)}
    return {"scale(mo(k))": scale, **shares, **others}


def column(k: np.ndarray, simplex: np.ndarray = SIMPLEX) -> np.ndarray:
    """What multiplies the coefficient: the number of steps times the way that has been gone."""
    return len(simplex) * np.concatenate([[0.0], np.cumsum(simplex)])[k - 2]


def covariance(simplex: np.ndarray, scale: float = 0.7) -> np.ndarray:
    m, z, g = column(DATA.k.to_numpy(), simplex), DATA["z"].to_numpy(), DATA["g"].to_numpy()
    fixed = 9.0 + 4.0 * np.outer(z, z)
    return fixed + scale**2 * np.outer(m, m) + 0.25 * np.equal.outer(g, g) + 0.16 * np.eye(N)


@pytest.fixture(scope="module")
def model() -> lgm.Model:
    return lgm.model("y ~ z + mo(k) + (1|g)", DATA, priors=PRIORS)


@pytest.mark.parametrize("simplex", [SIMPLEX, np.array([0.0, 0.0, 0.2, 0.8]), np.full(4, 0.25), np.eye(4)[3]])
def test_likelihood_by_its_definition(model: lgm.Model, simplex: np.ndarray) -> None:
    """With ``b ~ N(0, scale^2)`` y is normal, whatever shares are zero; no row is in the category 4."""
    at = theta(simplex, **{"sd(Intercept|g)": 0.5, "sigma": 0.4})
    centred = multivariate_normal.logpdf(DATA["y"], np.zeros(N), covariance(simplex))
    plain = lgm.model("y ~ z + mo(k) + (1|g)", DATA.assign(z=DATA.z), priors=PRIORS).log_likelihood(at)
    assert plain == pytest.approx(centred, abs=1e-8)


def test_coefficient_and_effects_by_their_definition(model: lgm.Model) -> None:
    fit = around(model, theta(**{"sd(Intercept|g)": 0.5, "sigma": 0.4}), spread=0.0, draws=20)
    V, m = covariance(SIMPLEX), column(DATA.k.to_numpy())
    mean = 0.49 * m @ np.linalg.solve(V, DATA["y"])
    sd = np.sqrt(0.49 - 0.49**2 * m @ np.linalg.solve(V, m))
    own = fit.ranef("mo(k)").loc[("mo(k)", "mo(k)"), ["mean", "sd"]].to_numpy(float)
    np.testing.assert_allclose(own, [mean, sd], rtol=1e-8)
    np.testing.assert_allclose(fit.summary().loc["mo(k)", ["mean", "sd"]].to_numpy(float), [mean, sd], rtol=1e-8)
    levels = fit.ranef("mo(k)[category]")
    np.testing.assert_allclose(levels["mean"], mean * column(np.arange(3, 7)), rtol=1e-8)
    np.testing.assert_allclose(levels["sd"], sd * column(np.arange(3, 7)), rtol=1e-8)
    assert [label[-1] for label in levels.index] == [3, 4, 5, 6]
    rows = fit.predict(pd.DataFrame({"z": 0.0, "k": [2, 4, 6], "g": 0}), kind="linear")
    assert np.diff(rows["mean"]).tolist() == pytest.approx([1.6 * mean, 2.4 * mean])


def test_a_share_that_carries_all_is_an_ordinary_coefficient() -> None:
    """Two categories: the coefficient of an indicator, and no shares."""
    data = DATA.assign(k=np.where(DATA.k > 3, "b", "a"))
    data["k"] = pd.Categorical(data["k"], ["a", "b"], ordered=True)
    found = lgm.model("y ~ z + mo(k)", data, priors=PRIORS)
    assert found.design.theta_names == ("scale(mo(k))", "sigma")
    m, z = (data["k"] == "b").to_numpy(float), DATA["z"].to_numpy()
    V = 9.0 + 4.0 * np.outer(z, z) + 0.49 * np.outer(m, m) + 0.16 * np.eye(N)
    expected = multivariate_normal.logpdf(DATA["y"], np.zeros(N), V)
    assert found.log_likelihood({"scale(mo(k))": 0.7, "sigma": 0.4}) == pytest.approx(expected, abs=1e-8)


def test_names_and_priors(model: lgm.Model) -> None:
    default = lgm.model("y ~ mo(k)", DATA)
    table = default.priors["prior"]
    assert table["simplex(mo(k))"] == "dirichlet(1)"
    wide = 2.5 * DATA["y"].std(ddof=0) / DATA["k"].std(ddof=0)
    assert table["scale(mo(k))"] == repr(constant(wide))
    assert default.design.terms[0].size == "5 ordered categories, from 2 to 6"
    drawn = default.sample_prior(500, seed=1)[[f"simplex(mo(k))[{j}]" for j in range(1, 5)]]
    np.testing.assert_allclose(drawn.sum(axis=1), 1.0)
    np.testing.assert_allclose(drawn.mean(), 0.25, atol=5 * np.sqrt(0.25 * 0.75 / 5 / 500))
    given = lgm.model("y ~ mo(k)", DATA, priors={"simplex(mo(k))": dirichlet(3), "scale": lgm.priors.half_normal(1)})
    assert given.priors["prior"]["simplex(mo(k))"] == "dirichlet(3)"
    assert lgm.model("y ~ mo(k)", DATA, priors={"simplex": flat()}).priors["prior"]["simplex(mo(k))"] == "dirichlet(1)"
    for key, prior, message in (
        ("simplex", lgm.priors.beta(1, 1), "must be lgm.priors.dirichlet"),
        ("simplex", constant(0.5), "cannot be constant"),
        ("sigma", dirichlet(1), "a Dirichlet prior is for shares"),
        ("simplex(mo(k))[1]", dirichlet(1), r"one prior; its key is 'simplex\(mo\(k\)\)'"),
    ):
        with pytest.raises(PriorError, match=message):
            lgm.model("y ~ mo(k)", DATA, priors={key: prior})


def test_the_mode_may_give_a_step_nothing(tmp_path) -> None:
    """As in least squares under the order: two levels whose means are in the wrong order are pooled."""
    data = pd.DataFrame({"k": pd.Categorical(np.repeat(list("abcd"), 10), ordered=True)})
    means = np.array([0.0, 1.2, 1.0, 3.0])
    data["y"] = np.repeat(means, 10) + np.tile(np.linspace(-0.5, 0.5, 10), 4)
    held = {"Intercept": flat(), "scale(mo(k))": constant(1e4), "sigma": constant(0.01)}
    fit = lgm.fit("y ~ mo(k)", data, method="mode", priors=held, seed=1, progress=False)
    shares = fit.summary().loc[[f"simplex(mo(k))[{j}]" for j in (1, 2, 3)]]
    np.testing.assert_allclose(shares["mean"], [1.1 / 3.0, 0.0, 1.9 / 3.0], atol=2e-5)
    assert np.isnan(shares["sd"].iloc[1]) and "simplex(mo(k))[2] is at the end" in fit.verdict
    pooled = fit.predict(pd.DataFrame({"k": list("abcd")}))["mean"]
    np.testing.assert_allclose(pooled, [0.0, 1.1, 1.1, 3.0], atol=1e-4)
    fit.save(tmp_path / "fit.lgm")
    pd.testing.assert_frame_equal(lgm.load(tmp_path / "fit.lgm").summary(), fit.summary())
    assert fit.plot_term("mo(k)").axes


def test_the_coefficient_stands_with_the_fixed_effects() -> None:
    """In every table of parameters, and a simulated response has it as it was estimated."""
    fit = lgm.fit("y ~ z + mo(k)", DATA, method="importance", draws=200, seed=1, progress=False)
    assert fit.fixef().index.tolist() == list(fit.summary().index[:3]) == ["Intercept", "z", "mo(k)"]
    assert fit.varcorr().index[0] == ("mo(k)", "scale")
    assert fit.posterior["mo(k)"].dims == ("chain", "draw")
    draws = fit.posterior["mo(k)"].to_numpy().ravel()
    assert fit.p_direction()["mo(k)"] == np.mean(draws > 0.0)
    assert fit.hypothesis("mo(k) > 0.5")["mean"].iloc[0] == pytest.approx(fit.fixef().loc["mo(k)", "mean"] - 0.5)
    found = sensitivity.scalable(fit)
    sd = fit.summary().loc["scale(mo(k))", "mean"]
    np.testing.assert_allclose(np.diff(found.log_priors["mo(k)"]), np.diff(norm.logpdf(draws, 0.0, sd)), rtol=1e-8)
    residual = DATA["y"].to_numpy() - fit.posterior_linpred().to_numpy().reshape(draws.size, N)
    sigma = fit.posterior["sigma"].to_numpy().ravel()
    wanted = np.sum(norm.logpdf(residual, 0.0, sigma[:, None]), axis=1)
    np.testing.assert_allclose(np.diff(found.log_likelihood), np.diff(wanted), atol=1e-7)
    assert {"mo(k)", "sigma"} < set(fit.prior_sensitivity().index)
    assert len(fit.plot(["mo(k)"]).axes) == 2
    held = lgm.fit("y ~ z + mo(k)", DATA, method="mode", draws=20, seed=1, progress=False)
    again = held.bootstrap(3, seed=1, progress=False).summary().loc["mo(k)"]
    assert again["estimate"] == held.fixef().loc["mo(k)", "mean"] and abs(again["bias"]) < 0.2


def test_counts_and_missing_responses() -> None:
    data = DATA.assign(c=RNG.poisson(np.exp(0.3 * DATA.k)), y=DATA.y.where(DATA.index > 3))
    fit = lgm.fit("c ~ mo(k)", data, family="poisson", method="mode", seed=1, progress=False)
    assert fit.ranef("mo(k)")["mean"].iloc[0] == pytest.approx(0.3, abs=0.1)
    assert len(lgm.fit("y ~ mo(k)", data, method="mode", seed=1, progress=False).predict()) == N


@pytest.mark.parametrize(
    ("right", "error", "message"),
    [
        ("mo(z)", DataError, "holds numbers that are not whole; a smooth curve is s"),
        ("mo(text)", DataError, r"(?s)holds text without an order.*Accepted: whole numbers, or an ordered factor"),
        ("mo(same)", IdentifiabilityError, "`same` is 3 in every row"),
        ("mo(many)", DataError, "60 categories, from 0 to 59, of 50 at most"),
        ("mo(k):z", FormulaError, r"is part of a larger term\. A monotonic effect that differs .*`C\(x\)\*f`"),
        ("mo(k, replicate=g)", FormulaError, "cannot be copied: its effects are those of categories"),
    ],
)
def test_what_is_refused(right: str, error: type[Exception], message: str) -> None:
    data = DATA.assign(text=np.where(DATA.k > 3, "a", "b"), same=3, many=np.arange(N))
    with pytest.raises(error, match=message):
        lgm.model(f"y ~ {right}", data)


def test_unknown_categories_are_refused(model: lgm.Model) -> None:
    fit = around(model, theta(**{"sd(Intercept|g)": 0.5, "sigma": 0.4}), spread=0.0, draws=5)
    with pytest.raises(DataError, match=r"`k` has 9, of which the fit knows nothing. Accepted: 2, 3, 4, 5, 6"):
        fit.predict(pd.DataFrame({"z": [0.0], "k": [9], "g": [0]}))


@pytest.mark.slow
def test_the_posterior_is_that_of_the_joint_model() -> None:
    """Coefficient, shares and sigma sampled together by NumPyro, without lgm's mathematics."""
    m, z = DATA.k.to_numpy() - 2, DATA["z"].to_numpy()
    rate = float(-np.log(0.05)) / 2.0

    def program(y: jax.Array | None) -> None:
        shares = numpyro.sample("shares", dist.Dirichlet(jnp.ones(4)))
        b = numpyro.sample("b", dist.Normal(0.0, 0.7))
        up = jnp.concatenate([jnp.zeros(1), jnp.cumsum(shares)])
        level = numpyro.sample("level", dist.Normal(0.0, 3.0)) + numpyro.sample("z", dist.Normal(0.0, 2.0)) * z
        sigma = numpyro.sample("sigma", dist.Exponential(rate))
        numpyro.sample("y", dist.Normal(level + 4.0 * b * up[m], sigma), obs=y)

    fit = lgm.fit(
        "y ~ 1 + z + mo(k)",
        DATA,
        priors={**PRIORS, "sigma": lgm.priors.exponential(rate)},
        seed=1,
        progress=False,
    )
    with jax.enable_x64(True):
        kernel = numpyro.infer.NUTS(program)
        run = numpyro.infer.MCMC(
            kernel, num_warmup=1000, num_samples=2000, num_chains=2, chain_method="sequential", progress_bar=False
        )
        run.run(jax.random.key(0), jnp.asarray(DATA["y"].to_numpy()))
        theirs = {name: np.asarray(v) for name, v in run.get_samples(group_by_chain=True).items()}
    pairs = [(fit.effect_draws("mo(k)")["mo(k)"].to_numpy().reshape(4, -1), theirs["b"])]
    names = fit.design.theta_names
    pairs += [
        (fit.draws.theta[..., names.index(f"simplex(mo(k))[{j + 1}]")], theirs["shares"][..., j]) for j in range(4)
    ]
    pairs.append((fit.draws.theta[..., names.index("sigma")], theirs["sigma"]))
    for ours, other in pairs:
        a, b = monte_carlo.of_draws(ours), monte_carlo.of_draws(other)
        assert max(abs(monte_carlo.deviation(a[s], b[s])) for s in a) < monte_carlo.LIMIT
