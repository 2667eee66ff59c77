"""Parts for PyMC models: the likelihood of an lgm model with all effects integrated out, and sparse Gaussians.

Needs PyMC: ``pip install "lgm-bayes[pymc]"``. Values and gradients are computed by JAX in double precision: PyTensor's
C backend calls back into Python, its JAX backend takes the functions as they are. Its Numba backend is refused, because
threads of compiled code that wait for JAX can wait for ever; nutpie takes ``backend="jax"``. Derivatives are of first
order, which is what NUTS needs.

JAX does not survive a fork, so chains in processes need ``pm.sample(mp_ctx="spawn")``; ``cores=1``, nutpie and the
sampler of NumPyro need nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from lgm import distributions
from lgm.errors import LgmError, MissingPackageError
from lgm.linalg import Analysis, sample
from lgm.xla import own_settings

try:
    import pymc
    import pytensor.tensor as pt
    from pytensor.gradient import DisconnectedType
    from pytensor.graph.basic import Apply
    from pytensor.graph.op import Op
    from pytensor.link.jax.dispatch import jax_funcify
    from pytensor.link.numba.dispatch import numba_funcify
except ImportError as error:
    raise MissingPackageError(f'lgm.pymc needs PyMC: pip install "lgm-bayes[pymc]" ({error}).') from error

if TYPE_CHECKING:
    from lgm.model import Model


def log_likelihood(model: Model, theta: Mapping[str, Any], *, offset: Any = None) -> Any:
    """``log p(y | theta)`` of an lgm model, all effects integrated out, as a part of a PyMC model.

    Exact for a Gaussian response, else Laplace's approximation. `lgm.model.Model.draw_effects` finds the effects of the
    draws of theta. Where it is undefined it is -inf, with a gradient of zero.

    Parameters
    ----------
    model : Model
    theta : mapping
        A number or a PyTensor variable for every hyperparameter by name. Their priors are those of the PyMC model.
    offset : vector (n,), optional
        Added to the linear predictor of the rows with a response; any function of variables of the PyMC model.

    Returns
    -------
    PyTensor scalar
        For ``pm.Potential``.

    Raises
    ------
    LgmError
        For other names than those of the hyperparameters.

    Examples
    --------
    >>> import lgm, lgm.pymc, pymc as pm
    >>> sleep = lgm.model("Reaction ~ Days + (1|Subject)", lgm.load_dataset("sleepstudy"))
    >>> with pm.Model() as model:
    ...     people, sigma = pm.HalfNormal("people", 100.0), pm.HalfNormal("sigma", 100.0)
    ...     theta = {"sd(Intercept|Subject)": people, "sigma": sigma}
    ...     y = pm.Potential("y", lgm.pymc.log_likelihood(sleep, theta))
    >>> round(float(y.eval({people: 40.0, sigma: 30.0})), 3)
    -904.18
    """
    names = model.design.theta_names
    wrong = [n for n in theta if n not in names] + [n for n in names if n not in theta]
    if wrong:
        raise LgmError(f"theta must have exactly the names {', '.join(names)}; look at {', '.join(map(str, wrong))}.")
    function = _Likelihood(model, offset is not None)
    at = pt.stack([pt.as_tensor_variable(theta[name]).astype("float64") for name in names])
    return Density(function)(at, *([] if offset is None else [_vector(offset)]))[0]


def SparsePrecisionNormal(  # noqa: N802 - called as PyMC's distributions are
    name: str, mu: Any, analysis: Analysis, values: Any, **kwargs: Any
) -> Any:
    """Multivariate normal ``N(mu, Q^-1)`` with sparse precision Q, as a random variable of a PyMC model.

    Parameters
    ----------
    name : str
    mu : vector (n,)
    analysis : lgm.linalg.Analysis
        Pattern of Q, from `lgm.linalg.analyse`.
    values : vector (nnz,)
        Q in pattern order: numbers, or a function of variables of the PyMC model.
    **kwargs
        As for PyMC's distributions: ``observed``, ``dims``, ``initval``.

    Returns
    -------
    PyTensor vector (n,)

    Examples
    --------
    >>> import numpy as np, pymc as pm, scipy.sparse as sp, lgm.pymc
    >>> from lgm.linalg import analyse
    >>> Q = sp.csc_array([[2.0, 1.0], [1.0, 2.0]])
    >>> sym = analyse(Q)
    >>> with pm.Model() as model:
    ...     b = lgm.pymc.SparsePrecisionNormal("b", np.zeros(2), sym, Q[[0, 1, 1], [0, 0, 1]])
    >>> round(float(model.compile_logp()({"b": np.array([1.0, -1.0])})), 6)
    -2.288571
    """
    density = Density(_SparseNormal(analysis))

    def logp(value: Any, mu: Any, values: Any) -> Any:
        return density(value - mu, values)[0]

    def support_point(rv: Any, size: Any, mu: Any, values: Any) -> Any:
        return pt.broadcast_to(mu, rv.shape)

    return pymc.CustomDist(
        name,
        _vector(mu),
        _vector(values),
        logp=logp,
        random=_Draws(analysis),
        support_point=support_point,
        signature="(n),(m)->(n)",
        **kwargs,
    )


@dataclass(frozen=True)
class _Likelihood:
    """Of theta (k,), and of what is added to the linear predictors (n,)."""

    model: Model
    moved: bool

    def __call__(self, theta: jax.Array, *offset: jax.Array) -> Any:
        named = dict(zip(self.model.design.theta_names, theta, strict=True))
        return self.model.log_likelihood(named, offset=offset[0] if self.moved else None)


@dataclass(frozen=True)
class _SparseNormal:
    """Of a distance from the mean (n,) and a precision in pattern order (nnz,)."""

    analysis: Analysis

    def __call__(self, away: jax.Array, values: jax.Array) -> Any:
        normal = distributions.SparsePrecisionNormal(jnp.zeros(self.analysis.n), self.analysis, values)
        return normal.log_prob(away)


@dataclass(frozen=True)
class _Draws:
    """Random draws, as PyMC asks for them."""

    analysis: Analysis

    def __call__(self, mu: Any, values: Any, rng: Any = None, size: Any = None) -> Any:
        if np.ndim(mu) != 1 or np.ndim(values) != 1:
            raise LgmError("draws of several sparse normals at once; accepted: one mu (n,) and one matrix (nnz,).")
        shape = () if size is None else tuple(int(each) for each in np.atleast_1d(size))
        with own_settings():
            key = jax.random.key(int(rng.integers(2**31)))
            return np.asarray(sample(self.analysis, np.asarray(values), key, np.asarray(mu), shape))


class Density(Op):
    """A scalar that JAX computes from vectors, with its gradients by all of them as further outputs.

    Parameters
    ----------
    function : callable
        Traceable, hashable, and picklable where the model is to go to other processes.
    """

    __props__ = ("function",)

    def __init__(self, function: Any) -> None:
        self.function = function

    def __str__(self) -> str:
        return f"{type(self).__name__}({type(self.function).__name__.lstrip('_')})"

    def make_node(self, *inputs: Any) -> Any:
        """One scalar, and a vector for each input."""
        vectors = [_vector(each) for each in inputs]
        return Apply(self, vectors, [pt.dscalar(), *(pt.dvector() for _ in vectors)])

    def infer_shape(self, fgraph: Any, node: Any, shapes: Sequence[Any]) -> list[Any]:
        """Those of the inputs."""
        return [(), *shapes]

    def perform(self, node: Any, inputs: Sequence[Any], outputs: Any) -> None:
        """By what JAX compiles once for each shape."""
        with own_settings():
            value, slopes = self._compiled(*(np.asarray(each, dtype=float) for each in inputs))
            found = [np.asarray(each) for each in (value, *slopes)]
        for cell, each in zip(outputs, found, strict=True):
            cell[0] = each

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], output_grads: Sequence[Any]) -> list[Any]:
        """From the gradients that came with the value."""
        if not all(isinstance(each.type, DisconnectedType) for each in output_grads[1:]):
            raise NotImplementedError(
                "second derivatives of a density by lgm are not there; NUTS, nutpie and variational inference need none"
            )
        return [output_grads[0] * each for each in outputs[1:]]

    @cached_property
    def _compiled(self) -> Any:
        function = self.function

        def both(*inputs: jax.Array) -> Any:
            value, slopes = jax.value_and_grad(function, argnums=tuple(range(len(inputs))))(*inputs)
            fine = jnp.isfinite(value)
            for each in slopes:
                fine = fine & jnp.all(jnp.isfinite(each))
            return jnp.where(fine, value, -jnp.inf), tuple(jnp.where(fine, each, 0.0) for each in slopes)

        return jax.jit(both)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_compiled"}


@jax_funcify.register(Density)
def _density_in_jax(op: Density, **kwargs: Any) -> Any:
    """The function itself; what a model does not use of its outputs, XLA leaves out."""
    function = op.function

    def found(*inputs: jax.Array) -> Any:
        value = function(*inputs)
        still = jax.lax.stop_gradient(inputs)
        slopes = jax.grad(function, argnums=tuple(range(len(inputs))))(*still)
        return (jnp.where(jnp.isfinite(value), value, -jnp.inf), *slopes)

    return found


@numba_funcify.register(Density)
def _density_in_numba(op: Density, **kwargs: Any) -> Any:
    raise LgmError(
        "densities by lgm are computed by JAX, which compiled code of Numba cannot call safely from its threads. "
        'Accepted: nutpie.compile_pymc_model(model, backend="jax"), pm.sample(nuts_sampler="numpyro"), or PyTensor '
        'in the mode "FAST_RUN" or "JAX".'
    )


def _vector(values: Any) -> Any:
    found = pt.as_tensor_variable(values).astype("float64")
    if found.type.ndim != 1:
        raise LgmError(f"an array of {found.type.ndim} dimensions; accepted: vectors.")
    return found
