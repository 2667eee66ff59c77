"""Degrees of freedom, and whether bases are large enough."""

import numpy as np
import pandas as pd
import pytest
from synthetic import around

import lgm
from lgm.results import basis_check

RNG = np.random.default_rng(5)
N = 90
DATA = pd.DataFrame({"x": RNG.uniform(0.0, 6.0, N), "z": RNG.uniform(size=N), "f": RNG.choice(list("ab"), N)})
DATA["y"] = np.sin(3.0 * DATA.x) + 0.2 * RNG.normal(size=N)


def fit_of(right: str, sd: float = 1.0, **kwargs: float) -> lgm.Fit:
    model = lgm.model(f"y ~ {right}", DATA)
    return around(
        model, {name: 0.3 if name == "sigma" else sd for name in model.design.theta_names}, draws=10, **kwargs
    )


def test_degrees_of_freedom_are_a_trace() -> None:
    """Of ``(A'A + P)^-1 A'A`` over the term, by dense algebra, where the fixed effects are flat."""
    model = lgm.model("y ~ s(x) + (1|f)", DATA, priors={"Intercept": lgm.priors.flat(), "fixed": lgm.priors.flat()})
    fit = around(model, {"sd(s(x))": 0.7, "sd(Intercept|f)": 0.5, "sigma": 0.3}, spread=0.0, draws=2)
    A = model.design.predictor.A.toarray()
    P = np.diag([0.0, 0.0, *[0.09 / 0.49] * 8, *[0.09 / 0.25] * 2])
    F = np.linalg.solve(A.T @ A + P, A.T @ A)
    assert list(fit.edf().index) == ["s(x)", "(1 | f)"]
    assert fit.edf()["(1 | f)"] == pytest.approx(np.trace(F[10:, 10:]), rel=1e-9)
    assert fit.edf()["s(x)"] == pytest.approx(np.trace(F[2:10, 2:10]) + 1.0, rel=1e-9)


def trace_of(model: lgm.Model, theta: dict[str, float], basis: np.ndarray, precision: np.ndarray) -> float:
    """Degrees of freedom of the only term, whose effects are ``basis @ c``, by dense algebra."""
    X, Z = model.design.predictor.X.toarray(), model.design.terms[0].z.toarray() @ basis
    A, p = np.hstack([X, Z]), X.shape[1]
    P = np.zeros((A.shape[1], A.shape[1]))
    P[p:, p:] = theta["sigma"] ** 2 * precision
    return float(np.trace(np.linalg.solve(A.T @ A + P, A.T @ A)[p:, p:]))


def test_those_of_curves_of_levels() -> None:
    model = lgm.model("y ~ s(x, f, bs='fs', k=6)", DATA, priors={"Intercept": lgm.priors.flat()})
    sds = {"sd(s(x, f))": 0.8, "sd(s(x, f)[constant])": 1.1, "sd(s(x, f)[linear])": 0.6, "sigma": 0.3}
    precision = np.diag(np.tile([*[0.8**-2] * 4, 1.1**-2, 0.6**-2], 2))
    found = around(model, sds, spread=0.0, draws=2).edf()["s(x, f)"]
    assert found == pytest.approx(trace_of(model, sds, np.eye(12), precision), rel=1e-9)


def test_those_of_a_whole_field_whose_components_sum_to_zero() -> None:
    edges = pd.DataFrame({"from": [0, 1, 2, 0, 4], "to": [1, 2, 3, 2, 5]})
    data = DATA.assign(r=RNG.integers(0, 6, N))
    flat = {"Intercept": lgm.priors.flat(), "fixed": lgm.priors.flat()}
    model = lgm.model("y ~ z + s(r, bs='mrf', graph=edges)", data, env={"edges": edges}, priors=flat)
    laplacian = np.zeros((6, 6))
    for a, b in edges.to_numpy():
        laplacian[[a, b, a, b], [a, b, b, a]] += [1.0, 1.0, -1.0, -1.0]
    c = np.repeat(
        [np.exp(np.mean(np.log(np.diag(np.linalg.pinv(laplacian))[k]))) for k in (slice(4), slice(4, 6))], [4, 2]
    )
    free = np.linalg.svd(laplacian)[0][:, :4]
    precision = free.T @ (laplacian * np.sqrt(np.outer(c, c))) @ free / 0.7**2
    theta = {"sd(s(r))": 0.7, "sigma": 0.3}
    found = around(model, theta, spread=0.0, draws=2)
    assert found.edf()["s(r)"] == pytest.approx(trace_of(model, theta, free, precision) + 1.0, rel=1e-7)
    assert found.k_check().loc["s(r)", "k'"] == 5
    assert around(model, {"sd(s(r))": 0.0, "sigma": 0.3}, spread=0.0, draws=2).edf()["s(r)"] == 1.0


