"""The log posterior as a function of one unconstrained vector, for samplers from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lgm.errors import LgmError
from lgm.inference.compile import jit
from lgm.posterior.density import Marginal, log_density_working, value_and_grad
from lgm.xla import own_settings


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class LogDensity:
    """``log p(y | theta(x)) + log p(theta(x)) + log |d theta / d x|`` of a vector x (k,) on the whole real line.

    All effects are integrated out: exactly for a Gaussian response, else by Laplace's approximation. ``x`` is the
    working scale: logs of what is positive, logits of what is bounded, signed stick breaking for correlations.

    It is a pytree whose arrays are the data: handed to a compiled function as an argument, it serves all models of one
    structure and shape with one compilation.

    Parameters
    ----------
    post : Marginal
    start : float array (k,)
        Where a search or a chain can begin.
    names : tuple of str
        Hyperparameters as they are printed.

    Notes
    -----
    Traced calls need JAX's x64 mode; others switch it on for themselves. Where the density is undefined it is -inf, and
    its gradient NaN, which samplers take for a divergence; `value_and_grad` has zero there.

    Examples
    --------
    >>> import lgm
    >>> model = lgm.model("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"))
    >>> density = model.logdensity_fn()
    >>> x = density.working({"sd(Intercept|Batch)": 40.0, "sigma": 50.0})
    >>> density.theta(x)["sigma"].round(6).item()
    50.0
    >>> import numpy as np
    >>> jacobian = np.log(40.0) + np.log(50.0)
    >>> bool(abs(density(x) - model.log_density(density.theta(x)) - jacobian) < 1e-8)
    True
    """

    post: Marginal
    start: Any
    names: tuple[str, ...] = field(metadata={"static": True})

    @property
    def size(self) -> int:
        """Number of coordinates; what a prior holds has none."""
        return self.post.hyper.working_size

    def __call__(self, x: Any) -> Any:
        """The log density at x (k,); -inf where it is undefined."""
        return self._at(_value, x, (self.size,))

    def value_and_grad(self, x: Any) -> tuple[Any, Any]:
        """The log density at x (k,) and its gradient (k,); ``(-inf, 0)`` where either is undefined."""
        return self._at(value_and_grad, x, (self.size,))

    def theta(self, x: Any) -> dict[str, Any]:
        """Hyperparameters by name, as they are printed, at x (..., k): each has the shape (...)."""
        values = self._at(_printed, x, (..., self.size))
        return {name: values[..., i] for i, name in enumerate(self.names)}

    def working(self, theta: Mapping[str, Any]) -> Any:
        """The vector x (..., k) of hyperparameters by name, all of one shape (...)."""
        require_names(theta, self.names)
        columns = [theta[name] for name in self.names]
        stack = jnp.stack if any(isinstance(each, jax.core.Tracer) for each in columns) else np.stack
        return self._at(_working, stack(columns, axis=-1), (..., len(self.names)))

    def _at(self, function: Callable[..., Any], x: Any, shape: tuple[Any, ...]) -> Any:
        if np.ndim(x) < 1 or np.shape(x)[-1] != shape[-1] or (shape[0] is not ... and np.ndim(x) != 1):
            wanted = ", ".join("..." if each is ... else str(each) for each in shape)
            raise LgmError(f"an array of shape {np.shape(x)}; accepted: ({wanted}{',' * (len(shape) == 1)}).")
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((self.post, x))):
            require_x64()
            return function(self.post, x)
        with own_settings():
            found = jax.tree.map(np.asarray, _compiled[function](self.post, np.asarray(x, dtype=float)))
        return jax.tree.map(lambda each: float(each) if each.ndim == 0 else each, found)


def require_names(theta: Any, names: tuple[str, ...]) -> None:
    """Raise unless theta is a mapping with exactly these names."""
    if not isinstance(theta, Mapping):
        raise LgmError(f"theta is of the type {type(theta).__name__}; accepted: a dict with {', '.join(names)}.")
    wrong = [n for n in theta if n not in names] + [n for n in names if n not in theta]
    if wrong:
        raise LgmError(f"theta must have exactly the names {', '.join(names)}; look at {', '.join(map(str, wrong))}.")


def require_x64() -> None:
    """Raise unless JAX is in x64 mode."""
    if jax.dtypes.canonicalize_dtype(np.float64) != np.float64:
        raise LgmError("traced values need JAX's x64 mode: work inside `with jax.enable_x64(True):`.")


def _value(post: Marginal, x: jax.Array) -> jax.Array:
    value = log_density_working(post, x)
    return jnp.where(jnp.isfinite(value), value, -jnp.inf)


def _printed(post: Marginal, x: jax.Array) -> jax.Array:
    return post.hyper.printed(jnp.vectorize(post.hyper.natural, signature="(k)->(m)")(x))


def _working(post: Marginal, theta: jax.Array) -> jax.Array:
    return jnp.vectorize(post.hyper.working, signature="(m)->(k)")(post.hyper.from_printed(theta))


_compiled = {function: jit(function) for function in (_value, value_and_grad, _printed, _working)}
