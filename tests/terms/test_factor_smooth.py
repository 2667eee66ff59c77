"""``s(x, g, bs="fs")``: curves from one population."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from synthetic import around

import lgm
from lgm.design.design import encode
from lgm.errors import DataError
from lgm.smooths import cubic

RNG = np.random.default_rng(11)
N = 80
DATA = pd.DataFrame({"x": RNG.uniform(0.0, 5.0, N), "z": RNG.normal(size=N), "g": RNG.choice(["u", "v", "w"], N)})
DATA["y"] = np.sin(DATA.x) + DATA.x * (DATA.g == "u") + 0.3 * RNG.normal(size=N)
SDS = {"sd(s(x, g))": 0.8, "sd(s(x, g)[constant])": 1.1, "sd(s(x, g)[linear])": 0.6, "sigma": 0.3}


@pytest.fixture(scope="module")
def model() -> lgm.Model:
    return lgm.model("y ~ 1 + s(x, g, bs='fs', k=6)", DATA, priors={"Intercept": lgm.priors.flat()})


def curves(x: np.ndarray) -> np.ndarray:
    """The columns of one curve in units of its sds: the basis, one, and the standardised line."""
    own = DATA["x"].to_numpy()
    basis = cubic.build("tp", own, 6)
    line = (x - own.mean()) / own.std()
    return np.column_stack([0.8 * basis.evaluate(x), 1.1 * np.ones(x.size), 0.6 * line])


def test_likelihood_by_its_definition(model: lgm.Model) -> None:
    """Curves of different levels are independent, and all of each is random."""
    f = curves(DATA["x"].to_numpy())
    same = np.equal.outer(DATA.g.to_numpy(), DATA.g.to_numpy())
    V = 0.09 * np.eye(N) + np.where(same, f @ f.T, 0.0)
    inverse, one = np.linalg.inv(V), np.ones(N)
    y = DATA["y"].to_numpy()
    y = y - (one @ inverse @ y) / (one @ inverse @ one)
    logdets = np.linalg.slogdet(V)[1] + np.log(one @ inverse @ one)
    expected = -0.5 * ((N - 1) * np.log(2 * np.pi) + logdets + y @ inverse @ y)
    assert model.log_likelihood(SDS) == pytest.approx(expected, abs=1e-8)


def test_names(model: lgm.Model) -> None:
    (term,) = model.design.terms
    assert model.design.theta_names == tuple(SDS) and model.design.fixed_names == ("Intercept",)
    assert [v.name for v in term.variables][-3:] == ["s(x, g)[4]", "s(x, g)[constant]", "s(x, g)[linear]"]
    assert term.variables[0].labels.tolist() == ["u", "v", "w"] and term.group == "g"
    assert term.size == "tp basis, k=6, for each of 3 levels"


def test_new_levels_come_from_the_population(model: lgm.Model) -> None:
    rows = encode(model.design, pd.DataFrame({"x": [1.0, 2.0, 6.0], "g": ["v", "new", "new"]})).encoded[0]
    assert rows.novel is not None and rows.novel.population and rows.novel.what == "1 new level of g (new)"
    assert rows.notes == ("s(x, g): 1 row outside the data's range: extrapolated",)
    assert not rows.z.toarray()[1:].any()
    theta = {"sd": np.tile([0.8, 1.1, 0.6], (4000, 1))}
    b = rows.novel.draw(theta, np.zeros((4000, 18)), np.random.default_rng(1).standard_normal((4000, 6)))
    drawn = b @ rows.novel.z.toarray().T
    x = np.array([1.0, 2.0, 6.0])
    variance = np.sum(curves(x) ** 2, axis=1)[1:]
    np.testing.assert_allclose(drawn[:, 1:].var(axis=0), variance, rtol=5 * np.sqrt(2 / 4000))


def test_predictions_pictures_and_tables(model: lgm.Model) -> None:
    fit = around(model, SDS, spread=0.0, draws=50)
    assert fit.ngrps() == {"g": 3}
    assert np.corrcoef(fit.predict()["mean"], DATA.y)[0, 1] > 0.95
    whole = fit.predict(DATA.head(4), include_group_specific=False)["mean"]
    assert np.ptp(whole) < 1e-12
    figure = fit.plot_term("s(x, g)", residuals=False)
    assert [ax.get_title(loc="left") for ax in figure.axes] == [f"s(x, g)[{level}]" for level in "uvw"]
    assert fit.ranef("s(x, g)[linear]").shape[0] == 3


def test_other_bases() -> None:
    """Circles have no lines, and surfaces have two."""
    closed = lgm.model("y ~ s(x, g, bs='fs', xt='cc', k=6)", DATA).design
    assert closed.theta_names[:-1] == ("sd(s(x, g))", "sd(s(x, g)[constant])")
    plane = lgm.model("y ~ s(x, z, g, bs='fs', k=8)", DATA).design
    assert plane.theta_names[2:-1] == ("sd(s(x, z, g)[x])", "sd(s(x, z, g)[z])")


@pytest.mark.parametrize(
    ("right", "data", "message"),
    [
        ("s(x, z, bs='fs')", DATA, "none of its variables is a factor. Accepted: .*astype.str."),
        ("s(g, bs='fs')", DATA, "has a curve for each level of one factor"),
        ("s(x, g, h, bs='fs')", DATA.assign(h=DATA.g), "g, h of its variables are factors"),
        ("s(x, g, bs='fs')", DATA.assign(g="a"), r"`g` has one level \(a\).*Accepted: s\(x\)"),
    ],
)
def test_what_is_refused(right: str, data: pd.DataFrame, message: str) -> None:
    with pytest.raises(DataError, match=message):
        lgm.model(f"y ~ {right}", data)
