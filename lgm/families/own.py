"""A user's own family, from one function."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro.distributions import biject_to

from lgm.arrays import FloatArray
from lgm.errors import LgmError
from lgm.families.checks import require_varied
from lgm.families.family import Family, Rng, Theta
from lgm.families.links import LINKS
from lgm.families.response import Response
from lgm.parameter import CORRELATION, POSITIVE, PROPORTION, REAL, Domain, Parameter
from lgm.priors import Normal, Prior
from lgm.xla import QUICK, own_settings

_TAKEN = ("sd", "corr", "rho", "phi", "pacf", "range", "fixed")  # by which classes of other parameters are addressed
_ACCEPTED = (
    "Accepted: a function of y (n,), eta (n,) and theta, a dict of numbers, that returns the log density of each row "
    "(n,), made of jax.numpy (no `if` on values: jnp.where), smooth, and finite for every eta."
)


@dataclass(frozen=True, kw_only=True)
class Own(Family):
    """A user's own family; `custom` makes it.

    Two are equal, and share compiled programs, if their functions are the same objects. It can be pickled if these can
    be imported.
    """

    name: str  # type: ignore[misc]
    log_concave: bool  # type: ignore[misc]
    function: Callable[..., Any]
    own: tuple[Parameter, ...] = field(compare=False)
    expected: Callable[..., Any] | None
    drawn: Callable[..., Any] | None
    fisher: Callable[..., Any] | None

    links = tuple(LINKS)

    def check(self, y: Response, name: str) -> None:
        """That the log-likelihood can be used at these values, and that not all are the same."""
        require_varied(y, name)
        _try(self, np.asarray(y.value, dtype=float), self.level_of(y, np.zeros(y.size), np.ones(y.size)))

    def level_of(self, y: Response, offset: FloatArray, weights: FloatArray) -> float:
        """Link of the mean, or zero where the link has no such mean."""
        mean = float(np.average(y.value, weights=weights))
        with np.errstate(invalid="ignore", divide="ignore"):
            level = float(self.linked.forward(mean)) - y.mean(offset)
        return level if math.isfinite(level) else 0.0

    def scale_of(self, y: Response, offset: FloatArray, *, about_zero: bool = False) -> float:
        """With the identity link sd of the response, without an intercept its root mean square; else the link's."""
        if self.link != "identity":
            return super().scale_of(y, offset)
        return y.spread(offset, about_zero=about_zero)

    def parameters(self, y: Response, yardstick: float, weights: FloatArray) -> tuple[Parameter, ...]:
        """Those that were named."""
        return self.own

    def loglik(self, y: Response, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """The function times the weight."""
        return weights * self.function(jnp.asarray(y.value), eta, dict(theta))

    def information(self, y: Response, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """As given, else minus the second derivative; where that is not positive, its size or the squared slope."""
        if self.fisher is not None:
            return weights * self.fisher(jnp.asarray(y.value), eta, dict(theta))
        slope, curvature = _derivatives(lambda e: self.function(jnp.asarray(y.value), e, dict(theta)), eta)[1:]
        return weights * jnp.where(curvature < 0.0, -curvature, jnp.maximum(curvature, jnp.square(slope)))

    def mean(self, eta: FloatArray, theta: Theta) -> FloatArray:
        """As given, else by the link."""
        return super().mean(eta, theta) if self.expected is None else np.asarray(self.expected(eta, dict(theta)))

    def simulate(self, rng: Rng, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """As given."""
        if self.drawn is None:
            raise LgmError(f"the family {self.name} cannot draw responses; give simulate= to lgm.families.custom.")
        return np.asarray(self.drawn(rng, eta, dict(theta)), dtype=float)


def custom(
    name: str,
    loglik: Callable[..., Any],
    parameters: Mapping[str, Any] | None = None,
    *,
    link: str = "identity",
    mean: Callable[..., Any] | None = None,
    simulate: Callable[..., Any] | None = None,
    information: Callable[..., Any] | None = None,
    log_concave: bool = False,
) -> Family:
    """A family of one's own, for ``family=``.

    Parameters
    ----------
    name : str
        What it is called in tables.
    loglik : callable
        ``loglik(y, eta, theta)``: log density (n,) of each response given its linear predictor, with all constants.
        ``y`` and ``eta`` are JAX arrays (n,), ``theta`` is a dict of numbers. Row i may depend on ``y[i]`` and
        ``eta[i]`` only. JAX differentiates it four times in eta, so it must be smooth, and finite wherever eta may go.
    parameters : mapping, optional
        Default prior of each parameter by name, of `lgm.priors` or NumPyro. Where it lives is where the prior does:
        above zero, between zero and one, between -1 and 1, any number.
    link : {"identity", "log", "logit", "probit", "cloglog"}
        From the mean to the linear predictor: predictions on the scale of the response, and the level and yardstick of
        default priors. With ``"identity"`` these are mean and sd of the response, else those of the link.
    mean : callable, optional
        ``mean(eta, theta)``, where that is not the inverse of the link; NumPy arrays (rows, S), theta (S,).
    simulate : callable, optional
        ``simulate(rng, eta, theta)``: new responses (rows, S) by a NumPy generator; without it there are no predictions
        of new responses.
    information : callable, optional
        ``information(y, eta, theta)``: Fisher information of eta (n,), positive.
    log_concave : bool
        Whether the second derivative in eta is never positive, whatever theta.

    Returns
    -------
    Family

    Raises
    ------
    LgmError
        For arguments of a wrong kind; and where a model is built, if JAX cannot trace the function, if it is not
        elementwise, or not finite at the responses.

    Notes
    -----
    A weight multiplies the log-likelihood of its row.

    The search for the mode of the effects takes Newton's steps. Where one would not ascend, each row gets a positive
    curvature instead: the information if that is given, else minus the second derivative or, where that is not
    positive, its size or the squared slope, whichever is larger (Berndt, Hall, Hall & Hausman 1974). That direction
    ascends, and steps are halved until the density grows. Around the mode the true second derivatives count.

    Examples
    --------
    Hyperbolic secant errors, whose tails are exponential:

    >>> import jax.numpy as jnp, numpy as np, lgm
    >>> def loglik(y, eta, theta):
    ...     z = (y - eta) / theta["s"]
    ...     return -jnp.logaddexp(z, -z) - jnp.log(theta["s"] * jnp.pi / 2)
    >>> def simulate(rng, eta, theta):
    ...     return eta + theta["s"] * np.log(np.tan(0.5 * np.pi * rng.uniform(size=eta.shape)))
    >>> secant = lgm.families.custom(
    ...     "secant", loglik, {"s": lgm.priors.exponential(0.02)}, simulate=simulate, log_concave=True
    ... )
    >>> model = lgm.model("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"), family=secant)
    >>> round(model.log_likelihood({"sd(Intercept|Batch)": 40.0, "s": 30.0}), 2)
    -167.84
    """
    if not (isinstance(name, str) and name.strip()):
        raise LgmError(f"the name of a family is {name!r}; accepted: text.")
    for what, given in (("mean", mean), ("simulate", simulate), ("information", information)):
        if not (given is None or callable(given)):
            raise LgmError(f"{what}={given!r} of the family {name}; accepted: a function, or None.")
    if not callable(loglik):
        raise LgmError(f"the log-likelihood of the family {name} is {loglik!r}. {_ACCEPTED}")
    if not (parameters is None or isinstance(parameters, Mapping)):
        raise LgmError(
            f"the parameters of the family {name} are of the type {type(parameters).__name__}; accepted: a dict of "
            'their default priors by name, such as {"s": lgm.priors.exponential(1)}.'
        )
    own = tuple(_parameter(name, key, prior) for key, prior in (parameters or {}).items())
    return Own(
        link=link,
        name=name,
        log_concave=bool(log_concave),
        function=loglik,
        own=own,
        expected=mean,
        drawn=simulate,
        fisher=information,
    )


def _parameter(family: str, key: Any, prior: Any) -> Parameter:
    """A parameter that lives where its default prior does."""
    if not (isinstance(key, str) and key.isidentifier()) or key in _TAKEN:
        raise LgmError(
            f"the family {family} has the parameter {key!r}; accepted: names like those of Python's variables, but "
            f"{', '.join(_TAKEN)}, which are classes of other parameters."
        )
    prior = prior.of_theta if isinstance(prior, Normal) else prior
    prior = Prior(prior, type(prior).__name__) if isinstance(prior, dist.Distribution) else prior
    if not isinstance(prior, Prior) or prior.distribution.batch_shape or prior.distribution.event_shape:
        raise LgmError(
            f"the default prior of {key} of the family {family} is {prior!r}; accepted: a prior of one number, of "
            "lgm.priors or NumPyro, such as lgm.priors.exponential(1)."
        )
    with own_settings():
        low, high = np.sort(np.asarray(biject_to(prior.distribution.support)(jnp.array([-40.0, 40.0]))))
        start = float(np.median(prior.distribution.sample(jax.random.key(0), (999,))))
    return Parameter((key,), key, _domain(float(low), float(high)), prior, start, (("Response", key),))


def _domain(low: float, high: float) -> Domain:
    """The smallest of the usual domains that has all values between two ends."""
    correlation = Domain(CORRELATION.low, CORRELATION.high, CORRELATION.words, "uniform(-1, 1)")
    return next(d for d in (PROPORTION, correlation, POSITIVE, REAL) if d.within(low, high))


def _derivatives(function: Callable[[Any], Any], eta: Any) -> tuple[Any, Any, Any]:
    """Value, first and second derivative of an elementwise function."""
    ones = jnp.ones_like(eta)

    def slope(e: Any) -> Any:
        return jax.jvp(function, (e,), (ones,))[1]

    return (function(eta), *jax.jvp(slope, (eta,), (ones,)))


def _try(family: Own, y: FloatArray, level: float) -> None:
    """Raise an LgmError unless the function can be traced, is elementwise and finite around a first guess."""
    theta = {parameter.kind: parameter.start for parameter in family.own}
    what = f"the log-likelihood of the family {family.name}"
    with own_settings():
        at = jnp.asarray(y), jnp.full(y.size, level), {key: jnp.asarray(value) for key, value in theta.items()}
        try:
            found = jax.eval_shape(family.function, *at)
        except Exception as error:
            first = (str(error).strip() or "no message").splitlines()[0]
            raise LgmError(f"{what} cannot be traced by JAX: {type(error).__name__}: {first}\n{_ACCEPTED}") from error
        if getattr(found, "shape", None) != (y.size,) or found.dtype != np.float64:
            kind = f"{found.dtype} of shape {found.shape}" if hasattr(found, "shape") else type(found).__name__
            raise LgmError(
                f"{what} returns {kind} for {y.size} rows; it must be float64 of shape ({y.size},). {_ACCEPTED}"
            )
        signs = jnp.where(jnp.arange(y.size) % 2 == 0, 1.0, -1.0)

        def tried(y: Any, eta: Any, theta: Any) -> tuple[Any, ...]:
            function = lambda e: family.function(y, e, theta)  # noqa: E731
            return (*_derivatives(function, eta), jax.jvp(function, (eta,), (signs,))[1])

        *values, turned = (np.asarray(part) for part in jax.jit(tried, compiler_options=QUICK)(*at))
    for part, order in zip(values, ("", "the first derivative of ", "the second derivative of "), strict=True):
        wrong = np.flatnonzero(~np.isfinite(part))
        if wrong.size:
            i = wrong[0]
            where = ", ".join(f"{key} = {value:.4g}" for key, value in {"y": y[i], "eta": level, **theta}.items())
            raise LgmError(f"{order}{what} is {part[i]} at {where}. {_ACCEPTED}")
    if not np.allclose(turned, np.asarray(signs) * values[1], rtol=1e-8, atol=1e-8 * np.max(np.abs(values[1]))):
        raise LgmError(f"{what} is not elementwise: the value of a row depends on eta of other rows. {_ACCEPTED}")
