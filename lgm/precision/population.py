"""Draws of the effects of a template from their prior, under its constraint: what a copy is that has no data."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lgm import linalg
from lgm.arrays import FloatArray, IntArray
from lgm.errors import IdentifiabilityError
from lgm.linalg import constrained
from lgm.precision.template import Constraint, Template, Theta


def normals_of(template: Template, constraint: Constraint | None) -> int:
    """How many standard normals a draw takes: one for each effect, and one for each constraint."""
    return template.n + (0 if constraint is None else constraint.anchors.size)


def prior_draws(template: Template, constraint: Constraint | None, theta: Theta, normals: FloatArray) -> FloatArray:
    """Draws of ``b = scale * v``, where v is normal with precision R in the directions that R has.

    Exact and sparse, by anchored kriging (`lgm.linalg.constrained`); a precision that is the same for all theta is
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
    with jax.enable_x64(True):
        scale, values = _whitened(template, {kind: jnp.asarray(each) for kind, each in theta.items()})
        analysis = linalg.analyse(template.pattern)
        krige, raised, kappa = _anchors(template, constraint, np.asarray(values[0]))
        if np.array_equal(values, np.broadcast_to(values[:1], values.shape)):
            z = normals.reshape(1, size * m, -1)
            v = _draws(analysis, values[:1], krige, raised, kappa, z).reshape(size, m, -1)
        else:
            v = _draws(analysis, values, krige, raised, kappa, normals)
        found = np.asarray(scale)[:, None, :] * np.asarray(v)
    if not np.all(np.isfinite(found)):
        raise IdentifiabilityError(
            "effects that the fit does not have cannot be drawn: at some hyperparameters their precision is not finite "
            "or not positive definite. Look for priors that let these go to the ends of their range."
        )
    return found


@jax.jit
def _whitened(template: Template, theta: Theta) -> tuple[jax.Array, jax.Array]:
    found = jax.vmap(template.whiten)(theta)
    return found.scale, found.values


def _anchors(template: Template, constraint: Constraint | None, values: FloatArray) -> tuple[Any, IntArray, FloatArray]:
    """``K = [E C']``, and which entries are raised by how much: by the typical diagonal entry."""
    if constraint is None:
        return np.zeros((template.n, 0)), np.zeros(0, dtype=np.int64), np.zeros(0)
    diagonal = template.pattern.indptr[:-1]
    raised = diagonal[constraint.anchors]
    kappa = np.full(raised.size, values[diagonal].mean())
    return constrained.krige_matrix(constraint.null_space, constraint.anchors), raised, kappa


@partial(jax.jit, static_argnums=0)
def _draws(
    analysis: linalg.Analysis,
    values: jax.Array,
    krige: jax.Array,
    raised: jax.Array,
    kappa: jax.Array,
    normals: jax.Array,
) -> jax.Array:
    def one(given: tuple[jax.Array, jax.Array]) -> jax.Array:
        own, z = given[0].at[raised].add(kappa), given[1].T
        _, solved, w = linalg.solve_and_sample(analysis, own, krige, z[: analysis.n])
        found = constrained.kriging(krige.T @ solved, kappa)
        return constrained.draw(w, solved, krige, found, z[analysis.n :]).T

    return jax.lax.map(one, (values, normals))
