"""Successes out of trials, and single trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln, log_ndtr
from scipy import special

from lgm.arrays import FloatArray, IntArray
from lgm.families.checks import RowError
from lgm.families.counts import at_counts
from lgm.families.family import Family, Rng, Sums, Theta
from lgm.families.response import Response
from lgm.families.stable import log_one_minus_exp, softplus_both


@dataclass(frozen=True)
class Binomial(Family):
    r"""``y_i ~ Binomial(n_i, mu_i)`` with a logit, probit or cloglog link.

    The response is ``cbind(successes, failures)`` or ``y | trials(n)``, and a weight then multiplies the log-likelihood
    of its row: a row of weight 2 counts as two. Or it is the share of successes, with the numbers of trials as weights,
    as in R's ``glm``; or single trials as for `Bernoulli`.
    """

    link: str = "logit"

    name = "binomial"
    links = ("logit", "probit", "cloglog")
    forms: ClassVar[tuple[str, ...]] = ("trials", "event")
    adds_up: ClassVar[bool] = True
    whole: ClassVar[bool] = True

    @property
    def kernel(self) -> str | None:
        """With each of the links."""
        return f"binomial_{self.link}"

    def check(self, y: Response, name: str) -> None:
        """Whole numbers of successes, none above its number of trials, which is not zero."""
        value, trials = np.asarray(y.value), np.asarray(trials_of(y))
        fine = (trials >= 1.0) & (trials == np.floor(trials)) & np.isfinite(trials)
        wrong = np.flatnonzero(~(fine & (value >= 0.0) & (value <= trials) & (value == np.floor(value))))
        if wrong.size:
            i = wrong[0]
            raise RowError(
                f"the response {name} has {value[i]:g} successes of {trials[i]:g} trials",
                wrong,
                "; accepted: whole numbers from 0 to the number of trials, and at least one trial.",
            )

    def level_of(self, y: Response, offset: FloatArray, weights: FloatArray) -> float:
        """Link of the share of successes, with one trial more than there are, half of it successful."""
        share = (np.sum(weights * y.value) + 0.5) / (np.sum(weights * trials_of(y)) + 1.0)
        return float(self.linked.forward(share) - y.mean(offset))

    def loglik(self, y: Response, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """``w (log C(n, y) + y log mu + (n - y) log(1 - mu))``."""
        trials = trials_of(y)
        ways: Any = 0.0
        if y.trials is not None:
            ways = gammaln(trials + 1.0) - gammaln(y.value + 1.0) - gammaln(trials - y.value + 1.0)
        success, failure = log_probabilities(self.link, eta)
        return weights * (ways + y.value * success + (trials - y.value) * failure)

    def added_up(self, y: Response, sums: Sums) -> tuple[Response, FloatArray, FloatArray]:
        """All successes of all trials."""
        trials, value = sums(trials_of(y)), sums(y.value)
        own = np.zeros(trials.size) if y.trials is None else sums(_log_ways(y.trials, y.value))
        return Response(value, trials), np.zeros(trials.size), own - _log_ways(trials, value)

    def one_sided(self, y: Response) -> IntArray:
        """No success, and nothing but successes."""
        return np.where(y.value == 0, -1, np.where(y.value == trials_of(y), 1, 0))

    def variance(self, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """``mu (1 - mu) / n``."""
        mu = self.mean(eta, theta)
        return np.asarray(mu * (1.0 - mu) / trials[:, None])

    def cdf(self, y: FloatArray, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """A beta probability."""
        n = trials[:, None]
        return at_counts(
            y, lambda k: np.where(k < n, special.betaincc(k + 1.0, np.maximum(n - k, 0.5), self.mean(eta, theta)), 1.0)
        )

    def simulate(self, rng: Rng, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """Numbers of successes."""
        return rng.binomial(trials.astype(np.int64)[:, None], self.mean(eta, theta)).astype(float)


@dataclass(frozen=True)
class Bernoulli(Binomial):
    r"""``y_i ~ Bernoulli(mu_i)`` with a logit, probit or cloglog link: `Binomial` with single trials.

    The response is zeros and ones, booleans, or two categories, of which the second is the event (of text the second in
    alphabetical order). A weight w, a whole number, stands for w rows that are alike.
    """

    name = "bernoulli"
    forms = ("event",)

    def check(self, y: Response, name: str) -> None:
        """Zeros and ones."""
        value = np.asarray(y.value)
        wrong = np.flatnonzero((value != 0.0) & (value != 1.0))
        if wrong.size:
            found = np.unique(value)
            two = f"; {{{name.strip('`')} == {found[1]:g}}} makes {found[1]:g} the event" if found.size == 2 else ""
            raise RowError(
                f"the response {name} has {value[wrong[0]]:g}",
                wrong,
                f", but {self.name} is for zeros and ones, booleans, or two categories{two}. Numbers of successes are "
                'for family="binomial": y | trials(n).',
            )


def log_probabilities(link: str, eta: Any) -> tuple[Any, Any]:
    """``log mu`` and ``log(1 - mu)``, without loss far out."""
    if link == "logit":
        failure, success = softplus_both(eta)
        return -success, -failure
    if link == "probit":
        return log_ndtr(eta), log_ndtr(-eta)
    return log_one_minus_exp(eta), -jnp.exp(eta)


def _log_ways(trials: FloatArray, successes: FloatArray) -> FloatArray:
    """``log C(n, y)``."""
    return special.gammaln(trials + 1.0) - special.gammaln(successes + 1.0) - special.gammaln(trials - successes + 1.0)


def trials_of(y: Response) -> Any:
    """Numbers of trials (n,), single ones where nothing is said."""
    return np.ones(np.shape(y.value)) if y.trials is None else y.trials
