"""What a latent term hands to the posterior: a block of effects, its precision, its hyperparameters."""

from __future__ import annotations

from dataclasses import dataclass

from lgm.arrays import IntArray
from lgm.precision.intrinsic import Structure
from lgm.precision.template import Template
from lgm.priors import ThetaPrior


@dataclass(frozen=True)
class Parameter:
    """One hyperparameter, or all correlations of one group.

    Parameters
    ----------
    names : tuple of str
        The variables, for example ``("sd(Days|Subject)",)``; several for the correlations of three or more effects.
    kind : str
        The class by which a prior can address it: ``"sd"``, ``"corr"``, ``"rho"``, ``"phi"``, ``"sigma"``.
    default : ThetaPrior
        Its prior unless the user gives one.
    start : float
        A first guess, natural scale, where the search for the mode begins.
    key : str
        A further key for its prior, ``"corr(g)"`` for correlations.
    q : int
        Number of effects that are correlated.
    """

    names: tuple[str, ...]
    kind: str
    default: ThetaPrior
    start: float
    key: str = ""
    q: int = 2


@dataclass(frozen=True)
class Block:
    """A block of latent effects ``b ~ N(0, (D^-1 R D^-1)^-1)``.

    Parameters
    ----------
    label : str
        The term as it is printed.
    template : Template or Structure
        R, or an intrinsic structure that the posterior scales first.
    sd_of : int array (n,)
        Which of the block's standard deviations scales each effect.
    parameters : tuple of Parameter
        The standard deviations, then the shape parameters in the order of the template.
    scale : float, optional
        Of a term that has scaled its own columns: what multiplied the penalty on its effects, as `Structure.scaled`
        multiplies an intrinsic structure.
    """

    label: str
    template: Template | Structure
    sd_of: IntArray
    parameters: tuple[Parameter, ...]
    scale: float | None = None

    @property
    def n(self) -> int:
        """Number of effects."""
        return self.template.n
