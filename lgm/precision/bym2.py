r"""Regional effects that are partly smooth on a map and partly independent, and the prior of their mixture.

With v independent and u* intrinsic on the graph, both of unit variance, the effect of a region is

    b = sd (sqrt(1 - phi) v + sqrt(phi) u*)

(Riebler, Sorbye, Simpson & Rue 2016). The block holds the two parts, ``sd sqrt(1 - phi) v`` and ``sd sqrt(phi) u*``, so
that nothing is divided by ``1 - phi``.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp

from lgm import linalg
from lgm.pattern import Pattern
from lgm.pc_priors import Distance
from lgm.precision.intrinsic import Intrinsic, Structure, intrinsic_moments
from lgm.precision.template import Constraint, Theta, Whitened
from lgm.xla import LOOPS, own_settings

NODES = np.linspace(-10.0, 12.0, 45)  # logit phi at which the distance is tabulated


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Bym2:
    """Independent effects v (N,), then intrinsic ones u* (N,): ``R = blockdiag(I, R*)``.

    Parameters
    ----------
    spatial : Intrinsic
        Scaled ``R*``.

    Notes
    -----
    Hyperparameters: ``sd``, and ``phi`` in (0, 1), the share of the variance that is spatial. The pattern keeps a place
    for each pair ``(v_i, u*_i)``: their posterior covariance is what the variance of their sum needs.
    """

    spatial: Intrinsic

    @property
    def n(self) -> int:
        """Number of effects, two for each region."""
        return 2 * self.spatial.n

    @property
    def pattern(self) -> Pattern:
        """The diagonal, the graph, and the pairs."""
        n, spatial = self.spatial.n, self.spatial.pattern
        own = np.arange(n)
        return Pattern.from_entries(
            2 * n, np.concatenate([spatial.rows + n, own + n]), np.concatenate([spatial.cols + n, own])
        )

    def whiten(self, theta: Theta) -> Whitened:
        """The scale depends on ``phi``, the precision does not."""
        n, sd, phi = self.spatial.n, theta["sd"], theta["phi"]
        scale = jnp.concatenate([jnp.broadcast_to(sd * jnp.sqrt(share), (n,)) for share in (1.0 - phi, phi)])
        # Column i < n holds its diagonal and its pair; those of u* follow in their own order.
        first = jnp.tile(jnp.array([1.0, 0.0]), n)
        values = jnp.concatenate([first, jnp.asarray(self.spatial.entries)])
        return Whitened(scale, values, jnp.asarray(self.spatial.log_det))


def constraint_of(structure: Structure) -> Constraint:
    """The constraint of u*, moved behind v."""
    n, own = structure.n, structure.constraint
    padded = sp.vstack([sp.csc_array((n, own.null_space.shape[1])), own.null_space], format="csc")
    return Constraint(sp.csc_array(padded), own.anchors + n)


def distance(structure: Structure, spatial: Intrinsic) -> Distance:
    r"""Distance of the mixture from independence, ``d(phi) = sqrt(2 KLD)``, at ``phi = expit(NODES)``.

    With ``Sigma(phi) = (1 - phi) I + phi R*^-`` (Riebler et al. 2016, sec. 3.2 and appendix),

        2 KLD = tr Sigma - n - log|Sigma| = phi (tr R*^- - n) - log|Sigma(phi)|
        log|Sigma| = n log(1 - phi) - k log r - log|R*|* + log|R* + r I|,    r = phi / (1 - phi)

    for k null directions: one sparse factorisation for each node, no eigenvalues.
    """
    n, k = structure.constraint.null_space.shape
    scaled = Structure(spatial.pattern, np.asarray(spatial.entries), structure.constraint, structure.component)
    excess = float(np.sum(intrinsic_moments(scaled).variances)) - n
    phi = 1.0 / (1.0 + np.exp(-NODES))
    ratio = np.exp(NODES)
    with own_settings():
        log_dets = np.asarray(_shifted_logdets(linalg.analyse(spatial.pattern), np.asarray(spatial.entries), ratio))
    log_sigma = n * np.log1p(-phi) - k * NODES - float(spatial.log_det) + log_dets
    square = phi * excess - log_sigma
    return Distance(NODES, np.sqrt(square), float(0.5 * k * phi[-1] / square[-1]))  # d^2 grows as -k log(1 - phi)


@jax.jit(static_argnums=0, compiler_options=LOOPS)
def _shifted_logdets(sym: linalg.Analysis, entries: jax.Array, shifts: jax.Array) -> jax.Array:
    diagonal = jnp.asarray(sym.pattern.rows == sym.pattern.cols)
    return jax.lax.map(lambda shift: linalg.logdet(sym, entries + jnp.where(diagonal, shift, 0.0)), shifts)
