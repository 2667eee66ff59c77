"""Effects given hyperparameters that someone else has drawn: law, code and random numbers are those of a fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import xarray as xr

from lgm.arrays import FloatArray
from lgm.design.design import Design
from lgm.design.predictor import Printed
from lgm.errors import LgmError
from lgm.inference.compile import compiled
from lgm.inference.keys import normals
from lgm.posterior import density
from lgm.posterior.assemble import Analysed
from lgm.posterior.density import Marginal
from lgm.posterior.every_row import EveryRow
from lgm.results import tables
from lgm.results.drawing import CHUNK_BYTES, chunk_shape, normals_shape
from lgm.results.effects import KEPT_BYTES, fits
from lgm.results.progress import bar
from lgm.words import amount
from lgm.xla import LOOPS, own_settings


@dataclass(frozen=True, eq=False)
class Given:
    """What draws of effects are conditioned on.

    Parameters
    ----------
    thetas : float array (chains, draws, k)
        Natural.
    rows : EveryRow, optional
        Where response or offset are not those of the model.
    y, offset : float array (n,) or (chains, draws, n), optional
        As for `lgm.posterior.density.answering`.
    """

    thetas: FloatArray
    rows: EveryRow | None = None
    y: FloatArray | None = None
    offset: FloatArray | None = None


def draws(
    design: Design, analysed: Analysed, given: Given, parts: Sequence[tuple[Printed, Any]], seed: int, *, progress: bool
) -> xr.Dataset:
    """One draw of the fixed effects, and of printed effects at some of their levels, for each theta.

    Where the effects given theta are not normal there is ``log_weight`` too: what the approximation to ``p(y | theta)``
    lacks, up to noise that makes weighted draws exact.
    """
    lead, p = given.thetas.shape[:2], design.p
    sizes = [printed.variable.labels[where].size for printed, where in parts]
    size = lead[0] * lead[1]
    if not fits(size, p + sum(sizes)):
        raise LgmError(
            f"{size} draws of {p + sum(sizes)} effects take {amount(8.0 * size * (p + sum(sizes)))}; at most "
            f"{amount(KEPT_BYTES)} are made at once. Accepted: one term, fewer levels or fewer draws."
        )
    fixed, gain = np.empty((size, p)), np.empty(size)
    drawn = [np.empty((size, m)) for m in sizes]
    with bar(size, "effects", progress=progress) as shown:
        for numbers, u, lacking in _blocks(analysed, given, seed):
            fixed[numbers], gain[numbers] = u[:, :p], lacking
            for out, (printed, where) in zip(drawn, parts, strict=True):
                out[numbers] = printed.of(u)[:, where]
            shown.update(len(numbers))
    coords: dict[str, Any] = {name: np.arange(m) for name, m in zip(tables.LEAD, lead, strict=True)}
    names = tables.variables(design.fixed_names)
    found: dict[str, Any] = {name: (tables.LEAD, fixed[:, j].reshape(lead).copy()) for j, name in enumerate(names)}
    if not analysed.marginal.data.normal:
        found["log_weight"] = (tables.LEAD, gain.reshape(lead))
    for (printed, where), values in zip(parts, drawn, strict=True):
        variable = printed.variable
        dim = tables.dimension(variable.dim, variable.labels[where], coords, found)
        found[variable.name] = ((*tables.LEAD, dim), values.reshape(*lead, -1))
    return xr.Dataset(found, coords, attrs={"formula": design.formula.source, "seed": seed})


def _blocks(analysed: Analysed, given: Given, seed: int) -> Any:
    """Numbers of some draws, the draws (B, p + q) on the natural scale, and what their densities lack (B,)."""
    post, thetas = analysed.marginal, given.thetas.reshape(-1, given.thetas.shape[-1])
    together = chunk_shape(post, len(thetas), len(thetas))[0]
    if given.rows is not None:
        n = given.rows.observed.y.size
        together = min(together, max(int(CHUNK_BYTES // (8 * 4 * n)), 1))
    for start in range(0, len(thetas), together):
        at = np.minimum(np.arange(start, start + together), len(thetas) - 1)  # every call has the same shapes
        z = normals(seed, 1, numbers=at, size=post.n_normals * post.data.pairs)
        z = z.reshape(normals_shape(post, (together, 1)))
        moved = (_taken(each, at) for each in (given.y, given.offset))
        with own_settings():
            u, gain = (np.asarray(each) for each in _chunk(None, post, given.rows, thetas[at], *moved, z))
        own = min(together, len(thetas) - start)
        undefined = at[:own][~np.all(np.isfinite(u[:own]), axis=1)]
        if undefined.size:
            raise LgmError(
                f"the effects given theta are undefined at draw {undefined[0]} (counted from 0 through all chains). "
                "Accepted: hyperparameters at which the density is finite."
            )
        yield at[:own], analysed.natural(u[:own]), gain[:own]


def _taken(values: FloatArray | None, at: Any) -> FloatArray | None:
    """Those of some draws (B, n)."""
    if values is None:
        return None
    return (
        np.broadcast_to(values, (at.size, values.size))
        if values.ndim == 1
        else values.reshape(-1, values.shape[-1])[at]
    )


@compiled(shapes=lambda post, how: (), options=LOOPS)
def _chunk(
    how: None,
    post: Marginal,
    rows: EveryRow | None,
    thetas: jax.Array,
    y: jax.Array | None,
    offset: jax.Array | None,
    z: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """A draw (B, p + q) for each theta, and what the density that is known lacks (B,)."""

    def one(theta: jax.Array, y: Any, offset: Any, z: jax.Array) -> tuple[jax.Array, jax.Array]:
        there = post if rows is None else density.answering(post, rows, y, offset)
        found = density.effects(there, theta, z.T, 1)
        return found.draws[:, 0], found.gain

    return jax.vmap(one)(thetas, y, offset, z)
