"""Links between regions, read from the forms that people hold them in.

Edge tables, pairs, sparse adjacency matrices, the graphs of networkx and libpysal, and the polygons of geopandas. These
libraries are known by what an object has: lgm never imports them.
"""

from __future__ import annotations

import math
import numbers
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
import pandas as pd
import scipy.sparse as sp

from lgm.arrays import FloatArray, IntArray
from lgm.errors import DataError, DataWarning, warn
from lgm.words import counted, some

Label = str | int | float

# The pairs of column names that libraries give to an edge table, ours first.
_COLUMNS = (("from", "to"), ("focal", "neighbor"), ("source", "target"))
_SAME = 1e-9  # relative difference of weights that rounding explains
_AREAS = ("Polygon", "MultiPolygon")
_ACCEPTED = (
    "a data frame with the columns 'from' and 'to', a list of pairs of labels, a scipy sparse adjacency matrix (with "
    "nodes=), a networkx graph, a libpysal W or Graph, a GeoDataFrame of polygons"
)


class Links(NamedTuple):
    """What a reader found: the two ends of every link, in the labels of the user."""

    start: list[Label]
    end: list[Label]
    weight: FloatArray | None = None
    own_nodes: Sequence[Label] = ()
    both_directions: bool = False


def read_links(edges: Any, nodes: list[Label] | None) -> Links:
    """Read any of the accepted objects; `nodes` are the labels of the rows of a matrix.

    Raises
    ------
    DataError
        If the object is none of them, or a label is missing.
    """
    if sp.issparse(edges):
        return _read_matrix(edges, nodes)
    libraries = {cls.__module__.partition(".")[0] for cls in type(edges).__mro__}
    if "networkx" in libraries:
        return _read_networkx(edges)
    if "libpysal" in libraries:
        return _read_libpysal(edges)
    if is_shapes(edges):
        return _read_shapes(edges.geometry)
    table = nw.from_native(edges, eager_only=True, pass_through=True)
    if isinstance(table, nw.DataFrame):
        return _read_table(table)
    return _read_pairs(edges)


def is_shapes(obj: Any) -> bool:
    """Whether it is a GeoDataFrame or a GeoSeries."""
    return hasattr(getattr(obj, "geometry", None), "geom_type")


def _read_shapes(shapes: Any) -> Links:
    """Regions that share at least one point of their borders are neighbours, as a queen moves on a chess board."""
    labels = canonical_labels(shapes.index, "the index of the shapes")
    repeated = [label for label, times in Counter(labels).items() if times > 1]
    if repeated:
        raise DataError(
            f"the index of the shapes has labels more than once: {some(repeated)}. It names the regions: "
            "shapes.set_index(column), and shapes.dissolve(column) where a region has several shapes"
        )
    kinds = shapes.geom_type.to_numpy(dtype=object)
    other = [f"{label} ({kind})" for label, kind in zip(labels, kinds, strict=True) if kind not in _AREAS]
    if other:
        raise DataError(
            f"neighbours are found for polygons; other shapes are those of {some(other)}. For points, give an edge "
            "table, such as that of their nearest neighbours"
        )
    i, j = shapes.sindex.query(shapes, predicate="intersects")
    start, end = ([labels[k] for k in side[i != j]] for side in (i, j))
    warn(
        f"neighbours are the regions that share at least one point of their borders (queen contiguity): "
        f"{counted(len(start) // 2, 'edge')} among {len(labels)} regions, under the labels of the index. For other "
        "neighbours, give an edge table or a graph of libpysal",
        DataWarning,
    )
    return Links(start, end, own_nodes=labels, both_directions=True)


