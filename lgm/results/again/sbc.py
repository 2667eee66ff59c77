"""Simulation-based calibration: parameters from their priors, data from the parameters, ranks among posterior draws."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import jax
import numpy as np
import pandas as pd
import xarray as xr

from lgm.arrays import FloatArray, IntArray
from lgm.design import predictor as predictors
from lgm.design.another import refuse_censored
from lgm.design.design import Design
from lgm.design.predictor import Parts
from lgm.errors import LgmError
from lgm.families.family import Family
from lgm.families.response import Response
from lgm.inference.compile import compiled
from lgm.inference.weighted import Weighted
from lgm.posterior.latent_prior import by_kind
from lgm.results import uniformity
from lgm.results.again.repeated import repeated
from lgm.results.linear_predictor import linear_predictor
from lgm.results.tables import LEAD
from lgm.words import counted
from lgm.xla import own_settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

    from lgm.model import Model
    from lgm.results.fit import Fit

LIKELIHOOD = "log p(y | u, theta)"
_HELD = 2_000_000  # simulated numbers at once
_AT_ONCE = 50  # data sets
_TRIED = 4  # data sets that may be drawn for each one that can be fitted

Quantities: TypeAlias = Callable[[xr.Dataset], Mapping[str, Any]]
Simulate: TypeAlias = Callable[[np.random.Generator], tuple[Any, ...]]


class Simulated(NamedTuple):
    """True values by name, a response that they gave, and the linear predictor of its rows if it is known."""

    truth: xr.Dataset
    y: Any
    eta: FloatArray | None


@dataclass(frozen=True, eq=False)
class SBC:
    """Ranks of true values among posterior draws, made by `lgm.sbc`.

    Parameters
    ----------
    ranks : pandas.DataFrame
        A row for each data set and a column for each quantity; whole numbers from 0 to ``most``.
    most : int
        Number of draws among which a true value has its rank.
    level : float
        Probability with which right draws are taken for wrong ones, over all quantities together.
    refused : int
        Simulated responses that could not be fitted, and were drawn again.
    doubted : int
        Fits whose own diagnostics warn; they count as the others, as leaving them out would select.
    interrupted : bool
    """

    ranks: pd.DataFrame
    most: int
    level: float
    refused: int
    doubted: int
    interrupted: bool

    @cached_property
    def limit(self) -> float:
        """The tail probability below which a quantity's ranks are not uniform; quantities share the level."""
        return uniformity.critical(len(self.ranks), self.most, self.level / self.ranks.shape[1])

    def summary(self) -> pd.DataFrame:
        """By quantity: how far its ranks are from uniform, and in which way.

        Returns
        -------
        pandas.DataFrame
            ``mean rank``, a share that is a half on average of right draws; ``tail``, the smallest probability with
            which the distribution function of uniform ranks is so far out at some point; and whether that is below
            `limit`, that is, whether the function leaves its simultaneous band: ``outside``.
        """
        tail = uniformity.tails(self.ranks, self.most)
        share = (self.ranks.mean() + 0.5) / (self.most + 1)
        return pd.DataFrame({"mean rank": share, "tail": tail, "outside": tail < self.limit}).rename_axis("quantity")

    @property
    def verdict(self) -> str:
        """What the ranks say of the draws, in words."""
        table, n = self.summary(), counted(len(self.ranks), "data set")
        stopped = ", stopped early" if self.interrupted else ""
        wrong = [f"{name} ({self._way(name)})" for name in table.index[table["outside"]]]
        notes = (
            [f"{self.refused} simulated responses could not be fitted and were drawn again."] if self.refused else []
        )
        notes += [f"{self.doubted} fits warn themselves."] if self.doubted else []
        if wrong:
            words = f"Not calibrated: of {n}{stopped}, ranks are not uniform for {'; '.join(wrong)}."
        else:
            few = " So few show large errors only." if len(self.ranks) < 100 else ""
            words = f"Calibrated as far as {n}{stopped} can tell: all ranks are uniform.{few}"
        return " ".join([words, *notes])

    def _way(self, name: str) -> str:
        """How the draws are wrong: by mean or spread of the ranks, whichever is farther from that of uniform ones."""
        share, n = (self.ranks[name].to_numpy() + 0.5) / (self.most + 1), len(self.ranks)
        shift = (share.mean() - 0.5) * np.sqrt(12.0 * n)
        spread = (np.var(share) - 1.0 / 12.0) * np.sqrt(180.0 * n)
        if abs(shift) >= abs(spread):
            return "draws are too small" if shift > 0 else "draws are too large"
        return "draws vary too little" if spread > 0 else "draws vary too much"

    def plot(self, *, ax: Any = None, figsize: tuple[float, float] | None = None) -> Figure | SubFigure:
        """For each quantity the distribution function of its ranks less the uniform one, with a simultaneous band."""
        from lgm import plots

        return plots.plot_ranks(self, ax=ax, figsize=figsize)

    def __repr__(self) -> str:
        return f"{self.verdict}\n\n{self.summary().to_string(float_format='{:.3g}'.format)}"


