"""Every form of edges gives the same graph, and whatever is wrong with one is named."""

import subprocess
import sys

import libpysal
import networkx as nx
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp

from lgm.data.graph import Graph, graph
from lgm.errors import DataError, DataWarning

PAIRS = [("a", "b"), ("b", "c"), ("d", "c")]
NODES = ["a", "b", "c", "d", "e"]  # e is an island
EDGES = [[0, 1], [1, 2], [2, 3]]


def matrix(weight=1.0):
    dense = np.zeros((5, 5))
    for i, j in EDGES:
        dense[i, j] = dense[j, i] = weight
    return dense


def nx_graph():
    g = nx.Graph(PAIRS)
    g.add_node("e")
    return g


NEIGHBOURS = {"a": ["b"], "b": ["a", "c"], "c": ["b", "d"], "d": ["c"], "e": []}
WEIGHTS = {k: [1.0] * len(v) for k, v in NEIGHBOURS.items()}


def pysal_w():
    return libpysal.weights.W(NEIGHBOURS, WEIGHTS, silence_warnings=True)


def pysal_graph():
    return libpysal.graph.Graph.from_dicts(NEIGHBOURS)


def columns(constructor):
    return constructor({"from": [p[0] for p in PAIRS], "to": [p[1] for p in PAIRS]})


