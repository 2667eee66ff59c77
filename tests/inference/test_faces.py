"""The proposal reaches standard deviations of zero where the density does not vanish there; checked by quadrature."""

import jax
import numpy as np
import pytest
from scipy.special import logsumexp

import lgm
from lgm.inference import faces
from lgm.inference.coordinates import bent
from lgm.inference.importance import weighted_points
from lgm.inference.mode import FoldedMode, find_folded_mode, find_mode
from lgm.inference.proposal import Mixture, Proposal
from lgm.posterior import density
from lgm.posterior.priors import starts


def map_of_one_row_each(noise: float, **priors: lgm.priors.Prior) -> lgm.Model:
    """A 5 x 5 map with one row for each region: structure or noise may explain all of it."""
    rng = np.random.default_rng(11)
    at = np.arange(25)
    right, down = at[at % 5 < 4], at[at < 20]
    graph = lgm.graph([*zip(right, right + 1, strict=True), *zip(down, down + 5, strict=True)])
    smooth = np.sin(at // 5) + 0.5 * (at % 5)
    data = {"r": at, "y": smooth + noise * rng.normal(size=25)}
    return lgm.model("y ~ icar(r, graph)", data, priors=priors, env={"graph": graph})


def walk_or_noise() -> lgm.Model:
    """One row at each time: where the autoregression's sd is zero, rho is free and sigma is all there is."""
    rng = np.random.default_rng(5)
    u = np.zeros(50)
    for i in range(1, 50):
        u[i] = 0.5 * u[i - 1] + rng.normal()
    return lgm.model("y ~ ar1(t)", {"t": np.arange(50), "y": u})


def mode_of(model: lgm.Model) -> FoldedMode:
    post = model.analysed.marginal
    return find_folded_mode(post, find_mode(post, starts(model.design, model.chosen_priors.theta)), jacobian=True)


def proposed(model: lgm.Model) -> Mixture:
    post = model.analysed.marginal
    with jax.enable_x64(True):
        return faces.proposal(post, bent(mode_of(model), post.hyper.folded))


def below(model: lgm.Model, limits: dict[int, float], axes: list[np.ndarray]) -> tuple[float, dict[int, float]]:
    """``log p(y)``, and the probability that a coordinate is below a limit, by sums over a grid of working ones."""
    post = model.analysed.marginal
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))

    @jax.jit
    def evaluated(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        theta = jax.vmap(post.hyper.natural)(x)
        one = lambda theta, x: density.log_likelihood(post, theta) + post.hyper.log_prior_working(x)  # noqa: E731
        return theta, jax.vmap(one)(theta, x)

    with jax.enable_x64(True):
        theta, values = (np.asarray(part) for part in evaluated(grid))
    values = np.where(np.isfinite(values), values, -np.inf)
    weights = np.exp(values - logsumexp(values))
    cell = np.prod([x[1] - x[0] for x in axes])
    return float(logsumexp(values) + np.log(cell)), {j: float(weights @ (theta[:, j] < x)) for j, x in limits.items()}


@pytest.mark.parametrize("noise", [0.3, 1.0, 2.5])
def test_both_explanations_of_a_map_are_found(noise: float) -> None:
    model = map_of_one_row_each(noise)
    axes = [np.linspace(-9, 3, 90), np.linspace(-9, 3, 90)]
    limits = {0: 0.2, 1: 0.3}
    evidence, expected = below(model, limits, axes)
    mode = mode_of(model)
    for seed in (1, 2, 3):
        points, _, _ = weighted_points(model.analysed.marginal, mode, draws=100, seed=seed, progress=False)
        assert points.k < points.limit
        weights = np.exp(points.log_weights)
        assert abs(points.log_evidence - evidence) < 4 * points.log_evidence_se + 1e-3
        for j, limit in limits.items():
            low = points.theta[:, j] < limit
            assert abs(weights @ low - expected[j]) < 4 * np.sqrt(weights**2 @ (low - expected[j]) ** 2) + 1e-3


def test_what_is_free_on_a_face_is_drawn_from_all_of_its_range() -> None:
    """At the mode rho is known within 0.2; where its sd is zero it is as its prior says."""
    model = walk_or_noise()
    mixture = proposed(model)
    assert model.design.theta_names == ("sd(ar1(t))", "rho(ar1(t))", "sigma")
    mode, face = mixture.parts
    assert face.centre[0] < 0.01 < mode.centre[0]
    width = [float(np.sqrt(np.sum(part.root[1] ** 2))) for part in (mode, face)]
    assert width[1] > 2 * width[0]


def test_a_mode_that_reaches_a_face_needs_no_part_for_it() -> None:
    """Pure noise: the mode of the structure's sd is near zero, and noise cannot be."""
    mixture = proposed(map_of_one_row_each(30.0, sd=lgm.priors.pc_sd(30.0, 0.05)))
    assert mixture.parts[0].centre[0] < 0.5 * np.sqrt(np.sum(mixture.parts[0].root[0] ** 2))
    assert all(part.centre[1] < 0.01 for part in mixture.parts[1:])


def test_a_part_that_has_no_points_stays_as_it_is() -> None:
    mixture = proposed(map_of_one_row_each(1.0))
    x = mixture.parts[0].draw(256, 1)
    weights = np.where(np.arange(256) < 2, 0.5, 0.0)
    again = faces.refitted(mixture, x, weights)
    assert again.shares.sum() == pytest.approx(1.0)
    assert np.all(again.shares >= faces.ALIKE / len(mixture.parts))
    for before, after in zip(mixture.parts, again.parts, strict=True):
        assert np.all(np.linalg.svd(after.root, compute_uv=False) > 0)
        np.testing.assert_array_equal(after.centre, before.centre)


@pytest.mark.parametrize("at", [1.0, 0.0])
def test_parts_move_to_where_the_points_are_but_for_what_they_hold_at_zero(at: float) -> None:
    """The centre counts as much as one point for each dimension; second moments are about the new one."""
    part = Proposal(np.array([at, -1.0]), np.eye(2), (True, False))
    x = np.abs(np.random.default_rng(2).normal(size=(50, 2))) + [2.0, 3.0]
    (again,) = faces.refitted(Mixture([part], np.ones(1)), x, np.full(50, 0.02), recentred=True).parts
    expected = (50 * x.mean(axis=0) + 2 * part.centre) / 52
    np.testing.assert_allclose(again.centre, [expected[0] if at else 0.0, expected[1]], rtol=1e-12)
    away = x - again.centre
    np.testing.assert_allclose(again.root @ again.root.T, (away.T @ away + 2 * np.eye(2)) / 52, rtol=1e-12)


def test_what_is_too_large_for_a_number_has_no_density() -> None:
    model = map_of_one_row_each(1.0)
    post = model.analysed.marginal
    with jax.enable_x64(True):
        around = faces.Surroundings(post, bent(mode_of(model), post.hyper.folded))
        assert around.height(np.array([800.0, 1.0]))[0] == -np.inf
        assert np.isfinite(around.height(around.at.x)[0])
