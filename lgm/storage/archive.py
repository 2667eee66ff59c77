"""Python values as text and plain arrays, without pickle.

`Archive.pack` turns a value into what JSON can hold, `Archive.unpack` turns it back; arrays go into numbered members.
What cannot be rebuilt in another process, such as a lambda, is refused with the place where it stands. What names a
module, a function or a class is looked up in the short lists of `lgm.storage.listed`; only where the file is trusted
is anything else imported.
"""

from __future__ import annotations

import importlib
import inspect
import types
import warnings
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import jax
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import scipy.sparse as sp

from lgm import priors
from lgm.data.edge_lists import is_shapes
from lgm.data.graph import Graph, as_graph
from lgm.data.mesh import Mesh, as_mesh, is_foreign
from lgm.errors import DataWarning, LgmError
from lgm.storage import listed, packing
from lgm.storage.container import Damaged
from lgm.xla import own_settings

_PLAIN = (str, bool, int, float, type(None))


class Archive:
    """Arrays on their way into a file or out of it.

    Parameters
    ----------
    arrays : mapping, optional
        Those of a file; each belongs to one value only.
    trusted : bool
        Whether whatever the file names may be imported.
    rows : int
        Most rows of a table that says only how many it has.
    """

    def __init__(
        self, arrays: Mapping[str, np.ndarray[Any, Any]] | None = None, *, trusted: bool = False, rows: int = 2**31
    ) -> None:
        self.arrays: dict[str, np.ndarray[Any, Any]] = {}
        self.trusted, self.rows = trusted, rows
        self._given, self._taken = arrays or {}, set[str]()

    def pack(self, value: Any, where: str) -> Any:
        """What JSON can hold in place of a value.

        Parameters
        ----------
        value : object
        where : str
            What it is, for the message of an error.

        Raises
        ------
        LgmError
            If it cannot be kept in a file.
        """
        if type(value) in _PLAIN:
            return value
        for kind, accepts, pack, _ in _KINDS:
            if accepts(value):
                return {"kind": kind, "is": pack(self, value, where)}
        raise _refused(value, where)

    def unpack(self, packed: Any) -> Any:
        """Inverse of `pack`."""
        if type(packed) in _PLAIN:
            return packed
        if not isinstance(packed, dict) or packed.keys() != {"kind", "is"} or packed["kind"] not in _UNPACK:
            raise Damaged(f"it holds {str(packed)[:80]!r} where a value is expected.")
        return _UNPACK[packed["kind"]](self, packed["is"])

    def take(self, key: str) -> np.ndarray[Any, Any]:
        """An array; only once, so that no more memory is taken than the file has bytes."""
        if not isinstance(key, str) or key in self._taken or key not in self._given:
            raise Damaged(f"two of its values are the same array {key!r}, or it has no such array.")
        self._taken.add(key)
        return self._given[key]

    def imported(self, home: str) -> Any:
        """What a file names by ``module:name``.

        Raises
        ------
        LgmError
            If the file is not trusted, or if it cannot be imported.
        """
        if not self.trusted:
            name = home.rstrip(":").replace(":", ".")
            raise LgmError(f"the file asks for `{name}`, and what it would do with it is not known. {listed.TRUST}")
        try:
            return _imported(home)
        except (ImportError, AttributeError) as error:
            raise LgmError(f"the file uses something that cannot be imported here: {error}.") from error


def _refused(value: Any, where: str) -> LgmError:
    name = type(value).__name__
    if callable(value) and hasattr(value, "__qualname__"):
        return LgmError(
            f"{where} is `{value.__qualname__}`, a function that another Python process cannot import. Nothing was "
            "written. Put the function into a module (a .py file) and import it, or compute its values as a column of "
            "the data, and fit again."
        )
    return LgmError(
        f"{where} is a {name}, which cannot be kept in a file. Nothing was written. Kept are numbers, text, lists, "
        "arrays, tables, graphs, meshes, priors, modules, and functions that can be imported."
    )


def _home(value: Any) -> str | None:
    """``module:name`` under which another process finds the same object."""
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    module = getattr(value, "__module__", None) or ("numpy" if isinstance(value, np.ufunc) else None)
    if not isinstance(name, str) or not isinstance(module, str) or module == "__main__":
        return None
    home = f"{module}:{name}"
    try:
        return home if _imported(home) is value else None
    except (ImportError, AttributeError):
        return None


def _imported(home: str) -> Any:
    module, _, name = home.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split(".") if name else ():
        found = getattr(found, part)
    return found


def _pack_distribution(archive: Archive, value: dist.Distribution, where: str) -> Any:
    """Its class and what the constructor takes, if these make the same distribution again."""
    wanted = [n for n in inspect.signature(type(value).__init__).parameters if n not in ("self", "validate_args")]
    name = type(value).__name__
    home = name if listed.DISTRIBUTIONS.get(name) is type(value) else _home(type(value))
    if home is None or not all(hasattr(value, name) for name in wanted):
        raise LgmError(
            f"{where} is a {type(value).__name__}, which cannot be made again from a file. Nothing was written. "
            "Fit with a prior of lgm.priors, or a NumPyro distribution that keeps the arguments of its constructor."
        )
    arguments = {name: archive.pack(_number(getattr(value, name)), where) for name in wanted}
    return {"class": home, "arguments": arguments}


