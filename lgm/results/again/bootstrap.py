"""The parametric bootstrap: how estimates vary over responses that the fitted model gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lgm.arrays import FloatArray
from lgm.design.another import refuse_censored
from lgm.errors import LgmError
from lgm.inference.held import Held
from lgm.posterior.latent_prior import by_kind
from lgm.posterior.no_rows import without_rows
from lgm.posterior.pinned import pinned
from lgm.results.again.repeated import repeated
from lgm.results.again.settings import settings_of
from lgm.results.drawing import Drawing
from lgm.results.tables import require_interval
from lgm.words import counted

if TYPE_CHECKING:
    from lgm.results.fit import Fit

DRAWS = 100  # of effects in each fit
_HELD, _AT_ONCE = 2_000_000, 50  # simulated numbers and responses at once


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Estimates from simulated responses, made by ``fit.bootstrap``.

    Parameters
    ----------
    estimates : pandas.DataFrame
        A row for each response.
    original : pandas.Series
        Those of the response of the fit, at which the others were simulated.
    failed : int
        Simulated responses that could not be fitted, and were left out.
    interrupted : bool
    """

    estimates: pd.DataFrame
    original: pd.Series
    failed: int
    interrupted: bool

    def summary(self, *, interval: float = 0.95) -> pd.DataFrame:
        """The estimate, its bias (the mean of the others less it), standard error, and percentile interval."""
        require_interval(interval)
        names = [f"{50 * (1 - interval):.4g}%", f"{50 * (1 + interval):.4g}%"]
        ends = self.estimates.quantile([(1 - interval) / 2, (1 + interval) / 2]).to_numpy().T
        bias, se = self.estimates.mean() - self.original, self.estimates.std(ddof=1)
        values = np.column_stack([self.original, bias, se, ends])
        return pd.DataFrame(values, self.original.index, ["estimate", "bias", "se", *names]).rename_axis("statistic")

    def __repr__(self) -> str:
        stopped, failed = (
            ", stopped early" if self.interrupted else "",
            f", {self.failed} failed" if self.failed else "",
        )
        table = self.summary().to_string(float_format="{:.4g}".format)
        return f"Parametric bootstrap: {counted(len(self.estimates), 'response')}{failed}{stopped}\n\n{table}"


def bootstrap(
    fit: Fit, n: int, statistic: Callable[[Fit], Any] | None, *, use_u: bool, seed: int, progress: bool
) -> Bootstrap:
    """See `Fit.bootstrap`."""
    d = fit.design
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 2:
        raise LgmError(f"n={n!r}; accepted: a whole number of at least 2.")
    refuse_censored(d)
    settings = settings_of(fit, method="mode", chains=1, draws=DRAWS, progress=False)
    base = fit if isinstance(fit.draws, Held) else fit.model.fit(**settings)
    measure = _estimates if statistic is None else statistic
    original, rows, failed = _named(measure(base)), list[dict[str, float]](), list[LgmError]()
    responses = _responses(base, np.random.default_rng([seed, 21]), seed, use_u=use_u)

    def step() -> int:
        y = next(responses)
        try:
            rows.append(_named(measure(fit.model.with_response(y).fit(**settings))))
        except LgmError as error:
            failed.append(error)
        if len(failed) > len(rows) + 10:
            raise LgmError(
                f"{len(failed)} of {len(failed) + len(rows)} simulated responses cannot be fitted; the last one: "
                f"{failed[-1]}"
            )
        return len(rows)

    stopped = repeated(step, int(n), "simulated response", progress=progress)
    if not rows:
        raise KeyboardInterrupt
    return Bootstrap(pd.DataFrame(rows), pd.Series(original), len(failed), stopped)


def _estimates(fit: Fit) -> dict[str, float]:
    """Fixed effects and hyperparameters."""
    values = np.concatenate([fit.fixef()["mean"].to_numpy(), fit._shown.theta[0, 0]])
    return dict(zip(fit._names, values.tolist(), strict=True))


def _named(found: Any) -> dict[str, float]:
    if isinstance(found, pd.Series):
        found = found.to_dict()
    if not isinstance(found, Mapping):
        found = {"statistic": found}
    try:
        return {str(name): float(value) for name, value in found.items()}
    except (TypeError, ValueError):
        raise LgmError("statistic= must give a number, or a dict or Series of numbers by name.") from None


def _responses(fit: Fit, rng: np.random.Generator, seed: int, *, use_u: bool) -> Iterator[FloatArray]:
    """New responses (n,) at the theta and the fixed effects of a fit by its mode."""
    d = fit.design
    size = int(np.clip(_HELD // d.n, 1, _AT_ONCE))
    trials = np.ones(d.n) if d.response.trials is None else np.asarray(d.response.trials)
    own = by_kind(fit.draws.theta[0, 0], fit.analysed.marginal.data.places)
    theta = {kind: np.repeat(values[None], size, axis=0) for kind, values in own.items()}
    theta = {kind: values[:, 0] if values.shape[1] == 1 else values for kind, values in theta.items()}
    for part in range(2**31):
        u = np.repeat(fit.effects.mean[None], size, axis=0)
        if not use_u:
            new = _new_effects(fit, size, seed + part)
            for term, where in zip(d.terms, d.predictor.term_slices(), strict=True):
                if not term.of_predictors:  # what predictors do is as estimated, as the fixed effects are
                    at = slice(d.p + where.start, d.p + where.stop)
                    u[:, at] = new[:, at]
        eta = d.predictor.A @ u.T + d.predictor.offset[:, None]
        drawn = d.family.simulate(rng, eta, theta, d.all_weights[d.rows.observed], trials)
        yield from (drawn / trials[:, None] if d.answer.share else drawn).T


def _new_effects(fit: Fit, size: int, seed: int) -> FloatArray:
    """Draws (size, p + q) of the effects of terms given theta."""
    alone = replace(fit.analysed, marginal=without_rows(pinned(fit.analysed.marginal)))
    thetas = np.repeat(fit.draws.theta[0, :1], size, axis=0)
    out = np.empty((size, fit.effects.drawing.dim))
    for block in Drawing(alone, thetas, seed, progress=False).blocks(np.arange(size)):
        out[block.numbers] = block.draws
    return out
