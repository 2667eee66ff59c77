"""Priors: NumPyro distributions with the names and parameters that modellers use.

Priors of theta (standard deviations, correlations, ...) are densities of the quantity that is printed. Priors of fixed
effects are normal or flat, because fixed effects are integrated out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from scipy.optimize import brentq

from lgm import pickling
from lgm.errors import PriorError
from lgm.pc_priors import Distance, PcCorrelation, PcCorrelationToOne, PcDistance, PcPrecision, PcRange
from lgm.xla import own_settings


@dataclass(frozen=True)
class Prior:
    """A prior of one hyperparameter: a NumPyro distribution and the words that a fit prints for it."""

    distribution: dist.Distribution
    label: str

    def __repr__(self) -> str:
        return self.label

    def __reduce__(self) -> tuple[Any, ...]:
        return pickling.reduced(self)


@dataclass(frozen=True)
class Normal:
    """Normal prior of a fixed effect: as it is printed, or, as defaults are, at the mean of what it interacts with."""

    mean: float
    sd: float
    at_means: bool = False

    @property
    def of_theta(self) -> Prior:
        """The same for a hyperparameter that may be any number."""
        return _prior(repr(self), dist.Normal, self.mean, self.sd)

    def __repr__(self) -> str:
        return f"normal({self.mean:.6g}, {self.sd:.6g})"


@dataclass(frozen=True)
class Flat:
    """Improper flat prior: log p(y) is undefined; with all fixed effects flat, p(y | theta) is the REML likelihood."""

    def __repr__(self) -> str:
        return "flat()"


@dataclass(frozen=True)
class Lkj:
    """LKJ prior of the correlations of one group."""

    concentration: float

    def __repr__(self) -> str:
        return f"lkj({self.concentration:.6g})"


@dataclass(frozen=True)
class Dirichlet:
    """Dirichlet prior of shares, with one concentration for all of them."""

    concentration: float

    def __repr__(self) -> str:
        return f"dirichlet({self.concentration:.6g})"


@dataclass(frozen=True)
class Constant:
    """A hyperparameter held at a value."""

    value: float

    def __repr__(self) -> str:
        return f"constant({self.value:.6g})"


@dataclass(frozen=True)
class PcShare:
    """Penalised-complexity prior of a share in (0, 1), ``P(share < U) = alpha``; the model supplies the distance."""

    U: float
    alpha: float

    def __repr__(self) -> str:
        return f"pc_phi({self.U:.6g}, {self.alpha:.6g})"

    def on(self, distance: Distance) -> Prior:
        """The prior for a model whose distance from the simpler one is known."""
        with own_settings():
            return Prior(PcDistance(distance, self.U, self.alpha), repr(self))


class ShiftedGamma(dist.Distribution):
    """What exceeds ``low`` has a gamma distribution."""

    arg_constraints = {
        "low": dist.constraints.real,
        "shape": dist.constraints.positive,
        "rate": dist.constraints.positive,
    }
    pytree_data_fields = ("low", "shape", "rate")

    def __init__(self, low: Any, shape: Any, rate: Any, *, validate_args: bool | None = None) -> None:
        self.low, self.shape, self.rate = low, shape, rate
        super().__init__(batch_shape=jnp.shape(rate), validate_args=validate_args)

    @dist.constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        """All that is more than ``low``."""
        return dist.constraints.greater_than(self.low)

    def log_prob(self, value: Any) -> jax.Array:
        """Log density."""
        return dist.Gamma(self.shape, self.rate).log_prob(value - self.low)

    def sample(self, key: jax.Array, sample_shape: tuple[int, ...] = ()) -> jax.Array:
        """Draws."""
        return self.low + jax.random.gamma(key, self.shape, sample_shape + self.batch_shape) / self.rate


FixedEffectPrior = Normal | Flat
ThetaPrior = Prior | Lkj | Dirichlet | Constant | Flat
KINDS = (Prior, Normal, Flat, Lkj, Dirichlet, Constant, PcShare)  # all that a user may have given


def _numbers(**values: float) -> list[float]:
    found = []
    for name, value in values.items():
        try:
            number = math.nan if isinstance(value, str) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise PriorError(f"{name}={value!r} must be a finite number")
        found.append(number)
    return found


def _positive(**values: float) -> list[float]:
    numbers = _numbers(**values)
    for name, number in zip(values, numbers, strict=True):
        if number <= 0:
            raise PriorError(f"{name}={values[name]!r} must be a positive number")
    return numbers


def _probability(**values: float) -> list[float]:
    numbers = _numbers(**values)
    for name, number in zip(values, numbers, strict=True):
        if not 0 < number < 1:
            raise PriorError(f"{name}={values[name]!r} must lie between 0 and 1")
    return numbers


def _prior(label: str, make: type[dist.Distribution], *args: float) -> Prior:
    with own_settings():  # some distributions store arrays, which must be float64
        return Prior(make(*args), label)


def normal(mean: float = 0.0, sd: float = 1.0) -> Normal:
    """Normal prior of a fixed effect, on the scale of the printed coefficient, or of what else may be any number.

    Examples
    --------
    >>> normal(0, 10)
    normal(0, 10)
    """
    (centre,), (spread,) = _numbers(mean=mean), _positive(sd=sd)
    return Normal(centre, spread)


def flat() -> Flat:
    """Flat (improper) prior of a fixed effect, or of a standard deviation at its mode (``method="mode"``).

    With flat priors everywhere the mode is the REML estimate.
    """
    return Flat()


def constant(value: float) -> Constant:
    """Hold a hyperparameter at ``value`` (natural scale).

    Examples
    --------
    >>> constant(1.5)
    constant(1.5)
    """
    return Constant(*_numbers(value=value))


fixed = constant  # its first name, for scripts that use it; elsewhere "fixed" means fixed effects


def exponential(rate: float) -> Prior:
    """Exponential prior with mean ``1 / rate``."""
    (rate,) = _positive(rate=rate)
    return _prior(f"exponential({rate:.6g})", dist.Exponential, rate)


def pc_sd(U: float, alpha: float = 0.05) -> Prior:
    """Penalised-complexity prior of a standard deviation: exponential with ``P(sd > U) = alpha``.

    The rate is ``-log(alpha) / U`` (Simpson et al. 2017, sec. 3.3).

    Examples
    --------
    >>> pc_sd(1.0, 0.05)
    pc_sd(1, 0.05)
    """
    (U,), (alpha,) = _positive(U=U), _probability(alpha=alpha)
    return _prior(f"pc_sd({U:.6g}, {alpha:.6g})", dist.Exponential, -math.log(alpha) / U)


def pc_prec(U: float, alpha: float = 0.05) -> Prior:
    """Penalised-complexity prior of a precision: ``1 / sqrt(precision)`` is exponential, ``P(1 / sqrt > U) = alpha``.

    As `pc_sd`, for a quantity whose simpler model is at infinity: the ``shape`` of a negative binomial or the ``kappa``
    of a beta-binomial response. Its mean is infinite (Simpson et al. 2017, sec. 3.3; INLA's ``pc.prec``).

    Examples
    --------
    >>> pc_prec(3.0, 0.05)
    pc_prec(3, 0.05)
    """
    (U,), (alpha,) = _positive(U=U), _probability(alpha=alpha)
    return _prior(f"pc_prec({U:.6g}, {alpha:.6g})", PcPrecision, -math.log(alpha) / U)


def half_normal(sd: float) -> Prior:
    """Half-normal prior; ``sd`` is that of the normal which is folded."""
    (sd,) = _positive(sd=sd)
    return _prior(f"half_normal({sd:.6g})", dist.HalfNormal, sd)


def half_student_t(df: float, scale: float) -> Prior:
    """Half Student t prior with ``df`` degrees of freedom."""
    df, scale = _positive(df=df, scale=scale)
    with own_settings():
        folded = dist.FoldedDistribution(dist.StudentT(df, 0.0, scale))
    return Prior(folded, f"half_student_t({df:.6g}, {scale:.6g})")


def half_cauchy(scale: float) -> Prior:
    """Half Cauchy prior; its median is ``scale``, and it has no mean (Gelman 2006)."""
    (scale,) = _positive(scale=scale)
    return _prior(f"half_cauchy({scale:.6g})", dist.HalfCauchy, scale)


def student_t(df: float, mean: float = 0.0, scale: float = 1.0) -> Prior:
    """Student t prior with ``df`` degrees of freedom of what may be any number."""
    (centre,), (df, scale) = _numbers(mean=mean), _positive(df=df, scale=scale)
    return _prior(f"student_t({df:.6g}, {centre:.6g}, {scale:.6g})", dist.StudentT, df, centre, scale)


def lognormal(mean: float, sd: float) -> Prior:
    """Lognormal prior; ``mean`` and ``sd`` are those of the logarithm."""
    (centre,), (sd,) = _numbers(mean=mean), _positive(sd=sd)
    return _prior(f"lognormal({centre:.6g}, {sd:.6g})", dist.LogNormal, centre, sd)


def inverse_gamma(shape: float, scale: float) -> Prior:
    """Inverse gamma prior, density proportional to ``x^(-shape - 1) exp(-scale / x)``: for ranges, say, as brms."""
    shape, scale = _positive(shape=shape, scale=scale)
    return _prior(f"inverse_gamma({shape:.6g}, {scale:.6g})", dist.InverseGamma, shape, scale)


def gamma(shape: float, rate: float) -> Prior:
    """Gamma prior with mean ``shape / rate``."""
    shape, rate = _positive(shape=shape, rate=rate)
    return _prior(f"gamma({shape:.6g}, {rate:.6g})", dist.Gamma, shape, rate)


def shifted_gamma(low: float, shape: float, rate: float) -> Prior:
    """Gamma prior of what a parameter exceeds ``low`` by.

    Examples
    --------
    >>> shifted_gamma(2, 2, 0.1)
    shifted_gamma(2, 2, 0.1)
    """
    (low,), (shape, rate) = _numbers(low=low), _positive(shape=shape, rate=rate)
    return _prior(f"shifted_gamma({low:.6g}, {shape:.6g}, {rate:.6g})", ShiftedGamma, low, shape, rate)


def beta(a: float, b: float) -> Prior:
    """Beta prior on (0, 1)."""
    a, b = _positive(a=a, b=b)
    return _prior(f"beta({a:.6g}, {b:.6g})", dist.Beta, a, b)


def uniform(low: float, high: float) -> Prior:
    """Uniform prior."""
    low, high = _numbers(low=low, high=high)
    if low >= high:
        raise PriorError(f"uniform({low:g}, {high:g}) needs the smaller number first")
    return _prior(f"uniform({low:.6g}, {high:.6g})", dist.Uniform, low, high)


def lkj(concentration: float) -> Lkj:
    """LKJ prior of a correlation matrix, density proportional to ``|C|^(concentration - 1)``.

    One is uniform over correlation matrices, more pulls towards independence (Lewandowski, Kurowicka & Joe 2009).
    """
    return Lkj(*_positive(concentration=concentration))


def dirichlet(concentration: float = 1.0) -> Dirichlet:
    """Dirichlet prior of shares that sum to one, density proportional to ``prod(share)^(concentration - 1)``.

    One is uniform, more pulls towards equal shares.

    Examples
    --------
    >>> dirichlet(2)
    dirichlet(2)
    """
    return Dirichlet(*_positive(concentration=concentration))


def pc_corr(U: float = 0.5, alpha: float = 0.5) -> Prior:
    """Penalised-complexity prior of a correlation, base model 0: ``P(|rho| > U) = alpha``.

    Examples
    --------
    >>> pc_corr(0.5, 0.5)
    pc_corr(0.5, 0.5)
    """
    (U,), (alpha,) = _probability(U=U), _probability(alpha=alpha)
    rate = -math.log(alpha) / math.sqrt(-math.log1p(-U * U))
    return _prior(f"pc_corr({U:.6g}, {alpha:.6g})", PcCorrelation, rate)


def pc_corr1(U: float = 0.5, alpha: float = 0.9) -> Prior:
    """Penalised-complexity prior of a correlation, base model 1: ``P(rho > U) = alpha``.

    For series that hardly change from one time to the next (Sorbye & Rue 2017; INLA's ``pc.cor1``). Its density has no
    bound at one, where ``method="mode"`` may end.

    Raises
    ------
    PriorError
        If alpha is not more than ``sqrt((1 - U) / 2)``, which is what the weakest prior of this kind gives.

    Examples
    --------
    >>> pc_corr1(0.5, 0.9)
    pc_corr1(0.5, 0.9)
    """
    (U,), (alpha,) = _numbers(U=U), _probability(alpha=alpha)
    if not -1.0 < U < 1.0:
        raise PriorError(f"U={U!r} must lie between -1 and 1")
    least, at, end = math.sqrt((1.0 - U) / 2.0), math.sqrt(1.0 - U), math.sqrt(2.0)
    if alpha <= least:
        raise PriorError(f"pc_corr1({U:g}, {alpha:g}): alpha, the probability of more than U, must exceed {least:.3g}")
    rate = brentq(lambda x: math.expm1(-x * at) / math.expm1(-x * end) - alpha, 1e-9, 1e3 / at)
    return _prior(f"pc_corr1({U:.6g}, {alpha:.6g})", PcCorrelationToOne, float(rate))


def pc_phi(U: float = 0.5, alpha: float = 2.0 / 3.0) -> PcShare:
    """Penalised-complexity prior of the spatial share ``phi`` of ``bym2``: ``P(phi < U) = alpha``.

    The simpler model is that without spatial structure, and the prior depends on the graph (Riebler, Sorbye, Simpson &
    Rue 2016, whose choice is U = 1/2, alpha = 2/3). It ends at ``logit phi = 12``: beyond, phi is one to five digits,
    and the data no longer tell the difference.

    Examples
    --------
    >>> pc_phi(0.5, 0.5)
    pc_phi(0.5, 0.5)
    """
    (U,), (alpha,) = _probability(U=U), _probability(alpha=alpha)
    return PcShare(U, alpha)


def pc_range(U: float, alpha: float = 0.05, dimension: int = 2) -> Prior:
    """Penalised-complexity prior of the range of a Matern field: ``P(range < U) = alpha``.

    The simpler model is that of an infinite range, and ``range^(-dimension / 2)`` is exponential (Fuglstad, Simpson,
    Lindgren & Rue 2019, theorem 2.6, with `pc_sd` for the standard deviation). U is a distance that is very likely
    shorter than the range; in two dimensions the median is 4.3 U with alpha = 0.05.

    Parameters
    ----------
    U : float
        In units of the coordinates.
    alpha : float
    dimension : int
        Of space: 2 for fields in the plane, 1 for functions of one variable.

    Examples
    --------
    >>> pc_range(50.0, 0.05)
    pc_range(50, 0.05)
    """
    (U,), (alpha,) = _positive(U=U), _probability(alpha=alpha)
    if dimension not in (1, 2, 3):
        raise PriorError(f"dimension={dimension!r} must be 1, 2 or 3")
    rate = -math.log(alpha) * U ** (0.5 * dimension)
    more = "" if dimension == 2 else f", dimension={dimension}"
    return _prior(f"pc_range({U:.6g}, {alpha:.6g}{more})", PcRange, rate, float(dimension))
