"""What a Graph is and answers. How one is read from data is in test_edges.py."""

import copy
import json
import pickle

import networkx as nx
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lgm.data.graph import Graph, as_graph, graph
from lgm.datasets import load_dataset
from lgm.errors import DataError

PAIRS = [("a", "b"), ("b", "c"), ("d", "c")]
NODES = ["a", "b", "c", "d", "e"]  # e is an island
EDGES = [[0, 1], [1, 2], [2, 3]]


def test_properties():
    g = graph(PAIRS, NODES)
    assert (g.n, g.n_components, g.islands) == (5, 2, ("e",))
    assert g.components.tolist() == [0, 0, 0, 0, 1]
    assert g.edges.dtype == np.int64
    assert g.adjacency().toarray().tolist() == [
        [0, 1, 0, 0, 0],
        [1, 0, 1, 0, 0],
        [0, 1, 0, 1, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0],
    ]


@pytest.mark.parametrize(
    ("name", "nodes", "text"),
    [
        ("columbus_adj", None, "Graph: 49 nodes, 115 edges, 1 component, 0 islands"),
        ("nc_sids_adj_cr85", range(1, 101), "Graph: 100 nodes, 246 edges, 1 component, 0 islands"),
        ("nc_sids_adj_cc89", range(1, 101), "Graph: 100 nodes, 197 edges, 3 components, 2 islands"),
        ("scotlip_adj_ck", range(1, 57), "Graph: 56 nodes, 132 edges, 1 component, 0 islands"),
        ("scotlip_adj_geobugs", range(1, 57), "Graph: 56 nodes, 117 edges, 4 components, 3 islands"),
    ],
)
def test_shipped_graphs(name, nodes, text):
    assert repr(graph(load_dataset(name), nodes)) == text


def test_islands_of_the_scottish_graph():
    assert graph(load_dataset("scotlip_adj_geobugs"), range(1, 57)).islands == (6, 8, 11)


def test_default_order_is_sorted():
    assert graph([(10, 9), (9, 2)]).nodes == (2, 9, 10)
    assert graph([("b", "a")]).nodes == ("a", "b")


def test_labels_that_cannot_be_sorted_keep_the_order_of_appearance():
    assert graph([("z", 1), (1, "a")]).nodes == ("z", 1, "a")


def test_nodes_give_the_order():
    g = graph([("a", "b")], nodes=["b", "x", "a"])
    assert g.nodes == ("b", "x", "a")
    assert g.edges.tolist() == [[0, 2]]


@pytest.mark.parametrize("three", [3, 3.0, np.int64(3), np.float32(3)])
def test_one_number_is_one_label(three):
    g = graph([(three, 5)], nodes=[3, 5.0])
    assert g.nodes == (3, 5)
    assert all(type(label) is int for label in g.nodes)
    assert g.index([three, 5]).tolist() == [0, 1]


def test_a_graph_may_get_more_nodes():
    assert graph(graph([("a", "b")]), nodes=["a", "b", "c"]).islands == ("c",)


def test_as_graph():
    g = graph(PAIRS)
    assert as_graph(g) is g
    assert as_graph(PAIRS) == g


@pytest.mark.parametrize(
    "labels",
    [
        ["c", "a", "c"],
        np.array(["c", "a", "c"]),
        pd.Series(["c", "a", "c"], index=[7, 7, 7]),
        pd.Categorical(["c", "a", "c"]),
        pl.Series(["c", "a", "c"]),
        pa.chunked_array([["c", "a"], ["c"]]),
    ],
    ids=lambda labels: type(labels).__module__,
)
def test_index(labels):
    found = graph(PAIRS).index(labels)
    assert found.tolist() == [2, 0, 2]
    assert found.dtype == np.int64


def test_index_of_one_label_and_of_none():
    assert graph(PAIRS).index("b").tolist() == [1]
    assert graph(PAIRS).index([]).tolist() == []


def test_nodes_numbered_by_position_get_their_labels_from_the_user():
    w = graph([(0, 1), (1, 2)])
    with pytest.raises(DataError, match=r"'n', 's', 'w'.*numbered by position.*lgm.graph\(w.sparse, nodes="):
        w.index(["n", "s", "w"])
    assert graph(w.adjacency(), nodes=["n", "s", "w"]).index(["w"]).tolist() == [2]


def test_index_names_unknown_labels():
    with pytest.raises(DataError, match="not in the graph: 'x', 'y'.*graph\\(edges, nodes="):
        graph(PAIRS).index(["x", "a", "y", "x"])
    with pytest.raises(DataError, match="0, 10, 11, 12, 13 and 2 more"):
        graph([(1, 2)]).index([0, *range(10, 16)])


def test_index_says_when_text_meets_numbers():
    with pytest.raises(DataError, match="text on one side and numbers on the other"):
        graph([(1, 2)]).index(["1", "2"])


@pytest.mark.parametrize("gap", [None, np.nan, pd.NA, pd.NaT])
def test_index_refuses_missing_labels(gap):
    with pytest.raises(DataError, match="missing in rows 1"):
        graph(PAIRS).index(["a", gap])


def test_a_graph_does_not_change():
    g = graph(PAIRS)
    with pytest.raises(AttributeError):
        g.nodes = ("x",)  # type: ignore[misc]
    for array in (g.edges, g.components, copy.deepcopy(g).edges):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_equality_is_by_content():
    g = graph(PAIRS)
    assert g == graph(list(reversed(PAIRS)))
    assert g != graph(PAIRS[:2])
    assert g != graph(PAIRS, NODES)
    assert graph([(1, 2)]) != graph([("1", "2")])
    assert g != PAIRS
    assert len({g, graph(PAIRS)}) == 1


def test_saving():
    g = graph([("a", 2), (2, 2.5)], nodes=["a", 2, 2.5, "e"])
    assert Graph.from_dict(json.loads(json.dumps(g.to_dict()))) == g
    assert pickle.loads(pickle.dumps(g)) == g
    with pytest.raises(DataError, match="'edges' is missing"):
        Graph.from_dict({"nodes": [1]})


@pytest.mark.parametrize(
    ("nodes", "edges", "message"),
    [
        ([1, 2], [[0, 2]], "from 0 to 1, not 0 to 2"),
        ([1, 2], [[1, 1]], "two different"),
        ([1, 2], [[0, 1], [1, 0]], "once"),
    ],
)
def test_the_constructor_checks_positions(nodes, edges, message):
    with pytest.raises(DataError, match=message):
        Graph(nodes, edges)


@given(st.data())
def test_any_order_and_direction_of_the_edges_gives_the_same_graph(data):
    n = data.draw(st.integers(2, 8))
    possible = [(i, j) for i in range(n) for j in range(i)]
    pairs = data.draw(st.lists(st.sampled_from(possible), min_size=1, unique=True))
    shuffled = [pair if data.draw(st.booleans()) else pair[::-1] for pair in data.draw(st.permutations(pairs))]
    first, second = graph(pairs, range(n)), graph(shuffled, range(n))
    assert first == second
    # The oracle for components and islands is networkx.
    oracle = nx.Graph(pairs)
    oracle.add_nodes_from(range(n))
    assert first.n_components == nx.number_connected_components(oracle)
    assert set(first.islands) == set(nx.isolates(oracle))
    for part in nx.connected_components(oracle):
        assert len(set(first.components[list(part)])) == 1
