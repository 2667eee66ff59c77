"""Coefficients of which few are expected to matter: the regularised horseshoe and R2-D2."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from lgm.arrays import Numbers
from lgm.pattern import Pattern
from lgm.precision.template import Theta, Whitened


@dataclass(frozen=True)
class _Coefficients:
    """Of p covariates, independent of each other given their scales."""

    unit: Numbers
    p: int = field(metadata={"static": True})

    @property
    def n(self) -> int:
        """Number of coefficients."""
        return self.p

    @property
    def pattern(self) -> Pattern:
        """The diagonal."""
        return Pattern.diagonal(self.p)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Horseshoe(_Coefficients):
    r"""Independent coefficients with a scale of their own each, under a common one and a slab.

        b_j ~ N(0, (tau l_j / u_j)^2),   l_j^2 = c^2 lambda_j^2 / (c^2 + tau^2 lambda_j^2)

    Parameters
    ----------
    unit : float array (p,)
        ``u_j``, the spread of each covariate.
    p : int

    Notes
    -----
    Hyperparameters: ``tau``, ``lambda`` (p,) and ``slab``, the c beyond which no coefficient is expected (Piironen &
    Vehtari 2017).

    Examples
    --------
    >>> import numpy as np
    >>> with jax.enable_x64(True):
    ...     found = Horseshoe(np.array([1.0, 2.0]), 2).whiten(
    ...         {"tau": np.array([0.3]), "lambda": np.array([10.0, 1e6]), "slab": np.array([4.0])}
    ...     )
    >>> found.scale.round(4).tolist()
    [2.4, 2.0]
    """

    def whiten(self, theta: Theta) -> Whitened:
        """The precision is that of independent coefficients of unit variance."""
        alone = jnp.asarray(theta["tau"])[0] * jnp.asarray(theta["lambda"])
        scale = alone / jnp.sqrt(1.0 + jnp.square(alone / jnp.asarray(theta["slab"])[0]))
        return Whitened(scale / jnp.asarray(self.unit), jnp.ones(self.p), jnp.zeros(()))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class R2D2(_Coefficients):
    r"""Independent coefficients whose variances are shares of one: ``b_j ~ N(0, R2 phi_j (s / u_j)^2)``.

    ``phi_j = w_j / (w_1 + ... + w_p)``, so that with independent gamma weights the shares are Dirichlet, and R2 is the
    part of the variance s^2 that standardised covariates explain (Zhang, Naughton, Bondell & Reich 2022).

    Parameters
    ----------
    unit : float array (p,)
        ``u_j / s``.
    p : int

    Notes
    -----
    Hyperparameters: ``r2`` and ``weight`` (p,).

    Examples
    --------
    >>> import numpy as np
    >>> with jax.enable_x64(True):
    ...     found = R2D2(np.ones(2), 2).whiten({"r2": np.array([0.5]), "weight": np.array([3.0, 1.0])})
    >>> np.square(found.scale).tolist()
    [0.375, 0.125]
    """

    def whiten(self, theta: Theta) -> Whitened:
        """The precision is that of independent coefficients of unit variance."""
        weight = jnp.asarray(theta["weight"])
        share = weight / jnp.sum(weight)
        scale = jnp.sqrt(jnp.asarray(theta["r2"])[0] * share)
        return Whitened(scale / jnp.asarray(self.unit), jnp.ones(self.p), jnp.zeros(()))
