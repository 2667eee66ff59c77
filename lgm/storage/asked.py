"""What was asked of a fit and took time, as plain values: criteria, and groups of its ArviZ object.

What is large is left out: it is computed again when it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from lgm.results.comparing.loo import Criterion, Loo
from lgm.results.comparing.passes import Thetas
from lgm.results.groups import HEAVY
from lgm.storage.schema import require

if TYPE_CHECKING:
    from lgm.results.fit import Fit

_THETAS = {"theta": ("f", 2), "log_weights": ("f", 1), "which": ("i", 2), "draws": ("i", 1), "numbers": ("i", 1)}
_CRITERION = {"key", "name", "what", "table", "notes", "thetas", "log_density", "pit"}
_GROUP = {"variables", "coords", "attrs"}


def of(fit: Fit, limit: float) -> dict[str, Any]:
    """Of a fit, each with arrays of at most so many bytes."""
    criteria = [_plain(key, each) for key, each in fit._criteria.items() if _bytes(each) <= limit]
    groups = {name: _of_group(group) for name, group in fit._added.items() if group.nbytes <= limit}
    return {"criteria": criteria, "groups": groups}


def _bytes(criterion: Criterion) -> int:
    return criterion.log_density.nbytes if isinstance(criterion, Loo) else 0


def _plain(key: tuple[Any, ...], criterion: Criterion) -> dict[str, Any]:
    found: dict[str, Any] = {"key": key, "thetas": None, "log_density": None, "pit": vars(criterion).get("pit")}
    found |= {name: getattr(criterion, name) for name in ("name", "what", "table", "notes")}
    if isinstance(criterion, Loo):
        thetas = {name: getattr(criterion.thetas, name) for name in (*_THETAS, "proposed")}
        found |= {"thetas": thetas, "log_density": criterion.log_density}
    return found


def _of_group(group: xr.Dataset) -> dict[str, Any]:
    variables = {str(name): (tuple(map(str, array.dims)), array.values) for name, array in group.data_vars.items()}
    coords = {str(name): array.to_index() for name, array in group.coords.items()}
    return {"variables": variables, "coords": coords, "attrs": {str(k): str(v) for k, v in group.attrs.items()}}


def require_sound(asked: Any) -> None:
    """Raise unless this can be what `of` gave."""
    require(isinstance(asked, dict) and asked.keys() == {"criteria", "groups"}, "it does not say what was asked of it")
    criteria, groups = asked["criteria"], asked["groups"]
    require(isinstance(criteria, list) and isinstance(groups, dict), "what was asked of it is no list")
    for each in criteria:
        require(isinstance(each, dict) and each.keys() == _CRITERION, "a criterion has other parts")
        key, notes = each["key"], each["notes"]
        plain = isinstance(key, tuple) and all(type(part) in (str, int, bool, type(None)) for part in key)
        require(plain and isinstance(notes, tuple) and all(type(note) is str for note in notes), "a criterion is wrong")
        require(type(each["name"]) is str and type(each["what"]) is str, "a criterion has no name")
        table, pit = each["table"], each["pit"]
        require(isinstance(table, pd.DataFrame) and "elpd" in table, "a criterion has no table")
        fine = pit is None or (isinstance(pit, pd.DataFrame) and list(pit.columns) == ["lower", "upper"])
        require(fine, "probabilities of a criterion are wrong")
        _require_thetas(each["thetas"], each["log_density"])
    for name, group in groups.items():
        require(name in HEAVY and isinstance(group, dict) and group.keys() == _GROUP, "a group is none that there is")
        require(all(isinstance(group[part], dict) for part in _GROUP), "a group has other parts")
        sizes = {key: index.size for key, index in group["coords"].items() if isinstance(index, pd.Index)}
        require(len(sizes) == len(group["coords"]), "a group has no labels")
        for pair in group["variables"].values():
            require(isinstance(pair, tuple) and len(pair) == 2, "a group has no arrays")
            dims, values = pair
            fine = isinstance(values, np.ndarray) and isinstance(dims, tuple) and all(dim in sizes for dim in dims)
            require(fine and values.shape == tuple(sizes[dim] for dim in dims), "a group disagrees with its labels")


def _require_thetas(thetas: Any, log_density: Any) -> None:
    if thetas is None:
        require(log_density is None, "log densities are of no thetas")
        return
    require(isinstance(thetas, dict) and thetas.keys() == {*_THETAS, "proposed"}, "thetas of a criterion are wrong")
    for name, (kind, ndim) in _THETAS.items():
        array = thetas[name]
        fine = isinstance(array, np.ndarray) and array.dtype.kind == kind and array.ndim == ndim
        require(fine, f"the {name} of a criterion are no array of the right kind")
    size = len(thetas["theta"])
    fine = isinstance(log_density, np.ndarray) and log_density.dtype.kind == "f" and log_density.ndim == 2
    fine = fine and len(log_density) == size and thetas["log_weights"].shape == thetas["numbers"].shape == (size,)
    require(fine and type(thetas["proposed"]) is bool, "thetas of a criterion disagree with its densities")
    which = thetas["which"]
    fine = which.shape[1] == thetas["draws"].size and which.min(initial=0) >= 0 and which.max(initial=-1) < size
    require(fine, "draws of a criterion lead to no theta")


def put_back(fit: Fit, asked: Mapping[str, Any]) -> None:
    """Into a fit that was read from a file."""
    for each in asked["criteria"]:
        parts = {name: each[name] for name in ("name", "what", "table", "notes")}
        if each["thetas"] is None:
            found = Criterion(**parts, fit=fit)
        else:
            found = Loo(**parts, fit=fit, thetas=Thetas(**each["thetas"]), log_density=each["log_density"])
            if each["pit"] is not None:
                vars(found)["pit"] = each["pit"]
        fit._criteria[each["key"]] = found
    for name, group in asked["groups"].items():
        fit._added[name] = xr.Dataset(group["variables"], group["coords"], group["attrs"])
