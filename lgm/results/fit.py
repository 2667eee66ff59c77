"""A fit: draws, tables, predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from lgm.arrays import FloatArray
from lgm.data.partitions import partitions_of
from lgm.design.design import Design
from lgm.design.predictor import Printed
from lgm.errors import LgmWarning, warn
from lgm.inference.draws import Run, Verdict, joined
from lgm.inference.engine import AnyDraws
from lgm.inference.held import Conditional
from lgm.inference.mode import Mode, find_mode
from lgm.posterior.assemble import Analysed
from lgm.posterior.no_rows import without_rows
from lgm.posterior.priors import Priors, starts
from lgm.results import basis_check, partitioned, predict, tables, text
from lgm.results.again.methods import Again
from lgm.results.arviz import diagnostics
from lgm.results.checking.methods import Adequacy
from lgm.results.comparing.methods import Criteria
from lgm.results.effects import Effects, Kept
from lgm.results.interpret.methods import Interpretation
from lgm.results.quoted.methods import Quoted
from lgm.results.sampling import Sampling
from lgm.results.seeds import seed_of
from lgm.results.tables import LEAD

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

    from lgm.model import Inputs, Model


@dataclass(frozen=True, eq=False)
class Fit(Sampling, Interpretation, Criteria, Again, Quoted, Adequacy):
    """The posterior of a model.

    Tables hold posterior means, standard deviations and equal-tailed intervals of probability ``interval``. Means and
    standard deviations of effects are mixtures over the draws of theta, exact ones for a Gaussian response with the
    identity link, else from weighted points; intervals are quantiles of draws, exact for such a response where theta is
    held. For other responses the fixed effects do not wait for the others: where theta is held, they are from weighted
    points, as many as make them as good as so many draws would, or as a quarter of them where a point takes a
    factorisation (draws of all effects tell then of spreads as a quarter as many independent ones would); where effects
    are too many to be kept, from those that importance sampling weighs.
    With ``method="joint"`` all are those of the draws.

    Of the draws of effects at most 1 GB is kept. More than that are made again where they are needed, the same ones.

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
    progress: bool = True
    stored_effects: Kept | None = None  # of a fit that was read from a file
    asked: Mapping[str, Any] | None = None  # how `Model.fit` was asked to draw

    @property
    def design(self) -> Design:
        """Response, columns and terms of the model."""
        return self.model.design

    @property
    def chosen_priors(self) -> Priors:
        """Priors of all parameters of the model."""
        return self.model.chosen_priors

    @cached_property
    def analysed(self) -> Analysed:
        """The posterior with u integrated out, and its structure; of draws from the prior, that of no rows."""
        whole = self.model.analysed
        return replace(whole, marginal=without_rows(whole.marginal)) if self.method == "prior" else whole

    @property
    def inputs(self) -> Inputs:
        """What the model was built from."""
        return self.model.inputs

    @cached_property
    def mode(self) -> Mode:
        """Mode of the working density of theta; looked for here if the engine did without."""
        if self.run.mode is not None:
            return self.run.mode
        return find_mode(self.analysed.marginal, starts(self.design, self.chosen_priors.theta))

    @property
    def draws(self) -> AnyDraws:
        """Draws of theta, in the natural coordinates of the model's blocks (`lgm.posterior.hyperparameters`)."""
        return self.run.draws

    @cached_property
    def _shown(self) -> AnyDraws:
        """Draws of theta as tables show it."""
        return self.draws.printed(self.analysed.marginal.hyper)

    @property
    def method(self) -> str:
        """The engine that made the draws."""
        return self.run.method

    @cached_property
    def effects(self) -> Effects:
        """Draws, means, standard deviations and intervals of all effects, made when first needed."""
        return Effects(
            self.analysed,
            self.draws,
            self.seed,
            self.interval,
            progress=self.progress,
            kept=self.stored_effects,
        )

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

        For ``rw1``, ``rw2`` and ``icar`` (one factor per component) the precision is ``factor * R / sd^2``; those of
        ``car`` and ``leroux`` are those of ``icar`` on the same graph (`lgm.terms.car`).
        """
        return self.design.scales

    @cached_property
    def posterior(self) -> xr.Dataset:
        """The draws as an xarray dataset with dimensions chain, draw and one per term.

        A variable or group that is itself called ``chain`` or ``draw`` gets an underscore. Effects of which all draws
        would take more than 1 GB are left out, with a warning; `effect_draws` makes those of some of their levels.
        """
        variables: dict[str, Any] = {name: (LEAD, draws) for name, draws in self._scalars().items()}
        shown, left_out = tables.few_enough(self)
        if left_out:
            warn(left_out, LgmWarning)
        return self._dataset(variables, [(each, slice(None)) for each in shown if each.variable.prior_sd is None])

    def effect_draws(self, term: str, levels: Any = None) -> xr.Dataset:
        """Draws of the effects of a term, or of some of its levels.

        Parameters
        ----------
        term : str
            A term, one of its effects, or a group, as in `ranef`.
        levels : list, optional
            Labels as in the tables; by default all.

        Returns
        -------
        xarray.Dataset
            One variable for each effect, with the dimensions chain, draw and that of the term.

        Raises
        ------
        LgmError
            For a term or a level that the fit does not have, or where the draws would take more than 1 GB.

        Examples
        --------
        >>> import lgm
        >>> sleep = lgm.load_dataset("sleepstudy")
        >>> fit = lgm.fit("Reaction ~ Days + (Days|Subject)", sleep, method="mode", draws=100, seed=1, progress=False)
        >>> dict(fit.effect_draws("Days|Subject", [308, 309]).sizes)
        {'chain': 1, 'draw': 400, 'Subject': 2}
        """
        return self._dataset({}, [(each, tables.places(each, levels)) for each in tables.named(self, term)])

    def _dataset(self, variables: dict[str, Any], parts: Sequence[tuple[Printed, Any]]) -> xr.Dataset:
        """Variables, and the draws of printed effects at some of their levels."""
        chains, draws, _ = self.draws.theta.shape
        coords: dict[str, Any] = {"chain": np.arange(chains), "draw": np.arange(draws)}
        for (printed, where), values in zip(parts, self.effects.printed(parts), strict=True):
            variable = printed.variable
            dim = tables.dimension(variable.dim, variable.labels[where], coords, variables)
            variables[variable.name] = ((*LEAD, dim), values.reshape(chains, draws, -1))
        return xr.Dataset(variables, coords, attrs={"formula": self.design.formula.source, "method": self.method})

    @property
    def _names(self) -> list[str]:
        """Fixed effects, coefficients of terms and hyperparameters, as variables of the posterior."""
        own = (each.variable.name for each in self.design.predictor.coefficients())
        return tables.variables([*self.design.fixed_names, *own, *self.design.theta_names])

    @property
    def _theta_names(self) -> list[str]:
        """The hyperparameters among them."""
        return self._names[len(self._names) - len(self.design.theta_names) :]

    def _coefficients(self) -> FloatArray:
        """Draws (S, c) of the coefficients of terms that stand with the fixed effects."""
        parts = [(each, slice(None)) for each in self.design.predictor.coefficients()]
        return np.concatenate([np.empty((self.effects.size, 0)), *self.effects.printed(parts)], axis=1)

    def _scalars(self) -> dict[str, FloatArray]:
        """Draws (chains, draws) of the fixed effects and hyperparameters."""
        chains, draws, _ = self.draws.theta.shape
        beta = np.concatenate([self.effects.fixed, self._coefficients()], axis=1).reshape(chains, draws, -1)
        every = np.moveaxis(np.concatenate([beta, self._shown.theta], axis=-1), -1, 0)
        return dict(zip(self._names, every, strict=True))

    def _at(self, interval: float | None) -> Fit:
        """The same fit with intervals of another probability."""
        if interval is None or interval == self.interval:
            return self
        tables.require_interval(interval)
        stored = None if self.effects.made is None else self.effects.kept_at(float(interval))
        return replace(self, interval=float(interval), stored_effects=stored)

    def summary(self, *, interval: float | None = None) -> pd.DataFrame:
        """Fixed effects and hyperparameters: mean, sd, interval, effective sample sizes, R-hat.

        The coefficient of ``mo(x)``, the average difference of neighbouring categories, stands with the fixed effects.

        Parameters
        ----------
        interval : float, optional
            Probability of the intervals, here and in the other tables; by default that of the fit.

        Notes
        -----
        The name over the columns is that of the engine. With ``method="importance"``, ``summary().attrs`` holds
        ``pareto_k``, ``ess``, ``failed`` (points at which the density could not be evaluated), ``log_evidence``
        (``log p(y)``, if every prior is proper) and ``log_evidence_se``. With
        ``method="mode"``, sds of hyperparameters are standard errors from the curvature at the mode, and they have no
        intervals.
        """
        table = self._at(interval)._summary.copy()
        table.attrs = text.facts(self)
        return table

    @cached_property
    def _summary(self) -> pd.DataFrame:
        p, effects = self.design.p, self.effects
        fixed = [effects.table.T]
        for each in self.design.predictor.coefficients():
            spread = np.column_stack([effects.sd, *effects.ends])[p:][each.place]
            fixed.append(np.column_stack([each.of(effects.mean), spread]))
        names = self._names[: len(self._names) - len(self._theta_names)]
        table = pd.concat([pd.DataFrame(np.concatenate(fixed), names, self._columns), self._moments_of_theta()])
        found = self._shown.summarised(table.rename_axis("variable"), self._scalars, diagnostics)
        return found.rename_axis(columns=self.method)

    def _moments_of_theta(self) -> pd.DataFrame:
        """Mean, sd and interval of the draws of each hyperparameter."""
        theta = joined(self._shown.theta)
        ends = np.quantile(theta, [(1 - self.interval) / 2, (1 + self.interval) / 2], axis=0)
        values = np.column_stack([theta.mean(axis=0), theta.std(axis=0, ddof=1), *ends])
        return pd.DataFrame(values, self._theta_names, self._columns)

    @property
    def interval_names(self) -> tuple[str, str]:
        """Column names of the interval's ends, such as ``("2.5%", "97.5%")``."""
        return f"{50 * (1 - self.interval):.4g}%", f"{50 * (1 + self.interval):.4g}%"

    @property
    def _columns(self) -> list[str]:
        return ["mean", "sd", *self.interval_names]

    def fixef(self, *, interval: float | None = None) -> pd.DataFrame:
        """Fixed effects, and coefficients such as that of ``mo(x)``: mean, sd, interval."""
        fit = self._at(interval)
        return fit._summary.iloc[: len(self._names) - len(self._theta_names)][fit._columns].copy()

    def varcorr(self, *, interval: float | None = None) -> pd.DataFrame:
        """Standard deviations and correlations by group or term: mean, sd, interval.

        The sd of errors is that of the group ``Residual``; other parameters of the family are under its name.
        """
        fit = self._at(interval)
        table = fit._summary.iloc[len(self._names) - len(self._theta_names) :][fit._columns].copy()
        table.index = pd.MultiIndex.from_tuples(tables.places_of_theta(self.design), names=["group", "parameter"])
        return table

    def thresholds(self, *, interval: float | None = None) -> pd.DataFrame:
        """Thresholds between ordered categories, on the scale of the linear predictor: mean, sd, interval.

        Raises
        ------
        LgmError
            If the response has no ordered categories.

        Notes
        -----
        From the draws of intercept and gaps. With ``method="mode"`` the gaps are held, and sds leave that out.
        """
        return tables.thresholds(self._at(interval))

    def ranef(
        self,
        term: str | None = None,
        *,
        condsd: bool = False,
        interval: float | None = None,
        geometry: Any = None,
    ) -> pd.DataFrame:
        """Latent effects by term and level: mean, sd, interval.

        Parameters
        ----------
        term : str, optional
            A term as it is printed or stands in the formula, one of its effects, or a group, such as
            ``"(Days|Subject)"``, ``"Days|Subject"`` or ``"Subject"``; by default all.
        condsd : bool
            Whether there is a column ``condsd``: the standard deviation of each effect given the data, the
            hyperparameters and the fixed effects, which is what lme4's ``ranef(condVar=TRUE)`` has at its estimates.
            Here it is the root of the average of that variance over the draws of the hyperparameters, the fixed effects
            at their means; with ``method="mode"`` at the mode alone. The column ``sd`` is the posterior one, as brms
            has it: it knows that fixed effects and hyperparameters are uncertain, too, and is the one to report.
        interval : float, optional
        geometry : GeoDataFrame or GeoSeries, optional
            Shapes of regions, whose labels are its index, such as ``places.set_index("region")``: the table is then a
            GeoDataFrame with the shape of its region in each row, ready for its own ``plot`` and ``to_file``. All
            effects must be of regions, so name the term.

        Notes
        -----
        Where the response is not Gaussian, ``condsd`` is from the curvature at the mode of the effects.

        Examples
        --------
        >>> import lgm
        >>> fit = lgm.fit("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"), method="mode", seed=1, progress=False)
        >>> table = fit.ranef("Batch", condsd=True)
        >>> bool((table["condsd"] < table["sd"]).all())
        True
        """
        return tables.effects(self._at(interval), term, condsd=condsd, geometry=geometry)

    def k_check(self, *, seed: int | None = None) -> pd.DataFrame:
        """Whether the basis of each smooth is large enough, as mgcv's ``k.check`` has it.

        Parameters
        ----------
        seed : int, optional
            By default that of the fit.

        Returns
        -------
        pandas.DataFrame
            For each smooth the number of its functions ``k'``, its effective degrees of freedom (`edf`), and the
            ``k-index``: half the mean squared difference of the residuals of neighbouring rows, over their mean square.
            A pattern that the smooth missed makes it less than one. The ``p-value`` is the share of 400 random orders
            of the residuals that give less. A low p-value, and edf close to ``k'``, speak for a larger k. Residuals are
            Pearson's, at posterior means. Both are NaN where a variable is a factor.

        Examples
        --------
        >>> import lgm
        >>> model = lgm.model("accel ~ s(times, k=4)", lgm.load_dataset("mcycle"))
        >>> found = model.fit(method="mode", draws=100, seed=1, progress=False).k_check()
        >>> bool(found.loc["s(times)", "p-value"] < 0.01)
        True
        """
        return basis_check.table(self, seed_of(self, seed))

    def predict(
        self,
        new_data: Any = None,
        kind: Literal["linear", "mean", "response", "draws"] = "mean",
        *,
        of: Literal["linear", "mean", "response"] | None = None,
        terms: Sequence[str] | str | None = None,
        exclude: Sequence[str] | str | None = None,
        new_levels: Literal["sample", "zero", "error"] = "sample",
        include_group_specific: bool | Sequence[str] = True,
        weights: Any = None,
        trials: Any = None,
        interval: float | None = None,
        seed: int | None = None,
    ) -> Any:
        """Posterior of the linear predictor, of the response's mean, or of new responses, at rows of data.

        Parameters
        ----------
        new_data : table, optional
            By default the data of the fit, rows with a missing response included. Data in partitions, as `lgm.fit`
            takes them, are predicted one partition at a time.
        kind : {"linear", "mean", "response", "draws"}
            The linear predictor, on the scale of the link; the expected response (of successes, as a share of the
            trials; of ordered categories, the probability of each); a new response, with its own variation; or draws
            instead of a table.
        of : {"linear", "mean", "response"}, optional
            With ``kind="draws"``: of what, by default of the expected response.
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
            For new responses. By default those of the fit for its own rows, and for others the column that gave
            the weights of the fit, if there is one, else one. An array has one for each row, dropped ones included.
        trials : column name, number or array, optional
            For new responses that are successes out of trials. By default what the formula says of the rows,
            ``trials(n)`` or ``cbind(y, n - y)``, or else one; an array as for the weights. Where the response is a
            share, so are new responses, and the weights are the numbers of trials.
        interval : float, optional
            Probability of the intervals; by default that of the fit.
        seed : int, optional
            For noise and new levels; by default the seed of the fit.

        Returns
        -------
        pandas.DataFrame or xarray.DataArray
            Columns mean, sd and the interval's ends, with the index of the data; a polars or Arrow table for such data,
            and for a GeoDataFrame one with its geometry.
            Rows that miss a predictor are NaN, and a warning says so: in new_data where one is missing that counts, in
            the data of the fit all that it dropped. The mean of the linear predictor has neither noise nor draws of new
            effects in it: it is a mixture over theta (at new times of an ar1, an average over draws). So is the mean of
            a Gaussian response with the identity link; that of others is an average over draws, whose noise the mean of
            the linear predictor lowers. New responses have the mean of the expected ones. For a Gaussian response with
            theta held, sd and interval of the mean are exact, for known levels and times; elsewhere they are those of
            draws.
            Probabilities of categories are one row for each row of the data and each category, which the column
            ``category`` names: ``table.pivot(columns="category", values="mean")`` has one column for each.
            With ``kind="draws"``, an array with the dimensions chain, draw and row, and category where there are some.
            Of data in partitions an iterator over these; of a Dask DataFrame one of Dask, which is not computed yet.

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
        partitions = None if new_data is None else partitions_of(new_data)
        if partitions is not None:
            how = {"of": of, "terms": terms, "exclude": exclude, "new_levels": new_levels, "weights": weights}
            how |= {"include_group_specific": include_group_specific, "trials": trials, "interval": interval}
            return partitioned.predictions(self, partitions, kind, **how, seed=seed)
        return predict.predict(
            self._at(interval),
            new_data,
            kind,
            of=of,
            terms=terms,
            exclude=exclude,
            new_levels=new_levels,
            include_group_specific=include_group_specific,
            weights=weights,
            trials=trials,
            seed=seed_of(self, seed),
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
        kind: Literal["linear", "mean"] = "linear",
        *,
        geometry: Any = None,
        residuals: bool | None = None,
        ax: Any = None,
        figsize: tuple[float, float] | None = None,
    ) -> Figure | SubFigure:
        """The estimated effects of a term, such as ``"s(t)"`` or ``"(Days|Subject)"``; see `lgm.plots`.

        As in `predict`, ``kind`` says whether they are shown on the scale of the linear predictor or of the expected
        response.
        """
        from lgm import plots

        return plots.plot_term(self, term, kind, geometry=geometry, residuals=residuals, ax=ax, figsize=figsize)

    def save(self, path: Any) -> None:
        """Write the whole fit to one file, for `lgm.load`; an error says what in the formula a file cannot hold.

        The file is written beside the old one and then takes its place. A fit whose formula uses a function of your own
        or other Python is loaded with ``lgm.load(path, trusted=True)``.

        What was computed so far is in the file, too: `loo`, `kfold`, `waic`, and groups that `add_groups` made. Of all
        that, what takes more than 50 MB is not, nor are draws of effects of more: they are made again, the same ones,
        when needed.
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
        """As `doubt`, from what moved: where that is theta alone, effects given it are independent, and not drawn."""
        theta = dict(zip(self._theta_names, np.moveaxis(self._shown.theta, -1, 0), strict=True))
        verdict = self._judged(self._shown.summarised(self._moments_of_theta(), lambda: theta, diagnostics))
        verdict = self._approximated(verdict)
        return verdict.text if verdict.doubted else None

    @cached_property
    def _verdict(self) -> Verdict:
        return self._approximated(self._judged(self._summary))

    def _judged(self, table: pd.DataFrame) -> Verdict:
        """By a table, and by effects where they move with theta."""
        points = all(term.around_mode for term in self.design.terms)
        return self.draws.verdict(self.draws.judged(table, self._each_effect, diagnostics), points=points)

    def _each_effect(self) -> dict[str, FloatArray]:
        """Draws (chains, draws) of each effect that tables show."""
        chains, draws, _ = self.draws.theta.shape
        found = dict(zip(self._names, np.moveaxis(self.effects.fixed.reshape(chains, draws, -1), -1, 0), strict=False))
        parts = [(printed, slice(None)) for printed in self.design.predictor.printed()]
        for (printed, _), values in zip(parts, self.effects.printed(parts), strict=True):
            each = np.moveaxis(values.reshape(chains, draws, -1), -1, 0)
            names = (f"{printed.variable.name}[{label}]" for label in printed.variable.labels)
            found.update(zip(names, each, strict=True))
        return found

    def _approximated(self, verdict: Verdict) -> Verdict:
        """The same, after what is wrong with the approximation, if something is."""
        rung = self.run.rung
        doubt = None if rung is None else rung.doubt(held=isinstance(self.draws, Conditional))
        return verdict if doubt is None else Verdict(f"Not exact: {doubt}. {verdict.text}", doubted=True)

    def __getstate__(self) -> dict[str, Any]:
        """All but what follows from the rest; what is kept of the effects takes long, so it is among it."""
        follows = ("posterior", "idata", "_summary", "_verdict", "effects", "analysed")
        state = {name: value for name, value in vars(self).items() if name not in follows}
        return {**state, "stored_effects": self.effects.made if "effects" in vars(self) else self.stored_effects}

    def __repr__(self) -> str:
        return text.text(self)

    def _repr_html_(self) -> str:
        return text.html(self)