def _read_table(table: nw.DataFrame[Any]) -> Links:
    names = table.columns
    pair = next((pair for pair in _COLUMNS if set(pair) <= set(names)), tuple(names) if len(names) == 2 else None)
    if pair is None:
        raise DataError(f"an edge table has two columns, or columns called 'from' and 'to'; this has {some(names)}")
    start, end = (canonical_labels(table[name].to_list(), f"column {name!r}") for name in pair)
    weighted = "weight" in set(names) - set(pair)
    return Links(start, end, _weights(table["weight"].to_list(), "column 'weight'") if weighted else None)


def _read_matrix(matrix: Any, nodes: list[Label] | None) -> Links:
    if nodes is None:
        raise DataError("a sparse matrix has no labels: give those of its rows in order, graph(matrix, nodes=[...])")
    if matrix.shape != (len(nodes), len(nodes)):
        shape = " x ".join(str(k) for k in matrix.shape)
        raise DataError(f"the matrix is {shape} but nodes= has {len(nodes)} labels, one per row and column is needed")
    entries = sp.csr_array(matrix).tocoo()
    labels = _as_objects(nodes)
    ends = [labels[positions].tolist() for positions in entries.coords]
    return Links(ends[0], ends[1], np.asarray(entries.data, dtype=float), both_directions=True)


def _read_networkx(source: Any) -> Links:
    own = canonical_labels(source.nodes, "the networkx graph")
    return _links(list(source.edges(data="weight", default=1.0)), own, "the networkx graph", both_directions=False)


def _read_libpysal(source: Any) -> Links:
    if hasattr(source, "adjacency"):
        own = list(source.unique_ids)
        links = [(*pair, weight) for pair, weight in source.adjacency.items()]
    else:
        own = list(source.id_order)
        links = [(i, j, w) for i in own for j, w in zip(source.neighbors[i], source.weights[i], strict=True)]
    return _links(links, canonical_labels(own, "the libpysal object"), "the libpysal object", both_directions=True)


def _links(triples: list[Any], own_nodes: list[Label], where: str, *, both_directions: bool) -> Links:
    start, end, weight = ([triple[k] for triple in triples] for k in range(3))
    ends = canonical_labels(start, where), canonical_labels(end, where)
    return Links(*ends, _weights(weight, where), own_nodes, both_directions)


def _weights(values: list[Any], where: str) -> FloatArray:
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: weights of edges are numbers ({error})") from None


def _read_pairs(edges: Any) -> Links:
    if hasattr(edges, "__array__"):
        array = np.asarray(edges)
        if array.ndim != 2 or array.shape[1] != 2:
            shape = " x ".join(str(k) for k in array.shape)
            raise DataError(
                f"an array of edges has two columns, this one is {shape}. For an adjacency matrix: "
                "graph(scipy.sparse.csr_array(matrix), nodes=[...])"
            )
        edges = array.tolist()
    if isinstance(edges, str | bytes | Mapping) or not isinstance(edges, Iterable):
        raise DataError(f"cannot read a graph from {type(edges).__name__}. Accepted: {_ACCEPTED}")
    pairs = list(edges)
    for k, pair in enumerate(pairs):
        if not isinstance(pair, Sequence | np.ndarray) or isinstance(pair, str) or len(pair) != 2:
            raise DataError(f"edge {k} is not a pair of labels: {pair!r}. Accepted: {_ACCEPTED}")
    start, end = (canonical_labels([pair[k] for pair in pairs], "the edges") for k in range(2))
    return Links(start, end)


def canonical_labels(values: Iterable[Any], where: str) -> list[Label]:
    """Labels as Python strings and numbers, whole numbers as int; `where` names their origin in messages.

    Raises
    ------
    DataError
        If one is missing, or is neither a string nor a number.

    Examples
    --------
    >>> canonical_labels([3.0, "a", np.int32(7)], "the example")
    [3, 'a', 7]
    """
    values = values.tolist() if isinstance(values, np.ndarray) and values.dtype.kind in "iuU" else list(values)
    if {*map(type, values)} <= {int, str}:
        return values
    labels = [_canonical(value, where) for value in values]
    missing = [k for k, label in enumerate(labels) if label is None]
    if missing:
        raise DataError(f"{where}: labels are missing at positions {some(missing)}, counted from 0")
    return labels  # type: ignore[return-value]


