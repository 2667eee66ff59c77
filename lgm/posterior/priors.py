"""Which prior each parameter has: the user's where a key matches, else the default."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
from numpyro.distributions import biject_to

from lgm.arrays import FloatArray
from lgm.design.design import Design
from lgm.design.fixed_effects import prior_functionals
from lgm.errors import PriorError
from lgm.parameter import REAL, Domain, Parameter, Span
from lgm.posterior.hyperparameters import Hyperparameters
from lgm.posterior.slots import rise_to_zero
from lgm.priors import Constant, Dirichlet, FixedEffectPrior, Flat, Lkj, Normal, PcShare, Prior, ThetaPrior
from lgm.words import in_composed_form, suggest
from lgm.xla import own_settings

_CLASSES = ("sd", "corr", "fixed", "rho", "phi", "pacf")  # in this order in messages, before those of other terms

_AT_MEANS = " at the mean of the predictors"


@dataclass(frozen=True, eq=False)
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
        """Whether every prior is proper, so that ``log p(y)`` is defined."""
        return not any(isinstance(prior, Flat) for prior in (*self.fixed, *self.theta))

    @property
    def proper_theta(self) -> bool:
        """Whether every hyperparameter has a proper prior, without which the posterior may not be one."""
        return not any(isinstance(prior, Flat) for prior in self.theta)


def settle(design: Design, given: Mapping[str, Any] | None) -> tuple[Design, Priors]:
    """The priors of a design, and the design in which they hold.

    Default priors are about the means of covariates, but what a user says is about the parameters that are printed: a
    term of which something is said has a block about zero. Flat priors are flat in both.

    Raises
    ------
    PriorError
        As in `resolve`.
    """
    priors = resolve(design, given)
    chosen = {parameter.title: prior for parameter, prior in zip(design.parameters, priors.theta, strict=True)}
    said = {title for title in chosen if priors.table.loc[title, "source"] == "given"}
    terms = tuple(
        design.about_zero(term) if _informative(chosen, term.origin) & said else term for term in design.terms
    )
    if all(new is old for new, old in zip(terms, design.terms, strict=True)):
        return design, priors
    about_zero = design.with_terms(terms)
    return about_zero, resolve(about_zero, given)


def fitting(design: Design, given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the priors whose keys are of some parameter of a design."""
    intercept = design.predictor.intercept
    known = {*design.fixed_names, *(key for parameter in design.parameters for key in parameter.keys)}
    known |= {"fixed"} if design.p > (intercept is not None) else set()
    return {key: prior for key, prior in given.items() if _as_printed(key, design) in known}


def _as_printed(key: Any, design: Design) -> Any:
    """A key with terms as tables print them."""
    return design.predictor.as_printed(in_composed_form(key)) if isinstance(key, str) else key


def _informative(chosen: Mapping[str, ThetaPrior], titles: Collection[str]) -> set[str]:
    """Those that are not flat; a uniform prior of correlations is flat where that of an sd beside it is improper."""
    improper = any(isinstance(chosen[title], Flat) for title in titles)
    flat = (Flat(), Lkj(1.0)) if improper else (Flat(),)
    return {title for title in titles if chosen[title] not in flat}


def resolve(design: Design, given: Mapping[str, Any] | None) -> Priors:
    """Match the user's priors to the parameters of a design and fill in the defaults.

    Raises
    ------
    PriorError
        For a key that matches nothing, or a prior of the wrong kind.
    """
    if not (given is None or isinstance(given, Mapping)):
        raise PriorError(
            f"priors is of the type {type(given).__name__}; accepted: a dict of priors by name or class, such as "
            '{"sd": lgm.priors.exponential(1)}.'
        )
    given = {_as_printed(key, design): prior for key, prior in (given or {}).items()}
    intercept = design.predictor.intercept
    unused = set(given)
    rows = []
    fixed: list[FixedEffectPrior] = []
    for j, (name, default) in enumerate(zip(design.fixed_names, _fixed_defaults(design), strict=True)):
        keys = [name] if j == intercept else [name, "fixed"]
        key = next((k for k in keys if k in given), None)
        prior = default if key is None else _fixed_prior(key, given[key])
        unused.difference_update(keys)
        fixed.append(prior)
        is_level = key is None and ((j == intercept and design.p > 1) or (isinstance(prior, Normal) and prior.at_means))
        note = _AT_MEANS if is_level else ""
        rows.append((name, repr(prior) + note, "default" if key is None else "given"))
    theta: list[ThetaPrior] = []
    for parameter in design.parameters:
        keys = list(parameter.keys)
        key = next((k for k in keys if k in given), None)
        chosen = parameter.default if key is None else _theta_prior(key, given[key], parameter)
        unused.difference_update(keys)
        theta.append(chosen)
        rows.append((parameter.title, repr(chosen), "default" if key is None else "given"))
    _refuse_unused(unused, design)
    moved = {title for term in design.terms for title in term.origin}
    rows = [(name, prior + _AT_MEANS if name in moved else prior, source) for name, prior, source in rows]
    centred = intercept is not None and "Intercept" not in given
    table = pd.DataFrame(rows, columns=["variable", "prior", "source"]).set_index("variable")
    return Priors(tuple(fixed), tuple(theta), centred, table)


