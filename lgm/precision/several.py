"""Levels of several kinds, each with hyperparameters of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from lgm.arrays import Numbers
from lgm.pattern import Pattern
from lgm.precision.correlated import Correlated
from lgm.precision.iid import Iid
from lgm.precision.template import Theta, Whitened


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Several:
    """``R = blockdiag(C_k(1)^-1, ..., C_k(J)^-1)``: the effects of level j have the correlations of its kind k(j).

    Parameters
    ----------
    one : Iid or Correlated
        Of one level.
    kind : int array (J,)
        Of each level.
    kinds, levels : int
        How many there are.

    Notes
    -----
    Hyperparameters are those of ``one``, kind after kind: ``sd`` has ``kinds q`` entries.

    Examples
    --------
    >>> import numpy as np
    >>> Several(Iid(1), np.array([0, 1, 1]), 2, 3).whiten({"sd": np.array([1.0, 3.0])}).scale.tolist()
    [1.0, 3.0, 3.0]
    """

    one: Iid | Correlated
    kind: Numbers
    kinds: int = field(metadata={"static": True})
    levels: int = field(metadata={"static": True})

    @property
    def n(self) -> int:
        """Number of effects."""
        return self.levels * self.one.n

    @property
    def pattern(self) -> Pattern:
        """Block diagonal."""
        return self.one.pattern.repeated(self.levels)

    def whiten(self, theta: Theta) -> Whitened:
        """Each level by its kind."""
        parts = [self.one.whiten(part) for part in by_kinds(theta, self.kinds)]
        scale, values = (jnp.stack(each)[self.kind].ravel() for each in list(zip(*parts, strict=True))[:2])
        logdets = jnp.stack([jnp.asarray(part.logdet) for part in parts])
        return Whitened(scale, values, jnp.sum(logdets[self.kind]))


def by_kinds(theta: Theta, kinds: int) -> list[Theta]:
    """The hyperparameters of each kind, of vectors (..., kinds m) that have them one after the other."""
    sizes = {name: values.shape[-1] // kinds for name, values in theta.items()}
    return [
        {name: values[..., k * sizes[name] : (k + 1) * sizes[name]] for name, values in theta.items()}
        for k in range(kinds)
    ]