def _canonical(value: Any, where: str) -> Label | None:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return str(value)
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int(value)
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and math.isfinite(value):
        return int(value) if value.is_integer() else value
    raise DataError(f"{where}: labels are strings or numbers, not {value!r} ({type(value).__name__})")


def check_links(links: Links) -> None:
    """Check what only the links together can show: repeats, self-loops, weights.

    Raises
    ------
    DataError
        If an edge is repeated in one direction, a node is its own neighbour, a weight is not positive, or the two
        directions of an edge differ.
    """
    codes, labels = pd.factorize(_as_objects([*links.start, *links.end]))
    start, end = codes.reshape(2, -1).astype(np.int64)
    pairs = _Pairs(start, end, labels)
    _check_repeats(pairs)
    weight = np.ones(start.size) if links.weight is None else links.weight
    loops = np.flatnonzero((start == end) & ((weight != 0) | (links.weight is None)))
    if loops.size:
        raise DataError(
            f"region {labels[start[loops[0]]]!r} is its own neighbour. A region without neighbours is marked by a "
            "weight of zero, or by listing it in nodes= alone; the diagonal of an adjacency matrix is zero"
        )
    proper = start != end
    _check_weights(_Pairs(start[proper], end[proper], labels), weight[proper], links.both_directions)


class _Pairs(NamedTuple):
    """Directed edges by the codes of their ends (m,), and the label of each code."""

    start: IntArray
    end: IntArray
    labels: np.ndarray[Any, Any]

    def keys(self, *, reverse: bool = False) -> IntArray:
        """A number for each pair, or for the pair the other way round."""
        a, b = (self.end, self.start) if reverse else (self.start, self.end)
        return a * np.int64(self.labels.size) + b

    def __getitem__(self, k: Any) -> Any:
        """The labels of one."""
        return (self.labels[self.start[k]], self.labels[self.end[k]])


def _as_objects(values: list[Any]) -> np.ndarray[Any, Any]:
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


def _check_repeats(pairs: _Pairs) -> None:
    keys = pd.Series(pairs.keys())
    repeated = np.flatnonzero(keys.duplicated(keep=False) & ~keys.duplicated())
    if repeated.size:
        found = [pairs[k] for k in repeated]
        raise DataError(f"edges are given more than once in the same direction: {some(found)}")


def _check_weights(pairs: _Pairs, weight: FloatArray, both_directions: bool) -> None:
    bad = np.flatnonzero(~((weight > 0) & np.isfinite(weight)))
    if bad.size:
        raise DataError(
            "weights of edges must be positive; leave out pairs that are not neighbours: "
            f"{'; '.join(f'{pairs[k]} has {weight[k]:g}' for k in bad[:5])}"
        )
    back = pd.Series(weight, pairs.keys()).reindex(pairs.keys(reverse=True)).to_numpy()
    back = np.where(np.isnan(back), 0.0 if both_directions else weight, back)
    differ = np.abs(weight - back) > _SAME * np.maximum(weight, back)
    if differ.any():
        keys = np.minimum(pairs.keys(), pairs.keys(reverse=True))
        once = np.flatnonzero(differ & ~pd.Series(np.where(differ, keys, -1)).duplicated().to_numpy())
        found = [f"{pairs[k]} has {weight[k]:g}, {pairs[k][::-1]} has {back[k]:g}" for k in once[:5]]
        raise DataError(
            f"the two directions of an edge have different weights: {'; '.join(found)}. "
            "Neighbours must be mutual; row-standardised weights of libpysal become so by transform 'B'"
        )
    if weight.size and weight.max() - weight.min() > _SAME * weight.max():
        warn(
            f"the weights of the edges, {weight.min():g} to {weight.max():g}, are not used: a Graph has none",
            DataWarning,
        )
