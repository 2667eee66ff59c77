"""Methods of a fit that ask whether it is adequate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import pandas as pd

from lgm.results import partitioned
from lgm.results.checking import check, replicates, residuals
from lgm.results.learned import learned
from lgm.results.seeds import seed_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

    from lgm.results.fit import Fit


class Adequacy:
    """New data beside the data, residuals, and what is amiss."""

    seed: int

    def pp_check(
        self,
        kind: str | None = None,
        *,
        draws: int | None = None,
        by: Any = None,
        statistic: str | Callable[[Any], float] | None = None,
        redraw: bool | Sequence[str] = False,
        ax: Any = None,
        figsize: tuple[float, float] | None = None,
        seed: int | None = None,
    ) -> Figure | SubFigure:
        """The data beside new data by the model: a posterior predictive check as a picture.

        Parameters
        ----------
        kind : str, optional
            By default what suits the response: bars for categories and few counts, a rootogram for more, densities for
            measurements, survival for times that are censored on the right.

            - ``"dens_overlay"``, ``"ecdf_overlay"``: densities or distribution functions of the data and of new data.
            - ``"km_overlay"``: Kaplan and Meier's share of survivors, beside new times.
            - ``"stat"``: a statistic of the data within its distribution over new data; one for each group ``by=``.
            - ``"intervals"``: responses beside intervals of new ones, row by row, along a column of numbers ``by=``, or
              the means of groups ``by=``.
            - ``"bars"``, ``"rootogram"``: how often each value occurs; the bars of a rootogram hang from the expected
              square roots, so that what the model misses is read at zero (Kleiber & Zeileis 2016).
            - ``"calibration"``: observed shares against predicted ones by isotonic regression, with a band where they
              are if the predictions are right (Dimitriadis, Gneiting & Jordan 2021).
            - ``"loo_pit"``: places of the responses among predictions by all other rows, as the difference of their
              distribution function from the uniform one, with a simultaneous band (Sailynoja, Burkner & Vehtari 2022).
        draws : int, optional
            How many new data sets, by default 50 of a picture that draws each of them, else 1000, fewer of very many
            rows.
        by : column name or array, optional
            For ``"stat"`` and ``"intervals"``.
        statistic : str or callable, optional
            For ``"stat"``, as in `pp_statistic`.
        redraw : bool or list of str
            Whether new data have the groups of the data, or others of the same population: all groups, or those named.
        ax : matplotlib axes, optional
        figsize : (width, height), optional
            Of a new figure, in inches.
        seed : int, optional
            By default that of the fit.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        LgmError
            For a kind that the response cannot have; the message says which ones it can.

        Notes
        -----
        New responses are drawn from the family given draws of all parameters and effects. They know the responses that
        they are compared with, so that pictures are kinder to a model than the truth is, the more so the more effects
        there are for each row; ``"loo_pit"`` and `check` are not.

        Examples
        --------
        >>> import lgm
        >>> fit = lgm.fit("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"), method="mode", seed=1, progress=False)
        >>> len(fit.pp_check().axes), fit.pp_check("stat", statistic="sd", figsize=(4, 3)).axes[0].get_xlabel()
        (1, 'sd of Yield')
        """
        from lgm import plots

        fit = cast("Fit", self)
        seed = seed_of(fit, seed)
        wishes = {"by": by, "statistic": statistic, "redraw": redraw, "ax": ax, "figsize": figsize, "seed": seed}
        return plots.pp_check(fit, kind, draws, **wishes)

    def pp_statistic(
        self,
        statistic: str | Callable[[Any], float] = "mean",
        *,
        by: Any = None,
        draws: int | None = None,
        redraw: bool | Sequence[str] = False,
        interval: float | None = None,
        seed: int | None = None,
    ) -> pd.DataFrame:
        """A statistic of the responses beside its distribution over new data.

        Parameters
        ----------
        statistic : str or callable
            ``"mean"``, ``"sd"``, ``"median"``, ``"mad"``, ``"min"``, ``"max"``, ``"iqr"``, ``"q10"``, ``"q90"``,
            ``"prop_zero"``, or a function of an array of responses to a number. Ordered categories have no such
            numbers: for them a function is accepted alone, and gets the categories as the data count them, or from
            zero.
        by : column name or array, optional
            Groups of rows with a statistic each.
        draws : int, optional
            How many new data sets, by default 1000, fewer of very many rows; no more than the fit has draws.
        redraw : bool or list of str
            As in `pp_check`.
        interval : float, optional
            By default that of the fit.
        seed : int, optional
            By default that of the fit.

        Returns
        -------
        pandas.DataFrame
            A row for the statistic or for each group: ``observed``, and of new data ``mean``, ``sd``, the interval's
            ends and the share in which it is larger, ties counted half. That posterior predictive p-value is nearer to
            one half than a uniform number if the model is right (Meng 1994); those of `check` are calibrated.

        Examples
        --------
        >>> import lgm
        >>> fit = lgm.fit("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"), method="mode", seed=1, progress=False)
        >>> float(fit.pp_statistic("max").loc["max", "observed"])
        1635.0
        """
        fit = cast("Fit", self)._at(interval)
        seed = seed_of(fit, seed)
        return replicates.statistics(fit, statistic, by=by, draws=draws, redraw=redraw, seed=seed)[0]

    def residuals(
        self,
        kind: Literal["quantile", "pearson", "response"] = "quantile",
        *,
        given: Literal["posterior", "loo"] = "posterior",
        data: Any = None,
        seed: int | None = None,
    ) -> Any:
        """What is left of each response.

        Parameters
        ----------
        kind : {"quantile", "pearson", "response"}
            - ``"quantile"``: the standard normal quantile of the place of the response among its predictions (Dunn &
              Smyth 1996), of any family. Counts and categories have a place drawn between the probabilities of less
              than the response and of at most it, censored responses one within their interval.
            - ``"response"``: the response less its posterior mean; of successes, as shares of their trials, as
              ``fit.predict()`` has them.
            - ``"pearson"``: that over the sd of a new response, as in brms.
        given : {"posterior", "loo"}
            For quantile residuals: predictions by all rows, or of each row by all others. The first are too small where
            there are many effects for the rows; the others are not.
        data : partitions or table, optional
            For a fit of data in partitions: the rows, which are read again. Residuals of a Dask DataFrame are a Dask
            series that is computed when it is asked for, those of other partitions an iterator.
        seed : int, optional
            Of the places that are drawn; by default that of the fit.

        Returns
        -------
        pandas.Series
            With the index of the data, NaN where there is no response; a column of the library of the data otherwise.

        Raises
        ------
        LgmError
            For responses that are categories or censored, of which quantile residuals alone are known.

        Examples
        --------
        >>> import lgm
        >>> fit = lgm.fit("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"), method="mode", seed=1, progress=False)
        >>> bool(abs(fit.residuals("response").mean()) < 0.01), fit.residuals().name
        (True, 'quantile residual')
        """
        fit = learned(self, "residual")
        if data is not None:
            return partitioned.residuals(fit, data, kind, given, seed_of(fit, seed))
        return residuals.residuals(fit, kind, given=given, seed=seed_of(fit, seed))

    def plot_residuals(
        self,
        against: Any = None,
        *,
        kind: Literal["quantile", "pearson", "response"] = "quantile",
        given: Literal["posterior", "loo"] = "posterior",
        acf: bool = False,
        ax: Any = None,
        figsize: tuple[float, float] | None = None,
        seed: int | None = None,
    ) -> Figure | SubFigure:
        """Residuals as a picture.

        Parameters
        ----------
        against : str, array or pair of them, optional
            By default a normal quantile plot. ``"fitted"`` is the posterior mean of the response. A column of numbers
            or an array gives a scatter with a smooth line, a column of categories their quartiles. Two columns are
            coordinates of a map, with Moran's I.
        kind, given, seed
            As in `residuals`.
        acf : bool
            Autocorrelations in the order of ``against``, by default that of the data. Where times repeat they are
            within the group that has one row at each.
        ax : matplotlib axes, optional
        figsize : (width, height), optional
            Of a new figure, in inches.

        Returns
        -------
        matplotlib.figure.Figure

        Examples
        --------
        >>> import lgm
        >>> sleep = lgm.load_dataset("sleepstudy")
        >>> fit = lgm.fit("Reaction ~ Days + (1|Subject)", sleep, method="mode", seed=1, progress=False)
        >>> fit.plot_residuals("Days").axes[0].get_ylabel()
        'quantile residual'
        """
        from lgm import plots

        fit = learned(self, "residual")
        seed = seed_of(fit, seed)
        return plots.plot_residuals(fit, against, kind=kind, given=given, acf=acf, ax=ax, figsize=figsize, seed=seed)

    def check(
        self,
        checks: Sequence[str] | str | None = None,
        *,
        draws: int = 40,
        time: Any = None,
        near: Any = None,
        loo: bool = False,
        seed: int | None = None,
    ) -> check.Check:
        """What is amiss with the model, in words, each with its number.

        Parameters
        ----------
        checks : str or list of str, optional
            By default all that apply: ``"distribution"``, ``"dispersion"``, ``"zeros"``, ``"outliers"``, ``"spread"``
            (larger residuals where fitted values are larger), ``"curves"`` of numeric predictors, ``"slopes"`` that
            differ between groups, ``"autocorrelation"``, ``"space"``, and ``"basis"`` of smooths (`k_check`).
        draws : int
            How many draws of all parameters and effects make residuals.
        time : column name or array, optional
            The order in which residuals may be correlated; by default that of terms in time, else that of the data,
            within the levels of the largest group.
        near : pair of column names or arrays, optional
            Coordinates, of which the six nearest places are neighbours; by default regions of a graph in the model.
        loo : bool
            Also what is to be known of leave-one-out: on how many rows the hyperparameters hang (Pareto k).
        seed : int, optional
            By default that of the fit.

        Returns
        -------
        Check
            Printed as a table, sentences on what is amiss, and what to try; ``table``, ``sentences`` and ``amiss`` hold
            them.

        Raises
        ------
        LgmError, DataError
            For a check that the fit cannot have; the message says why.

        Notes
        -----
        For one draw of all parameters and effects, the quantile residuals of the data are independent standard normal
        numbers if the model is right, also after the data have been used for the draw: the draw and the data come from
        the same distribution as the true values and the data do (Johnson 2004; Gosselin 2011). So a statistic of them
        has a known distribution, found from 999 sets of standard normal numbers, and its p-value is uniform, which a
        posterior predictive one is not. The p-values of all draws are combined by Liu & Xie (2020), and those of all
        checks compared by Holm's rule: of right models one in twenty is said to be amiss.

        This holds on average over the prior, and with ``method="mode"`` as far as hyperparameters are well known.

        References
        ----------
        Johnson, V. E. (2004), A Bayesian chi-squared test for goodness-of-fit. Annals of Statistics 32, 2361-2384.
        Gosselin, F. (2011), A new calibrated Bayesian internal goodness-of-fit method. PLoS ONE 6, e14770.
        Liu, Y. & Xie, J. (2020), Cauchy combination test. JASA 115, 393-402.

        Examples
        --------
        >>> import lgm
        >>> sleep = lgm.load_dataset("sleepstudy")
        >>> fit = lgm.fit("Reaction ~ Days + (1|Subject)", sleep, method="mode", seed=1, progress=False)
        >>> "slopes" in fit.check().amiss
        True
        """
        fit = learned(self, "check")
        seed = seed_of(fit, seed)
        return check.check(fit, checks, draws=draws, time=time, near=near, loo=loo, seed=seed)
