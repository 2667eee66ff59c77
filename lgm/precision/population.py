"""Draws of the effects of a template from their prior, under its constraint: what a copy is that has no data."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp

from lgm import linalg
from lgm.arrays import FloatArray
from lgm.errors import IdentifiabilityError
from lgm.linalg import constrained
from lgm.linalg.constrained import Border
from lgm.precision.template import Constraint, Template, Theta
from lgm.xla import LOOPS, QUICK, own_settings


def normals_of(template: Template, constraint: Constraint | None) -> int:
    """How many standard normals a draw takes: one for each effect, and one for each constraint."""
    return template.n + (0 if constraint is None else constraint.anchors.size)


def prior_draws(template: Template, constraint: Constraint | None, theta: Theta, normals: FloatArray) -> FloatArray:
    """Draws of ``b = scale * v``, where v is normal with precision R in the directions that R has.

    Exact and sparse, its constraint bordered (`lgm.linalg.constrained`); a precision that is the same for all theta is
    factored once.

    Parameters
    ----------
    template : Template
    constraint : Constraint, optional
    theta : Theta
        Hyperparameters by kind, (S, number of that kind).
    normals : float array (S, m, `normals_of`)
        Standard normals of m draws at each theta.

    Returns
    -------
    float array (S, m, n)

    Raises
    ------
    IdentifiabilityError
        If draws are not finite.
    """
    size, m, _ = normals.shape
    if not normals.any():
        return np.zeros((size, m, template.n))
    with own_settings():
        scale, values = _whitened(template, {kind: jnp.asarray(each) for kind, each in theta.items()})
        border = _border(template, constraint, np.asarray(values[0]))
        if np.array_equal(values, np.broadcast_to(values[:1], values.shape)):
            z = normals.reshape(1, size * m, -1)
            v = _draws(border.analyse(), border.values, border.inner, values[:1], z).reshape(size, m, -1)
        else:
            v = _draws(border.analyse(), border.values, border.inner, values, normals)
        found = np.asarray(scale)[:, None, :] * np.asarray(v)
    if not np.all(np.isfinite(found)):
        raise IdentifiabilityError(
            "effects that the fit does not have cannot be drawn: at some hyperparameters their precision is not finite "
            "or not positive definite. Look for priors that let these go to the ends of their range."
        )
    return found


@partial(jax.jit, compiler_options=QUICK)
def _whitened(template: Template, theta: Theta) -> tuple[jax.Array, jax.Array]:
    found = jax.vmap(template.whiten)(theta)
    return found.scale, found.values


def _border(template: Template, constraint: Constraint | None, values: FloatArray) -> Border:
    """Its anchors are typical diagonal entries."""
    if constraint is None:
        return Border.of(template.pattern, sp.csc_array((template.n, 0)), np.zeros(0, dtype=np.int64), np.zeros(0))
    kappa = np.full(constraint.anchors.size, values[template.pattern.indptr[:-1]].mean())
    return Border.of(template.pattern, constraint.null_space, constraint.anchors, kappa)


@partial(jax.jit, static_argnums=0, compiler_options=LOOPS)
def _draws(
    analysis: linalg.Analysis, border: jax.Array, inner: jax.Array, values: jax.Array, z: jax.Array
) -> jax.Array:
    d, nothing = analysis.n - 2 * analysis.constraints, jnp.zeros((analysis.n, 0))

    def one(given: tuple[jax.Array, jax.Array]) -> jax.Array:
        whole = border.at[inner].add(given[0])
        own = constrained.normals(given[1].T, d, analysis.constraints)
        return linalg.solve_and_sample(analysis, whole, nothing, own)[2][:d].T

    return jax.lax.map(one, (values, z))
