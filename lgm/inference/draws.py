"""What engines return. Each kind of draws knows its own numbers for a table, its words, and whether to trust it.

The kinds are `chains.Chains`, `sampled.Sampled`, `weighted.Weighted` and `held.Held`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from lgm.arrays import FloatArray, IntArray
from lgm.inference.ladder import Rung
from lgm.inference.mode import Mode
from lgm.inference.pareto import threshold
from lgm.posterior.hyperparameters import Hyperparameters

ENOUGH = 400  # effective draws for stable estimates of R-hat and of quantiles (Vehtari et al. 2021, sec. 4.4)


@dataclass(frozen=True, eq=False)
class Mixture:
    """A posterior of theta as weighted points, with the effects given theta at each of them.

    Parameters
    ----------
    theta : float array (S, k)
        Natural scale.
    log_weights : float array (S,)
        Normalised: their exponentials sum to one.
    mean : float array (S, p + q)
        ``E[u | theta, y]`` at each point, internal coordinates; of the fixed effects alone, (S, p), where all were too
        large to keep.
    draws : float array (S, m, p + q)
        Draws of u at each point; m = 0 where they were too large to keep.
    cov : float array (S, p, p)
        Covariances of the fixed effects where these alone were kept and are normal given theta, else (0, 0, 0).
    """

    theta: FloatArray
    log_weights: FloatArray
    mean: FloatArray
    draws: FloatArray
    cov: FloatArray = field(default_factory=lambda: np.zeros((0, 0, 0)), kw_only=True)

    def without_effects(self) -> Self:
        """The same points, and nothing of u."""
        size, _, dim = self.draws.shape
        return replace(self, mean=np.zeros((size, 0)), draws=np.zeros((size, 0, dim)), cov=np.zeros((0, 0, 0)))

    def printed(self, hyper: Hyperparameters) -> Self:
        """The same points, with theta as tables show it."""
        return replace(self, theta=hyper.printed(self.theta))


@dataclass(frozen=True, eq=False)
class Points(Mixture):
    """Weighted points with smoothed weights, and how far these can be trusted.

    Parameters
    ----------
    k : float
        Pareto k of the raw weights (Vehtari et al. 2024).
    ess : float
        Effective number of points, ``1 / sum w^2``.
    log_evidence, log_evidence_se : float
        ``log p(y)``, if every prior is proper, and its Monte Carlo error.
    failed : int
        Points at which the density of the data could not be evaluated; they have no weight.
    """

    k: float
    ess: float
    log_evidence: float
    log_evidence_se: float
    failed: int

    @property
    def size(self) -> int:
        """Number of points."""
        return int(self.log_weights.size)

    @property
    def limit(self) -> float:
        """Largest k with which the weights can be trusted."""
        return threshold(self.size)

    def doubt(self) -> str | None:
        """Why the weights are not to be trusted, if they are not."""
        if self.k > self.limit:
            return f"the importance weights are not reliable (Pareto k {self.k:.2f}, limit {self.limit:.2f})"
        if self.ess < ENOUGH:
            return f"only {self.ess:.0f} effective points of {self.size}"
        return None


def without_density(failed: int, size: int) -> str:
    """A sentence on evaluations that failed, if some did."""
    return f" {failed} of {size} points had no density." if failed else ""


def joined(draws: FloatArray) -> FloatArray:
    """Draws (chains, draws, k) as rows, one chain after the other; k may be zero."""
    chains, size, k = draws.shape
    return draws.reshape(chains * size, k)


class Verdict(NamedTuple):
    """One line on the draws, and whether it says that they should not be trusted yet."""

    text: str
    doubted: bool


@dataclass(frozen=True, eq=False)
class Draws(ABC):
    """Kept draws of theta.

    Parameters
    ----------
    theta : float array (chains, draws, k)
        Natural scale.
    stats : dict of arrays (chains, draws)
        ``diverging``, ``lp`` (log density of the coordinates that the engine moves); from chains also ``n_steps``,
        ``acceptance_rate`` and ``energy``.
    interrupted : bool
        Whether the run was stopped before all draws were made.
    """

    theta: FloatArray
    stats: dict[str, npt.NDArray[Any]]
    interrupted: bool

    # Whether effects are drawn given theta: they can then be made again, and have moments given theta.
    conditional: ClassVar[bool] = True

    @abstractmethod
    def effects_at(self) -> tuple[Mixture, IntArray] | None:
        """Effects that the engine computed along with theta, and which of their points each draw is, if it did."""

    def weighted(self, new: Callable[[], Points]) -> Points:
        """Weighted points: new ones, unless these draws have some."""
        return new()

    @abstractmethod
    def without_effects(self) -> Self:
        """The same draws, and nothing of u."""

    def printed(self, hyper: Hyperparameters) -> Self:
        """The same draws, with theta as tables show it."""
        return replace(self, theta=hyper.printed(self.theta))

    @abstractmethod
    def summarised(
        self,
        table: pd.DataFrame,
        variables: Callable[[], Mapping[str, FloatArray]],
        of_chains: Callable[..., pd.DataFrame],
    ) -> pd.DataFrame:
        """A table (mean, sd, interval) with what is known better of theta, and the columns that say how good it is.

        Parameters
        ----------
        table : pandas.DataFrame
            A row for each variable; theta comes last.
        variables : callable
            Gives the draws (chains, draws) behind each row, to those who need them.
        of_chains : callable
            Estimates ``ess_bulk``, ``ess_tail`` and ``r_hat`` from such draws.
        """

    def judged(
        self,
        table: pd.DataFrame,
        effects: Callable[[], Mapping[str, FloatArray]],
        of_chains: Callable[..., pd.DataFrame],
    ) -> pd.DataFrame:
        """A finished table with all else by which the draws are judged.

        Parameters
        ----------
        table : pandas.DataFrame
        effects : callable
            Gives the draws (chains, draws) of each effect that tables show, to those who need them.
        of_chains : callable
            As for `summarised`.
        """
        return table

    @abstractmethod
    def facts(self, *, proper: bool) -> dict[str, Any]:
        """Numbers of the whole run; ``proper`` says whether every prior is."""

    @abstractmethod
    def described(self) -> str:
        """How many draws these are, and of what kind."""

    @abstractmethod
    def verdict(self, summary: pd.DataFrame, *, points: bool = True) -> Verdict:
        """Can the draws be trusted, and what to do if not; ``summary`` is a table as from `judged`."""

    @property
    def _stopped(self) -> str:
        return ", stopped early" if self.interrupted else ""


Kind = TypeVar("Kind", bound=Draws, covariant=True)


class Run(NamedTuple, Generic[Kind]):
    """The mode of the working density if needed, the draws, their engine, and the approximation of the density."""

    mode: Mode | None
    draws: Kind
    method: str
    rung: Rung | None = None


class Expected(NamedTuple):
    """What a run will leave to find of the effects: their moments at how many thetas, and draws at how many."""

    thetas: int
    draws: int
