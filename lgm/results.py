"""A fit: draws, tables, predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from lgm import predict, report
from lgm.analyse import Analysed
from lgm.defaults import Priors
from lgm.design import Design
from lgm.inference.mode import Mode
from lgm.inference.nuts import Draws
from lgm.latent import EffectDraws, draw_effects
from lgm.pattern import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Inputs:
    """What a model was built from: enough to build it again."""

    formula: str
    data: Any
    family: str
    priors: dict[str, Any]
    weights: Any
    env: Mapping[str, Any]
    missing: str


@dataclass(frozen=True)
class Fit:
    """The posterior of a model.

    Tables hold posterior means, standard deviations and equal-tailed intervals of probability ``interval``. Means and standard
    deviations of effects are exact mixtures over the draws of theta; intervals are quantiles of draws.
    """

    design: Design
    prior: Priors
    analysed: Analysed
    inputs: Inputs
    mode: Mode
    draws: Draws
    interval: float
    seed: int
    method: str

    @cached_property
    def effects(self) -> EffectDraws:
        """Draws, means and standard deviations of all effects, made when first needed."""
        chains, draws, k = self.draws.theta.shape
        return draw_effects(self.analysed, self.draws.theta.reshape(chains * draws, k), self.seed)

    @property
    def priors(self) -> pd.DataFrame:
        """Prior of every variable, and whether it is the default or was given."""
        return self.prior.table

    @property
    def scales(self) -> dict[str, FloatArray]:
        """What multiplied the structure of each intrinsic or smooth term so that its sd is that of a typical effect.

        For ``rw1``, ``rw2`` and ``icar`` (one factor per component) the precision is ``factor * R / sd^2``.
        """
        return self.analysed.scales

    @cached_property
    def posterior(self) -> xr.Dataset:
        """The draws as an xarray dataset with dimensions chain, draw and one per term."""
        chains, draws, _ = self.draws.theta.shape
        lead = ("chain", "draw")
        coords: dict[str, Any] = {"chain": np.arange(chains), "draw": np.arange(draws)}
        u = self.effects.draws.reshape(chains, draws, -1)
        p = self.design.p
        variables: dict[str, Any] = {name: (lead, u[..., j]) for j, name in enumerate(self.design.fixed_names)}
        for name, values in zip(self.design.theta_names, np.moveaxis(self.draws.theta, -1, 0), strict=True):
            variables[name] = (lead, values)
        for term, place in zip(self.design.terms, self.design.term_slices(), strict=True):
            b = u[..., p + place.start : p + place.stop]
            for variable in term.variables:
                dim = self._dim(variable.dim, variable.labels, coords, variables)
                variables[variable.name] = ((*lead, dim), b[..., variable.index])
        return xr.Dataset(variables, coords, attrs={"formula": self.design.formula.source, "method": self.method})

    @staticmethod
    def _dim(dim: str, labels: Any, coords: dict[str, Any], variables: Mapping[str, Any]) -> str:
        """Name of a dimension: as the term says, longer where that name is taken by other labels or by a variable."""
        while dim in variables or (dim in coords and not np.array_equal(coords[dim], labels)):
            dim += "_"
        coords[dim] = labels
        return dim

    @cached_property
    def idata(self) -> Any:
        """Everything as an ArviZ object (InferenceData, or an xarray DataTree with ArviZ 1)."""
        lead = ("chain", "draw")
        rows = {"row": self.design.scope.frame.index[self.design.rows.observed].to_numpy()}
        groups = {
            "posterior": self.posterior,
            "sample_stats": xr.Dataset({name: (lead, values) for name, values in self.draws.stats.items()}),
            "observed_data": xr.Dataset({self.design.formula.response.text: ("row", self.design.y)}, rows),
        }
        with report.quiet_arviz() as az:
            if hasattr(az, "InferenceData"):
                return az.InferenceData(**groups)
        return xr.DataTree.from_dict(groups)

    def summary(self) -> pd.DataFrame:
        """Fixed effects and hyperparameters: mean, sd, interval, effective sample sizes, R-hat."""
        return self._summary.copy()

    @cached_property
    def _summary(self) -> pd.DataFrame:
        names = [*self.design.fixed_names, *self.design.theta_names]
        table = self._table({name: self.posterior[name].to_numpy() for name in names})
        p = self.design.p
        table.loc[list(self.design.fixed_names), "mean"] = self.effects.mean[:p]
        table.loc[list(self.design.fixed_names), "sd"] = self.effects.sd[:p]
        return table.join(report.diagnostics(self.posterior[names]))

    def _table(self, draws: Mapping[str, FloatArray]) -> pd.DataFrame:
        low, high = (1 - self.interval) / 2, (1 + self.interval) / 2
        rows = [(np.mean(x), np.std(x, ddof=1), *np.quantile(x, [low, high])) for x in draws.values()]
        columns = ["mean", "sd", *self.interval_names]
        return pd.DataFrame(rows, index=pd.Index(list(draws), name="variable"), columns=columns)

    @property
    def interval_names(self) -> tuple[str, str]:
        """Column names of the interval's ends, such as ``("2.5%", "97.5%")``."""
        return f"{50 * (1 - self.interval):.4g}%", f"{50 * (1 + self.interval):.4g}%"

    def fixef(self) -> pd.DataFrame:
        """Fixed effects: mean, sd, interval."""
        return self._summary.loc[list(self.design.fixed_names), ["mean", "sd", *self.interval_names]].copy()

    def varcorr(self) -> pd.DataFrame:
        """Standard deviations and correlations of the latent terms and the residual, one row each.

        Columns: the term, the kind (sd, corr, rho, sigma), mean, sd, interval.
        """
        rows = [(b.label, q.kind) for b in self.design.blocks for q in b.parameters for _ in q.names]
        where = pd.DataFrame([*rows, ("Residual", "sigma")], columns=["term", "kind"])
        where.index = pd.Index(self.design.theta_names, name="variable")
        return where.join(self._summary[["mean", "sd", *self.interval_names]])

    def ranef(self, term: str | None = None) -> pd.DataFrame:
        """Latent effects by term and level: mean, sd, interval.

        Parameters
        ----------
        term : str, optional
            A term or one of its effects, such as ``"(Days|Subject)"`` or ``"Days|Subject"``; by default all.
        """
        low, high = (1 - self.interval) / 2, (1 + self.interval) / 2
        p, tables = self.design.p, []
        for t, place in zip(self.design.terms, self.design.term_slices(), strict=True):
            for variable in t.variables:
                if term is not None and term.replace(" ", "") not in (t.label.replace(" ", ""), variable.name):
                    continue
                at = p + place.start + variable.index
                ends = np.quantile(self.effects.draws[:, at], [low, high], axis=0)
                values = np.column_stack([self.effects.mean[at], self.effects.sd[at], *ends])
                index = pd.MultiIndex.from_arrays(
                    [[variable.name] * at.size, variable.labels], names=["effect", "level"]
                )
                tables.append(pd.DataFrame(values, index, columns=["mean", "sd", *self.interval_names]))
        if not tables:
            raise report.unknown_term(term, self.design)
        return pd.concat(tables)

    def predict(
        self,
        new_data: Any = None,
        kind: str = "mean",
        *,
        new_levels: str = "sample",
        include_group_specific: bool = True,
        weights: Any = None,
        seed: int | None = None,
    ) -> pd.DataFrame:
        """Posterior of the response's mean, or of new responses, at rows of data.

        Parameters
        ----------
        new_data : table, optional
            By default the rows of the fit, those with a missing response included.
        kind : {"mean", "response"}
            The expected response, or a new observation with its residual noise.
        new_levels : {"sample", "zero", "error"}
            For levels of a group that the fit does not have: effects drawn from their population (a warning says so), effects
            of zero, or an error.
        include_group_specific : bool
            False gives predictions at the population level: all group effects are zero.
        weights : column name or array, optional
            For ``kind="response"``: weights of the new observations, one by default.
        seed : int, optional
            For noise and new levels; by default the seed of the fit.

        Returns
        -------
        pandas.DataFrame
            Columns mean, sd and the interval's ends, with the index of the data.
        """
        return predict.predict(
            self,
            new_data,
            kind,
            new_levels=new_levels,
            include_group_specific=include_group_specific,
            weights=weights,
            seed=self.seed if seed is None else seed,
        )

    def plot(self) -> Figure:
        """Marginal posteriors and traces of fixed effects and hyperparameters."""
        from lgm import plots

        return plots.plot(self)

    def plot_term(self, term: str) -> Figure:
        """The estimated effects of one term, such as ``"s(t)"`` or ``"(Days|Subject)"``."""
        from lgm import plots

        return plots.plot_term(self, term)

    def save(self, path: Any) -> None:
        """Write the whole fit to one file, to be read by `lgm.load`."""
        from lgm import storage

        storage.save(self, path)

    @property
    def verdict(self) -> str:
        """Whether the draws can be trusted, in one line, and what to do if not."""
        return report.verdict(self._summary, self.draws)

    def __repr__(self) -> str:
        return report.text(self)

    def _repr_html_(self) -> str:
        return report.html(self)
