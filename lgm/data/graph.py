"""Region graphs: which regions are neighbours, and nothing else. No weights, no precision matrix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from lgm.arrays import IntArray
from lgm.data.edge_lists import Label, Links, canonical_labels, check_links, read_links
from lgm.errors import DataError
from lgm.words import some


@dataclass(frozen=True, eq=False, repr=False)
class Graph:
    """Undirected, unweighted graph of labelled regions; immutable, compared and hashed by content.

    `graph` makes one from data; this constructor takes positions and is meant for code.

    Parameters
    ----------
    nodes : sequence of str, int or float
        Labels, each once. The order is that of every array which speaks of the nodes.
    edges : int array (m, 2)
        Positions in `nodes` of the ends of each edge, in any order; kept as ``i < j``, sorted.

    Examples
    --------
    >>> g = Graph(["a", "b", "c"], [[1, 0]])
    >>> g
    Graph: 3 nodes, 1 edge, 2 components, 1 island
    >>> g.edges.tolist(), g.islands, g.components.tolist()
    ([[0, 1]], ('c',), [0, 0, 1])
    """

    nodes: tuple[Label, ...]
    edges: IntArray

    def __post_init__(self) -> None:
        nodes = tuple(_listed_once(canonical_labels(self.nodes, "the nodes")))
        edges = np.sort(np.asarray(self.edges, dtype=np.int64).reshape(-1, 2), axis=1)
        edges = np.ascontiguousarray(edges[np.lexsort((edges[:, 1], edges[:, 0]))])
        if not edges.size:
            what = "no nodes" if not nodes else f"{len(nodes)} nodes but no edges"
            raise DataError(f"the graph has {what}; regions without any neighbours need no graph: (1 | region)")
        if edges.min() < 0 or edges.max() >= len(nodes):
            raise DataError(f"edges must hold positions from 0 to {len(nodes) - 1}, not {edges.min()} to {edges.max()}")
        if np.any(edges[:, 0] == edges[:, 1]) or np.any(np.all(np.diff(edges, axis=0) == 0, axis=1)):
            raise DataError("every edge must stand once and join two different nodes")
        edges.setflags(write=False)
        object.__setattr__(self, "nodes", nodes)
        object.__setattr__(self, "edges", edges)

    @property
    def n(self) -> int:
        """Number of nodes."""
        return len(self.nodes)

    @cached_property
    def components(self) -> IntArray:
        """Connected component of each node (n,), numbered from 0 in the order of the nodes."""
        labels = connected_components(self.adjacency(), directed=False)[1].astype(np.int64)
        labels.setflags(write=False)
        return labels

    @property
    def n_components(self) -> int:
        """Number of connected components; every island is one."""
        return int(self.components.max()) + 1

    @cached_property
    def islands(self) -> tuple[Label, ...]:
        """Labels of the nodes without neighbours."""
        degree = np.bincount(self.edges.ravel(), minlength=self.n)
        return tuple(self.nodes[k] for k in np.flatnonzero(degree == 0))

    @cached_property
    def _position(self) -> dict[Label, int]:
        return {label: k for k, label in enumerate(self.nodes)}

    def index(self, labels: Any) -> IntArray:
        """Positions of labels among the nodes.

        Parameters
        ----------
        labels : array-like of labels, or one label
            ``3``, ``3.0`` and ``numpy.int64(3)`` are the same label, ``"3"`` is another.

        Returns
        -------
        int array (number of labels,)

        Raises
        ------
        DataError
            If a label is missing or is not a node.

        Examples
        --------
        >>> graph([("a", "b"), ("b", "c")]).index(["c", "a", "c"])
        array([2, 0, 2])
        """
        codes, unique = pd.factorize(np.atleast_1d(np.asarray(labels, dtype=object)).ravel())
        if np.any(codes < 0):
            raise DataError(f"region labels are missing in rows {some(np.flatnonzero(codes < 0).tolist())}")
        wanted = canonical_labels(unique, "the region labels")
        unknown = [label for label in wanted if label not in self._position]
        if unknown:
            raise DataError(_unknown_labels(unknown, self.nodes))
        return np.array([self._position[label] for label in wanted], dtype=np.int64)[codes]

    def adjacency(self) -> sp.csr_array:
        """Symmetric sparse matrix (n, n) with a one for every pair of neighbours."""
        i, j = self.edges.T
        entries = (np.ones(2 * i.size), (np.concatenate([i, j]), np.concatenate([j, i])))
        return sp.csr_array(sp.coo_array(entries, shape=(self.n, self.n)))

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, which JSON can hold: ``nodes`` (labels) and ``edges`` (pairs of positions)."""
        return {"nodes": list(self.nodes), "edges": self.edges.tolist()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Graph:
        """Inverse of `to_dict`."""
        missing = {"nodes", "edges"} - set(content)
        if missing:
            raise DataError(f"a saved graph has 'nodes' and 'edges'; here {some(sorted(missing))} is missing")
        return cls(content["nodes"], content["edges"])

    def __reduce__(self) -> tuple[Any, ...]:
        # Through the constructor, so that the arrays of a copy are read-only too.
        return Graph, (self.nodes, self.edges)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Graph):
            return NotImplemented
        return self.nodes == other.nodes and np.array_equal(self.edges, other.edges)

    def __hash__(self) -> int:
        return hash((self.nodes, self.edges.tobytes()))

    def __repr__(self) -> str:
        counts = {"node": self.n, "edge": len(self.edges), "component": self.n_components, "island": len(self.islands)}
        return "Graph: " + ", ".join(f"{k} {word}{'' if k == 1 else 's'}" for word, k in counts.items())


