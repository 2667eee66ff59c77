"""lgm's densities inside PyMC models, by each of PyTensor's backends that can take them, and by each sampler."""

import jax
import numpy as np
import pytest
import scipy.sparse as sp

import lgm
from lgm.linalg import analyse

pytest.importorskip("pymc", reason="PyMC is not installed; make test-pymc has it")

import cloudpickle
import pymc as pm
import pytensor
import pytensor.tensor as pt
from numpyro.diagnostics import effective_sample_size
from scipy.stats import multivariate_normal

import lgm.pymc

SLEEP = lgm.load_dataset("sleepstudy")
DAYS = SLEEP["Days"].to_numpy(dtype=float)
THETA = {"sd(Intercept|Subject)": 40.0, "sigma": 30.0}


@pytest.fixture(scope="module")
def sleep() -> lgm.Model:
    """With priors that PyMC has too."""
    priors = {"sd": lgm.priors.half_normal(100.0), "sigma": lgm.priors.half_normal(100.0)}
    return lgm.model("Reaction ~ Days + (1|Subject)", SLEEP, priors=priors)


@pytest.fixture(scope="module")
def model(sleep: lgm.Model):
    with pm.Model() as model:
        people, sigma = pm.HalfNormal("people", 100.0), pm.HalfNormal("sigma", 100.0)
        theta = {"sd(Intercept|Subject)": people, "sigma": sigma}
        pm.Potential("y", lgm.pymc.log_likelihood(sleep, theta))
    return model


@pytest.mark.parametrize("mode", ["FAST_RUN", "JAX"])
def test_value_and_gradient(sleep: lgm.Model, mode: str) -> None:
    """Those of the traced likelihood, also by an offset."""
    sd, power = pt.dscalar("sd"), pt.dscalar("power")
    found = lgm.pymc.log_likelihood(sleep, {**THETA, "sd(Intercept|Subject)": sd}, offset=pt.power(DAYS, power))
    at = pytensor.function([sd, power], [found, *pytensor.grad(found, [sd, power])], mode=mode)(40.0, 1.2)

    def value(sd: float, power: float) -> jax.Array:
        return sleep.log_likelihood({**THETA, "sd(Intercept|Subject)": sd}, offset=DAYS**power)

    with jax.enable_x64(True):
        expected, slopes = jax.value_and_grad(value, argnums=(0, 1))(40.0, 1.2)
    np.testing.assert_allclose([float(each) for each in at], [expected, *slopes], rtol=1e-9)


def test_where_it_is_undefined(sleep: lgm.Model) -> None:
    sd = pt.dscalar("sd")
    found = lgm.pymc.log_likelihood(sleep, {**THETA, "sd(Intercept|Subject)": sd})
    value, slope = pytensor.function([sd], [found, pytensor.grad(found, sd)])(np.nan)
    assert value == -np.inf and slope == 0.0


def test_a_sparse_normal() -> None:
    Q = sp.csc_array([[2.0, 0.5, 0.0], [0.5, 1.0, -0.4], [0.0, -0.4, 1.5]])
    sym, mu, at = analyse(Q), np.array([1.0, 0.0, -2.0]), np.array([0.5, 0.2, 1.0])
    with jax.enable_x64(True):
        values = np.asarray(sym.values(Q))
    with pm.Model() as model:
        scale = pm.HalfNormal("scale", 1.0)
        b = lgm.pymc.SparsePrecisionNormal("b", mu, sym, scale * values)
    logp = model.compile_fn(model.logp(vars=[b], jacobian=False))
    point = {"scale_log__": np.log(2.0), "b": at}
    cov = np.linalg.inv(2.0 * Q.toarray())
    assert float(logp(point)) == pytest.approx(multivariate_normal(mu, cov).logpdf(at), rel=1e-10)
    slopes = model.compile_fn(pytensor.grad(model.logp(vars=[b], jacobian=False), model.value_vars))(point)
    residual = at - mu
    np.testing.assert_allclose(
        slopes[0], 1.5 - residual @ (2.0 * Q @ residual) / 2.0, rtol=1e-9
    )  # d log p / d log scale
    np.testing.assert_allclose(slopes[1], -2.0 * Q @ residual, rtol=1e-9)
    drawn = pm.draw(pm.do(model, {"scale": 2.0})["b"], 4000, random_seed=1)
    z = (drawn.mean(axis=0) - mu) / np.sqrt(np.diag(cov) / 4000)
    assert np.all(np.abs(z) < 4.0)
    np.testing.assert_allclose(np.cov(drawn.T), cov, atol=4.0 * cov.max() * np.sqrt(2.0 / 4000))


def _agree(sleep: lgm.Model, posterior) -> None:
    """Means within four Monte Carlo errors, by the effective sizes of both, of those of weighted points."""
    fit = sleep.fit(method="importance", draws=2000, seed=1, progress=False)
    expected = fit.summary()
    for theirs, ours in (("people", "sd(Intercept|Subject)"), ("sigma", "sigma")):
        drawn = posterior[theirs].to_numpy()
        sizes = float(effective_sample_size(drawn)), expected.loc[ours, "ess_bulk"]
        error = expected.loc[ours, "sd"] * np.sqrt(sum(1.0 / size for size in sizes))
        assert abs(drawn.mean() - expected.loc[ours, "mean"]) < 4.0 * error
    thetas = {"sd(Intercept|Subject)": posterior["people"].to_numpy(), "sigma": posterior["sigma"].to_numpy()}
    effects = sleep.draw_effects(thetas, seed=1)
    table = fit.fixef()
    error = table.loc["Days", "sd"] * np.sqrt(1.0 / effects["Days"].size)
    assert abs(float(effects["Days"].mean()) - table.loc["Days", "mean"]) < 5.0 * error


def test_by_pymc(sleep: lgm.Model, model) -> None:
    with model:
        found = pm.sample(
            300, tune=300, chains=2, cores=1, random_seed=1, progressbar=False, compute_convergence_checks=False
        )
    _agree(sleep, found.posterior)


def test_by_the_sampler_of_numpyro(sleep: lgm.Model, model) -> None:
    pytest.importorskip("numpyro")
    with model:
        found = pm.sample(
            500,
            tune=300,
            chains=2,
            random_seed=1,
            progressbar=False,
            nuts_sampler="numpyro",
            nuts_sampler_kwargs={"chain_method": "sequential"},
            compute_convergence_checks=False,
        )
    _agree(sleep, found.posterior)


def test_by_nutpie(sleep: lgm.Model, model) -> None:
    nutpie = pytest.importorskip("nutpie")
    compiled = nutpie.compile_pymc_model(model, backend="jax")
    _agree(sleep, nutpie.sample(compiled, draws=500, tune=300, chains=2, seed=1, progress_bar=False).posterior)
    with pytest.raises(lgm.LgmError, match='backend="jax"'):
        nutpie.compile_pymc_model(model, backend="numba")


def test_it_goes_to_other_processes(model) -> None:
    again = cloudpickle.loads(cloudpickle.dumps(model))  # as PyMC does
    point = model.initial_point()
    assert again.compile_logp()(point) == pytest.approx(float(model.compile_logp()(point)), rel=1e-12)


def test_what_is_refused(sleep: lgm.Model) -> None:
    with pytest.raises(lgm.LgmError, match="look at sigma"):
        lgm.pymc.log_likelihood(sleep, {"sd(Intercept|Subject)": 1.0})
    with pytest.raises(lgm.LgmError, match="accepted: vectors"):
        lgm.pymc.log_likelihood(sleep, THETA, offset=np.zeros((2, 180)))
