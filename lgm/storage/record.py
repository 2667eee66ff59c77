"""What of a fit a file keeps: the formula and all that it uses, the priors, the settings, the draws.

The model itself (columns, patterns, factors) is not kept: it follows from the rest, and `load` builds it again.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, fields, is_dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lgm import families
from lgm.errors import LgmError
from lgm.inference.draws import Draws
from lgm.inference.engine import AnyDraws
from lgm.inference.from_prior import Independent
from lgm.inference.held import Conditional
from lgm.inference.importance import STORED_BYTES
from lgm.inference.ladder import Rung
from lgm.inference.mode import Mode
from lgm.results.effects import Kept
from lgm.storage import asked, container, schema
from lgm.storage.archive import Archive

if TYPE_CHECKING:
    from lgm.results.fit import Fit

FORMAT = 10  # raise it whenever an older lgm could not read what is written
# Draws of effects up to this size are in the file, larger ones are made again from the seed. Those that importance
# sampling drew along with its points cannot be, but they are half as large as what it keeps or smaller; those that were
# sampled together with theta are all in the file.
DRAWS_BYTES = STORED_BYTES / 2
_SETTINGS = ("interval", "seed", "method")


@dataclass(frozen=True)
class Record:
    """A fit on its way into a file or out of it.

    Parameters
    ----------
    inputs : dict
        Arguments of `lgm.model`; the data are the rows and columns in use.
    rows : dict
        What the data looked like before rows were dropped: ``kept``, ``index`` (None if no row was), ``library``,
        ``missing_in``, ``columns``.
    settings : dict
        Interval, seed, method, what was asked of the engine, and the name of the weights if they had one.
    names : list of str
        Fixed effects and hyperparameters, by which a rebuilt model is recognised.
    mode, draws, effects, rung : the results; no mode where the engine did without, and the approximation of the density
        if there was one.
    asked : dict
        Criteria and groups that were computed (`lgm.storage.asked`).
    """

    inputs: dict[str, Any]
    rows: dict[str, Any]
    settings: dict[str, Any]
    names: list[str]
    mode: Mode | None
    draws: AnyDraws
    effects: Kept
    rung: Rung | None
    asked: dict[str, Any]

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write one file; see `lgm.results.fit.Fit.save`."""
        box = Archive()
        sections = {
            "inputs": {
                "formula": self.inputs["formula"],
                "family": self.inputs["family"],
                "link": self.inputs["link"],
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
            "rung": box.pack(_plain(self.rung), "the approximation"),
            "asked": box.pack(self.asked, "what was computed"),
        }
        made_by = {"format": FORMAT, "lgm": version("lgm-bayes"), "python": platform.python_version()}
        container.write(path, {**made_by, **sections}, box.arrays)


def of(fit: Fit) -> Record:
    """The record of a fit."""
    d, given = fit.design, fit.inputs
    rows, family = d.rows, given.family
    if not d.has_rows:
        raise LgmError(
            "this fit is of data in partitions, and a file holds a model by its data. Accepted: pickle.dumps(fit), "
            "which holds the sums over them."
        )
    if given.refitted:
        raise LgmError(
            "this fit is of another response than the data of its model have, and a file holds a model by its data: "
            "pickle the fit, or fit data with that response."
        )
    if given.solver != "direct":
        raise LgmError(
            f"this fit is one with solver={given.solver!r}, which a file does not hold. Accepted: pickle.dumps(fit)."
        )
    if not families.is_listed(family):
        raise LgmError(
            f"the family {family.name!r} is one of your own, and a file holds families by name and link: keep "
            "`fit.posterior` and `fit.summary()`, or pickle the fit."
        )
    return Record(
        inputs={
            "formula": given.formula,
            "data": d.scope.frame,
            "family": family.name,
            "link": family.link,
            "priors": given.priors,
            "weights": None if given.weights is None else d.all_weights,
            "env": given.env,
            "missing": given.missing,
        },
        rows={
            "kept": rows.kept,
            "index": _labels(rows.index) if rows.dropped else None,
            "library": rows.library,
            "missing_in": rows.missing_in,
            "columns": list(d.scope.columns),
        },
        settings={
            **{name: getattr(fit, name) for name in _SETTINGS},
            "weights": given.weights if isinstance(given.weights, str) else None,
            "asked": None if fit.asked is None else dict(fit.asked),
        },
        names=[*d.fixed_names, *d.theta_names],
        mode=fit.run.mode,
        draws=fit.draws.without_effects(),
        effects=fit.effects.kept.within(DRAWS_BYTES if fit.draws.conditional else np.inf),
        rung=fit.run.rung,
        asked=asked.of(fit, DRAWS_BYTES),
    )


def _labels(index: pd.Index) -> pd.Index:
    """The same, one by one where a range says only how many there are: a file may not ask for more than its size."""
    return pd.Index(index.to_numpy(), name=index.name) if isinstance(index, pd.RangeIndex) else index


def read(path: str | os.PathLike[str], *, trusted: bool = False) -> Record:
    """The record in a file; nothing of it is used before all of it is checked.

    Parameters
    ----------
    path : str or path
    trusted : bool
        Whether what the file names may be imported.

    Raises
    ------
    LgmError
        If it is not a file of `Record.write`, or of another format, or asks for more than it is trusted with.
    """
    with container.opened(path) as (header, arrays):
        schema.require(isinstance(header, dict), "it holds no fit")
        if header.get("format") != FORMAT:
            written, writer = (str(header.get(name, "?"))[:20] for name in ("format", "lgm"))
            raise LgmError(
                f"{os.fspath(path)} was written by lgm {writer} in format {written}; this is lgm "
                f"{version('lgm-bayes')}, which reads format {FORMAT}. The version that wrote it can read it: "
                f"pip install lgm-bayes=={writer}"
            )
        return _checked(header, Archive(arrays, trusted=trusted, rows=os.path.getsize(path)))


def _checked(header: dict[str, Any], box: Archive) -> Record:
    schema.require_sections(header)
    inputs = dict(header["inputs"])
    for name in ("env", "priors"):
        inputs[name] = {key: box.unpack(value) for key, value in inputs[name].items()}
    for name in ("data", "weights"):
        inputs[name] = box.unpack(inputs[name])
    schema.require_inputs(inputs)
    rows, settings = box.unpack(header["rows"]), box.unpack(header["settings"])
    schema.require_rows(rows, inputs["data"])
    schema.require_settings(settings)
    plain = {name: box.unpack(header[name]) for name in ("mode", "draws", "effects", "rung")}
    results = schema.Results()
    draws, effects = results.made(plain["draws"], Draws), results.made(plain["effects"], Kept)
    without = plain["mode"] is None and isinstance(draws, (Conditional, Independent))
    mode = None if without else results.made(plain["mode"], Mode)
    rung = None if plain["rung"] is None else results.made(plain["rung"], Rung)
    schema.require_rung(rung)
    chains, kept, _ = draws.theta.shape
    schema.require_draws(effects, chains * kept)
    computed = box.unpack(header["asked"])
    asked.require_sound(computed)
    return Record(inputs, rows, settings, header["names"], mode, draws, effects, rung, computed)


def _plain(value: Any) -> Any:
    """A result, and results in it, as dicts that name their class; inverse of `schema.Results.made`."""
    if not is_dataclass(value):
        return value
    content = {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    return {"class": type(value).__name__, "content": content}
