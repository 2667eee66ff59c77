"""Theta: its prior as one density, and the coordinates in which engines move.

Theta is a row of *slots*, one per prior: a standard deviation, the correlations of a group, all local scales of a
horseshoe, a value that is held.
Priors are densities of *natural* values, which are printed as they are but for blocks that have a `Printing`: engines,
blocks and draws know natural values only. There are two other coordinate systems, both of ``working_size`` numbers:

- *working*: the whole real line, by NumPyro's bijection onto the support. A standard deviation is on the log scale.
- *folded*: the same, except that what lives on a half line is itself, given a sign that does not matter. Zero is an
  ordinary point, and a proposal may straddle it; where a prior has a pole there, the value stays on the log scale.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lgm.posterior.latent_prior import Places, by_kind
from lgm.posterior.slots import Slot
from lgm.precision.template import Printing, Theta


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Reprinted:
    """Hyperparameters of a block that are printed as others, and where they stand in theta."""

    printing: Printing
    places: Places = field(metadata={"static": True})


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Hyperparameters:
    """The prior of theta, slot by slot, and the maps between its coordinates.

    Parameters
    ----------
    slots : tuple of Slot
        In the order of theta.
    reprinted : tuple of Reprinted
        Of blocks whose natural hyperparameters are not those that are printed.

    Examples
    --------
    >>> from lgm.parameter import standard_deviation
    >>> from lgm.posterior.slots import slot
    >>> from lgm.priors import exponential, constant
    >>> sd = standard_deviation("g", 1.0)
    >>> theta = Hyperparameters((slot(exponential(1.0), sd), slot(constant(2.0), sd)))
    >>> with jax.enable_x64(True):
    ...     theta.natural(jnp.array([0.0])).tolist()
    [1.0, 2.0]
    """

    slots: tuple[Slot, ...]
    reprinted: tuple[Reprinted, ...] = ()

    @property
    def size(self) -> int:
        """Number of natural hyperparameters."""
        return sum(s.size for s in self.slots)

    @property
    def working_size(self) -> int:
        """Number of working coordinates, and of folded ones."""
        return sum(s.working_size for s in self.slots)

    @property
    def proper(self) -> bool:
        """Whether draws can be made of all of them."""
        return all(s.proper for s in self.slots)

    @property
    def folded(self) -> tuple[bool, ...]:
        """Which folded coordinates are values on a half line, given a sign that does not matter."""
        return tuple(s.half_line for s in self.slots for _ in range(s.working_size))

    def natural(self, x: jax.Array) -> jax.Array:
        """Working (working_size,) to natural (size,)."""
        return _join(s.natural(part) for s, part in self._coordinates(x))

    def working(self, theta: jax.Array) -> jax.Array:
        """Natural (size,) to working (working_size,)."""
        return _join(s.working(part) for s, part in self._values(theta))

    def from_folded(self, x: jax.Array) -> jax.Array:
        """Folded (working_size,) to natural (size,)."""
        return _join(jnp.abs(part) if s.half_line else s.natural(part) for s, part in self._coordinates(x))

    def to_folded(self, theta: jax.Array) -> jax.Array:
        """Natural (size,) to folded (working_size,)."""
        return _join(part if s.half_line else s.working(part) for s, part in self._values(theta))

    def log_jacobian_folded(self, x: jax.Array) -> jax.Array:
        """``log |d natural / d folded|``."""
        return _sum(s.log_jacobian(part) for s, part in self._coordinates(x) if not s.half_line)

    def log_prior(self, theta: jax.Array) -> jax.Array:
        """Log prior density of theta on the natural scale, no Jacobian."""
        return _sum(s.log_prior(part) for s, part in self._values(theta))

    def log_priors(self, theta: jax.Array) -> jax.Array:
        """Its parts, one of each slot (number of slots,)."""
        return jnp.array([s.log_prior(part) for s, part in self._values(theta)])

    def log_prior_working(self, x: jax.Array) -> jax.Array:
        """Log prior density of the working coordinates, Jacobian included."""
        return _sum(s.log_prior_working(part) for s, part in self._coordinates(x))

    def printed(self, theta: Any) -> Any:
        """Natural to printed, (..., size), NumPy's or traced."""
        for each in self.reprinted:
            theta = _replaced(theta, each.places, each.printing.printed(by_kind(theta, each.places)))
        return theta

    def from_printed(self, values: Any) -> Any:
        """Printed to natural, (..., size)."""
        for each in self.reprinted:
            values = _replaced(values, each.places, each.printing.internal(by_kind(values, each.places)))
        return values

    def log_jacobian_printed(self, theta: jax.Array) -> jax.Array:
        """``log |d printed / d natural|``."""
        return _sum(each.printing.log_jacobian(by_kind(theta, each.places)) for each in self.reprinted)

    def sample(self, key: jax.Array) -> jax.Array:
        """One draw of theta from its prior, natural (size,)."""
        keys = jax.random.split(key, len(self.slots))
        return _join(s.sample(k) for s, k in zip(self.slots, keys, strict=True))

    def _coordinates(self, x: jax.Array) -> list[tuple[Slot, jax.Array]]:
        return _parts(self.slots, x, [s.working_size for s in self.slots])

    def _values(self, theta: jax.Array) -> list[tuple[Slot, jax.Array]]:
        return _parts(self.slots, theta, [s.size for s in self.slots])


def _parts(slots: Sequence[Slot], x: jax.Array, sizes: Sequence[int]) -> list[tuple[Slot, jax.Array]]:
    ends = np.cumsum([0, *sizes])
    return [(s, x[a:b]) for s, a, b in zip(slots, ends[:-1], ends[1:], strict=True)]


def _replaced(theta: Any, places: Places, values: Theta) -> Any:
    columns = [theta[..., j] for j in range(theta.shape[-1])]
    for kind, where in places:
        for i, j in enumerate(where):
            columns[j] = values[kind][..., i]
    return theta.__array_namespace__().stack(columns, axis=-1)


def _join(parts: Iterable[jax.Array]) -> jax.Array:
    return jnp.concatenate([jnp.zeros(0), *parts])


def _sum(parts: Iterable[jax.Array]) -> jax.Array:
    return sum(parts, jnp.zeros(()))
