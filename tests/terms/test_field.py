"""``s(region, bs="mrf")``: the field of ``icar``, whole or of reduced rank."""

import numpy as np
import pandas as pd
import pytest
from synthetic import around

import lgm
from lgm.errors import DataError, FormulaError
from lgm.precision.icar import icar
from lgm.smooths import markov

RNG = np.random.default_rng(7)
GRAPH = lgm.graph([(i, i + 1) for i in range(11)] + [(0, 5), (2, 9), (20, 21), (21, 22)], [*range(12), 20, 21, 22, 30])
DATA = pd.DataFrame({"r": RNG.choice([*range(12), 20, 21, 22, 30], 60), "x": RNG.normal(size=60)})
DATA["y"] = np.cos(DATA.r) + RNG.normal(size=60) * 0.3


def test_the_whole_field_is_icar() -> None:
    one = lgm.model("y ~ s(r, bs='mrf', graph=GRAPH)", DATA)
    other = lgm.model("y ~ icar(r, GRAPH)", DATA)
    theta = {"sigma": 0.4}
    found = one.log_density({"sd(s(r))": 0.8, **theta})
    assert found == pytest.approx(other.log_density({"sd(icar(r))": 0.8, **theta}), abs=1e-10)
    assert lgm.model("y ~ s(r, bs='mrf', graph=GRAPH, k=16)", DATA).design.scales["s(r)"] == pytest.approx(
        other.design.scales["icar(r)"]
    )


def test_reduced_rank() -> None:
    """Tables and maps have the effect of each region, and the levels of components are fixed."""
    model = lgm.model("y ~ s(r, bs='mrf', graph=GRAPH, k=9)", DATA)
    design = model.design
    structure = icar(GRAPH.edges, GRAPH.components)
    penalty = structure.pattern.matrix(structure.entries).toarray()
    penalty[-1, -1] = 0.0
    codes = GRAPH.index(DATA["r"].tolist())
    expected = markov.reduced(penalty, codes, GRAPH.components, 9)
    np.testing.assert_allclose(design.predictor.Z.toarray(), expected.columns[codes])
    assert design.fixed_names[0] == "Intercept" and "s(r)[component of 20]" in design.fixed_names
    fit = around(model, {"sd(s(r))": 0.8, "sigma": 0.3}, spread=0.0, draws=20)
    effects = fit.ranef("s(r)")
    b = fit.effects.mean[design.p :]
    np.testing.assert_allclose(effects["mean"], expected.columns @ b, atol=1e-12)
    draws = fit.effect_draws("s(r)", [0, 22])["s(r)"].to_numpy()
    np.testing.assert_allclose(draws[0, 0], (expected.columns @ fit.effects.draws[0, design.p :])[[0, 14]], atol=1e-12)
    linear = fit.predict(pd.DataFrame({"r": [3, 7]}), "linear", terms="s(r)")["mean"]
    np.testing.assert_allclose(np.diff(linear), np.diff(effects["mean"].to_numpy()[[3, 7]]), atol=1e-12)
    assert fit.plot_term("s(r)", geometry={node: (k % 4, k // 4) for k, node in enumerate(GRAPH.nodes)}) is not None


@pytest.mark.parametrize(
    ("right", "kind", "message"),
    [
        ("s(r, bs='mrf')", FormulaError, r"s\(r\) is a field on the regions of a graph"),
        ("s(r, bs='mrf', graph=GRAPH, k=99)", DataError, "k=99 but the graph has only 16 regions; pass k=16 or less"),
        ("s(r, bs='mrf', graph=GRAPH, k=2)", DataError, "k=2 is too small"),
        ("s(r, bs='mrf', graph=GRAPH, m=2)", FormulaError, "bs='mrf' takes no m="),
        ("s(x, bs='mrf', graph=GRAPH)", DataError, r"s\(x\)"),
    ],
)
def test_what_is_refused(right: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        lgm.model(f"y ~ {right}", DATA)