def sbc(
    model: Model,
    n: int = 500,
    method: str = "importance",
    *,
    ranks: int = 100,
    quantities: Quantities | None = None,
    simulate: Simulate | None = None,
    level: float = 0.01,
    seed: int | None = None,
    progress: bool = True,
    **settings: Any,
) -> SBC:
    """Whether a model's draws come from its posterior: simulation-based calibration.

    Parameters and effects are drawn from their priors (of effects: given the parameters, within their constraints), a
    response from these, and the model is fitted to it. Over many such data sets the rank of a true value among
    independent posterior draws is uniform (Talts et al. 2018). Ranked are all fixed effects and hyperparameters, and
    the log likelihood, which sees errors that no single parameter shows (Modrak et al. 2023).

    Rows, columns and priors are those of the model; default priors have the scale of its own response. Fits run in this
    process one after the other, and compile nothing after the first. Ctrl-C keeps the ranks there are.

    Parameters
    ----------
    model : Model
        All priors proper.
    n : int
        Number of data sets.
    method : str
        How they are fitted, as in `lgm.fit`.
    ranks : int
        Number of draws among which each true value has its rank: evenly spaced, as draws of chains depend on the ones
        before. The numbers of chains and draws are 1 and 1000 by default, with ``"nuts"`` and ``"joint"`` 4 and 250.
    quantities : callable, optional
        More quantities: from a dataset as ``fit.posterior``, with the dimension draw, to a dict of arrays (draw,), such
        as ``lambda p: {"first": p["Intercept|g"].isel(g=0)}``. It is called with the true values too, as one draw.
    simulate : callable, optional
        Other data: from a NumPy random generator to a dict of true values by name (numbers; arrays for the effects of a
        term), a response, and, for the log likelihood, its linear predictor. By default the model's own.
    level : float
        Probability with which right draws are taken for wrong ones.
    seed : int, optional
    progress : bool
    **settings
        Others of `lgm.model.Model.fit`.

    Returns
    -------
    SBC
        With ``ranks``, ``summary()``, ``verdict`` and ``plot()``.

    Raises
    ------
    PriorError
        If a prior is flat: nothing can be drawn from it.
    LgmError
        For other arguments than are accepted, or priors whose responses can seldom be fitted.

    References
    ----------
    Talts, Betancourt, Simpson, Vehtari & Gelman (2018), arXiv:1804.06788. Modrak, Moon, Kim, Buerkner, Huurre,
    Faltejskova, Gelman & Vehtari (2023), Bayesian Analysis. Saeilynoja, Buerkner & Vehtari (2022), Statistics and
    Computing 32, 32.

    Examples
    --------
    >>> import lgm
    >>> normal, exponential = lgm.priors.normal, lgm.priors.exponential
    >>> given = {"Intercept": normal(0, 1), "sd": exponential(1), "sigma": exponential(1)}
    >>> data = lgm.load_dataset("Dyestuff").assign(y=lambda d: (d["Yield"] - 1500) / 50)
    >>> found = lgm.sbc(lgm.model("y ~ 1 + (1|Batch)", data, priors=given), n=10, seed=1, progress=False)
    >>> list(found.ranks)
    ['Intercept', 'sd(Intercept|Batch)', 'sigma', 'log p(y | u, theta)']
    """
    if not hasattr(model, "with_response"):
        raise LgmError(f"sbc() takes a model that is not fitted yet, from lgm.model(); got a {type(model).__name__}.")
    for name, value, least in (("n", n, 10), ("ranks", ranks, 10)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise LgmError(f"{name}={value!r}; accepted: a whole number of at least {least}.")
    if not 0.0 < level < 1.0:
        raise LgmError(f"level={level!r}; accepted: a probability between 0 and 1, such as 0.01.")
    by_chains = method in ("nuts", "joint")
    settings = {"chains": 4 if by_chains else 1, "draws": 250 if by_chains else 1000, **settings, "method": method}
    if settings["chains"] * settings["draws"] < ranks:
        raise LgmError(f"ranks={ranks} is more than there are draws ({settings['chains'] * settings['draws']}).")
    seed = secrets.randbits(31) if seed is None else int(seed)
    rng = np.random.default_rng([seed, 20])
    source = _from_prior(model, rng) if simulate is None else _given(simulate, rng)
    found = _Ranked(int(ranks), quantities, rng)

    def step() -> int:
        _replicate(model, next(source), found, settings, int(rng.integers(2**31)))
        _require_fits(found)
        return len(found.rows)

    stopped = repeated(step, int(n), "simulated data set", progress=progress)
    if not found.rows:
        raise KeyboardInterrupt
    return SBC(pd.DataFrame(found.rows), int(ranks), float(level), found.refused, found.doubted, stopped)


class _Ranked:
    """Ranks while they are found."""

    def __init__(self, ranks: int, quantities: Quantities | None, rng: np.random.Generator) -> None:
        self.most, self._quantities, self._rng = ranks, quantities, rng
        self.rows: list[dict[str, int]] = []
        self.refused = self.doubted = 0
        self.why: LgmError | None = None

    def add(self, made: Simulated, fit: Fit) -> None:
        """Rank true values among draws; of equal ones each order is as likely."""
        numbers = np.arange(1, self.most + 1) * fit.effects.size // self.most - 1
        drawn = _chosen(fit.posterior, numbers)
        names = [name for name in fit._names if name in made.truth]
        pairs = {name: (made.truth[name].to_numpy(), drawn[name].to_numpy()) for name in names}
        if made.eta is not None and set(fit._theta_names) <= set(made.truth):
            pairs[LIKELIHOOD] = _log_likelihoods(fit, made, numbers)
        if self._quantities is not None:
            true, others = self._quantities(made.truth), self._quantities(drawn)
            pairs |= {name: (np.asarray(true[name]), np.asarray(others[name])) for name in true}
        if not self.rows:  # what is held is not ranked
            self._ranked = [name for name, (_, draws) in pairs.items() if np.ptp(draws) > 0.0]
        self.rows.append({name: self._rank(float(pairs[name][0].item()), pairs[name][1]) for name in self._ranked})
        self.doubted += isinstance(fit.draws, Weighted) and fit.draws.points.k > fit.draws.points.limit

    def _rank(self, true: float, draws: FloatArray) -> int:
        equal = int(np.sum(draws == true))
        return int(np.sum(draws < true)) + (int(self._rng.integers(equal + 1)) if equal else 0)


def _chosen(posterior: xr.Dataset, numbers: IntArray) -> xr.Dataset:
    """Draws with these numbers, the chains one after the other, with the dimension draw in place of two."""
    parts = {
        name: (("draw", *variable.dims[2:]), variable.to_numpy().reshape(-1, *variable.shape[2:])[numbers])
        for name, variable in posterior.data_vars.items()
    }
    return xr.Dataset(parts, {name: each for name, each in posterior.coords.items() if name not in LEAD})


def _replicate(model: Model, made: Simulated, found: _Ranked, settings: dict[str, Any], seed: int) -> None:
    """Fit one data set."""
    try:
        fit = model.with_response(made.y).fit(**settings, seed=seed, progress=False)
    except LgmError as error:  # by the response alone, so that leaving it out leaves ranks uniform
        found.refused, found.why = found.refused + 1, error
        return
    if fit.draws.interrupted:
        raise KeyboardInterrupt
    found.add(made, fit)


def _require_fits(found: _Ranked) -> None:
    if found.refused > _TRIED * (len(found.rows) + 10):
        raise LgmError(
            f"{found.refused} of {found.refused + len(found.rows)} responses that were drawn from the priors cannot be "
            f"fitted; the last one: {found.why} Accepted: priors that say more, whose responses look like data."
        )


def _from_prior(model: Model, rng: np.random.Generator) -> Iterator[Simulated]:
    """True values from the priors, and responses from the family, for as long as they are asked for.

    Raises
    ------
    PriorError
        If a prior is flat.
    DataError
        If the response is censored, which the model does not explain.
    """
    d = model.design
    refuse_censored(d)
    size = int(np.clip(_HELD // len(d.rows.index), 4, _AT_ONCE))
    while True:
        prior = model.fit(method="prior", chains=1, draws=size, seed=int(rng.integers(2**31)), progress=False)
        y = prior.predict(kind="draws", of="response").to_numpy()[0]
        eta, truth = _linear_predictors(prior, np.arange(size)), prior.posterior.isel(chain=0, drop=True)
        for i in range(size):
            yield Simulated(truth.isel(draw=[i]).drop_vars("draw"), y[i], eta[i])


def _given(simulate: Simulate, rng: np.random.Generator) -> Iterator[Simulated]:
    while True:
        values, y, *eta = simulate(rng)
        truth = {}
        for name, value in values.items():
            each = np.asarray(value, dtype=float)
            truth[name] = (("draw", *(f"dim_{name}_{i}" for i in range(each.ndim))), each[None])
        yield Simulated(xr.Dataset(truth), y, np.asarray(eta[0], dtype=float) if eta else None)


def _linear_predictors(fit: Fit, numbers: IntArray) -> FloatArray:
    """Draws with these numbers (draws, n) at the rows with a response."""
    d = fit.design
    return linear_predictor(fit, predictors.encode(d.predictor, d.seen, Parts.all(d.predictor))).draws(only=numbers).T


@compiled(shapes=lambda post, how: ())
def _log_likelihood(
    family: Family, y: Response, eta: jax.Array, theta: dict[str, jax.Array], weights: jax.Array
) -> jax.Array:
    """Sums over the rows (draws,), for linear predictors (draws, n)."""

    def one(eta: jax.Array, theta: dict[str, jax.Array]) -> jax.Array:
        return jax.numpy.sum(family.loglik(y, eta, theta, weights))

    return jax.vmap(one)(eta, theta)


def _log_likelihoods(fit: Fit, made: Simulated, numbers: IntArray) -> tuple[FloatArray, FloatArray]:
    """Of the true values, and of the draws."""
    d: Design = fit.design
    assert made.eta is not None
    places = fit.analysed.marginal.data.places
    theta = fit.draws.theta.reshape(fit.effects.size, -1)[numbers]
    true = np.array([made.truth[name].item() for name in fit._theta_names])  # the family's are printed as they are
    every = by_kind(np.concatenate([true[None], theta]), places)
    own = {kind: values[:, 0] if values.shape[1] == 1 else values for kind, values in every.items()}
    eta = np.concatenate([made.eta[None], _linear_predictors(fit, numbers)])
    with own_settings():
        y = jax.tree.map(np.asarray, d.response)
        found = np.asarray(_log_likelihood(d.family, y, eta, own, np.asarray(d.weights)))
    return found[:1], found[1:]
