"""Which prior each parameter has: the user's where a key matches, else the default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import numpyro.distributions as dist
import pandas as pd

from lgm.design import Design
from lgm.errors import PriorError
from lgm.formula import suggest
from lgm.pattern import FloatArray
from lgm.priors import Fixed, FixedEffectPrior, Flat, Lkj, Normal, Prior, ThetaPrior
from lgm.terms.block import Parameter

# Values that a hyperparameter of each kind can never take; a prior whose support holds one of them does not fit.
_OUTSIDE = {"sd": (-0.5,), "sigma": (-0.5,), "corr": (-1.5, 1.5), "rho": (-1.5, 1.5), "phi": (-0.5, 1.5)}
_DOMAIN = {"sd": "positive", "sigma": "positive", "corr": "in (-1, 1)", "rho": "in (-1, 1)", "phi": "in (0, 1)"}
_CLASSES = ("sd", "corr", "fixed", "rho", "phi")


@dataclass(frozen=True)
class Priors:
    """The priors of a model.

    Parameters
    ----------
    fixed : tuple of p priors
        Of the fixed effects.
    theta : tuple of priors
        Of the hyperparameters; one entry for all correlations of a group.
    centred_intercept : bool
        Whether the intercept's prior is that of the level at the mean of the other columns (the default is).
    table : pandas.DataFrame
        One row per variable: the prior in words and where it comes from.
    """

    fixed: tuple[FixedEffectPrior, ...]
    theta: tuple[ThetaPrior, ...]
    centred_intercept: bool
    table: pd.DataFrame

    @property
    def proper(self) -> bool:
        """Whether every fixed effect has a proper prior."""
        return not any(isinstance(prior, Flat) for prior in self.fixed)


def resolve(design: Design, given: Mapping[str, Any] | None) -> Priors:
    """Match the user's priors to the parameters of a design and fill in the defaults.

    Raises
    ------
    PriorError
        For a key that matches nothing, or a prior of the wrong kind.
    """
    given = dict(given or {})
    unused = set(given)
    rows = []
    fixed: list[FixedEffectPrior] = []
    for j, (name, default) in enumerate(zip(design.fixed_names, _fixed_defaults(design), strict=True)):
        keys = [name] if j == design.intercept else [name, "fixed"]
        key = next((k for k in keys if k in given), None)
        prior = default if key is None else _fixed_prior(key, given[key])
        unused.discard(key or "")
        fixed.append(prior)
        note = " at the mean of the predictors" if key is None and j == design.intercept and design.p > 1 else ""
        rows.append((name, repr(prior) + note, "default" if key is None else "given"))
    theta: list[ThetaPrior] = []
    for parameter in design.parameters:
        keys = [*parameter.names, parameter.key, parameter.kind]
        key = next((k for k in keys if k in given), None)
        chosen = parameter.default if key is None else _theta_prior(key, given[key], parameter)
        unused.discard(key or "")
        theta.append(chosen)
        rows.append((parameter.key or parameter.names[0], repr(chosen), "default" if key is None else "given"))
    _refuse_unused(unused, design)
    centred = design.intercept is not None and "Intercept" not in given
    table = pd.DataFrame(rows, columns=["variable", "prior", "source"]).set_index("variable")
    return Priors(tuple(fixed), tuple(theta), centred, table)


def _fixed_defaults(design: Design) -> list[Normal]:
    """``Normal(0, 2.5 sd(y) / sd(x))``; the intercept's is around the mean of y at the mean of the other columns."""
    y = design.y - design.offset
    sd_y = float(np.std(y))
    scales = column_sds(design)
    out = [Normal(0.0, 2.5 * sd_y / s) for s in scales]
    if design.intercept is not None:
        out[design.intercept] = Normal(float(np.mean(y)), 2.5 * sd_y)
    return out


def column_sds(design: Design) -> FloatArray:
    """Standard deviation of each fixed column; its root mean square where that is zero."""
    n = design.n
    mean = np.asarray(design.X.mean(axis=0)).ravel()
    square = np.asarray(design.X.multiply(design.X).mean(axis=0)).ravel()
    out = np.empty(design.p)
    for j in range(design.p):
        values = design.X[:, [j]].data
        spread = np.sum((values - mean[j]) ** 2) / n + (1 - values.size / n) * mean[j] ** 2
        out[j] = np.sqrt(spread) if spread > 1e-20 * square[j] else np.sqrt(square[j])
    return out


def _fixed_prior(key: str, prior: Any) -> FixedEffectPrior:
    if isinstance(prior, (Normal, Flat)):
        return prior
    if isinstance(prior, dist.Normal) and np.ndim(prior.loc) == 0:
        return Normal(float(prior.loc), float(prior.scale))
    raise PriorError(
        f"the prior of the fixed effect(s) `{key}` is {prior!r}, but fixed effects are integrated out exactly, which takes "
        "a normal prior. Accepted: lgm.priors.normal(mean, sd) or lgm.priors.flat()."
    )


def _theta_prior(key: str, prior: Any, parameter: Parameter) -> ThetaPrior:
    what = f"the prior of `{key}`"
    if isinstance(prior, Fixed):
        if len(parameter.names) > 1:
            raise PriorError(
                f"{what} cannot be fixed(): correlations of three or more effects move together; use lkj()."
            )
        return prior
    if isinstance(prior, Lkj):
        if parameter.kind != "corr":
            raise PriorError(f"{what} is {prior!r}, but an LKJ prior is for correlations.")
        return prior
    if parameter.kind == "corr" and len(parameter.names) > 1:
        raise PriorError(f"{what} must be lgm.priors.lkj(concentration): three or more effects are correlated.")
    if isinstance(prior, dist.Distribution):
        prior = Prior(prior, type(prior).__name__)
    if not isinstance(prior, Prior):
        hint = f" To hold it there, use lgm.priors.fixed({prior})." if isinstance(prior, (int, float)) else ""
        raise PriorError(f"{what} is {prior!r}; accepted: a prior of lgm.priors or a NumPyro distribution.{hint}")
    _require_support(what, prior.distribution, parameter.kind)
    return prior


def _require_support(what: str, distribution: dist.Distribution, kind: str) -> None:
    if distribution.batch_shape or distribution.event_shape:
        raise PriorError(
            f"{what} is of shape {distribution.batch_shape + distribution.event_shape}; it must be scalar."
        )
    with jax.enable_x64(True):
        discrete = distribution.support.is_discrete
        outside = discrete or any(bool(distribution.support(value)) for value in _OUTSIDE.get(kind, ()))
    if outside:
        raise PriorError(f"{what} is {distribution!r}, which allows values that are not {_DOMAIN[kind]}.")


def _refuse_unused(unused: set[str], design: Design) -> None:
    if not unused:
        return
    key = sorted(unused)[0]
    extra = sorted({p.key for p in design.parameters if p.key})
    classes = [c for c in _CLASSES if c == "fixed" or any(p.kind == c for p in design.parameters)]
    names = [*design.fixed_names, *design.theta_names, *extra]
    raise PriorError(
        f"priors has the key {key!r}, which matches nothing in this model. {suggest(key, names)}\n"
        f"Variables: {', '.join(names)}.\nClasses: {', '.join(classes)}."
    )


def starts(design: Design, priors: Sequence[ThetaPrior]) -> FloatArray:
    """First guess of theta, natural scale."""
    out: list[float] = []
    for parameter, prior in zip(design.parameters, priors, strict=True):
        value = prior.value if isinstance(prior, Fixed) else parameter.start
        out.extend([value] * len(parameter.names))
    return np.array(out)
