"""Averages and comparisons of the expected response against loops over draws and rows."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from synthetic import counts, measured, ranked

import lgm
from lgm.arrays import FloatArray
from lgm.results.interpret import estimates as module
from lgm.results.interpret import grid
from lgm.results.interpret.estimates import Estimand, How, averages, encoded, estimates, grouped

CELLS = np.array([0, 0, 1, 1, 1, -1, 2] * 4)


def of_draws(fit: lgm.Fit, kind: str) -> FloatArray:
    """Draws (rows m, S) at the rows with a response."""
    drawn = fit.predict(kind="draws", of=kind)
    seen = drawn.isel(row=np.flatnonzero(fit.design.rows.observed)).stack(sample=("chain", "draw"))
    last = ("row", "category", "sample") if "category" in seen.dims else ("row", "sample")
    return np.asarray(seen.transpose(*last)).reshape(-1, fit.effects.size)


def summary(drawn: FloatArray) -> FloatArray:
    """All but the mean."""
    return np.column_stack([drawn.std(axis=1, ddof=1), *np.quantile(drawn, [0.025, 0.975], axis=1)])


def asked(fit: lgm.Fit, estimand: Estimand, kind: str) -> FloatArray:
    how = How.of(fit, kind)
    return estimates(fit, encoded(fit, grid.of_data(fit, None, None, None, ()), how), estimand, how)


def weights(fit: lgm.Fit) -> sp.csr_array:
    return averages(np.resize(CELLS, fit.nobs), 3)


@pytest.mark.parametrize("kind", ["mean", "linear"])
def test_averages_are_those_of_each_draw(kind: str) -> None:
    fit = counts()
    w = weights(fit)
    drawn, found = w @ of_draws(fit, kind), asked(fit, Estimand((w,)), kind)
    np.testing.assert_allclose(found[:, 1:], summary(drawn), rtol=1e-9)
    eta = w @ of_draws(fit, "linear")
    exact = w @ fit.predict(kind="linear")["mean"].to_numpy()[fit.design.rows.observed]
    slope = [np.cov(a, b)[0, 1] / np.var(b, ddof=1) for a, b in zip(drawn, eta, strict=True)]
    np.testing.assert_allclose(found[:, 0], drawn.mean(axis=1) - slope * (eta.mean(axis=1) - exact), rtol=1e-9)


def test_a_function_of_two_averages() -> None:
    fit = counts()
    high, low = weights(fit), averages(np.resize([0, 1, 2], fit.nobs), 3)
    drawn = of_draws(fit, "mean")
    found = asked(fit, Estimand((high, low), lambda a, b: a / b), "mean")
    np.testing.assert_allclose(found[:, 1:], summary((high @ drawn) / (low @ drawn)), rtol=1e-9)
    logs = asked(fit, Estimand((high,), of_rows=np.log), "mean")
    np.testing.assert_allclose(logs[:, 1:], summary(high @ np.log(drawn)), rtol=1e-9)


def test_each_category_has_its_own() -> None:
    fit = ranked()
    w = weights(fit)
    drawn = of_draws(fit, "mean").reshape(fit.nobs, 3, -1)
    found = asked(fit, Estimand((w,)), "mean")
    expected = np.einsum("cn,nms->cms", w.toarray(), drawn).reshape(9, -1)
    np.testing.assert_allclose(found[:, 1:], summary(expected), rtol=1e-9)
    np.testing.assert_allclose(found[:, 0].reshape(3, 3).sum(axis=1), 1.0, rtol=1e-9)


def test_pieces_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = counts()
    estimand = Estimand((weights(fit),))
    whole = asked(fit, estimand, "mean")
    monkeypatch.setattr(module, "HELD", 1500)
    np.testing.assert_allclose(asked(fit, estimand, "mean"), whole, rtol=1e-10)
    monkeypatch.setattr("lgm.results.effects.KEPT_BYTES", 1e5)  # draws are made again, block by block
    monkeypatch.setattr(module, "KEPT_BYTES", 1e5)
    assert not fit.effects.held
    np.testing.assert_allclose(asked(fit, estimand, "mean"), whole, rtol=1e-8)


def test_a_normal_posterior_is_exact() -> None:
    fit = measured()
    d, w = fit.design, weights(fit)
    x, z = d.predictor.X.toarray(), d.predictor.Z.toarray()
    u = np.hstack([x, z])
    precision = u.T @ u / 0.6825265225025158**2
    precision[d.p :, d.p :] += np.eye(d.q) / 0.6665017369271911**2
    covariance = np.linalg.inv(precision)
    mean = covariance @ u.T @ d.y / 0.6825265225025158**2
    found = asked(fit, Estimand((w,)), "mean")
    rows = w @ u
    sd = np.sqrt(np.einsum("ij,jk,ik->i", rows, covariance, rows))
    expected = np.column_stack([rows @ mean, sd, rows @ mean - 1.959963984540054 * sd])
    np.testing.assert_allclose(found[:, :3], expected, rtol=1e-9)


def test_cells() -> None:
    frame = pd.DataFrame({"f": ["b", "a", "b", "a"], "x": [1, 2, 3, 4]}, index=list("pqrs"))
    assert grouped(frame, True)[0].tolist() == [0, 0, 0, 0]
    assert grouped(frame, False)[0].tolist() == [0, 1, 2, 3]
    cells, labels = grouped(frame, "f")
    assert cells.tolist() == [1, 0, 1, 0] and labels["f"].tolist() == ["a", "b"]
    np.testing.assert_allclose(averages(cells, 2).toarray(), [[0, 0.5, 0, 0.5], [0.5, 0, 0.5, 0]])
    with pytest.raises(lgm.LgmError, match="by=3; accepted: True"):
        grouped(frame, 3)


def test_words_that_are_not_known() -> None:
    with pytest.raises(lgm.LgmError, match="kind='response'; accepted: 'mean', 'linear'"):
        How.of(measured(), "response")
    with pytest.raises(lgm.LgmError, match="new_levels='draw'; accepted"):
        How.of(measured(), "mean", "draw")


def test_a_variable_of_the_name_of_a_column_gets_an_underscore() -> None:
    labels = pd.DataFrame({"mean": [1.0], "term": [2.0]})
    found = module.table(measured(), labels, np.zeros((1, 4)), How("mean", "sample", 1), {"term": "x"})
    assert list(found.columns) == ["term", "mean_", "term_", "mean", "sd", "2.5%", "97.5%"]
