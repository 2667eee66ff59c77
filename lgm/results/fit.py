"""A fit: draws, tables, predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from lgm.arrays import FloatArray
from lgm.design.design import Design
from lgm.inference.draws import Run, Verdict
from lgm.inference.engine import AnyDraws
from lgm.inference.mode import Mode
from lgm.posterior.assemble import Analysed
from lgm.posterior.priors import Priors
from lgm.results import predict, tables, text
from lgm.results.arviz import container, diagnostics, plain_labels
from lgm.results.effects import EffectDraws, draw_effects

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

    from lgm.model import Inputs, Model

LEAD = ("chain", "draw")


@dataclass(frozen=True, eq=False)
class Fit:
    """The posterior of a model.

    Tables hold posterior means, standard deviations and equal-tailed intervals of probability ``interval``. Means and
    standard deviations of effects are exact mixtures over the draws of theta; intervals are quantiles of draws.

    A fit equals itself only. It can be copied and pickled, as its model can.

    Examples
    --------
    >>> import lgm
    >>> fit = lgm.fit("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"), draws=250, seed=1, progress=False)
    >>> fit.nobs, fit.ngrps()
    (30, {'Batch': 6})
    >>> list(fit.varcorr().index)
    [('Batch', 'sd(Intercept)'), ('Residual', 'sigma')]
    """

    model: Model
    run: Run[AnyDraws]
    interval: float
    seed: int
    stored_effects: EffectDraws | None = None  # of a fit that was read from a file

    @property
    def design(self) -> Design:
        """Response, columns and terms of the model."""
        return self.model.design

    @property
    def chosen_priors(self) -> Priors:
        """Priors of all parameters of the model."""
        return self.model.chosen_priors

    @property
    def analysed(self) -> Analysed:
        """The model's posterior with u integrated out, and its structure."""
        return self.model.analysed

    @property
    def inputs(self) -> Inputs:
        """What the model was built from."""
        return self.model.inputs

    @property
    def mode(self) -> Mode:
        """Mode of the working density of theta."""
        return self.run.mode

    @property
    def draws(self) -> AnyDraws:
        """Draws of theta."""
        return self.run.draws

    @property
    def method(self) -> str:
        """The engine that made the draws."""
        return self.run.method

    @cached_property
    def effects(self) -> EffectDraws:
        """Draws, means and standard deviations of all effects, made when first needed."""
        if self.stored_effects is not None:
            return self.stored_effects
        return draw_effects(self.analysed, self.draws, self.seed)

    @property
    def nobs(self) -> int:
        """Number of rows with a response."""
        return self.design.n

    def ngrps(self) -> dict[str, int]:
        """Number of levels of each group."""
        groups = [(term.group, term.variables[0].labels.size) for term in self.design.terms if term.group]
        return dict(groups)

    @property
    def priors(self) -> pd.DataFrame:
        """Prior of every variable, and whether it is the default or was given."""
        return self.chosen_priors.table

    @property
    def scales(self) -> dict[str, FloatArray]:
        """What multiplied the structure of each intrinsic or smooth term so that its sd is that of a typical effect.

        For ``rw1``, ``rw2`` and ``icar`` (one factor per component) the precision is ``factor * R / sd^2``.
        """
        return self.design.scales

    @cached_property
    def posterior(self) -> xr.Dataset:
        """The draws as an xarray dataset with dimensions chain, draw and one per term.

        A variable or group that is itself called ``chain`` or ``draw`` gets an underscore.
        """
        chains, draws, _ = self.draws.theta.shape
        coords: dict[str, Any] = {"chain": np.arange(chains), "draw": np.arange(draws)}
        u = self.effects.draws.reshape(chains, draws, -1)
        variables: dict[str, Any] = {n: (LEAD, x) for n, x in zip(self._names, self._scalars(), strict=True)}
        for printed in self.design.predictor.printed():
            dim = self._dim(printed.variable.dim, printed.variable.labels, coords, variables)
            variables[printed.variable.name] = ((*LEAD, dim), printed.of(u))
        return xr.Dataset(variables, coords, attrs={"formula": self.design.formula.source, "method": self.method})

    @property
    def _names(self) -> list[str]:
        """Fixed effects and hyperparameters, as variables of the posterior."""
        names = [*self.design.fixed_names, *self.design.theta_names]
        return [f"{name}_" if name in LEAD else name for name in names]

    def _scalars(self) -> list[FloatArray]:
        chains, draws, _ = self.draws.theta.shape
        beta = self.effects.draws[:, : self.design.p].reshape(chains, draws, -1)
        return list(np.moveaxis(np.concatenate([beta, self.draws.theta], axis=-1), -1, 0))

    @staticmethod
    def _dim(dim: str, labels: Any, coords: dict[str, Any], variables: Mapping[str, Any]) -> str:
        """Name of a dimension: as the term says, longer where that name is taken by other labels or by a variable."""
        while dim in LEAD or dim in variables or (dim in coords and not np.array_equal(coords[dim], labels)):
            dim += "_"
        coords[dim] = labels
        return dim

    @cached_property
    def idata(self) -> Any:
        """Everything as an ArviZ object (InferenceData, or an xarray DataTree with ArviZ 1).

        Neither xarray's trees nor NetCDF take a slash in a name, so a name such as ``I(Days / 10)`` has a division
        slash in its place here, ``I(Days \u2215 10)``. `posterior` has the names as they were typed. Labels that are
        neither text nor numbers, such as those of a MultiIndex, are text.
        """
        response = self.design.formula.response.text
        rows = self.design.scope.frame.index[self.design.rows.observed]
        stats = {name: (LEAD, values) for name, values in self.draws.stats.items()}
        return container(
            posterior=self.posterior,
            sample_stats=xr.Dataset(stats),
            observed_data=xr.Dataset({response: ("row", self.design.y)}, {"row": plain_labels(rows)}),
        )

    def summary(self) -> pd.DataFrame:
        """Fixed effects and hyperparameters: mean, sd, interval, effective sample sizes, R-hat.

        The name over the columns is that of the engine. With ``method="importance"``, ``summary().attrs`` holds
        ``pareto_k``, ``ess``, ``log_evidence`` (``log p(y)``, if every prior is proper) and ``log_evidence_se``. With
        ``method="mode"``, sds of hyperparameters are standard errors from the curvature at the mode, and they have no
        intervals.
        """
        table = self._summary.copy()
        table.attrs = text.facts(self)
        return table

    @cached_property
    def _summary(self) -> pd.DataFrame:
        draws = dict(zip(self._names, self._scalars(), strict=True))
        table = self._moments(draws)
        p = self.design.p
        table.iloc[:p, 0], table.iloc[:p, 1] = self.effects.mean[:p], self.effects.sd[:p]
        return self.draws.summarised(table, draws, diagnostics).rename_axis(columns=self.method)

    def _moments(self, draws: Mapping[str, FloatArray]) -> pd.DataFrame:
        """Mean, sd and interval of each variable's draws."""
        low, high = (1 - self.interval) / 2, (1 + self.interval) / 2
        rows = [(np.mean(x), np.std(x, ddof=1), *np.quantile(x, [low, high])) for x in draws.values()]
        return pd.DataFrame(rows, index=pd.Index(list(draws), name="variable"), columns=self._columns)

    @property
    def interval_names(self) -> tuple[str, str]:
        """Column names of the interval's ends, such as ``("2.5%", "97.5%")``."""
        return f"{50 * (1 - self.interval):.4g}%", f"{50 * (1 + self.interval):.4g}%"

    @property
    def _columns(self) -> list[str]:
        return ["mean", "sd", *self.interval_names]

    def fixef(self) -> pd.DataFrame:
        """Fixed effects: mean, sd, interval."""
        return self._summary.iloc[: self.design.p][self._columns].copy()

    def varcorr(self) -> pd.DataFrame:
        """Standard deviations and correlations by group or term, and the residual's: mean, sd, interval."""
        table = self._summary.iloc[self.design.p :][self._columns].copy()
        index = [place for parameter in self.design.parameters for place in parameter.places]
        table.index = pd.MultiIndex.from_tuples(index, names=["group", "parameter"])
        return table

    def ranef(self, term: str | None = None) -> pd.DataFrame:
        """Latent effects by term and level: mean, sd, interval.

        Parameters
        ----------
        term : str, optional
            A term, one of its effects, or a group, such as ``"(Days|Subject)"``, ``"Days|Subject"`` or ``"Subject"``;
            by default all.
        """
        return tables.effects(self, term)

    def predict(
        self,
        new_data: Any = None,
        kind: str = "mean",
        *,
        terms: Sequence[str] | str | None = None,
        exclude: Sequence[str] | str | None = None,
        new_levels: str = "sample",
        include_group_specific: bool | Sequence[str] = True,
        weights: Any = None,
        seed: int | None = None,
    ) -> Any:
        """Posterior of the response's mean, or of new responses, at rows of data.

        Parameters
        ----------
        new_data : table, optional
            By default the rows of the fit, those with a missing response included.
        kind : {"mean", "response", "draws"}
            The expected response, a new observation with its residual noise, or the draws of the expected response.
        terms, exclude : list of str, optional
            The only parts of the linear predictor that count, or those that do not: fixed effects (``"Intercept"``,
            ``"Days"``), latent terms with their straight lines (``"s(x)"``, ``"(Days|Subject)"``), groups
            (``"Subject"``), ``"offset"``. Columns that only other parts need may be missing in new_data.
        new_levels : {"sample", "zero", "error"}
            For levels that the fit does not have: effects from their population (and a warning), zero, or an error.
        include_group_specific : bool or list of str
            False gives the population level: all group effects are zero, and grouping columns are not needed. A list
            names the groups whose effects count.
        weights : column name or array, optional
            For ``kind="response"``. By default those of the fit for its own rows, and for others the column that gave
            the weights of the fit, if there is one, else one.
        seed : int, optional
            For noise and new levels; by default the seed of the fit.

        Returns
        -------
        pandas.DataFrame or xarray.DataArray
            Columns mean, sd and the interval's ends, with the index of the data; a polars or Arrow table for such
            new_data. Rows of new_data that miss a predictor are NaN, and a warning says so; those that the fit dropped
            are left out of its own rows. The mean has neither noise nor draws
            of new effects in it: it is an exact mixture over theta (at new times of an ar1, an average over draws).
            With ``kind="draws"``, an array with the dimensions chain, draw and row.

        Examples
        --------
        >>> import lgm
        >>> sleep = lgm.load_dataset("sleepstudy")
        >>> fit = lgm.fit("Reaction ~ Days + (Days|Subject)", sleep, method="mode", draws=100, seed=1, progress=False)
        >>> fit.predict({"Days": [0, 10]}, include_group_specific=False)["mean"].round(0).tolist()
        [251.0, 356.0]
        >>> fit.predict({"Days": [0, 10]}, "draws", terms=["Days"]).sizes["row"]
        2
        """
        return predict.predict(
            self,
            new_data,
            kind,
            terms=terms,
            exclude=exclude,
            new_levels=new_levels,
            include_group_specific=include_group_specific,
            weights=weights,
            seed=self.seed if seed is None else seed,
        )

    def plot(
        self, variables: list[str] | str | None = None, *, ax: Any = None, figsize: tuple[float, float] | None = None
    ) -> Figure | SubFigure:
        """Marginal posteriors with priors, and traces, of fixed effects and hyperparameters; see `lgm.plots`."""
        from lgm import plots

        return plots.plot(self, variables, ax=ax, figsize=figsize)

    def plot_term(
        self,
        term: str,
        *,
        geometry: Any = None,
        residuals: bool = True,
        ax: Any = None,
        figsize: tuple[float, float] | None = None,
    ) -> Figure | SubFigure:
        """The estimated effects of a term, such as ``"s(t)"`` or ``"(Days|Subject)"``; see `lgm.plots`."""
        from lgm import plots

        return plots.plot_term(self, term, geometry=geometry, residuals=residuals, ax=ax, figsize=figsize)

    def save(self, path: Any) -> None:
        """Write the whole fit to one file, for `lgm.load`; an error says what in the formula a file cannot hold.

        The file is written beside the old one and then takes its place. A fit whose formula uses a function of your own
        or other Python is loaded with ``lgm.load(path, trusted=True)``.
        """
        from lgm.storage import record

        record.of(self).write(path)

    @property
    def verdict(self) -> str:
        """Whether the draws can be trusted, in one line, and what to do if not."""
        return self._verdict.text

    @property
    def doubt(self) -> str | None:
        """The verdict if it says that the draws should not be trusted yet, else None."""
        return self._verdict.text if self._verdict.doubted else None

    @property
    def doubt_of_theta(self) -> str | None:
        """As `doubt`, from the hyperparameters alone: effects given them are independent, and need not be drawn."""
        theta = dict(zip(self.design.theta_names, np.moveaxis(self.draws.theta, -1, 0), strict=True))
        verdict = self.draws.verdict(self.draws.summarised(self._moments(theta), theta, diagnostics))
        return verdict.text if verdict.doubted else None

    @cached_property
    def _verdict(self) -> Verdict:
        return self.draws.verdict(self._summary)

    def __getstate__(self) -> dict[str, Any]:
        """All but what follows from the rest; effects are kept, they take long."""
        return {name: value for name, value in vars(self).items() if name not in ("posterior", "idata", "_summary")}

    def __repr__(self) -> str:
        return text.text(self)

    def _repr_html_(self) -> str:
        return text.html(self)
