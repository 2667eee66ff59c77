"""Latent Gaussian models from one formula, with a full posterior.

fit = lgm.fit("y ~ x + (1|group) + s(t) + icar(region, graph)", data=df)
"""

from importlib.metadata import version as _version

from lgm import errors, linalg, priors
from lgm.data.graph import Graph, graph
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
from lgm.results.comparison import compare
from lgm.results.fit import Fit
from lgm.storage.load import load
from lgm.terms import register_term

__version__ = _version("lgm-bayes")

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
    "Model",
    "PredictionWarning",
    "PriorError",
    "compare",
    "errors",
    "fit",
    "graph",
    "linalg",
    "load",
    "load_dataset",
    "model",
    "priors",
    "register_term",
]
