"""What every likelihood provides."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np

from lgm.arrays import FloatArray, IntArray
from lgm.errors import LgmError
from lgm.families.links import LINKS, Link
from lgm.families.response import Response
from lgm.parameter import Parameter
from lgm.words import suggest

Theta: TypeAlias = Mapping[str, FloatArray]  # draws of the family's parameters by kind
Rng: TypeAlias = np.random.Generator
Sums: TypeAlias = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class Family(ABC):
    """The distribution of a response given its linear predictor eta and the family's own hyperparameters theta.

    Parameters
    ----------
    link : str
        From the mean to the linear predictor; one of `links`.

    Notes
    -----
    In `loglik`, `mean` and `simulate`, theta has a value for each kind of the family's parameters: a number (in
    `simulate` and `mean` an array (S,), one per draw), or a vector (..., m) for a kind of m values.
    """

    link: str

    name: ClassVar[str]  # by which users ask for it
    links: ClassVar[tuple[str, ...]]  # accepted, the default first
    aliases: ClassVar[tuple[str, ...]] = ()
    predictors: ClassVar[tuple[str, ...]] = ("mu",)  # names of its linear predictors
    residual: ClassVar[str | None] = None  # its parameter that is the sd of independent errors of rows
    dispersion: ClassVar[str | None] = None  # its parameter that says how much rows vary beyond the rest of the model
    log_concave: ClassVar[bool] = True  # in eta, whatever theta
    weights_count: ClassVar[bool] = True  # a weight multiplies the log-likelihood of its row
    adds_up: ClassVar[bool] = False  # responses of rows that are alike but for them; then `added_up`, and no parameters
    whole: ClassVar[bool] = False  # responses are whole numbers
    forms: ClassVar[tuple[str, ...]] = ()  # of a response beside numbers: "trials", "event", "categories", "cens"
    intercept: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.link not in self.links:
            near = suggest(str(self.link), list(self.links))
            raise LgmError(f"link={self.link!r} of {self.name}:{near} accepted: {', '.join(map(repr, self.links))}.")

    @property
    def linked(self) -> Link:
        """The link's functions."""
        return LINKS[self.link]

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The categories of a response whose mean is a probability for each of them; else none."""
        return ()

    @property
    def conjugate(self) -> bool:
        """Whether eta and the response are jointly normal, so that the effects are integrated out exactly."""
        return False

    @property
    def kernel(self) -> str | None:
        """By which the sparse kernel knows it, if it does."""
        return None

    def of_categories(self, categories: tuple[str, ...], first: int) -> Family:
        """The family of a response of these categories, of which the first is this number."""
        return self

    @abstractmethod
    def check(self, y: Response, name: str) -> None:
        """Raise a DataError unless ``y`` can be such a response, called ``name``."""

    def level_of(self, y: Response, offset: FloatArray, weights: FloatArray) -> float:
        """Where the linear predictor is about: the mean of the default prior of the intercept."""
        return 0.0

    def scale_of(self, y: Response, offset: FloatArray, *, about_zero: bool = False) -> float:
        """The yardstick of default priors, in units of the linear predictor; about zero where it has no intercept."""
        return self.linked.spread

    def parameters(self, y: Response, yardstick: float, weights: FloatArray) -> tuple[Parameter, ...]:
        """Its hyperparameters, given the rows with a response."""
        return ()

    @abstractmethod
    def loglik(self, y: Response, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """Log density of each observation (n,), elementwise, for traced arrays; every constant kept.

        Three times differentiable in eta, and finite wherever eta is (within the range of doubles).
        """

    def information(self, y: Response, eta: Any, theta: Mapping[str, Any], weights: Any) -> Any:
        """Expected (Fisher) information of eta (n,), positive; where `log_concave` is False."""
        raise NotImplementedError

    def added_up(self, y: Response, sums: Sums) -> tuple[Response, FloatArray, FloatArray]:
        """For each group of rows with one eta and one weight a response that says the same of eta; where `adds_up`.

        ``sums`` adds up values (n,) over the rows of each group; it is called with the same functions of a row, in the
        same order, whatever the rows, and nothing else of them is used, so that sums may have been taken before. With
        the response comes what it adds to eta (m,), and what the log-likelihoods of the rows, their weights aside, have
        beside its own (m,).
        """
        raise NotImplementedError

    def one_sided(self, y: Response) -> IntArray | None:
        """Rows (n,) whose likelihood grows as long as eta falls (-1) or rises (1), and others (0); None if all are."""
        return None

    def mean(self, eta: FloatArray, theta: Theta) -> FloatArray:
        """The expected response; of successes, as a share of the trials."""
        return np.asarray(self.linked.inverse(eta))

    def variance(self, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray | None:
        """Of new responses (rows, S) about their `mean`, shares of the trials for successes; None if it has no form."""
        return None

    def probabilities(self, eta: FloatArray, theta: Theta) -> FloatArray:
        """Of each of the m outcomes (m, rows, S), where there are some."""
        raise NotImplementedError

    def cdf(
        self, y: FloatArray, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray
    ) -> FloatArray | None:
        """Probability (rows, S) that what `simulate` draws is at most ``y`` (rows,), any number; None: not known."""
        return None

    @abstractmethod
    def simulate(self, rng: Rng, eta: FloatArray, theta: Theta, weights: FloatArray, trials: FloatArray) -> FloatArray:
        """New responses (rows, S): eta (rows, S), known weights and trials (rows,)."""
