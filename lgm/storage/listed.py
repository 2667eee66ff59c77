"""What a file may name without being trusted: some of NumPy's functions, and univariate distributions.

Nothing of these does more than compute. A formula is held to `lgm.formula.plain`, which lists the functions of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpyro.distributions as dist

from lgm import pc_priors, priors
from lgm.formula.plain import MEMBERS

TRUST = "If you trust who wrote the file as you trust a program: lgm.load(path, trusted=True)."

FUNCTIONS: dict[str, Any] = {
    f"numpy:{found.__name__}": found for name in sorted(MEMBERS["np"]) if callable(found := getattr(np, name))
}

DISTRIBUTIONS: dict[str, Any] = {
    **{
        name: getattr(dist, name)
        for name in (
            *("AsymmetricLaplace", "AsymmetricLaplaceQuantile", "Beta", "BetaProportion", "Cauchy", "Chi2"),
            *("DoublyTruncatedPowerLaw", "Exponential", "FoldedDistribution", "Gamma", "Gompertz", "Gumbel"),
            *("HalfCauchy", "HalfNormal", "InverseGamma", "Kumaraswamy", "Laplace", "LeftTruncatedDistribution"),
            *("Levy", "LogNormal", "LogUniform", "Logistic", "LowerTruncatedPowerLaw", "Normal", "Pareto"),
            *("RightTruncatedDistribution", "SoftLaplace", "StudentT", "TwoSidedTruncatedDistribution", "Uniform"),
            "Weibull",
        )
    },
    "ShiftedGamma": priors.ShiftedGamma,
    "PcCorrelation": pc_priors.PcCorrelation,
    "PcCorrelationToOne": pc_priors.PcCorrelationToOne,
    "PcPrecision": pc_priors.PcPrecision,
    "PcRange": pc_priors.PcRange,
}
