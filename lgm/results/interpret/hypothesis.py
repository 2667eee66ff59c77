"""Hypotheses about parameters: estimate, posterior probability and evidence ratio."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy  # of which parts that are slow to read come when first needed
import scipy.sparse as sp

from lgm.arrays import FloatArray
from lgm.design.fixed_effects import prior_functionals
from lgm.errors import LgmError
from lgm.formula import hypotheses
from lgm.formula.hypotheses import Hypothesis
from lgm.formula.tokens import Problem
from lgm.posterior.priors import sample_prior
from lgm.priors import Flat, Normal
from lgm.results.exact import moments_given_theta, row_variances

if TYPE_CHECKING:
    from lgm.results.fit import Fit

PRIOR_DRAWS = 20_000
THETAS = 400  # normal distributions in a mixture

_OPERATIONS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_FUNCTIONS = {"exp": np.exp, "log": np.log, "sqrt": np.sqrt, "abs": np.abs}


def hypothesis(fit: Fit, asked: Any) -> pd.DataFrame:
    """See `Fit.hypothesis`."""
    texts = [asked] if isinstance(asked, str) else asked
    if not isinstance(texts, Sequence) or not texts or not all(isinstance(text, str) for text in texts):
        raise LgmError(f"hypothesis is {asked!r}; accepted: text such as 'Days > 5', or a list of several.")
    parameters = Parameters(fit)
    rows = [_row(fit, parameters, _read(text, parameters)) for text in texts]
    columns = ["mean", "sd", *fit.interval_names, "probability", "evidence_ratio", "note"]
    return pd.DataFrame(rows, pd.Index(list(texts), name="hypothesis"), columns)


def _read(text: str, parameters: Parameters) -> Hypothesis:
    text = parameters.fit.design.predictor.as_printed(text)
    try:
        return hypotheses.read(text, parameters.names)
    except Problem as problem:
        raise LgmError(hypotheses.message(text, problem)) from None


@dataclass(frozen=True, eq=False)
class Parameters:
    """All that a hypothesis may be about: fixed effects, hyperparameters and effects of levels, by printed name."""

    fit: Fit

    @cached_property
    def names(self) -> dict[str, tuple[str, Any]]:
        """Where each stands: among the fixed effects, the hyperparameters, or the effects of a term."""
        d = self.fit.design
        found: dict[str, tuple[str, Any]] = {name: ("fixed", j) for j, name in enumerate(d.fixed_names)}
        found |= {name: ("theta", j) for j, name in enumerate(d.theta_names)}
        for printed in d.predictor.printed():
            name = printed.variable.name
            if printed.variable.prior_sd is not None:
                found.setdefault(name, ("effect", (printed, 0)))
            for k, label in enumerate(printed.variable.labels.tolist()):
                found.setdefault(f"{name}[{label}]", ("effect", (printed, k)))
        return found

    def draws(self, name: str) -> FloatArray:
        """Draws (S,) of one."""
        kind, at = self.names[name]
        if kind == "fixed":
            return self.fit.effects.fixed[:, at]
        if kind == "theta":
            return self.fit._shown.theta.reshape(self.fit.effects.size, -1)[:, at]
        printed, k = at
        return self.fit.effects.printed([(printed, [k])])[0][:, 0]

    def functional(self, name: str) -> FloatArray | None:
        """One as a function of all effects (p + q,), if it is."""
        kind, at = self.names[name]
        out = np.zeros(self.fit.effects.drawing.dim)
        if kind == "fixed":
            out[at] = 1.0
        elif kind == "effect":
            printed, k = at
            weights = np.broadcast_to(printed.weights, printed.index.shape)
            np.add.at(out, printed.index[k], weights[k])
        else:
            return None
        return out


@dataclass(frozen=True)
class _Line:
    """A constant and a linear combination of parameters."""

    constant: float
    weights: Mapping[str, float]

    def plus(self, other: _Line, sign: float) -> _Line:
        names = dict.fromkeys([*self.weights, *other.weights])
        weights = {name: self.weights.get(name, 0.0) + sign * other.weights.get(name, 0.0) for name in names}
        return _Line(self.constant + sign * other.constant, weights)

    def times(self, factor: float) -> _Line:
        return _Line(factor * self.constant, {name: factor * weight for name, weight in self.weights.items()})


def _line(node: ast.expr, names: Mapping[str, str]) -> _Line | None:
    """An expression as a linear combination of parameters, if it is one."""
    if isinstance(node, ast.Constant):
        return _Line(_number(node), {})
    if isinstance(node, ast.Name):
        return _Line(0.0, {names[node.id]: 1.0})
    if isinstance(node, ast.UnaryOp):
        inner = _line(node.operand, names)
        return None if inner is None else inner.times(-1.0 if isinstance(node.op, ast.USub) else 1.0)
    if not isinstance(node, ast.BinOp):
        return None
    left, right = _line(node.left, names), _line(node.right, names)
    if left is None or right is None:
        return None
    if isinstance(node.op, (ast.Add, ast.Sub)):
        return left.plus(right, 1.0 if isinstance(node.op, ast.Add) else -1.0)
    if isinstance(node.op, ast.Mult) and not (left.weights and right.weights):
        return right.times(left.constant) if not left.weights else left.times(right.constant)
    if isinstance(node.op, ast.Div) and not right.weights and right.constant != 0.0:
        return left.times(1.0 / right.constant)
    return None


def _number(node: ast.Constant) -> float:
    assert isinstance(node.value, (int, float))
    return float(node.value)


def _value(node: ast.expr, values: Mapping[str, FloatArray]) -> Any:
    """The value of an expression, from those of its parameters."""
    if isinstance(node, ast.Constant):
        return _number(node)
    if isinstance(node, ast.Name):
        return values[node.id]
    if isinstance(node, ast.UnaryOp):
        return _OPERATIONS[type(node.op)](_value(node.operand, values))
    if isinstance(node, ast.BinOp):
        return _OPERATIONS[type(node.op)](_value(node.left, values), _value(node.right, values))
    assert isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    return _FUNCTIONS[node.func.id](_value(node.args[0], values))


def _row(fit: Fit, parameters: Parameters, asked: Hypothesis) -> tuple[Any, ...]:
    line = _line(asked.tree, asked.names)
    exact = None if line is None else _exact(fit, parameters, line)
    levels = np.array([(1 - fit.interval) / 2, (1 + fit.interval) / 2])
    if exact is not None:
        mean, sd, ends = exact.mean(), exact.std(), exact.ppf(levels)
        above, below, note = float(exact.sf(0.0)), float(exact.cdf(0.0)), ""
    else:
        draws = _draws(fit, asked, {mask: parameters.draws(name) for mask, name in asked.names.items()})
        mean, ends = _mean(fit, parameters, line, float(draws.mean())), np.quantile(draws, levels)
        sd = float(draws.std(ddof=1)) if np.ptp(draws) > 0.0 else 0.0
        above, below = float(np.mean(draws > 0.0)), float(np.mean(draws < 0.0))
        note = "all draws are on one side" if 1.0 in (above, below) else ""
        note = note if sd > 0.0 else "all that it is about is held"
    if asked.sign == "=":
        density = float(exact.pdf(0.0)) if exact is not None else _posterior_density(fit, parameters, line, draws)
        prior, note = _prior_density(fit, parameters, asked, line) if sd > 0.0 else (np.nan, note)
        ratio = density / prior
        probability = ratio / (1.0 + ratio)
    else:
        probability, other = (above, below) if asked.sign == ">" else (below, above)
        ratio = probability / other if other > 0.0 else np.inf
    return float(mean), float(sd), *map(float, ends), float(probability), float(ratio), note


def _draws(fit: Fit, asked: Hypothesis, values: Mapping[str, FloatArray]) -> FloatArray:
    with np.errstate(all="ignore"):
        draws = np.broadcast_to(_value(asked.tree, values), next(iter(values.values())).shape)
    if not np.all(np.isfinite(draws)):
        raise LgmError(
            f"{asked.text!r} is not finite for {np.count_nonzero(~np.isfinite(draws))} of {draws.size} draws, such as "
            "the logarithm of a negative number or a quotient by zero."
        )
    return np.asarray(draws)


def _functional(fit: Fit, parameters: Parameters, line: _Line) -> FloatArray | None:
    """A linear combination of effects (p + q,); None if hyperparameters are in it."""
    total = np.zeros(fit.effects.drawing.dim)
    for name, weight in line.weights.items():
        own = parameters.functional(name)
        if own is None:
            return None
        total += weight * own
    return total


def _exact(fit: Fit, parameters: Parameters, line: _Line) -> Any:
    """The normal distribution of a linear combination of effects, where effects are exactly normal."""
    functional = _functional(fit, parameters, line) if fit.effects.drawing.normal else None
    if functional is None:
        return None
    variance = row_variances(fit.effects.drawing, sp.csr_array(functional[None]), solves=fit.effects.size)
    if variance is None or variance[0] <= 0.0:
        return None
    return scipy.stats.norm(functional @ fit.effects.mean + line.constant, np.sqrt(variance[0]))


def _mean(fit: Fit, parameters: Parameters, line: _Line | None, drawn: float) -> float:
    """The exact mean of a linear combination of effects; else that of draws."""
    if line is None:
        return drawn
    functional = _functional(fit, parameters, line)
    return drawn if functional is None else float(functional @ fit.effects.mean + line.constant)


def _posterior_density(fit: Fit, parameters: Parameters, line: _Line | None, draws: FloatArray) -> float:
    """The density at zero: of a mixture of normal distributions where it is one, else of draws."""
    functional = None if line is None else _functional(fit, parameters, line)
    if line is None or functional is None or not fit.analysed.marginal.data.normal:
        return _density(draws, *_ends(fit, line))
    mean, variance = moments_given_theta(fit.effects.drawing, functional, THETAS)
    return float(np.mean(scipy.stats.norm(mean + line.constant, np.sqrt(variance)).pdf(0.0)))


def _density(draws: FloatArray, low: float = -np.inf, high: float = np.inf) -> float:
    """The density of draws at zero, by a kernel, reflected at the ends of what they may be."""
    if not low <= 0.0 <= high or np.ptp(draws) == 0.0:
        return 0.0
    spread = np.std(draws)
    robust = min(1.0, scipy.stats.iqr(draws) / 1.349 / spread) or 1.0
    kernel = scipy.stats.gaussian_kde(draws, bw_method=lambda k: k.scotts_factor() * robust)
    return float(kernel(0.0)[0] + sum(kernel(2.0 * end)[0] for end in (low, high) if np.isfinite(end)))


def _single(fit: Fit, line: _Line | None) -> tuple[str, float] | None:
    """The only parameter of a linear combination, and its weight."""
    used = {} if line is None else {name: weight for name, weight in line.weights.items() if weight}
    return next(iter(used.items())) if len(used) == 1 else None


def _ends(fit: Fit, line: _Line | None) -> tuple[float, float]:
    """What a multiple of one hyperparameter may be, and anything else."""
    single = _single(fit, line)
    if line is None or single is None:
        return -np.inf, np.inf
    for parameter in fit.design.parameters:
        if single[0] in parameter.names:
            ends = [line.constant + single[1] * end for end in (parameter.domain.low, parameter.domain.high)]
            return min(ends), max(ends)
    return -np.inf, np.inf


def _prior_density(fit: Fit, parameters: Parameters, asked: Hypothesis, line: _Line | None) -> tuple[float, str]:
    """The prior density at zero, and why there is none."""
    used = list(asked.names.values())
    kinds = {name: parameters.names[name][0] for name in used}
    effects = [name for name in used if kinds[name] == "effect"]
    if effects:
        return np.nan, f"{effects[0]} has a prior given its hyperparameters only"
    chosen, design = fit.chosen_priors, fit.design
    flat = _flat(fit, used)
    if flat:
        return np.nan, f"the prior of {flat} is flat; a point needs a proper one"
    if line is not None and set(kinds.values()) == {"fixed"}:
        found = _prior_of_fixed(fit, {parameters.names[name][1]: weight for name, weight in line.weights.items()})
        if found is None:
            return np.nan, "the prior of a fixed effect that it depends on is flat; a point needs proper ones"
        mean, sd = found
        return float(scipy.stats.norm(mean + line.constant, sd).pdf(0.0)), ""
    if not chosen.proper:
        return np.nan, "some priors are flat, so that none can be drawn"
    drawn = sample_prior(design, chosen, fit.analysed.marginal.hyper, PRIOR_DRAWS, fit.seed)
    values = _draws(fit, asked, {mask: drawn[name].to_numpy() for mask, name in asked.names.items()})
    return _density(values, *_ends(fit, line)), ""


def _flat(fit: Fit, used: Sequence[str]) -> str:
    design, chosen = fit.design, fit.chosen_priors
    for name, prior in zip(design.fixed_names, chosen.fixed, strict=True):
        if name in used and isinstance(prior, Flat):
            return name
    for parameter, own in zip(design.parameters, chosen.theta, strict=True):
        if isinstance(own, Flat) and set(parameter.names) & set(used):
            return parameter.names[0]
    return ""


def _prior_of_fixed(fit: Fit, weights: Mapping[int, float]) -> tuple[float, float] | None:
    """Mean and sd of the normal prior of a linear combination of fixed effects; None if a flat prior is part of it."""
    design, chosen = fit.design, fit.chosen_priors
    normal = [isinstance(prior, Normal) for prior in chosen.fixed]
    at_means = np.array([isinstance(prior, Normal) and prior.at_means for prior in chosen.fixed])
    predictor = design.predictor
    functionals = prior_functionals(
        predictor.columns, predictor.intercept, at_means, centred_intercept=chosen.centred_intercept
    )
    weight = np.zeros(design.p)
    for j, each in weights.items():
        weight[j] = each
    own = np.linalg.solve(functionals.toarray().T, weight)  # of the independent quantities that priors are about
    if any(value and not fine for value, fine in zip(own, normal, strict=True)):
        return None
    priors = [prior if isinstance(prior, Normal) else Normal(0.0, 0.0) for prior in chosen.fixed]
    mean = sum(value * prior.mean for value, prior in zip(own, priors, strict=True))
    variance = sum((value * prior.sd) ** 2 for value, prior in zip(own, priors, strict=True))
    return float(mean), float(np.sqrt(variance))
