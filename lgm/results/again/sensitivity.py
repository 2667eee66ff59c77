r"""How much a posterior hangs on its priors: by giving priors or the likelihood more weight, or less.

With u = (beta, b), the density of all unknowns is ``p(theta) p(beta) p(b | theta) p(y | u, theta)``. What b is given
theta is part of the model, so that priors are those of theta and beta, and their likelihood is

    p(y | theta, beta) = integral of p(y | u, theta) p(b | theta) db.

A coefficient of a term that stands with the fixed effects, as that of ``mo(x)``, counts as one of them.

Posteriors with a power alpha of either have, relative to the posterior, the weights

    [p(theta) p(beta)]^(alpha - 1)      and      p(y | theta, beta)^(alpha - 1)

at joint draws of theta and beta. The likelihood with beta integrated out, too, would not do: its power holds a power
of ``p(beta)``. That of u does not integrate b out, so that its weights depend on as many unknowns as there are effects;
a power of it stands for more rows in each group, where one of ``p(y | theta, beta)`` stands for more groups: for alpha
= 2, exactly a second set of data with groups of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from lgm.arrays import FloatArray, IntArray
from lgm.design.fixed_effects import prior_functionals
from lgm.errors import ConvergenceWarning, LgmError, PriorError, warn
from lgm.inference.compile import compiled
from lgm.inference.held import Conditional
from lgm.inference.pareto import Smoothed, smooth, threshold
from lgm.posterior.density import Marginal
from lgm.posterior.pinned import likelihood, pinned
from lgm.priors import Constant, Flat, Normal
from lgm.results.progress import bar
from lgm.xla import own_settings

if TYPE_CHECKING:
    from lgm.results.fit import Fit

MOST = 1000  # draws
FEW = 400  # of which the tail of weights is not much known
AT_ONCE = 50
CONFLICT, STRONG, NONE = "potential prior-data conflict", "potential strong prior / weak likelihood", "-"


@dataclass(frozen=True)
class Scalable:
    """Draws, and their log densities.

    Parameters
    ----------
    draws : pandas.DataFrame (S, quantities)
    log_priors : pandas.DataFrame (S, parameters)
        Of each parameter that has a proper prior, up to a constant.
    log_likelihood : float array (S,)
    """

    draws: pd.DataFrame
    log_priors: pd.DataFrame
    log_likelihood: FloatArray

    def weights(self, log_density: FloatArray, alpha: float) -> Smoothed:
        """Of the draws, where a part of the density has this power."""
        return smooth((alpha - 1.0) * log_density)


def table(fit: Fit, alpha: float, limit: float, *, each: bool) -> pd.DataFrame:
    """See `Fit.prior_sensitivity`."""
    if not (isinstance(alpha, (int, float)) and 1.0 < alpha <= 2.0):
        raise LgmError(f"alpha={alpha!r}; accepted: a number above 1 and up to 2, such as 1.25.")
    number = isinstance(limit, (int, float, np.number)) and not isinstance(limit, bool)
    if not (number and 0.0 < limit < 1.0):
        raise LgmError(f"limit={limit!r}; accepted: a number between 0 and 1, such as 0.05.")
    found = scalable(fit)
    parts = {"prior": found.log_priors.sum(axis=1).to_numpy(), "likelihood": found.log_likelihood}
    if each:
        parts |= {f"prior of {name}": found.log_priors[name].to_numpy() for name in found.log_priors}
    columns, worst = {}, {}
    for name, density in parts.items():
        ends = [found.weights(density, power) for power in (1.0 / alpha, alpha)]
        distances = [[distance(x, np.exp(w.log_weights)) for x in found.draws.to_numpy().T] for w in ends]
        columns[name] = np.sum(distances, axis=0) / (2.0 * np.log2(alpha))
        worst[name] = max(w.k for w in ends)
    out = pd.DataFrame(columns, found.draws.columns).rename_axis("variable")
    out.insert(
        2,
        "diagnosis",
        [_diagnosis(prior, data, limit) for prior, data in zip(columns["prior"], columns["likelihood"], strict=True)],
    )
    doubted = [name for name, k in worst.items() if k > threshold(len(found.draws))]
    if doubted:
        text = f"the weights of draws with another power of the {doubted[0]} are not reliable (Pareto k "
        few = len(found.draws) < FEW
        more = f", or a fit with more than its {len(found.draws)} draws" if few else ""
        warn(f"{text}{worst[doubted[0]]:.2f}): take alpha closer to 1, such as 1.05{more}", ConvergenceWarning)
    out.attrs = {"alpha": float(alpha), "pareto_k": worst}
    return out


def _diagnosis(prior: float, data: float, limit: float) -> str:
    """As in priorsense."""
    if not prior >= limit:
        return NONE
    return CONFLICT if data >= limit else STRONG


def scalable(fit: Fit) -> Scalable:
    """Draws of fixed effects and theta with their log densities, evenly spaced ones where there are many.

    Raises
    ------
    LgmError
        Where theta is held at its mode, or draws are from the prior.
    PriorError
        If every prior is flat.
    """
    if isinstance(fit.draws, Conditional) or fit.method == "prior":
        what = "holds theta at its mode" if isinstance(fit.draws, Conditional) else "draws from the prior"
        raise LgmError(
            f'method="{fit.method}" {what}, but this asks for draws from the posterior: fit with method="importance" '
            'or "nuts".'
        )
    size = fit.effects.size
    numbers = np.unique(np.linspace(0, size - 1, min(size, MOST)).astype(int))
    thetas, beta = fit.draws.theta.reshape(size, -1)[numbers], fit.effects.fixed[numbers]
    printed, own = fit._shown.theta.reshape(size, -1)[numbers], fit._coefficients()[numbers]
    priors = _log_priors(fit, thetas, beta).join(_of_coefficients(fit, printed, own))
    if not priors.shape[1]:
        raise PriorError("every prior is flat or holds a value, so there is none whose weight could be changed.")
    draws = pd.DataFrame(np.concatenate([beta, own, printed], axis=1), columns=fit._names)
    moves = draws.columns[np.ptp(draws.to_numpy(), axis=0) > 0.0]
    return Scalable(draws[moves], priors, _log_likelihoods(fit, thetas, beta, numbers))


def _of_coefficients(fit: Fit, printed: FloatArray, own: FloatArray) -> pd.DataFrame:
    """Log densities of the normal priors of terms' coefficients, given their standard deviations."""
    found = {}
    for each, values in zip(fit.design.predictor.coefficients(), own.T, strict=True):
        sd = printed[:, fit.design.theta_names.index(str(each.variable.prior_sd))]
        found[each.variable.name] = -0.5 * (values / sd) ** 2 - np.log(sd)
    return pd.DataFrame(found, index=range(len(printed)))


