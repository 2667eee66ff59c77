"""Covariance classes of the effects in a level of a group: their hyperparameters and words."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpyro.distributions as dist

from lgm.arrays import FloatArray
from lgm.parameter import (
    CORRELATION,
    Domain,
    Parameter,
    correlations,
    one,
    partial_autocorrelations,
    standard_deviation,
)
from lgm.precision.correlated import Correlated, Structure, Unstructured
from lgm.precision.exchangeable import Exchangeable
from lgm.precision.iid import Iid
from lgm.precision.toeplitz import Toeplitz
from lgm.priors import Lkj, Prior, ThetaPrior
from lgm.xla import own_settings

DEFAULT_LKJ = 2.0

_KINDS: dict[str, Structure | None] = {
    "us": Unstructured(),
    "diag": None,
    "homdiag": None,
    "cs": Exchangeable(),
    "homcs": Exchangeable(),
    "toep": Toeplitz(),
    "homtoep": Toeplitz(),
}
_WORDS = {
    "homdiag": "independent effects of equal variance",
    "cs": "compound symmetry, variances differ",
    "homcs": "compound symmetry, equal variances",
    "toep": "Toeplitz, variances differ",
    "homtoep": "Toeplitz, equal variances",
}


@dataclass(frozen=True)
class CovarianceClass:
    """A covariance class on q effects.

    Parameters
    ----------
    name : str
        As in a formula.
    names : tuple of q str
        Of the effects.
    """

    name: str
    names: tuple[str, ...]

    @property
    def structure(self) -> Structure | None:
        """Of the correlations; None where the effects are independent."""
        return _KINDS[self.name] if len(self.names) > 1 else None

    @property
    def homogeneous(self) -> bool:
        """Whether all effects have the same variance by definition."""
        return self.name.startswith("hom")

    @property
    def words(self) -> str:
        """What it is, where that does not go without saying."""
        return _WORDS.get(self.name, "")

    def template(self, levels: int) -> Iid | Correlated:
        """Of so many independent levels."""
        q = len(self.names)
        return Iid(levels, q) if self.structure is None else Correlated(levels, q, self.structure)

    def parameters(self, owner: str, label: str, scales: FloatArray) -> list[Parameter]:
        """Hyperparameters of effects of ``owner``, such as ``g``; those of all of them belong to the term, ``label``.

        Parameters
        ----------
        owner, label : str
        scales : float array (q,)
            Of default priors, or of length one where variances are equal.
        """
        q = len(self.names)
        if self.homogeneous:
            found = [standard_deviation(label, float(scales[0]))]
        else:
            found = [standard_deviation(owner, float(s), name) for name, s in zip(self.names, scales, strict=True)]
        match self.structure:
            case Unstructured():
                pairs = [(self.names[j], self.names[i]) for i in range(q) for j in range(i)]
                found.append(correlations(owner, pairs, q, DEFAULT_LKJ))
            case Exchangeable():
                found.append(one("rho", label, *exchangeable(q), 0.1))
            case Toeplitz():
                # those that the partial correlations of a matrix have under its default LKJ prior (Lewandowski,
                # Kurowicka & Joe 2009)
                found += partial_autocorrelations(label, [DEFAULT_LKJ + 0.5 * (q - 1 - k) for k in range(1, q)], 0.1)
        return found


def exchangeable(q: int) -> tuple[Domain, ThetaPrior]:
    """Values and default prior of the correlation of all pairs of q effects: beta(2, 2) over its range.

    That is the default LKJ prior for two effects. A prior without density at the ends keeps the mode away from them.
    """
    if q == 2:
        return CORRELATION, Lkj(DEFAULT_LKJ)
    low = -1.0 / (q - 1)
    words, example = f"in ({low:.4g}, 1)", f"uniform({math.ceil(1e4 * low) / 1e4:g}, 1)"
    with own_settings():
        to_range = dist.transforms.AffineTransform(low, 1.0 - low, domain=dist.constraints.unit_interval)
        over = dist.TransformedDistribution(dist.Beta(2.0, 2.0), to_range)
    return Domain(low, 1.0, words, example), Prior(over, f"beta(2, 2) over ({low:.4g}, 1)")
