"""Whether what a file holds is a fit: types, sizes that agree, and numbers in their range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_type_hints

import numpy as np
import pandas as pd

from lgm.inference.chains import Chains
from lgm.inference.corrected import Corrected
from lgm.inference.draws import Mixture, Points
from lgm.inference.engine import ENGINES
from lgm.inference.from_prior import Independent
from lgm.inference.held import Conditional, Exact
from lgm.inference.ladder import MOST, RUNGS, Rung
from lgm.inference.mode import Mode
from lgm.inference.sampled import Sampled
from lgm.inference.weighted import Weighted
from lgm.results.effects import Kept
from lgm.storage.container import Damaged

_RESULTS = (Mode, Chains, Corrected, Sampled, Weighted, Conditional, Exact, Independent, Mixture, Points, Kept, Rung)
RESULTS = {kind.__name__: kind for kind in _RESULTS}

# The sizes of each array, a letter each: (c)hains, (d)raws, (k) hyperparameters, (f)ree ones, (u) effects,
# (b) fixed effects, (t) effects in tables, (p)oints, (l)ong tails. Capitals are of any size.
SHAPES: dict[str, dict[str, str]] = {
    "Mode": {"x": "f", "root": "ff"},
    "Chains": {"theta": "cdk", "stats": "cd", "step_size": "c"},
    "Corrected": {"theta": "cdk", "stats": "cd", "step_size": "c", "index": "A"},
    "Sampled": {"theta": "cdk", "stats": "cd", "step_size": "c", "effects": "cdA"},
    "Weighted": {"theta": "cdk", "stats": "cd", "index": "d"},
    "Conditional": {"theta": "cdk", "stats": "cd", "standard_errors": "k", "at_end": "k"},
    "Exact": {"theta": "cdk", "stats": "cd"},
    "Independent": {"theta": "cdk", "stats": "cd"},
    "Mixture": {"theta": "pk", "log_weights": "p", "mean": "pA", "draws": "pAA", "cov": "AAA"},
    "Points": {"theta": "pk", "log_weights": "p", "mean": "pA", "draws": "pAA", "cov": "AAA"},
    "Kept": {"mean": "u", "table": "Ab", "sd": "t", "ends": "At", "fixed": "Ab", "draws": "Au"},
    "Rung": {"tails": "ul", "reach": "lA"},
}
_NUMBERS: dict[Any, tuple[type, ...]] = {
    bool: (bool, np.bool_),
    int: (int, np.integer),
    float: (int, float, np.integer, np.floating),
    str: (str,),
}
LIBRARIES = ("polars", "pyarrow", "modin", "cudf")  # beside pandas; narwhals makes tables of them
_SECTIONS = {"inputs", "rows", "settings", "names", "mode", "draws", "effects", "rung", "asked"}
_TEXTS = {"formula": str, "family": str, "link": str, "missing": str}
_INPUTS = {**_TEXTS, "data": pd.DataFrame, "env": dict, "priors": dict}


def require_sections(header: Mapping[str, Any]) -> None:
    """Raise unless the parts of a record are there, and plain where they are read before they are unpacked."""
    require(header.keys() >= _SECTIONS, "parts of it are missing")
    require(_are(header["names"], str), "the names of its parameters are no texts")
    inputs = header["inputs"]
    require(isinstance(inputs, dict) and inputs.keys() == {*_INPUTS, "weights"}, "its inputs are not those of a model")
    for name in ("env", "priors"):
        require(isinstance(inputs[name], dict), f"its {name} are no mapping")


def require_inputs(inputs: Mapping[str, Any]) -> None:
    """Raise unless these can be the arguments of a model."""
    for name, kind in _INPUTS.items():
        require(isinstance(inputs[name], kind), f"its {name} is no {kind.__name__}")
    weights = inputs["weights"]
    fine = weights is None or _is_array(weights, "f")
    require(fine, "its weights are no numbers")


def require_rows(rows: Any, data: pd.DataFrame) -> None:
    """Raise unless this can be how the rows of the data were chosen."""
    require(
        isinstance(rows, dict) and rows.keys() == {"kept", "index", "library", "missing_in", "columns"},
        "it does not say what became of the rows",
    )
    kept, index, missing = rows["kept"], rows["index"], rows["missing_in"]
    fine = _is_array(kept, "i") and kept.shape == (len(data),) and kept.min(initial=0) >= 0
    require(fine and bool(np.all(np.diff(kept) > 0)), "its rows are no positions")
    fine = index is None or isinstance(index, pd.Index)
    require(fine and kept.max(initial=-1) < len(data if index is None else index), "it has other rows than labels")
    require(rows["library"] in (None, *LIBRARIES), f"its data are a table of {str(rows['library'])[:80]!r}")
    fine = isinstance(missing, dict) and _are(list(missing), str) and all(map(_is_whole, missing.values()))
    require(fine, "it does not say by column how many rows were dropped")
    require(_are(rows["columns"], str), "its columns have no names")


def require_settings(settings: Any) -> None:
    """Raise unless these can be the settings of a fit."""
    require(
        isinstance(settings, dict) and settings.keys() == {"interval", "seed", "method", "weights", "asked"},
        "its settings are not those of a fit",
    )
    require(
        isinstance(settings["interval"], (float, np.floating)) and 0 < settings["interval"] < 1,
        "its interval is no probability",
    )
    require(_is_whole(settings["seed"]), "its seed is no whole number")
    require(settings["method"] in ENGINES, f"its method is {str(settings['method'])[:80]!r}")
    require(settings["weights"] is None or isinstance(settings["weights"], str), "its weights have no name")
    require(settings["asked"] is None or _can_be_asked(settings["asked"]), "what was asked of its engine is wrong")


def _can_be_asked(asked: Any) -> bool:
    """Whether these can be arguments of `lgm.model.Model.fit`, which checks what they say."""
    if not isinstance(asked, dict) or asked.keys() != {
        "method",
        "approximation",
        "fallback",
        "chains",
        "draws",
        "warmup",
    }:
        return False
    words, numbers = [asked["method"], asked["approximation"]], [asked["chains"], asked["draws"]]
    words += [] if asked["fallback"] is None else [asked["fallback"]]
    numbers += [] if asked["warmup"] is None else [asked["warmup"]]
    return all(isinstance(word, str) for word in words) and all(map(_is_whole, numbers))


def require_draws(effects: Kept, size: int) -> None:
    """Raise unless there are as many draws of effects as of theta, or none."""
    require(len(effects.ends) == 2, "an interval has two ends")
    require(len(effects.table) == 4, "fixed effects have a mean, an sd and an interval")
    for draws in (effects.fixed, effects.draws):
        require(len(draws) in (0, size), "it has other numbers of draws of theta and of effects")


def require_rung(rung: Rung | None) -> None:
    """Raise unless it is an approximation that there is."""
    fine = rung is None or (rung.name in RUNGS and 0 < rung.pairs <= MOST)
    require(fine, "its approximation is none that is known")


class Results:
    """Makes results of what a file holds; sizes that bear the same letter agree over all of them."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}

    def made(self, plain: Any, *accepted: type) -> Any:
        """A result of one of some classes; inverse of what `lgm.storage.record` makes of it."""
        require(isinstance(plain, dict) and plain.keys() == {"class", "content"}, "a result has no class")
        kind, content = RESULTS.get(plain["class"]), plain["content"]
        require(kind is not None and issubclass(kind, accepted), f"a result is a {str(plain['class'])[:80]!r}")
        assert kind is not None
        names = [field.name for field in fields(kind)]
        require(isinstance(content, dict) and list(content) == names, f"a {kind.__name__} has other parts")
        hints = get_type_hints(kind)
        return kind(**{name: self._part(kind, name, content[name], hints[name]) for name in names})

    def _part(self, kind: type, name: str, value: Any, hint: Any) -> Any:
        what = f"the {name} of its {kind.__name__}"
        sizes = SHAPES[kind.__name__].get(name)
        if isinstance(hint, type) and hint.__name__ in RESULTS:
            return self.made(value, hint)
        if sizes is None:
            require(isinstance(value, _NUMBERS[hint]) and (hint is bool or type(value) is not bool), f"{what} is wrong")
            return value
        if name == "stats":
            require(isinstance(value, dict) and _are(list(value), str), f"{what} are no arrays with names")
            require("diverging" in value, f"{what} do not say which draws diverged")
            for key, each in value.items():
                self._array(each, "b" if key == "diverging" else "fiub", sizes, f"{what}, {key},")
            return value
        self._array(value, {"index": "i", "at_end": "b"}.get(name, "f"), sizes, what)
        if name == "index":
            require(value.min(initial=0) >= 0 and value.max(initial=0) < self.sizes["p"], f"{what} leads to no point")
        if name == "theta":
            require(np.all(np.isfinite(value)), f"{what} is not finite")
        return value

    def _array(self, value: Any, kinds: str, sizes: str, what: str) -> None:
        require(_is_array(value, kinds) and value.ndim == len(sizes), f"{what} is no array of the right kind")
        for letter, size in zip(sizes, value.shape, strict=True):
            fine = letter.isupper() or self.sizes.setdefault(letter, size) == size
            require(fine, f"{what} has the shape {value.shape}, which disagrees with other parts")


def require(fine: Any, what: str) -> None:
    """Raise unless something holds."""
    if not fine:
        raise Damaged(f"{what}.")


def _is_array(value: Any, kinds: str) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in kinds and (kinds != "f" or value.dtype == np.float64)


def _is_whole(value: Any) -> bool:
    return type(value) is int and value >= 0


def _are(values: Any, kind: type) -> bool:
    return isinstance(values, list) and all(type(value) is kind for value in values)
