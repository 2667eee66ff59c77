"""What of a fit a file keeps: the formula and all that it uses, the priors, the settings, the draws.

The model itself (columns, patterns, factors) is not kept: it follows from the rest, and `load` builds it again.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, fields, is_dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from lgm.design.design import names_used
from lgm.errors import LgmError
from lgm.inference.chains import Chains
from lgm.inference.draws import Mixture, Points
from lgm.inference.engine import AnyDraws
from lgm.inference.held import Conditional, Exact
from lgm.inference.mode import Mode
from lgm.inference.weighted import Weighted
from lgm.results.effects import EffectDraws
from lgm.storage import archive

if TYPE_CHECKING:
    from lgm.results.fit import Fit

FORMAT = 3  # raise it whenever an older lgm could not read what is written
_SETTINGS = ("interval", "seed", "method")
_RESULTS = {kind.__name__: kind for kind in (Mode, Chains, Weighted, Conditional, Exact, Mixture, Points, EffectDraws)}


@dataclass(frozen=True)
class Record:
    """A fit on its way into a file or out of it.

    Parameters
    ----------
    inputs : dict
        Arguments of `lgm.model`; the data are the rows and columns in use.
    rows : dict
        What the data looked like before rows were dropped: ``kept``, ``dropped``, ``missing_in``, ``columns``.
    settings : dict
        Interval, seed, method, and the name of the weights if they had one.
    names : list of str
        Fixed effects and hyperparameters, by which a rebuilt model is recognised.
    mode, draws, effects : the results.
    """

    inputs: dict[str, Any]
    rows: dict[str, Any]
    settings: dict[str, Any]
    names: list[str]
    mode: Mode
    draws: AnyDraws
    effects: EffectDraws

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write one file; see `lgm.results.fit.Fit.save`."""
        box = archive.Archive()
        sections = {
            "inputs": {
                "formula": self.inputs["formula"],
                "family": self.inputs["family"],
                "missing": self.inputs["missing"],
                "data": box.pack(self.inputs["data"], "the data"),
                "weights": box.pack(self.inputs["weights"], "the weights"),
                "env": {k: box.pack(v, f"`{k}` of the formula") for k, v in self.inputs["env"].items()},
                "priors": {k: box.pack(v, f"the prior of `{k}`") for k, v in self.inputs["priors"].items()},
            },
            "rows": box.pack(self.rows, "the rows"),
            "settings": box.pack(self.settings, "the settings"),
            "names": self.names,
            "mode": box.pack(_plain(self.mode), "the mode"),
            "draws": box.pack(_plain(self.draws), "the draws"),
            "effects": box.pack(_plain(self.effects), "the effects"),
        }
        made_by = {"format": FORMAT, "lgm": version("lgm-bayes"), "python": platform.python_version()}
        archive.write(path, {**made_by, **sections}, box.arrays)


def of(fit: Fit) -> Record:
    """The record of a fit."""
    d, given = fit.design, fit.inputs
    rows = d.rows
    return Record(
        inputs={
            "formula": given.formula,
            "data": d.scope.frame,
            "family": given.family,
            "priors": given.priors,
            "weights": None if given.weights is None else d.all_weights,
            "env": {name: given.env[name] for name in names_used(d, given.env)},
            "missing": given.missing,
        },
        rows={
            "kept": rows.kept,
            "dropped": rows.dropped,
            "missing_in": rows.missing_in,
            "columns": list(d.scope.columns),
        },
        settings={
            **{name: getattr(fit, name) for name in _SETTINGS},
            "weights": given.weights if isinstance(given.weights, str) else None,
        },
        names=[*d.fixed_names, *d.theta_names],
        mode=fit.mode,
        draws=fit.draws.without_effects(),  # the drawn effects are kept
        effects=fit.effects,
    )


def read(path: str | os.PathLike[str]) -> Record:
    """The record in a file.

    Raises
    ------
    LgmError
        If it is not a file of `Record.write`, or of another format.
    """
    header, arrays = archive.read(path)
    if header.get("format") != FORMAT:
        writer = header.get("lgm", "?")
        raise LgmError(
            f"{os.fspath(path)} was written by lgm {writer} in format {header.get('format', '?')}; this is lgm "
            f"{version('lgm-bayes')}, which reads format {FORMAT}. The version that wrote it can read it: "
            f"pip install lgm-bayes=={writer}"
        )
    box = archive.Archive(arrays)
    inputs = header["inputs"]
    for name in ("data", "weights"):
        inputs[name] = box.unpack(inputs[name])
    for name in ("env", "priors"):
        inputs[name] = {key: box.unpack(value) for key, value in inputs[name].items()}
    parts = {name: box.unpack(header[name]) for name in ("rows", "settings", "mode", "draws", "effects")}
    results = [_result(parts[name]) for name in ("mode", "draws", "effects")]
    return Record(inputs, parts["rows"], parts["settings"], header["names"], *results)


def _plain(value: Any) -> Any:
    """A result, and results in it, as dicts that name their class."""
    if not is_dataclass(value):
        return value
    content = {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    return {"class": type(value).__name__, "content": content}


def _result(plain: Any) -> Any:
    """Inverse of `_plain`."""
    if not isinstance(plain, dict) or plain.keys() != {"class", "content"}:
        return plain
    return _RESULTS[plain["class"]](**{name: _result(value) for name, value in plain["content"].items()})