def graph(edges: Any, nodes: Iterable[Any] | None = None) -> Graph:
    """Make a region graph.

    Parameters
    ----------
    edges : data frame, array-like, sparse matrix, networkx graph, libpysal W or Graph, GeoDataFrame
        A table (pandas, polars or Arrow) has two columns, or more of which two are called ``from`` and ``to`` (or
        ``focal`` and ``neighbor``, ``source`` and ``target``) and another may be called ``weight``. An array-like is a
        list of pairs. A scipy sparse matrix is symmetric and needs `nodes`. Polygons of a GeoDataFrame or GeoSeries are
        neighbours if they share at least one point of their borders (queen contiguity); their index has the labels.
    nodes : iterable of labels, optional
        All regions, in the order that the graph shall have, those without neighbours included. By default the labels
        that occur, sorted if they can be sorted, else in order of appearance.

    Returns
    -------
    Graph

    Raises
    ------
    DataError
        If the edges are not such an object; a label is missing or not among `nodes`; a node or an edge is repeated; a
        node is its own neighbour; the weights of the two directions of an edge differ; there is no edge.

    Warns
    -----
    DataWarning
        If the weights of the edges differ: a Graph has none. Of polygons, to say how neighbours were found.

    Notes
    -----
    An edge may be given in one direction or in both, but not twice in the same. Matrices and libpysal objects must hold
    both. A node joined to itself with weight zero, libpysal's sign of an island, is an island here too. Labels are
    strings or numbers; 3 and 3.0 are the same label.

    Examples
    --------
    >>> from lgm.datasets import load_dataset
    >>> graph(load_dataset("columbus_adj"))
    Graph: 49 nodes, 115 edges, 1 component, 0 islands
    >>> graph([("north", "south"), ("south", "west")], nodes=["north", "south", "west", "isle"]).islands
    ('isle',)
    """
    if isinstance(nodes, str) or not isinstance(nodes, Iterable | None):
        raise DataError(f"nodes= is a list of labels, not {nodes!r}")
    listed = None if nodes is None else _listed_once(canonical_labels(nodes, "nodes="))
    links = _links_of(edges) if isinstance(edges, Graph) else read_links(edges, listed)
    order = listed if listed is not None else _default_order(links)
    position = {label: k for k, label in enumerate(order)}
    unknown = [label for label in dict.fromkeys([*links.own_nodes, *links.start, *links.end]) if label not in position]
    if unknown:
        raise DataError(f"the edges name regions that nodes= does not list: {some(unknown)}")
    check_links(links)
    ends = np.array([[position[label] for label in side] for side in (links.start, links.end)], dtype=np.int64)
    joined = np.sort(ends[:, ends[0] != ends[1]], axis=0)
    once = np.unique(joined[0] * len(order) + joined[1])
    return Graph(tuple(order), np.column_stack(np.divmod(once, len(order))))


def as_graph(obj: Any) -> Graph:
    """Pass a `Graph` through, and make one with `graph` of anything else."""
    return obj if isinstance(obj, Graph) else graph(obj)


def _links_of(source: Graph) -> Links:
    start, end = ([source.nodes[k] for k in side] for side in source.edges.T)
    return Links(start, end, own_nodes=list(source.nodes))


def _default_order(links: Links) -> list[Label]:
    found = list(dict.fromkeys([*links.own_nodes, *links.start, *links.end]))
    try:
        return sorted(found)
    except TypeError:
        # Numbers among strings have no order of their own.
        return found


def _listed_once(labels: list[Label]) -> list[Label]:
    repeated = [label for label, times in Counter(labels).items() if times > 1]
    if repeated:
        raise DataError(f"nodes are listed more than once: {some(repeated)}")
    return labels


def _unknown_labels(unknown: list[Label], nodes: tuple[Label, ...]) -> str:
    text = f"regions that are not in the graph: {some(unknown)}. It has {len(nodes)} nodes: {some(nodes)}. "
    if {str(label) for label in unknown} & {str(label) for label in nodes}:
        return text + "The same labels are text on one side and numbers on the other: convert one of them"
    text += "Regions without neighbours must be listed when the graph is made: graph(edges, nodes=[...])"
    if list(nodes) == list(range(len(nodes))):
        text += (
            ". If the nodes are numbered by position, as those of libpysal are where it is given no labels, give the "
            "labels in that order: lgm.graph(w.sparse, nodes=[...]); those of a GeoDataFrame are its index: "
            "set_index(column)"
        )
    return text