def _log_priors(fit: Fit, thetas: FloatArray, beta: FloatArray) -> pd.DataFrame:
    d, chosen, hyper = fit.design, fit.chosen_priors, fit.analysed.marginal.hyper
    at_means = np.array([isinstance(prior, Normal) and prior.at_means for prior in chosen.fixed], dtype=bool)
    functionals = prior_functionals(
        d.predictor.columns, d.predictor.intercept, at_means, centred_intercept=chosen.centred_intercept
    )
    about = beta @ functionals.toarray().T
    names, priors = fit._names, zip(d.fixed_names, chosen.fixed, strict=True)
    found = {
        names[j]: -0.5 * ((about[:, j] - prior.mean) / prior.sd) ** 2
        for j, (_, prior) in enumerate(priors)
        if isinstance(prior, Normal)
    }
    with own_settings():
        each = np.asarray(jax.vmap(hyper.log_priors)(jnp.asarray(thetas)))
    for j, (parameter, prior) in enumerate(zip(d.parameters, chosen.theta, strict=True)):
        if not isinstance(prior, (Flat, Constant)):
            found[parameter.title] = each[:, j]
    return pd.DataFrame(found)


@compiled(shapes=lambda post, how: ())
def _chunk(how: None, post: Marginal, thetas: jax.Array, known: jax.Array) -> jax.Array:
    return jax.vmap(lambda theta, own: likelihood(post, theta, own))(thetas, known)


def _log_likelihoods(fit: Fit, thetas: FloatArray, beta: FloatArray, numbers: IntArray) -> FloatArray:
    """With the effects of terms integrated out, but for those that a coefficient decides on."""
    analysed, predictor = fit.analysed, fit.design.predictor
    fixed = np.linalg.solve(analysed.basis, (beta - analysed.reference).T).T if beta.shape[1] else beta
    owners = [id(each.term) for each in predictor.coefficients()]
    terms = zip(predictor.terms, predictor.term_slices(), strict=True)
    blocks = [where for term, where in terms if id(term) in owners]
    known = np.concatenate([fixed, *(_latent(fit, block)[numbers] for block in blocks)], axis=1)
    out = np.empty(len(thetas))
    with own_settings(), bar(len(thetas), "likelihoods", progress=fit.progress) as shown:
        post = pinned(analysed.marginal, blocks)
        for start in range(0, len(thetas), AT_ONCE):
            at = np.minimum(np.arange(start, start + AT_ONCE), len(thetas) - 1)  # every call has the same shapes
            some = np.asarray(_chunk(None, post, thetas[at], known[at]))
            out[start : start + AT_ONCE] = some[: len(thetas) - start]
            shown.update(min(AT_ONCE, len(thetas) - start))
    if not np.all(np.isfinite(out)):
        raise LgmError("the likelihood of some draws given their fixed effects could not be evaluated.")
    return out


def _latent(fit: Fit, block: slice) -> FloatArray:
    """Draws (S, m) of the effects of a block."""
    start, stop = fit.design.p + block.start, fit.design.p + block.stop
    return fit.effects.of(lambda u: u[:, start:stop], stop - start)


def distance(draws: FloatArray, weights: FloatArray) -> float:
    """Cumulative Jensen-Shannon distance of weighted draws (S,) from the same with equal weights, from 0 to 1.

    The root of the divergence of the distribution functions over its upper bound, and the larger one of those of x and
    of -x, as in priorsense (Nguyen & Vreeken 2015).
    """
    order = np.argsort(draws, kind="stable")
    x, w = draws[order], weights[order]
    if x[0] == x[-1]:
        return 0.0
    return max(_one_way(x, w), _one_way(-x[::-1], w[::-1]))


def _one_way(x: FloatArray, weights: FloatArray) -> float:
    width = np.diff(x)
    p, q = np.arange(1, x.size) / x.size, np.cumsum(weights)[:-1]
    middle = 0.5 * (p + q)

    def part(one: Any) -> float:
        share = np.divide(one, middle, out=np.ones_like(one), where=one > 0.0)
        return float(width @ (one * np.log2(share)))

    bound = float(width @ (p + q))  # what the areas under the functions add cancels
    return float(np.sqrt(max(part(p) + part(q), 0.0) / bound))
