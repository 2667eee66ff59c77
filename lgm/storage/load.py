"""Read a fit from its file: the model is built again, the draws are those of the file."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace

import numpy as np

from lgm.design.design import Design
from lgm.errors import LgmError, LgmWarning
from lgm.inference.draws import Run
from lgm.inference.ladder import approximated
from lgm.model import Model, build
from lgm.results.fit import Fit
from lgm.storage import asked, record
from lgm.storage.formulas import require_harmless, require_known_calls
from lgm.storage.record import Record


def load(path: str | os.PathLike[str], *, trusted: bool = False) -> Fit:
    """Read a fit that ``fit.save(path)`` wrote.

    On the machine that made it, tables and predictions are the same to the last bit.

    Parameters
    ----------
    path : str or path
    trusted : bool
        A formula may be any Python, and so a file could run programs when it is loaded or predicts. By default nothing
        is imported or run but what is on a short list: names, numbers, operators, terms, formulaic's transformations
        and NumPy's elementary functions in formulas, lgm's priors, and univariate distributions of NumPyro. Fits that
        use more, such as a function of your own, ``x.rank()`` or ``math.log(x)``, are loaded with ``trusted=True``.
        Say so only for files whose writer you trust as you trust the writer of a program that you run.

    Notes
    -----
    Reading takes memory in proportion to the file. The model is then built again, and takes what it took when it was
    fitted, which a short formula can make large.

    Raises
    ------
    LgmError
        If the file is damaged or of another version of lgm, whose files this one does not read, if it uses more than it
        is trusted with, or if a module or function that the formula uses cannot be imported.

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
    kept = record.read(path, trusted=trusted)
    require_known_calls(kept.inputs["formula"], kept.inputs["data"], kept.inputs["env"])
    if not trusted:
        require_harmless(kept.inputs["formula"], kept.inputs["data"], kept.inputs["env"])
    try:
        built = _rebuilt(kept)
    except (LgmError, MemoryError):
        raise
    except Exception as error:
        raise LgmError(
            f"the model that {os.fspath(path)} describes cannot be built: {type(error).__name__}: {error}"
        ) from error
    settings = kept.settings
    inputs = replace(built.inputs, weights=settings["weights"] or built.inputs.weights)
    design = _with_rows(built.design, kept)
    run = Run(kept.mode, kept.draws, settings["method"], kept.rung)
    marginal = approximated(built.analysed.marginal, kept.rung)
    same = replace(built, design=design, inputs=inputs, analysed=replace(built.analysed, marginal=marginal))
    given = {"stored_effects": kept.effects, "asked": settings["asked"]}
    fit = Fit(same, run, settings["interval"], settings["seed"], **given)
    asked.put_back(fit, kept.asked)
    return fit


def _rebuilt(kept: Record) -> Model:
    given = kept.inputs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LgmWarning)  # given when the fit was made
        built = build(
            given["formula"],
            given["data"],
            given["family"],
            given["link"],
            given["priors"],
            given["weights"],
            given["env"],
            given["missing"],
            None,
        )
    d, effects = built.design, kept.effects
    names = [*d.fixed_names, *d.theta_names]
    sizes = (len(d.theta_names), d.p + d.q, built.analysed.printed(np.zeros(d.p + d.q)).size)
    if names != kept.names or sizes != (kept.draws.theta.shape[-1], effects.mean.size, effects.sd.size):
        raise LgmError(
            "the model that the file describes has other parameters when it is built here, probably because another "
            f"version of lgm, formulaic or pandas wrote it. There: {', '.join(kept.names)}. Here: {', '.join(names)}."
        )
    return built


def _with_rows(design: Design, kept: Record) -> Design:
    """The design, with the rows counted as in the data that the user gave."""
    was = kept.rows
    index = design.rows.index if was["index"] is None else was["index"]
    rows = replace(design.rows, kept=was["kept"], index=index, missing_in=was["missing_in"], library=was["library"])
    return replace(design, rows=rows, scope=replace(design.scope, columns=tuple(was["columns"])))