FORMS = {
    "pairs": (PAIRS, NODES),
    "generator": (iter(PAIRS), iter(NODES)),
    "both directions": (PAIRS + [(b, a) for a, b in PAIRS], NODES),
    "array": (np.array(PAIRS), np.array(NODES)),
    "pandas": (columns(pd.DataFrame), pd.Series(NODES)),
    "pandas, other columns": (columns(pd.DataFrame).assign(length=1.0)[["length", "to", "from"]], NODES),
    "pandas, two columns of any name": (pd.DataFrame(PAIRS, columns=["x", "y"]), NODES),
    "pandas categorical": (columns(pd.DataFrame).astype("category"), NODES),
    "polars": (columns(pl.DataFrame), pl.Series(NODES)),
    "arrow": (columns(pa.table), NODES),
    "networkx edge list": (nx.to_pandas_edgelist(nx_graph()), NODES),
    "libpysal edge list": (pysal_graph().adjacency.reset_index(), None),
    "csr": (sp.csr_array(matrix()), NODES),
    "coo matrix": (sp.coo_matrix(matrix()), NODES),
    "boolean csc": (sp.csc_array(matrix() > 0), NODES),
    "networkx": (nx_graph(), None),
    "networkx directed": (nx.DiGraph(PAIRS), NODES),
    "libpysal W": (pysal_w(), None),
    "libpysal Graph": (pysal_graph(), None),
    "libpysal Graph, nodes": (pysal_graph(), NODES),
    "Graph": (Graph(NODES, EDGES), None),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_graph(form):
    edges, nodes = FORMS[form]
    found = graph(edges, nodes)
    assert found.nodes == tuple(NODES)
    assert found.edges.tolist() == EDGES
    assert found == Graph(NODES, EDGES)
    assert hash(found) == hash(Graph(NODES, EDGES))


def test_zero_weight_self_loops_mark_islands():
    table = pd.DataFrame({"from": ["a", "c"], "to": ["b", "c"], "weight": [1.0, 0.0]})
    assert graph(table).islands == ("c",)
    stored = sp.coo_array(([1.0, 1.0, 0.0], ([0, 1, 2], [1, 0, 2])), shape=(3, 3))
    assert graph(stored, ["a", "b", "c"]).islands == ("c",)


def table(**kwargs):
    return pd.DataFrame(kwargs)


def directed(weights):
    g = nx.DiGraph()
    g.add_weighted_edges_from(weights)
    return g


ASYMMETRIC = sp.csr_array(np.array([[0.0, 1.0], [0.0, 0.0]]))
ERRORS = {
    "nothing": ([], None, "no nodes"),
    "no edges": ([], ["a", "b"], r"2 nodes but no edges.*\(1 \| region\)"),
    "repeat": ([("a", "b"), ("a", "b")], None, r"more than once in the same direction: \('a', 'b'\)"),
    "parallel edges": (nx.MultiGraph([(1, 2), (1, 2)]), None, "more than once in the same direction"),
    "self-loop": ([("a", "a"), ("a", "b")], None, "region 'a' is its own neighbour"),
    "weighted self-loop": (sp.csr_array(np.array([[2.0, -1.0], [-1.0, 2.0]])), [1, 2], "region 1 is its own neighbour"),
    "networkx self-loop": (nx.Graph([(1, 1), (1, 2)]), None, "region 1 is its own neighbour"),
    "table self-loop": (table(**{"from": [1, 1], "to": [1, 2], "weight": [2, 1]}), None, "region 1 is its own"),
    "one triangle": (ASYMMETRIC, ["a", "b"], r"\('a', 'b'\) has 1, \('b', 'a'\) has 0.*mutual"),
    "asymmetric": (directed([(1, 2, 1.0), (2, 1, 2.0)]), None, r"\(1, 2\) has 1, \(2, 1\) has 2"),
    "zero weight": (table(**{"from": [1, 1], "to": [2, 3], "weight": [1, 0]}), None, r"positive.*\(1, 3\) has 0"),
    "missing weight": (directed([(1, 2, np.nan)]), None, r"must be positive.*\(1, 2\) has nan"),
    "text as weight": (directed([(1, 2, "near")]), None, "weights of edges are numbers"),
    "matrix without labels": (sp.csr_array(matrix()), None, r"graph\(matrix, nodes="),
    "matrix and labels": (sp.csr_array(matrix()), ["a"], "5 x 5 but nodes= has 1 labels"),
    "matrix, not square": (sp.csr_array(np.ones((2, 3))), ["a", "b"], "2 x 3"),
    "dense matrix": (matrix(), NODES, "this one is 5 x 5.*csr_array"),
    "unlisted": ([("a", "q"), ("a", "b")], ["a", "b"], "nodes= does not list: 'q'"),
    "unlisted island": (nx_graph(), ["a", "b", "c", "d"], "nodes= does not list: 'e'"),
    "listed twice": ([("a", "b")], ["a", "b", "a"], "listed more than once: 'a'"),
    "listed as 1 and 1.0": ([(1, 2)], [1, 2, 1.0], "listed more than once: 1"),
    "one string as nodes": ([("a", "b")], "ab", "nodes= is a list of labels, not 'ab'"),
    "a number as nodes": ([("a", "b")], 2, "nodes= is a list of labels, not 2"),
    "missing in pairs": ([("a", None)], None, "the edges: labels are missing at positions 0"),
    "missing in table": (table(**{"from": [1.0, np.nan], "to": [2, 3]}), None, "column 'from': labels are missing"),
    "missing in nodes": ([("a", "b")], ["a", "b", None], "nodes=: labels are missing at positions 2"),
    "columns": (table(a=[1], b=[2], c=[3]), None, "columns called 'from' and 'to'; this has 'a', 'b', 'c'"),
    "one column": (table(a=[1]), None, "this has 'a'"),
    "triples": ([("a", "b", 1.0)], None, "edge 0 is not a pair"),
    "strings": (["ab", "cd"], None, "edge 0 is not a pair of labels: 'ab'"),
    "mapping": ({"a": ["b"]}, None, "cannot read a graph from dict. Accepted: a data frame"),
    "a string": ("a-b", None, "cannot read a graph from str"),
    "a number": (3, None, "cannot read a graph from int"),
    "tuples as labels": (nx.grid_2d_graph(2, 2), None, r"strings or numbers, not \(0, 0\) \(tuple\)"),
    "booleans": ([(True, False)], None, r"strings or numbers, not True \(bool\)"),
    "infinity": ([(1, float("inf"))], None, r"not inf \(float\)"),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    edges, nodes, message = ERRORS[case]
    with pytest.raises(DataError, match=message):
        graph(edges, nodes)


@pytest.mark.filterwarnings("ignore::UserWarning:libpysal")
def test_weights_that_libpysal_standardised_by_rows_are_refused():
    w = pysal_w()
    w.transform = "r"
    with pytest.raises(DataError, match="different weights.*transform 'B'"):
        graph(w)
    with pytest.raises(DataError, match="different weights"):
        graph(pysal_graph().transform("r"))


def test_weights_that_differ_are_announced():
    weighted = sp.csr_array(np.array([[0, 1.0, 2.0], [1.0, 0, 0], [2.0, 0, 0]]))
    with pytest.warns(DataWarning, match="1 to 2, are not used") as record:
        g = graph(weighted, ["a", "b", "c"])
    assert record[0].filename == __file__
    assert g.edges.tolist() == [[0, 1], [0, 2]]


def test_equal_weights_are_no_news():
    assert graph(sp.csr_array(matrix(0.5)), NODES) == graph(PAIRS, NODES)


def test_the_libraries_are_not_imported():
    code = (
        "import sys, lgm.data.graph as g\n"
        "g.graph([(1, 2)])\n"
        "print(sorted({'networkx', 'libpysal', 'polars', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=120, check=True)
    # pandas itself imports pyarrow where it is installed.
    assert done.stdout.strip() in ("[]", "['pyarrow']")


class Shapes:
    """As a GeoSeries, so that geopandas is not needed: unit squares by their lower left corners."""

    def __init__(self, corners, labels, kinds=None):
        self.corners, self.index = np.array(corners), pd.Index(labels)
        self.geom_type = pd.Series(["Polygon"] * len(labels) if kinds is None else kinds, self.index)

    geometry = sindex = property(lambda self: self)

    def query(self, shapes, predicate):
        assert predicate == "intersects"
        return np.nonzero(np.all(np.abs(self.corners[:, None] - self.corners) <= 1, axis=2))


def test_neighbours_of_shapes():
    """Squares b and c meet in a corner only, and d is alone."""
    with pytest.warns(
        DataWarning, match=r"\(queen contiguity\): 3 edges among 4 regions, under the labels of the index"
    ):
        found = graph(Shapes([[0, 0], [1, 0], [0, 1], [5, 5]], ["a", "b", "c", "d"]))
    assert found == graph([("a", "b"), ("a", "c"), ("b", "c")], ["a", "b", "c", "d"])


def test_shapes_in_another_order():
    with pytest.warns(DataWarning):
        found = graph(Shapes([[0, 0], [1, 0]], [7, 3]), nodes=[3, 7, 9])
    assert found == graph([(3, 7)], [3, 7, 9])


def test_shapes_that_have_no_neighbours():
    with pytest.raises(DataError, match=r"labels more than once: 'a'. .*set_index\(column\), and shapes.dissolve"):
        graph(Shapes([[0, 0], [1, 0]], ["a", "a"]))
    with pytest.raises(DataError, match=r"for polygons; other shapes are those of 'b \(Point\)', 'c \((None|nan)\)'"):
        graph(Shapes([[0, 0], [1, 0], [2, 0]], ["a", "b", "c"], ["MultiPolygon", "Point", None]))


def test_shapes_of_geopandas():
    geopandas, shapely = pytest.importorskip("geopandas"), pytest.importorskip("shapely")
    frame = geopandas.GeoDataFrame(
        {"name": ["a", "b", "c"], "value": 1.0},
        geometry=[shapely.box(0, 0, 1, 1), shapely.box(1, 1, 2, 2), shapely.box(4, 0, 5, 1)],
    )
    for shapes in (frame.set_index("name"), frame.set_index("name").geometry):
        with pytest.warns(DataWarning, match="1 edge among 3 regions"):
            assert graph(shapes) == graph([("a", "b")], ["a", "b", "c"])
