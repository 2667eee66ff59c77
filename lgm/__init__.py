"""Latent Gaussian models from one formula, with a full posterior.

fit = lgm.fit("y ~ x + (1|group) + s(t) + icar(region, graph)", data=df)
"""

import importlib as _importlib
from importlib.metadata import version as _version
from typing import TYPE_CHECKING

from lgm.collecting import put_off as _put_off

with _put_off():
    from lgm import errors, families, linalg, priors, terms
    from lgm.data.graph import Graph, graph
    from lgm.data.mesh import Mesh
    from lgm.data.mesher import mesh
    from lgm.datasets import load_dataset
    from lgm.errors import (
        ConvergenceWarning,
        DataError,
        DataWarning,
        FormulaError,
        IdentifiabilityError,
        IdentifiabilityWarning,
        LgmError,
        LgmWarning,
        PredictionWarning,
        PriorError,
    )
    from lgm.model import Model, fit, model
    from lgm.results.again.sbc import sbc
    from lgm.results.comparing.compare import compare
    from lgm.results.comparing.labels import blocks
    from lgm.results.fit import Fit
    from lgm.storage.load import load
    from lgm.terms import register_term

if TYPE_CHECKING:
    from lgm import distributions, plots

__version__ = _version("lgm-bayes")

if not TYPE_CHECKING:

    def __getattr__(name):
        """Parts that are read when first needed: plots read matplotlib."""
        if name in ("distributions", "plots"):
            return _importlib.import_module(f"lgm.{name}")
        raise AttributeError(f"module 'lgm' has no attribute {name!r}")


__all__ = [
    "ConvergenceWarning",
    "DataError",
    "DataWarning",
    "Fit",
    "FormulaError",
    "Graph",
    "IdentifiabilityError",
    "IdentifiabilityWarning",
    "LgmError",
    "LgmWarning",
    "Mesh",
    "Model",
    "PredictionWarning",
    "PriorError",
    "blocks",
    "compare",
    "distributions",
    "errors",
    "families",
    "fit",
    "graph",
    "linalg",
    "load",
    "load_dataset",
    "mesh",
    "model",
    "plots",
    "priors",
    "register_term",
    "sbc",
    "terms",
]
