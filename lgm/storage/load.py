"""Read a fit from its file: the model is built again, the draws are those of the file."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace

from lgm.design.design import Design
from lgm.errors import LgmError, LgmWarning
from lgm.inference.draws import Run
from lgm.model import Model, model
from lgm.results.fit import Fit
from lgm.storage import record
from lgm.storage.record import Record


def load(path: str | os.PathLike[str]) -> Fit:
    """Read a fit that ``fit.save(path)`` wrote.

    On the machine that made it, tables and predictions are the same to the last bit.

    Raises
    ------
    LgmError
        If the file is damaged or of another version of lgm, whose files this one does not read, or if a module or
        function that the formula uses cannot be imported.

    Examples
    --------
    >>> import lgm, os, tempfile
    >>> fit = lgm.fit("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"), draws=100, seed=1, progress=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fit.save(os.path.join(folder, "dyestuff.lgm"))
    ...     again = lgm.load(os.path.join(folder, "dyestuff.lgm"))
    >>> again.summary().equals(fit.summary())
    True
    """
    try:
        kept = record.read(path)
    except (ImportError, AttributeError) as error:
        raise LgmError(f"{os.fspath(path)} uses something that cannot be imported here: {error}.") from error
    built = _rebuilt(kept)
    settings = kept.settings
    inputs = replace(built.inputs, weights=settings["weights"] or built.inputs.weights)
    design = _with_rows(built.design, kept)
    run = Run(kept.mode, kept.draws, settings["method"])
    same = replace(built, design=design, inputs=inputs)
    return Fit(same, run, settings["interval"], settings["seed"], stored_effects=kept.effects)


def _rebuilt(kept: Record) -> Model:
    inputs = dict(kept.inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LgmWarning)  # given when the fit was made
        built = model(inputs.pop("formula"), inputs.pop("data"), inputs.pop("family"), **inputs)
    names = [*built.design.fixed_names, *built.design.theta_names]
    if names != kept.names or built.design.p + built.design.q != kept.effects.mean.size:
        raise LgmError(
            "the model that the file describes has other parameters when it is built here, probably because another "
            f"version of lgm, formulaic or pandas wrote it. There: {', '.join(kept.names)}. Here: {', '.join(names)}."
        )
    return built


def _with_rows(design: Design, kept: Record) -> Design:
    """The design, with the rows counted as in the data that the user gave."""
    was = kept.rows
    rows = replace(design.rows, kept=was["kept"], dropped=was["dropped"], missing_in=was["missing_in"])
    return replace(design, rows=rows, scope=replace(design.scope, columns=tuple(was["columns"])))
