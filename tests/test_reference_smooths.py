"""Smooths of mgcv at its own smoothing parameters: fitted values, predictions, degrees of freedom, REML."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from helpers import reference
from synthetic import around

import lgm
from lgm.arrays import FloatArray
from lgm.design.design import encode
from lgm.errors import PriorError
from lgm.posterior.density import Marginal
from lgm.priors import flat

ORACLES = Path(__file__).parent / "oracles"
OWN: dict[str, Any] = json.loads((ORACLES / "smooths.json").read_text())
MARGINS: dict[str, Any] = json.loads((ORACLES / "tensor_margins.json").read_text())["fits"]
SIGMA = 0.3
IN_FULL = ("by_factor", "fs", "te_3", "t2")  # whose likelihood is computed as fits compute it, beside the dense one


def data_of(key: str) -> pd.DataFrame:
    """The data, or the rows to predict, with the ordered factor."""
    table = pd.DataFrame(OWN[key])
    return table.assign(o=pd.Categorical(table["o"], categories=["a", "b", "c"], ordered=True))


DATA, NEW = data_of("data"), data_of("new")


def in_python(formula: str, knots: list[float] | None) -> str:
    """R's vectors as lists; of P-splines a pair of orders; knots stand in the term."""
    formula = re.sub(r"(bs|k)=c\(([^)]*)\)", r"\1=[\2]", formula).replace("m=c(", "m=(")
    return formula if not knots else formula.replace("k=6)", f"k=6, knots={knots})")


def build(formula: str, data: pd.DataFrame, family: str = "gaussian", **env: Any) -> lgm.Model:
    """A model with flat fixed effects."""
    try:
        return lgm.model(formula, data, family, priors={"Intercept": flat(), "fixed": flat()}, env=env)
    except PriorError:  # there is none but the intercept
        return lgm.model(formula, data, family, priors={"Intercept": flat()}, env=env)


def sds(model: lgm.Model, sp: Any, s_scale: Any, sigma: float) -> dict[str, float]:
    """``sp / S_scale`` penalises what has the precision ``factor / sd^2``; t2 has its parts in another order."""
    blocks = [term.block for term in model.design.terms]
    factors = [np.ones(len(b.parameters)) if b.factors is None else b.factors for b in blocks]
    names = [name for b in blocks for parameter in b.parameters for name in parameter.names]
    sp, s_scale = np.atleast_1d(sp), np.atleast_1d(s_scale)
    if names[0].startswith("sd(t2"):
        sp, s_scale = sp[[0, 2, 1]], s_scale[[0, 2, 1]]
    return dict(zip(names, sigma * np.sqrt(np.concatenate(factors) * s_scale / sp), strict=True))


class Dense(NamedTuple):
    """Penalised least squares: fitted values, predictions, degrees of freedom of each term, restricted likelihood."""

    fitted: FloatArray
    predicted: FloatArray
    edf: FloatArray
    log_likelihood: float


def prior_scale(model: lgm.Model, theta: dict[str, float]) -> FloatArray:
    """Prior standard deviations of the latent effects, which are independent."""
    with jax.enable_x64(True):
        values = jnp.asarray([theta[name] for name in model.design.theta_names])
        return np.asarray(_scale(model.analysed.marginal, values))[model.design.p :]


@jax.jit
def _scale(post: Marginal, printed: jax.Array) -> jax.Array:
    return post.prior.whiten(post.hyper.from_printed(printed)).scale


def dense(model: lgm.Model, theta: dict[str, float], new_data: pd.DataFrame | None = None) -> Dense:
    d, scale, sigma = model.design, prior_scale(model, theta), theta["sigma"]
    X, Z = d.predictor.X.toarray(), d.predictor.Z.toarray() * scale
    penalty = np.concatenate([np.zeros(d.p), np.full(d.q, sigma)])
    whole = np.vstack([np.column_stack([X, Z]), np.diag(penalty)[d.p :]])
    size = np.linalg.norm(whole, axis=0)
    u = np.linalg.lstsq(whole / size, np.concatenate([d.y, np.zeros(d.q)]), rcond=None)[0] / size
    covariance = np.linalg.inv((whole / size).T @ (whole / size)) / np.outer(size, size) * sigma**2
    lost = np.diag(covariance)[d.p :]
    edf = [w.stop - w.start - lost[w].sum() for w in d.predictor.term_slices()]
    edf = [e + sum(n in d.fixed_names for n in term.null) for e, term in zip(edf, d.terms, strict=True)]
    V = sigma**2 * np.eye(d.n) + Z @ Z.T
    inverse = np.linalg.inv(V)
    inner = X.T @ inverse @ X
    residual = d.y - X @ np.linalg.solve(inner, X.T @ inverse @ d.y)
    logdets = np.linalg.slogdet(V)[1] + np.linalg.slogdet(inner)[1]
    value = -0.5 * ((d.n - d.p) * np.log(2 * np.pi) + logdets + residual @ inverse @ residual)
    new = encode(d, new_data)
    at = np.column_stack([new.X.toarray(), *(each.z.toarray() for each in new.encoded if each)])
    scaled = np.concatenate([u[: d.p], scale * u[d.p :]])
    return Dense(whole[: d.n] @ u, at @ scaled, np.array(edf), value)