def _fixed_defaults(design: Design) -> list[Normal]:
    """``Normal(0, 2.5 scale / sd(x))``; the intercept's is around the level of y at the mean of the other columns.

    Scale and level are the family's, sd and mean of the response for a Gaussian one.

    Where a level of a factor interacts with numbers, its prior is that of the difference at their mean over its rows,
    and the sd of the product is about that mean: where zero is does not matter. Without an intercept the columns carry
    the level of y too, so the spread of y is that around zero.
    """
    spread = design.spread(about_zero=design.predictor.intercept is None)
    columns = design.predictor.columns
    scales = columns.sd.copy()
    at_means = np.zeros(design.p, dtype=bool)
    if design.predictor.intercept is not None:
        pairs = columns.pairs
        varies = pairs.spread > 0.0
        scales[pairs.product[varies]] = pairs.spread[varies]
        at_means[pairs.indicator] = True
    out = [Normal(0.0, 2.5 * spread / s, bool(about)) for s, about in zip(scales, at_means, strict=True)]
    if design.predictor.intercept is not None:
        out[design.predictor.intercept] = Normal(design.level, 2.5 * spread)
    return out


def _fixed_prior(key: str, prior: Any) -> FixedEffectPrior:
    if isinstance(prior, (Normal, Flat)):
        return prior
    if isinstance(prior, dist.Normal) and np.ndim(prior.loc) == 0:
        return Normal(float(prior.loc), float(prior.scale))
    raise PriorError(
        f"the prior of the fixed effect(s) `{key}` is {prior!r}, but fixed effects are integrated out exactly, which "
        "takes a normal prior. Accepted: lgm.priors.normal(mean, sd) or lgm.priors.flat()."
    )


def _theta_prior(key: str, prior: Any, parameter: Parameter) -> ThetaPrior:
    what, domain = f"the prior of `{key}`", parameter.domain
    if isinstance(prior, Flat):
        return domain.flat
    if isinstance(prior, Constant):
        if len(parameter.names) > 1:
            raise PriorError(
                f"{what} cannot be constant(): correlations of three or more effects move together; use lkj()."
                if domain.correlations
                else f"{what} cannot be constant(): it is that of {len(parameter.names)} parameters, which are free."
            )
        if not domain.holds(prior.value):
            raise PriorError(f"{what} is {prior!r}, but it must be {domain.words}.")
        return prior
    if isinstance(prior, Dirichlet) != domain.shares:
        if domain.shares:
            raise PriorError(f"{what} must be lgm.priors.dirichlet(concentration): shares sum to one.")
        raise PriorError(f"{what} is {prior!r}, but a Dirichlet prior is for shares that sum to one.")
    if isinstance(prior, Dirichlet):
        return prior
    if isinstance(prior, Lkj):
        if not domain.correlations:
            raise PriorError(f"{what} is {prior!r}, but an LKJ prior is for correlations.")
        return prior
    if len(parameter.names) > 1 and domain.correlations:
        raise PriorError(f"{what} must be lgm.priors.lkj(concentration): three or more effects are correlated.")
    if isinstance(prior, PcShare):
        if parameter.distance is None:
            raise PriorError(
                f"{what} is {prior!r}, which is for the share of a structured effect, such as that of bym2()."
            )
        return prior.on(parameter.distance)
    if isinstance(prior, Normal) and domain is REAL:
        return prior.of_theta
    if isinstance(prior, dist.Distribution):
        prior = Prior(prior, type(prior).__name__)
    if not isinstance(prior, Prior):
        hint = f" To hold it there, use lgm.priors.constant({prior})." if isinstance(prior, (int, float)) else ""
        raise PriorError(
            f"{what} is {prior!r}; accepted: a prior of lgm.priors or a NumPyro distribution whose values are "
            f"{domain.words}, such as lgm.priors.{domain.example}.{hint}"
        )
    _require_support(what, prior, domain)
    if parameter.span is not None:
        _require_span(what, prior, parameter.span)
    return prior


def _require_span(what: str, prior: Prior, span: Span) -> None:
    """By draws: not every distribution has a quantile function."""
    with own_settings():
        median = float(np.median(np.asarray(prior.distribution.sample(jax.random.key(0), (2001,)))))
    fault = span.fault(median)
    if fault:
        raise PriorError(f"{what} is {prior!r}, with a median of about {median:.3g}, which is {fault}.")