def _number(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, jax.Array) else value


def _unpack_distribution(archive: Archive, packed: Any) -> Any:
    kind = listed.DISTRIBUTIONS.get(packed["class"]) or archive.imported(packed["class"])
    arguments = {name: archive.unpack(value) for name, value in packed["arguments"].items()}
    if not archive.trusted and not all(map(_is_argument, arguments.values())):
        raise Damaged(f"a {kind.__name__} is made of other things than numbers.")
    with own_settings():
        return kind(**arguments)


def _is_argument(value: Any) -> bool:
    return value is None or isinstance(value, (int, float, np.generic, np.ndarray, dist.Distribution))


def _pack_prior(archive: Archive, value: Any, where: str) -> Any:
    assert is_dataclass(value)
    content = {f.name: archive.pack(getattr(value, f.name), where) for f in fields(value)}
    return {"class": type(value).__name__, "content": content}


def _unpack_prior(archive: Archive, packed: Any) -> Any:
    kind = _PRIORS[packed["class"]]
    content = {name: archive.unpack(value) for name, value in packed["content"].items()}
    for name, value in content.items():
        wanted = {"distribution": dist.Distribution, "label": str}.get(name, (int, float))
        if not isinstance(value, wanted):
            raise Damaged(f"the {name} of a prior is {str(value)[:80]!r}.")
    return kind(**content)


def _pack_module(archive: Archive, value: Any, where: str) -> Any:
    return value.__name__


def _unpack_module(archive: Archive, name: str) -> Any:
    return np if name == "numpy" else archive.imported(f"{name}:")


def _unpack_import(archive: Archive, home: str) -> Any:
    return listed.FUNCTIONS[home] if home in listed.FUNCTIONS else archive.imported(home)


def _pack_graph(archive: Archive, value: Any, where: str) -> Any:
    with warnings.catch_warnings():  # said when the model was made
        warnings.simplefilter("ignore", DataWarning)
        made = as_graph(value)  # in the order that the fit has its regions in
    return {
        "nodes": packing.pack_labels(archive, made.nodes, where),
        "edges": packing.pack_array(archive, made.edges, where),
    }


def _unpack_graph(archive: Archive, packed: Any) -> Any:
    return Graph(tuple(packing.unpack_array(archive, packed["nodes"])), packing.unpack_array(archive, packed["edges"]))


def _pack_mesh(archive: Archive, value: Any, where: str) -> Any:
    made = as_mesh(value)
    return [packing.pack_array(archive, array, where) for array in (made.points, made.triangles)]


def _unpack_mesh(archive: Archive, packed: Any) -> Any:
    points, triangles = (packing.unpack_array(archive, array) for array in packed)
    return Mesh(points, triangles)


def _pack_sequence(archive: Archive, value: Any, where: str) -> Any:
    return [archive.pack(item, where) for item in value]


def _is_foreign_graph(value: Any) -> bool:
    return type(value).__module__.split(".")[0] in ("networkx", "libpysal") or is_shapes(value)


_Kind = tuple[str, Callable[[Any], bool], Callable[[Archive, Any, str], Any], Callable[[Archive, Any], Any]]


def _is(*classes: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, classes)


# The first kind that accepts a value packs it.
_KINDS: tuple[_Kind, ...] = (
    ("module", _is(types.ModuleType), _pack_module, _unpack_module),
    ("prior", _is(*priors.KINDS), _pack_prior, _unpack_prior),
    ("distribution", _is(dist.Distribution), _pack_distribution, _unpack_distribution),
    ("graph", lambda v: isinstance(v, Graph) or _is_foreign_graph(v), _pack_graph, _unpack_graph),
    ("mesh", lambda v: isinstance(v, Mesh) or is_foreign(v), _pack_mesh, _unpack_mesh),
    ("import", lambda v: callable(v) and _home(v) is not None, lambda a, v, w: _home(v), _unpack_import),
    ("scalar", _is(np.generic), packing.pack_array, lambda a, p: packing.unpack_array(a, p)[()]),
    ("array", _is(np.ndarray, jax.Array), packing.pack_array, packing.unpack_array),
    ("series", _is(pd.Series), packing.pack_series, packing.unpack_series),
    ("index", _is(pd.Index), packing.pack_index, packing.unpack_index),
    ("sparse", sp.issparse, packing.pack_sparse, packing.unpack_sparse),
    ("list", _is(list), _pack_sequence, lambda a, p: [a.unpack(v) for v in p]),
    ("tuple", _is(tuple), _pack_sequence, lambda a, p: tuple(a.unpack(v) for v in p)),
    ("set", _is(set, frozenset), _pack_sequence, lambda a, p: {a.unpack(v) for v in p}),
    (
        "dict",
        lambda v: isinstance(v, dict),
        lambda a, v, w: [[a.pack(k, w), a.pack(x, w)] for k, x in v.items()],
        lambda a, p: {a.unpack(k): a.unpack(x) for k, x in p},
    ),
    ("table", packing.is_table, packing.pack_table, packing.unpack_table),
)
_UNPACK = {kind: unpack for kind, _, _, unpack in _KINDS}
_PRIORS = {kind.__name__: kind for kind in priors.KINDS}
