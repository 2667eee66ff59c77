"""Python values in one file without pickle: a zip with `values.json` and one `.npy` for every array.

`Archive.pack` turns a value into what JSON can hold, `Archive.unpack` turns it back; arrays go into numbered members.
What cannot be rebuilt in another process, such as a lambda, is refused with the place where it stands.
"""

from __future__ import annotations

import errno
import importlib
import inspect
import io
import json
import os
import tempfile
import types
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import scipy.sparse as sp

from lgm import priors
from lgm.data.graph import Graph, graph
from lgm.errors import LgmError
from lgm.storage import packing

_PLAIN = (str, bool, int, float, type(None))
_HEADER = "values.json"


class Archive:
    """Arrays on their way into a file or out of it."""

    def __init__(self, arrays: Mapping[str, np.ndarray[Any, Any]] | None = None) -> None:
        self.arrays = dict(arrays or {})

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
        unpack = next(unpack for kind, _, _, unpack in _KINDS if kind == packed["kind"])
        return unpack(self, packed["is"])


def write(path: str | os.PathLike[str], header: Any, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Write a file in one step: through a temporary one beside it, so that a failure leaves what was there."""
    target = Path(path)
    folder = target.resolve().parent
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(folder))
    handle, name = tempfile.mkstemp(dir=folder, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as raw, zipfile.ZipFile(raw, "w") as file:
            file.writestr(_HEADER, json.dumps(header, indent=1), zipfile.ZIP_DEFLATED)
            for key, array in arrays.items():
                buffer = io.BytesIO()
                np.save(buffer, array, allow_pickle=False)
                file.writestr(f"{key}.npy", buffer.getvalue())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def read(path: str | os.PathLike[str]) -> tuple[Any, dict[str, np.ndarray[Any, Any]]]:
    """The header and the arrays of a file.

    Raises
    ------
    LgmError
        If it is not such a file.
    """
    try:
        with zipfile.ZipFile(path) as file:
            header = json.loads(file.read(_HEADER))
            names = [name for name in file.namelist() if name.endswith(".npy")]
            found = {n.removesuffix(".npy"): np.load(io.BytesIO(file.read(n)), allow_pickle=False) for n in names}
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise LgmError(f"{os.fspath(path)} is not a file that fit.save() wrote, or it is damaged ({error}).") from None
    return header, found


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
        "arrays, tables, graphs, priors, modules, and functions that can be imported."
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
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _pack_distribution(archive: Archive, value: dist.Distribution, where: str) -> Any:
    """Its class and what the constructor takes, if these make the same distribution again."""
    wanted = [n for n in inspect.signature(type(value).__init__).parameters if n not in ("self", "validate_args")]
    home = _home(type(value))
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
    arguments = {name: archive.unpack(value) for name, value in packed["arguments"].items()}
    with jax.enable_x64(True):
        return _imported(packed["class"])(**arguments)


def _pack_prior(archive: Archive, value: Any, where: str) -> Any:
    assert is_dataclass(value)
    content = {f.name: archive.pack(getattr(value, f.name), where) for f in fields(value)}
    return {"class": type(value).__name__, "content": content}


def _unpack_prior(archive: Archive, packed: Any) -> Any:
    content = {name: archive.unpack(value) for name, value in packed["content"].items()}
    return getattr(priors, packed["class"])(**content)


def _pack_sequence(archive: Archive, value: Any, where: str) -> Any:
    return [archive.pack(item, where) for item in value]


def _is_foreign_graph(value: Any) -> bool:
    return type(value).__module__.split(".")[0] in ("networkx", "libpysal")


_Kind = tuple[str, Callable[[Any], bool], Callable[[Archive, Any, str], Any], Callable[[Archive, Any], Any]]


def _is(*classes: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, classes)


# The first kind that accepts a value packs it.
_KINDS: tuple[_Kind, ...] = (
    ("module", _is(types.ModuleType), lambda a, v, w: v.__name__, lambda a, p: importlib.import_module(p)),
    ("prior", _is(*priors.KINDS), _pack_prior, _unpack_prior),
    ("distribution", _is(dist.Distribution), _pack_distribution, _unpack_distribution),
    ("graph", _is(Graph), lambda a, v, w: v.to_dict(), lambda a, p: Graph.from_dict(p)),
    ("graph", _is_foreign_graph, lambda a, v, w: graph(v).to_dict(), lambda a, p: Graph.from_dict(p)),
    ("import", lambda v: callable(v) and _home(v) is not None, lambda a, v, w: _home(v), lambda a, p: _imported(p)),
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