@pytest.mark.parametrize("name", list(OWN["fits"]))
def test_smooths_of_mgcv(name: str) -> None:
    """The file has twelve digits; the criterion is compared as a difference between two sets of parameters.

    mgcv's REML is in units of its own null spaces, which a difference does not have.
    """
    fit = OWN["fits"][name]
    model = build(in_python(fit["formula"], fit["knots"] or None), DATA)
    agrees_with_mgcv(fit, model, in_full=name in IN_FULL)


@pytest.mark.parametrize("name", list(MARGINS))
def test_margins_of_mgcv(name: str) -> None:
    """Knots of one's own, circles, and null spaces that are penalised.

    How much of the last, mgcv's cs and ts leave to eigenvectors of a repeated eigenvalue and to the coordinates of a
    thin plate spline; the file has margins of mgcv whose penalty is defined without them, as that of `smooths.shrunk`.
    """
    fit = MARGINS[name]
    formula = in_python(fit["formula"], None).replace("hs", "cs").replace("ht", "ts")
    model = build(formula if not fit["knots"] else f"{formula[:-1]}, knots=at)", DATA, at=fit["knots"])
    agrees_with_mgcv(fit, model)


def agrees_with_mgcv(fit: dict[str, Any], model: lgm.Model, *, in_full: bool = False) -> None:
    first = {**sds(model, fit["sp"], fit["S_scale"], SIGMA), "sigma": SIGMA}
    second = {**sds(model, fit["sp2"], fit["S_scale"], SIGMA), "sigma": SIGMA}
    one, other = dense(model, first, NEW), dense(model, second)
    width = np.ptp(fit["fitted"])
    np.testing.assert_allclose(one.fitted, fit["fitted"], rtol=0, atol=1e-10 * width)
    np.testing.assert_allclose(one.predicted, fit["predicted"], rtol=0, atol=1e-9 * width)
    if all(term.smooths[0].by is None for term in model.design.terms):  # copies of one term are summed
        np.testing.assert_allclose(one.edf, np.atleast_1d(fit["edf"]), rtol=1e-8)
    assert one.edf.sum() == pytest.approx(np.sum(fit["edf"]), rel=1e-8)
    assert other.log_likelihood - one.log_likelihood == pytest.approx(fit["reml"] - fit["reml2"], abs=1e-7)
    if in_full:
        assert model.log_likelihood(first) == pytest.approx(one.log_likelihood, abs=1e-8)


def from_file(name: str, formula: str, data: pd.DataFrame, family: str = "gaussian", **env: Any) -> Any:
    """A stored reference, its model in lgm, and theta at its estimate."""
    fit = reference(name)
    model = build(formula, data, family, **env)
    sigma = fit["residual_sd"] or 1.0
    sp, s_scale = (np.concatenate([np.atleast_1d(s[key]) for s in fit["smooths"]]) for key in ("sp", "S_scale"))
    theta = sds(model, sp, s_scale, sigma)
    return fit, model, theta if fit["residual_sd"] is None else {**theta, "sigma": sigma}


def agrees(fit: dict[str, Any], eta: FloatArray) -> None:
    """The files have ten digits, of each lambda too."""
    given = np.array(fit["linear_predictor"]["fit"])
    np.testing.assert_allclose(eta, given, rtol=0, atol=1e-8 * np.ptp(given))