def test_they_are_averages_over_theta() -> None:
    fit = fit_of("s(x)", spread=0.1)
    each = [
        around(fit.model, dict(zip(fit.design.theta_names, theta, strict=True)), spread=0.0, draws=2).edf()["s(x)"]
        for theta in fit.effects.drawing.thetas[::13]
    ]
    assert min(each) < fit.edf()["s(x)"] < max(each)


def test_what_an_sd_of_zero_takes_out_is_worth_nothing() -> None:
    assert fit_of("s(x, bs='ts')", 0.0, spread=0.0).edf()["s(x)"] == 0.0
    assert fit_of("s(x)", 0.0, spread=0.0).edf()["s(x)"] == 1.0


def test_a_basis_that_is_too_small_is_found() -> None:
    found = fit_of("s(x, k=4) + s(z)").k_check(seed=1)
    assert found.columns.tolist() == ["k'", "edf", "k-index", "p-value"]
    assert found.loc["s(x)", "k'"] == 3 and found.loc["s(x)", "p-value"] == 0.0 and found.loc["s(x)", "k-index"] < 0.6
    assert found.loc["s(z)", "p-value"] > 0.01
    assert fit_of("s(x, k=20)", 5.0).k_check(seed=1).loc["s(x)", "k-index"] > 0.8


def test_the_index_by_its_definition() -> None:
    fit = fit_of("s(x, k=5)", spread=0.0)
    left = (DATA.y - fit.predict()["mean"]).to_numpy()[np.argsort(DATA.x)]
    expected = np.mean(np.diff(left) ** 2) / 2.0 / np.mean(left**2)
    assert fit.k_check(seed=2).loc["s(x)", "k-index"] == pytest.approx(expected)


def test_neighbours_of_several_variables() -> None:
    """The three nearest rows; distances of a tensor product are those of its function."""
    fit = fit_of("s(x, z, k=15) + te(x, z, k=4)", spread=0.0)
    isotropic, product = (term.smooths[0] for term in fit.design.terms)
    found, moved = (
        basis_check._neighbours(fit, j, smooth, np.arange(N)) for j, smooth in enumerate((isotropic, product))
    )
    assert found is not None and moved is not None
    one, other = found
    far = np.linalg.norm(DATA[["x", "z"]].to_numpy()[:, None] - DATA[["x", "z"]].to_numpy(), axis=2)
    np.fill_diagonal(far, np.inf)
    assert one.reshape(N, 3).tolist() == np.tile(np.arange(N)[:, None], 3).tolist()
    np.testing.assert_array_equal(np.sort(other.reshape(N, 3)), np.sort(np.argsort(far, axis=1)[:, :3]))
    assert not np.array_equal(moved[1], other)


def test_factors_have_no_neighbours() -> None:
    found = fit_of("f + s(x, by=f) + s(x, f, bs='fs', k=5)", spread=0.0).k_check(seed=1)
    assert found.index.tolist() == ["s(x, by=f)[a]", "s(x, by=f)[b]", "s(x, f)"]
    assert np.isnan(found.loc["s(x, f)", "k-index"]) and found.loc["s(x, f)", "k'"] == 10


def test_many_rows_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = fit_of("s(x)", spread=0.0)
    monkeypatch.setattr(basis_check, "MOST_ROWS", 40)
    assert fit.k_check(seed=3).equals(fit.k_check(seed=3)) and not fit.k_check(seed=3).equals(fit.k_check(seed=4))


def test_there_must_be_a_smooth() -> None:
    fit = fit_of("(1|f)")
    with pytest.raises(lgm.LgmError, match=r"there is no smooth in this model, only \(1 \| f\)"):
        fit.k_check()
