"""What every precision template provides: mathematics only, no data frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, TypeAlias

import jax
import numpy as np
import scipy.sparse as sp

from lgm.arrays import IntArray, Numbers
from lgm.pattern import Pattern
from lgm.xla import own_settings, shape_and_type

Theta = Mapping[str, Numbers]  # the values of a block's hyperparameters by kind, each a vector
Kinds: TypeAlias = tuple[tuple[str, int], ...]  # how many hyperparameters a template has of each kind


class Whitened(NamedTuple):
    """Effects ``b = scale * v``, where v has the precision R of unit scale.

    Parameters
    ----------
    scale : float array (n,)
        Any function of theta; zero takes an effect out of the model, and is an ordinary point.
    values : float array (nnz,)
        Entries of R in pattern order.
    logdet : float array () or None
        Log of the product of the non-zero eigenvalues of R, constants included; None if no closed form is known, and R
        is to be factored.
    """

    scale: jax.Array
    values: jax.Array
    logdet: jax.Array | None


@dataclass(frozen=True)
class Constraint:
    """The directions along which R is singular, out of which the effects are kept: ``null_space' b = 0``.

    Parameters
    ----------
    null_space : sparse array (n, k)
        A basis of null(R). The rank of R is ``n - k`` by this rule, never by looking at eigenvalues.
    anchors : int array (k,)
        Positions whose diagonal entries, once raised, make R positive definite.
    """

    null_space: sp.csc_array
    anchors: IntArray


class Template(Protocol):
    """The precision of one block of latent effects, for all values of its hyperparameters.

    Templates are JAX pytrees: sizes and patterns are static, numbers are arguments of compiled functions.
    """

    @property
    def n(self) -> int:
        """Number of effects."""

    @property
    def pattern(self) -> Pattern:
        """Positions of the stored entries of R, the same for every theta."""

    def whiten(self, theta: Theta) -> Whitened:
        """Scale, precision and determinant at a theta, natural space.

        Each kind of hyperparameter is a vector, in the order of the block's parameters of that kind: ``theta["sd"]``
        has one entry for a walk and q for a group with q effects per level.
        """


def leaves_determinant(template: Template, kinds: Kinds) -> bool:
    """Whether a template leaves its determinant to a factorisation, which its structure and shapes tell."""
    with own_settings():
        leaves, structure = jax.tree.flatten(template)
        return _leaves_determinant(structure, tuple(map(shape_and_type, leaves)), kinds)


@lru_cache(maxsize=16)
def _leaves_determinant(structure: Any, leaves: tuple[tuple[Any, Any], ...], kinds: Kinds) -> bool:
    template = jax.tree.unflatten(structure, [jax.ShapeDtypeStruct(*leaf) for leaf in leaves])
    theta = {kind: jax.ShapeDtypeStruct((count,), np.float64) for kind, count in kinds}
    return jax.eval_shape(lambda template, theta: template.whiten(theta), template, theta).logdet is None


class Printing(Protocol):
    """Hyperparameters as tables print them, where a block has better ones; a pytree. Arrays are NumPy's or traced."""

    def printed(self, theta: Theta) -> Theta:
        """Printed values by kind, from those of the block; each (..., number of that kind)."""

    def internal(self, theta: Theta) -> Theta:
        """Values of the block from printed ones."""

    def log_jacobian(self, theta: Theta) -> Any:
        """``log |d printed / d internal|`` at values of the block, (...,)."""