def _require_support(what: str, prior: Prior, domain: Domain) -> None:
    distribution = prior.distribution
    if distribution.batch_shape or distribution.event_shape:
        raise PriorError(
            f"{what} is of shape {distribution.batch_shape + distribution.event_shape}; it must be scalar."
        )
    if distribution.support.is_discrete or not domain.within(*_ends(distribution)):
        raise PriorError(f"{what} is {prior!r}, which allows values that are not {domain.words}.")


def _ends(distribution: dist.Distribution) -> tuple[float, float]:
    """Ends of the support, or what is so far out on an infinite side that it stands for the end."""
    with own_settings():
        ends = np.asarray(biject_to(distribution.support)(jnp.array([-40.0, 40.0])))
    return float(np.min(ends)), float(np.max(ends))


def _refuse_unused(unused: set[Any], design: Design) -> None:
    if not unused:
        return
    key = min(unused, key=str)
    together = next((p for p in design.parameters if key in p.names), None)
    if together is not None:
        what = "the correlations of three or more effects" if together.domain.correlations else f"all {together.kind}"
        raise PriorError(f"{what} have one prior; its key is {together.key!r}, not {key!r}.")
    extra = sorted({p.key for p in design.parameters if p.key})
    kinds = {p.kind for p in design.parameters} - set(design.theta_names)
    kinds |= {"fixed"} if design.p > (design.predictor.intercept is not None) else set()
    classes = [*(c for c in _CLASSES if c in kinds), *sorted(kinds.difference(_CLASSES))]
    names = [*design.fixed_names, *design.theta_names, *extra]
    found = f"priors has the key {key!r}, which matches nothing in this model.{suggest(str(key), [*names, *classes])}"
    own = ", ".join(name for parameter in design.family_parameters for name in parameter.names)
    family = f"Parameters of the family {design.family.name}: {own or 'none'}."
    raise PriorError(f"{found}\n{family}\nVariables: {', '.join(names)}.\nClasses: {', '.join(classes)}.")


def require_highest(design: Design, priors: Sequence[ThetaPrior]) -> None:
    """Refuse priors under which the density of theta has no highest point, and so no mode.

    Raises
    ------
    PriorError
        If one has a pole at zero, or does not vanish there where only ratios matter, so that less is always better.
    """
    for parameter, prior in zip(design.parameters, priors, strict=True):
        if not isinstance(prior, Prior):
            continue
        with own_settings():
            rise = rise_to_zero(prior.distribution)
        if rise > 1.0 or (parameter.ratios and rise > -1.0):
            only = ", of which only ratios matter," if parameter.ratios else ""
            raise PriorError(
                f"the prior of {parameter.title}{only} is {prior!r}, which is highest at zero, so the density of the "
                'hyperparameters has no highest point: there is no mode. Accepted: method="nuts" or "importance", or a '
                "prior that vanishes at zero, such as lgm.priors.gamma(2, 1)."
            )


def starts(design: Design, priors: Sequence[ThetaPrior]) -> FloatArray:
    """First guess of theta, natural scale."""
    out: list[float] = []
    for parameter, prior in zip(design.parameters, priors, strict=True):
        value = prior.value if isinstance(prior, Constant) else parameter.start
        out.extend([value] * len(parameter.names))
    return np.array(out)


def require_proper(design: Design, priors: Priors) -> None:
    """Raise a PriorError unless there are draws from every prior."""
    flat = [name for name, prior in zip(design.fixed_names, priors.fixed, strict=True) if isinstance(prior, Flat)]
    pairs = zip(design.parameters, priors.theta, strict=True)
    flat += [parameter.names[0] for parameter, prior in pairs if isinstance(prior, Flat)]
    if flat:
        raise PriorError(f"the prior of {', '.join(flat)} is flat, so nothing can be drawn from it; give a proper one.")


def sample_prior(design: Design, priors: Priors, hyper: Hyperparameters, draws: int, seed: int) -> pd.DataFrame:
    """Draws of the fixed effects and theta from their priors, one column per variable.

    Raises
    ------
    PriorError
        If a prior is flat.
    """
    require_proper(design, priors)
    with own_settings():
        theta = hyper.printed(np.asarray(jax.vmap(hyper.sample)(jax.random.split(jax.random.key(seed), draws))))
    normals = np.random.default_rng(seed).standard_normal((draws, design.p))
    own = [prior for prior in priors.fixed if isinstance(prior, Normal)]
    beta = np.array([prior.mean for prior in own]) + normals * np.array([prior.sd for prior in own])
    predictor, at_means = design.predictor, np.array([prior.at_means for prior in own], dtype=bool)
    functionals = prior_functionals(
        predictor.columns, predictor.intercept, at_means, centred_intercept=priors.centred_intercept
    )
    beta = np.linalg.solve(functionals.toarray(), beta.T).T
    return pd.DataFrame(np.hstack([beta, theta]), columns=[*design.fixed_names, *design.theta_names])
