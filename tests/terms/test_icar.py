"""``icar(region, graph)``: a column per region, and its graph."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from synthetic import around

import lgm
from lgm.design.design import Design, encode
from lgm.terms.icar import graph_in_words, region_labels

N = 30
RNG = np.random.default_rng(2)
DATA = pd.DataFrame(
    {
        "y": RNG.normal(size=N),
        "x": RNG.uniform(size=N),
        "t": RNG.integers(0, 10, N) * 2,
        "w": RNG.choice([0.5, 1.25, 4.0, 9.0], N),
        "region": RNG.choice(["n", "e", "s"], N),
        "g": RNG.choice(["a", "b", "c"], N),
    }
)
GRAPH = lgm.graph([("n", "e"), ("e", "s"), ("s", "w")], nodes=["w", "s", "e", "n", "isle"])


def _design(right: str, data: pd.DataFrame = DATA) -> Design:
    return lgm.model(f"y ~ {right}", data, env={"graph": GRAPH}).design


def test_regions_have_a_column_per_node() -> None:
    design = _design("icar(region, graph)")
    np.testing.assert_array_equal(
        design.predictor.Z.toarray(), np.equal.outer(DATA["region"].to_numpy(), np.array(GRAPH.nodes)).astype(float)
    )
    assert design.terms[0].variables[0].labels.tolist() == list(GRAPH.nodes)
    (encoded,) = encode(design, pd.DataFrame({"region": ["isle", "w"]})).encoded
    assert encoded.z.toarray().argmax(axis=1).tolist() == [4, 0] and encoded.novel is None


def test_a_region_that_is_not_in_the_graph() -> None:
    with pytest.raises(lgm.DataError, match=r"icar\(region\): regions that are not in the graph: .*x.*nodes="):
        _design("icar(region, graph)", DATA.assign(region=["x"] + ["n"] * (N - 1)))
    design = _design("icar(region, graph)")
    with pytest.raises(lgm.DataError, match=r"icar\(region\): regions that are not in the graph"):
        encode(design, pd.DataFrame({"region": ["x"]}))


def test_what_is_not_a_graph() -> None:
    with pytest.raises(lgm.DataError, match=r"icar\(region\): "):
        lgm.model("y ~ icar(region, graph)", DATA, env={"graph": 3})


def test_graph_in_words() -> None:
    assert graph_in_words(GRAPH) == "5 regions, 3 edges, 2 components, 1 island"
    assert graph_in_words(lgm.graph([(0, 1)])) == "2 regions, 1 edge, 1 component"


def test_labels_are_numbers_where_all_nodes_are() -> None:
    assert region_labels(lgm.graph([(3, 1)], [3, 1, 2])).tolist() == [3, 1, 2]
    assert region_labels(lgm.graph([(3, 1)], [3, 1, 2])).dtype == np.int64
    assert region_labels(GRAPH).dtype == object


def test_one_constraint_and_factor_per_component() -> None:
    block = _design("icar(region, graph)").terms[0].block
    assert block.constraint is not None and block.factors is not None
    assert block.constraint.null_space.toarray().T.tolist() == [[1.0, 1.0, 1.0, 1.0, 0.0]]
    assert block.factors.shape == (1,)


TWO = lgm.graph([("a", "b"), ("b", "c"), ("c", "a"), ("k", "l"), ("l", "m"), ("m", "n")], nodes=[*"aklbmncx"])


def _two(right: str, regions: str = "aabbkkllmmx", **columns: object) -> Design:
    """A ring abc, a path klmn, and the island x."""
    data = pd.DataFrame({"r": list(regions), "y": np.sin(np.arange(len(regions)))}).assign(**columns)
    return lgm.model(f"y ~ {right}", data, env={"g": TWO}).design


@pytest.mark.parametrize("term", ["icar", "bym2"])
def test_every_component_has_a_level(term: str) -> None:
    """Less that of the one with the most rows, around whose level the island is."""
    design = _two(f"{term}(r, g)")
    assert design.fixed_names == ("Intercept", f"{term}(r)[component of a]")
    np.testing.assert_array_equal(design.predictor.X.toarray()[:, 1], [1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0])
    rows = encode(design, pd.DataFrame({"r": list("cnxk")}))
    np.testing.assert_array_equal(rows.X.toarray()[:, 1], [1, 0, 0, 0])


@pytest.mark.parametrize("term", ["icar", "bym2"])
def test_a_level_that_the_fixed_part_has_is_not_added(term: str) -> None:
    assert _two(f"land + {term}(r, g)", "aabbkkllmm", land=list("ssssnnnnnn")).fixed_names == ("Intercept", "land[T.s]")
    names = _two(f"0 + land + {term}(r, g)", "aabbkkllmm", land=list("ssssnnnnnn")).fixed_names
    assert names == ("land[n]", "land[s]")


def test_levels_far_apart_do_not_bend_the_map() -> None:
    """With flat effects the likelihood does not see them, and a region without rows is predicted at its own level."""
    regions = list("aabckkllm") * 3
    shift = 50.0 * np.isin(regions, list("klm"))
    noise = 0.1 * np.random.default_rng(4).normal(size=27)
    flat = {"Intercept": lgm.priors.flat(), "fixed": lgm.priors.flat()}
    values, predicted = [], []
    for level in (0.0, 1.0):
        data = pd.DataFrame({"r": regions, "y": noise + level * shift})
        model = lgm.model("y ~ icar(r, g)", data, priors=flat, env={"g": TWO})
        values.append(model.log_likelihood({"sd(icar(r))": 0.3, "sigma": 0.1}))
        fit = around(model, {"sd(icar(r))": 0.3, "sigma": 0.1}, spread=0.0, chains=1, draws=4)
        predicted.append(fit.predict({"r": ["m", "n", "c", "x"]})["mean"])
    assert values[0] == pytest.approx(values[1], abs=1e-8)
    np.testing.assert_allclose(predicted[1] - predicted[0], [50.0, 50.0, 0.0, 50.0], atol=1e-8)


def test_a_component_without_a_response_is_reported() -> None:
    with pytest.warns(lgm.IdentifiabilityWarning, match=r"nothing is known about `icar\(r\)\[component of a\]`"):
        _two("icar(r, g)", "kkllmmx")


def test_where_all_rows_are_on_islands_no_level_is_known() -> None:
    graph = lgm.graph([("a", "b"), ("b", "c"), ("k", "l")], nodes=[*"abcklxy"])
    data = pd.DataFrame({"r": list("xyxy"), "y": [1.0, 2.0, 3.0, 5.0]})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        design = lgm.model("y ~ icar(r, g)", data, env={"g": graph}).design
    texts = [str(each.message) for each in caught]
    for first, text in zip("ak", texts, strict=True):
        assert text.startswith(f"nothing is known about `icar(r)[component of {first}]`")
    assert design.fixed_names == ("Intercept",)