GAUSSIAN = {
    "gamsim1.gam_te_reml": "y ~ te(x0, x1) + s(x2)",
    "gamsim1.gam_2d_reml": "y ~ s(x1, x2, k=40) + s(x0)",
    "columbus.gam_2d": "CRIME ~ INC + HOVAL + s(X, Y, k=20)",
    "co2.gam_cr_cc_reml": "co2 ~ s(time, k=40, bs='cr') + s(season, bs='cc', k=12, knots=[0.5, 12.5])",
    "sleepstudy.gam_re": "Reaction ~ Days + s(Subject, bs='re') + s(Subject, Days, bs='re')",
}


@pytest.mark.parametrize("name", list(GAUSSIAN))
def test_stored_fits(name: str) -> None:
    data = lgm.load_dataset(name.split(".")[0])
    if "Subject" in data:
        data["Subject"] = data["Subject"].astype(str)
    fit, model, theta = from_file(name, GAUSSIAN[name], data)
    found = dense(model, theta)
    agrees(fit, found.fitted)
    np.testing.assert_allclose(found.edf, [s["edf"] for s in fit["smooths"]], rtol=1e-7)


def penalised_mode(model: lgm.Model, theta: dict[str, float]) -> FloatArray:
    """The linear predictor at the mode, by Newton's method with dense algebra."""
    d, scale = model.design, prior_scale(model, theta)
    A = np.column_stack([d.predictor.X.toarray(), d.predictor.Z.toarray() * scale])
    P = np.diag(np.concatenate([np.zeros(d.p), np.ones(d.q)]))
    y, trials, offset = np.asarray(d.y, dtype=float), d.response.trials, d.predictor.offset
    start = np.log(y + 0.5) if trials is None else np.log((y + 0.5) / (trials - y + 0.5))
    u = np.linalg.solve(A.T @ A + P, A.T @ (start - offset))
    for _ in range(25):
        eta = A @ u + offset
        mean = np.exp(eta) if trials is None else trials / (1.0 + np.exp(-eta))
        information = mean if trials is None else mean * (1.0 - mean / trials)
        u = u + np.linalg.solve(A.T @ (information[:, None] * A) + P, A.T @ (y - mean) - P @ u)
    return np.asarray(A @ u + offset)


def test_a_circle_of_days() -> None:
    formula = "cbind(y, n - y) ~ s(time, bs='cc', k=30, knots=[0.5, 366.5])"
    fit, model, theta = from_file("tokyo.gam_cc_reml", formula, lgm.load_dataset("tokyo"), "binomial")
    agrees(fit, penalised_mode(model, theta))
    held = around(model, theta, spread=0.0, draws=1)
    assert held.edf()["s(time)"] == pytest.approx(fit["smooths"][0]["edf"], rel=1e-7)


def test_a_field_of_reduced_rank() -> None:
    data = lgm.load_dataset("scotlip")
    data = data.assign(aff10=data["aff"] / 10)
    graph = lgm.graph(lgm.load_dataset("scotlip_adj_ck"), data["id"])
    formula = "y ~ aff10 + offset(log(E)) + s(id, bs='mrf', k=20, graph=graph)"
    fit, model, theta = from_file("scotlip.gam_mrf_k20_ck", formula, data, "poisson", graph=graph)
    agrees(fit, penalised_mode(model, theta))


def test_counts_with_a_trend_and_a_season() -> None:
    data = lgm.load_dataset("AirPassengers")
    data = data.assign(season=data["season"].astype(int))
    formula = "passengers ~ s(time, k=20) + s(season, bs='cc', k=12, knots=[0.5, 12.5])"
    fit, model, theta = from_file("AirPassengers.gam_poisson_smooth", formula, data, "poisson")
    agrees(fit, penalised_mode(model, theta))


def test_the_whole_field_is_that_of_areal_effects() -> None:
    """The file has the sd of the unscaled structure."""
    fit = reference("columbus.gam_icar_nocov")
    data = lgm.load_dataset("columbus").assign(id=np.arange(1, 50))
    graph = lgm.graph(lgm.load_dataset("columbus_adj"), range(1, 50))
    model = build("CRIME ~ 1 + s(id, bs='mrf', graph=graph)", data, graph=graph)
    (factor,) = model.design.scales["s(id)"]
    (smooth,) = fit["smooths"]
    sigma = fit["residual_sd"]
    sd = sigma * np.sqrt(factor * smooth["S_scale"] / smooth["sp"])
    held = around(model, {"sd(s(id))": sd, "sigma": sigma}, spread=0.0, draws=1)
    agrees(fit, held.predict(kind="linear")["mean"].to_numpy())
