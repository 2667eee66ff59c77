"""Densities of theta for models of others, in which response and offset move."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest
from compilations import compilations
from dense_model import group, restricted, rounding
from numpyro.diagnostics import effective_sample_size
from numpyro.infer import MCMC, NUTS
from scipy.stats import halfnorm, lognorm, norm

import lgm
from lgm.arrays import FloatArray

RNG = np.random.default_rng(11)
DATA = pd.DataFrame(
    {"x": np.tile([0.5, 1.0, 2.0, 4.0], 6), "g": np.repeat(np.arange(6), 4), "w": 1.0 + np.arange(24) % 3}
)
OTHER = {"gaussian": RNG.normal(size=24), "gamma": RNG.gamma(2.0, size=24), "poisson": RNG.poisson(3.0, 24) * 1.0}
FIRST = {"gaussian": RNG.normal(size=24), "gamma": RNG.gamma(2.0, size=24), "poisson": RNG.poisson(3.0, 24) * 1.0}
OFFSET = 0.3 * RNG.normal(size=24)
PRIORS = {"Intercept": lgm.priors.normal(0, 2), "x": lgm.priors.normal(0, 2)}
DAYS = lgm.load_dataset("sleepstudy")
SLEEP = {"sd(Intercept|Subject)": 40.0, "sigma": 30.0}


def built(family: str, **columns: object) -> lgm.Model:
    data = DATA.assign(y=FIRST[family], o=0.0).assign(**columns)
    return lgm.model("y ~ x + offset(o) + (1|g)", data, family, weights="w", priors=PRIORS)


def at(model: lgm.Model) -> dict[str, float]:
    return dict(zip(model.design.theta_names, [0.7, 1.3], strict=False))


@pytest.fixture(scope="module", params=list(FIRST))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(family: str) -> lgm.Model:
    return built(family)


@pytest.fixture(scope="module")
def sleep() -> lgm.Model:
    return lgm.model("Reaction ~ 1 + (1|Subject)", DAYS, priors={"Intercept": lgm.priors.flat()})


def test_they_are_those_of_a_model_with_these_data(family: str, model: lgm.Model) -> None:
    theta, expected = at(model), built(family, y=OTHER[family], o=OFFSET).log_likelihood(at(model))
    assert model.log_likelihood(theta, y=OTHER[family], offset=OFFSET) == pytest.approx(expected, abs=1e-8)
    prior = model.log_density(theta) - model.log_likelihood(theta)
    assert model.log_density(theta, y=OTHER[family], offset=OFFSET) == pytest.approx(expected + prior, abs=1e-8)


def test_gradients_in_both(family: str, model: lgm.Model) -> None:
    """Central differences with the step that balances their error and rounding, along one direction.

    Counts stay: they have no derivative.
    """
    along, step = RNG.normal(size=(2, 24)), np.finfo(float).eps ** (1 / 3)

    def value(t: float) -> jax.Array:
        other = y if family == "poisson" else y + 0.1 * t * along[0]
        return model.log_likelihood(at(model), y=other, offset=OFFSET + t * along[1])

    with jax.enable_x64(True):
        y = jnp.asarray(OTHER[family] + 3.0)
        compiled = jax.jit(value)
        up, down = float(compiled(step)), float(compiled(-step))
        slope = float(jax.jit(jax.grad(value))(0.0))
    assert slope == pytest.approx((up - down) / (2 * step), rel=1e-7)


def test_a_batch_is_a_loop_and_compiles_once(family: str, model: lgm.Model) -> None:
    offsets = np.array([[0.0], [0.2], [0.9]]) * DATA["x"].to_numpy()
    with jax.enable_x64(True):
        batch = jax.jit(jax.vmap(lambda sd, o: model.log_likelihood({**at(model), "sd(Intercept|g)": sd}, offset=o)))
        found = batch(np.array([0.3, 0.7, 1.1]), offsets)
        with compilations() as names:
            again = batch(np.array([0.7, 0.3, 0.7]), offsets[::-1].copy())
    assert not names and float(found[1]) != float(again[1])
    assert float(again[0]) == pytest.approx(model.log_likelihood(at(model), offset=offsets[2]), abs=1e-9)


def test_a_power_outside_of_the_formula(sleep: lgm.Model) -> None:
    """The dense REML likelihood, on a grid of powers and of thetas."""
    y, days = DAYS["Reaction"].to_numpy(), DAYS["Days"].to_numpy(dtype=float)
    for power, sd, sigma in [(0.6, 30.0, 40.0), (1.0, 50.0, 25.0), (1.3, 10.0, 60.0)]:
        V = group(DAYS["Subject"], np.ones(180), [sd]) + sigma**2 * np.eye(180)
        expected = restricted(y - 10.0 * days**power, np.ones((180, 1)), V)[0]
        theta = {"sd(Intercept|Subject)": sd, "sigma": sigma}
        found = sleep.log_likelihood(theta, offset=10.0 * days**power)
        assert found == pytest.approx(expected, rel=rounding(180, V))


def _by_quadrature() -> dict[str, tuple[float, float]]:
    """Mean and sd of everything in `test_a_posterior_with_a_power`, on a grid of what no closed form integrates out.

    Days are the same for everybody. So the sums of squares within people know slope and power, the means of people know
    only what an offset adds to all, and given these four numbers the level and people's own are normal.
    """
    y = DAYS["Reaction"].to_numpy().reshape(18, 10)
    ranges = [(0.3, 1.7, 61), (1.0, 36.0, 61), (11.0, 110.0, 61), (24.0, 42.0, 41)]
    axes = [np.linspace(*each) for each in ranges]
    power, slope, sd, sigma = np.meshgrid(*axes, indexing="ij", sparse=True)
    curve = np.arange(10.0) ** power[..., None]
    away, bend = y - y.mean(axis=1, keepdims=True), curve - curve.mean(axis=-1, keepdims=True)
    within = (away**2).sum() - 2 * slope * (bend * away.sum(axis=0)).sum(-1) + 18 * slope**2 * (bend**2).sum(-1)
    spread = sd**2 + sigma**2 / 10  # variance of the mean of a person
    level = y.mean() - slope * curve.mean(axis=-1)
    log_p = -162 * np.log(sigma) - within / (2 * sigma**2)
    log_p = log_p - 8.5 * np.log(spread) - ((y.mean(axis=1) - y.mean()) ** 2).sum() / (2 * spread)
    log_p = log_p + norm.logpdf(level, 300.0, np.sqrt(100.0**2 + spread / 18))
    log_p = log_p + norm.logpdf(slope, 0.0, 20.0) + lognorm.logpdf(power, 0.3) + norm.logpdf(0.9, power, 0.2)
    log_p = log_p + halfnorm.logpdf(sd, scale=50.0) + halfnorm.logpdf(sigma, scale=50.0)
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    for axis in range(4):  # the grid holds all of it
        margin = p.sum(axis=tuple({0, 1, 2, 3} - {axis}))
        assert max(margin[0], margin[-1]) < 1e-4 * margin.max()
    exact = 1.0 / (18 / spread + 1.0 / 100.0**2)
    intercept = exact * (18 * level / spread + 300.0 / 100.0**2)
    share = sd**2 / spread
    first = share * (y[0].mean() - slope * curve.mean(axis=-1) - intercept)

    def moments(mean: FloatArray, variance: FloatArray | float = 0.0) -> tuple[float, float]:
        centre = float((p * mean).sum())
        return centre, float(np.sqrt((p * ((mean - centre) ** 2 + variance)).sum()))

    return {
        **{
            name: moments(values)
            for name, values in zip(["power", "slope", *SLEEP], [power, slope, sd, sigma], strict=True)
        },
        "Intercept": moments(intercept, exact),
        "308": moments(first, share * sigma**2 / 10 + share**2 * exact),
    }


@pytest.mark.slow
def test_a_posterior_with_a_power() -> None:
    """NumPyro samples what no formula holds, with a likelihood of its own beside ours: brute force finds the same."""
    model = lgm.model("Reaction ~ 1 + (1|Subject)", DAYS, priors={"Intercept": lgm.priors.normal(300, 100)})
    days = DAYS["Days"].to_numpy(dtype=float)

    def reaction() -> None:
        theta = {name: numpyro.sample(name, dist.HalfNormal(50.0)) for name in SLEEP}
        slope = numpyro.sample("slope", dist.Normal(0.0, 20.0))
        power = numpyro.sample("power", dist.LogNormal(0.0, 0.3))
        numpyro.factor("y", model.log_likelihood(theta, offset=slope * days**power))
        numpyro.sample("another study", dist.Normal(power, 0.2), obs=0.9)

    with jax.enable_x64(True):
        mcmc = MCMC(
            NUTS(reaction),
            num_warmup=400,
            num_samples=1000,
            num_chains=2,
            chain_method="vectorized",
            progress_bar=False,
        )
        mcmc.run(jax.random.key(1))
        drawn = {name: np.asarray(values) for name, values in mcmc.get_samples(group_by_chain=True).items()}
    offset = drawn["slope"][..., None] * days ** drawn["power"][..., None]
    effects = model.draw_effects({name: drawn[name] for name in SLEEP}, offset=offset, seed=2)
    drawn["Intercept"] = effects["Intercept"].to_numpy()
    drawn["308"] = effects["Intercept|Subject"].sel(Subject=308).to_numpy()
    for name, (mean, sd) in _by_quadrature().items():
        z = (drawn[name] - mean) / sd
        size, of_squares = (float(effective_sample_size(each)) for each in (z, z**2))
        assert size > 200, name
        assert abs(z.mean()) < 4.0 / np.sqrt(size), name
        assert abs((z**2).mean() - 1.0) < 4.0 * (z**2).std() / np.sqrt(of_squares), name


def test_rows_without_a_response_may_have_an_offset() -> None:
    data = DATA.assign(y=np.where(np.arange(24) == 5, np.nan, FIRST["gaussian"]))
    model = lgm.model("y ~ x + (1|g)", data, priors=PRIORS)
    known = np.arange(24) != 5
    assert model.log_likelihood(at(model), offset=OFFSET) == model.log_likelihood(at(model), offset=OFFSET[known])


def test_what_is_refused(sleep: lgm.Model) -> None:
    thetas = {name: np.full(5, value) for name, value in SLEEP.items()}
    for call, message in [
        (
            lambda: sleep.log_likelihood(SLEEP, offset=np.zeros(7)),
            r"offset has 7 values; accepted: one for each of the 180",
        ),
        (lambda: sleep.log_likelihood(SLEEP, offset=np.zeros((2, 180))), r"the shape \(2, 180\); accepted: \(180,\)"),
        (lambda: sleep.log_likelihood(SLEEP, offset=np.full(180, np.nan)), "offset has values that are not finite"),
        (lambda: sleep.log_likelihood(SLEEP, y=["a"] * 180), "is not numeric"),
        (lambda: sleep.draw_effects({**thetas, "sigma": np.ones(4)}), r"have the shapes \(4,\), \(5,\)"),
        (lambda: sleep.draw_effects(thetas, term="Day"), "there is no term 'Day'"),
        (lambda: sleep.draw_effects(thetas, offset=np.zeros((4, 180))), r"accepted: \(180,\), or \(5, 180\)"),
        (lambda: sleep.draw_effects({**thetas, "sigma": np.full(5, np.nan)}), "undefined at draw 0"),
        (lambda: sleep.draw_effects(thetas, seed=-1), "seed=-1; accepted"),
        (
            lambda: lgm.model("y ~ x", DATA.assign(y=1.0 * (RNG.random(24) > 0.5)), "bernoulli").draw_effects({}),
            "no hyper",
        ),
    ]:
        with pytest.raises(lgm.LgmError, match=message):
            call()
