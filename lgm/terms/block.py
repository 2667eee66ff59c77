"""What a latent term hands to the posterior: a block of effects, its precision, its hyperparameters."""

from __future__ import annotations

from dataclasses import dataclass

from lgm.arrays import FloatArray
from lgm.parameter import Parameter
from lgm.precision.template import Constraint, Printing, Template


@dataclass(frozen=True)
class Block:
    """A block of latent effects ``b = scale * v``, ``v ~ N(0, R^-1)``, with its own slice of theta.

    Parameters
    ----------
    template : Template
        Scale and R at a theta.
    parameters : tuple of Parameter
        The block's hyperparameters in any order; the template finds them by kind.
    constraint : Constraint, optional
        The directions along which R is singular.
    factors : float array, optional
        What multiplied the structure matrix or penalty, so that the sd is that of a typical effect; one number for each
        component.
    printing : Printing, optional
        The way from the template's hyperparameters to those that are printed, where they differ.
    """

    template: Template
    parameters: tuple[Parameter, ...]
    constraint: Constraint | None = None
    factors: FloatArray | None = None
    printing: Printing | None = None

    @property
    def n(self) -> int:
        """Number of effects."""
        return self.template.n
