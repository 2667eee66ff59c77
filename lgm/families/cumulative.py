"""Ordered categories: a latent variable between thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from lgm.arrays import FloatArray, IntArray
from lgm.families.family import Family, Rng, Theta
from lgm.families.response import Response
from lgm.families.stable import log_one_minus_exp, softplus
from lgm.families.standard import NORMAL
from lgm.parameter import POSITIVE, Parameter
from lgm.priors import exponential


@dataclass(frozen=True)
class Cumulative(Family):
    r"""``P(y_i <= k) = F(threshold_k - eta_i)`` for ordered categories, F logistic (logit) or normal (probit).

    The response is an ordered categorical, or whole numbers, each from the least to the largest a category. A larger
    ``eta`` makes later categories likelier. The intercept is minus the first threshold and, as the other fixed effects,
    integrated out. The distance from one threshold to the next is the width of the category between them: ``gap[b]``
    for each category b but the first and the last. ``fit.thresholds()`` gives the thresholds themselves.

    A gap has an exponential prior, with mean four sds of F over the number of categories. The prior of the intercept is
    about minus the first threshold of the shares that were seen. A weight multiplies the log-likelihood of its row.

    What is predicted as the mean is the probability of each category. Where one number is wanted, as in new responses
    and pictures of terms, it is that of the response; the categories of a categorical count 1, 2, ....

    Parameters
    ----------
    link : {"logit", "probit"}
    categories : tuple of str
        Known when the model has met its data.
    first : int
        The number that stands for the first of them.

    References
    ----------
    McCullagh, P. (1980), Regression models for ordinal data. JRSS B 42, 109-142.
    """

    link: str = "logit"
    categories: tuple[str, ...] = ()
    first: int = 1

    name = "cumulative"
    links = ("logit", "probit")
    aliases = ("ordinal", "clm")
    forms = ("categories",)
    whole = True

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The categories."""
        return self.categories

    def of_categories(self, categories: tuple[str, ...], first: int) -> Cumulative:
        """The same for these categories."""
        return replace(self, categories=categories, first=first)

    def check(self, y: Response, name: str) -> None:
        """Nothing: what the categories are was found out from the response."""

    def level_of(self, y: Response, offset: FloatArray, weights: FloatArray) -> float:
        """Minus the first threshold of the shares that were seen, where everything else is zero."""
        return float(-self._seen(y, weights)[0] - y.mean(offset))

    def parameters(self, y: Response, yardstick: float, weights: FloatArray) -> tuple[Parameter, ...]:
        """The widths of the categories between the first and the last."""
        prior = exponential(len(self.categories) / (4.0 * self.linked.spread))
        starts = np.maximum(np.diff(self._seen(y, weights)), 0.02 * self.linked.spread)
        return tuple(
            Parameter((f"gap[{label}]",), "gap", POSITIVE, prior, float(start), (("Response", f"gap[{label}]"),))
            for label, start in zip(self.categories[1:-1], starts, strict=True)
        )

    def loglik(self, y: Response, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """``w log(F(threshold_k - eta) - F(threshold_(k - 1) - eta))``."""
        gaps = jnp.atleast_1d(jnp.asarray(theta["gap"]))
        thresholds = jnp.concatenate([jnp.zeros(1), jnp.cumsum(gaps)])  # the first is in eta
        place = self._place(y)
        last = len(self.categories) - 1
        upper = thresholds[jnp.minimum(place, last - 1)] - eta
        lower = thresholds[jnp.maximum(place - 1, 0)] - eta
        width = jnp.where((place == 0) | (place == last), 1.0, gaps[jnp.clip(place - 1, 0, last - 2)])
        logit = self.link == "logit"
        below = -softplus(-upper) if logit else NORMAL.below(upper)
        above = -softplus(lower) if logit else NORMAL.above(lower)
        between = _logistic_between(lower, width) if logit else NORMAL.between(lower, width)
        return weights * jnp.where(place == 0, below, jnp.where(place == last, above, between))

    def one_sided(self, y: Response) -> IntArray:
        """The first and the last category."""
        place = np.asarray(y.value - self.first)
        return np.where(place == 0, -1, np.where(place == len(self.categories) - 1, 1, 0))

    def mean(self, eta: FloatArray, theta: Theta) -> FloatArray:
        """The expected response, in its own numbers."""
        above = sum(self.linked.inverse(eta - threshold) for threshold in self.thresholds(theta))
        return np.asarray(self.first + above)

    def probabilities(self, eta: FloatArray, theta: Theta) -> FloatArray:
        """Of each category, as differences in the tail where they keep their digits."""
        cuts = np.stack([threshold - eta for threshold in self.thresholds(theta)])
        below, above = self.linked.inverse(cuts), self.linked.inverse(-cuts)
        between = np.where(cuts[:-1] > 0.0, above[:-1] - above[1:], below[1:] - below[:-1])
        return np.concatenate([below[:1], between, above[-1:]])

    def thresholds(self, theta: Theta) -> list[FloatArray]:
        """All thresholds less the first one, a number or an array (S,) each."""
        gaps = np.asarray(theta["gap"])
        gaps = gaps[..., None] if len(self.categories) == 3 else gaps
        sums = np.cumsum(gaps, axis=-1)
        return [np.zeros(sums.shape[:-1]), *np.moveaxis(sums, -1, 0)]

    def cdf(self, y: FloatArray, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """Probability of the category and of those before it."""
        cuts = np.stack([np.broadcast_to(cut, eta.shape[1]) for cut in self.thresholds(theta)])
        place = np.floor(np.clip(y - self.first, -1.0, len(cuts))).astype(np.int64)
        below = self.linked.inverse(cuts[np.clip(place, 0, len(cuts) - 1)] - eta)
        return np.where(place[:, None] < 0, 0.0, np.where(place[:, None] >= len(cuts), 1.0, below))

    def simulate(self, rng: Rng, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """The numbers of categories."""
        latent = eta + (rng.logistic(size=eta.shape) if self.link == "logit" else rng.standard_normal(eta.shape))
        above = sum((latent > threshold).astype(float) for threshold in self.thresholds(theta))
        return np.asarray(self.first + above)

    def _place(self, y: Response) -> Any:
        return jnp.asarray(y.value - self.first).astype(int)

    def _seen(self, y: Response, weights: FloatArray) -> FloatArray:
        """Thresholds that give the shares of the categories, with half a response more of each."""
        place: IntArray = np.asarray(y.value - self.first).astype(np.int64)
        counts = np.bincount(place, weights, minlength=len(self.categories)) + 0.5
        return np.asarray(self.linked.forward(np.cumsum(counts)[:-1] / np.sum(counts)))


def _logistic_between(lower: Any, width: Any) -> Any:
    """``log(F(lower + width) - F(lower))``, of which the difference is ``F(upper) (1 - F(lower)) (1 - e^-width)``."""
    return log_one_minus_exp(jnp.log(width)) - softplus(-lower - width) - softplus(lower)
