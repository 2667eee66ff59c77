"""The effects of ordered categories, of which each goes further in one direction than the one before."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp

from lgm.pattern import Pattern
from lgm.precision.template import Constraint, Theta, Whitened


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Monotonic:
    r"""Effects of D categories after the first: ``u_k = b D (zeta_1 + ... + zeta_k)``, ``b ~ N(0, scale^2)``.

    One number, b, decides on all of them: whitened effects are equal, ``v_1 = ... = v_D``, which are D - 1 constraints,
    and the last of them has unit precision.

    Parameters
    ----------
    steps : int
        D.

    Notes
    -----
    Hyperparameters: ``scale``, and with two steps or more ``simplex``, the shares ``zeta`` (D,) that sum to one
    (Buerkner & Charpentier 2020).

    Examples
    --------
    >>> with jax.enable_x64(True):
    ...     found = Monotonic(2).whiten({"scale": np.array([1.5]), "simplex": np.array([0.25, 0.75])})
    >>> found.scale.tolist(), found.values.tolist()
    ([0.75, 3.0], [0.0, 1.0])
    """

    steps: int = field(metadata={"static": True})

    @property
    def n(self) -> int:
        """Number of effects."""
        return self.steps

    @property
    def pattern(self) -> Pattern:
        """The diagonal."""
        return Pattern.diagonal(self.steps)

    def whiten(self, theta: Theta) -> Whitened:
        """The scale depends on theta; R has one entry, of which a unit vector of equal effects has the part 1 / D."""
        up = jnp.cumsum(jnp.asarray(theta["simplex"])) if self.steps > 1 else jnp.ones(1)
        scale = jnp.asarray(theta["scale"])[0] * self.steps * up
        values = jnp.zeros(self.steps).at[-1].set(1.0)
        return Whitened(scale, values, jnp.asarray(-math.log(self.steps)))

    @property
    def constraint(self) -> Constraint | None:
        """All whitened effects are equal."""
        if self.steps == 1:
            return None
        first = np.arange(self.steps - 1)
        entries = (np.repeat([1.0, -1.0], first.size), (np.concatenate([first, first + 1]), np.tile(first, 2)))
        return Constraint(sp.csc_array(entries, shape=(self.steps, first.size)), first)
