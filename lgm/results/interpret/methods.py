"""What users ask a fit about its variables: the methods of `lgm.results.fit.Fit`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from lgm.errors import LgmError
from lgm.results.interpret import comparisons, hypothesis, marginal_means, predictions, slopes
from lgm.results.interpret import effects as conditional
from lgm.results.interpret.estimates import How, names_of_by

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure, SubFigure

    from lgm.results.fit import Fit

Kind = Literal["mean", "linear"]
NewLevels = Literal["sample", "zero", "error"]


class Interpretation:
    """Effects, predictions, comparisons, slopes, marginal means and hypotheses.

    All of them are about the expected response (``kind="mean"``; of successes as a share of the trials, of ordered
    categories the probability of each, which the column ``category`` names) or the linear predictor
    (``kind="linear"``), as in `Fit.predict`.

    **Rows.** They are asked for at the rows of the data with a response, at rows of a table, or on a grid. On a grid,
    what is not mentioned has a typical value: numbers their mean, factors their first level, as in brms. Where only
    some values of a variable have effects, as the times of ``rw1(t)`` have, it is that of the row of the data nearest
    to the means; so it is with dates. Effects of groups, of regions and of places count where their levels are given,
    else not: the grid is about the population. All these values are columns of the table, or in its ``attrs["held"]``.

    **Three versions** of what groups add. Without them, a prediction is for a group whose effects are zero
    (``include_group_specific=False``). For a group of the data, it has the effects of that group. For a group that the
    fit does not have, named by a level of its own, effects are drawn from the population, and the interval is wider.
    """

    def _asked(self, interval: float | None) -> Fit:
        fit: Any = self
        found: Fit = fit._at(interval)
        return found

    def conditional_effects(
        self,
        effects: str | Sequence[str] | None = None,
        *,
        conditions: Mapping[str, Any] | None = None,
        kind: Kind = "mean",
        resolution: int = 100,
        include_group_specific: bool | Sequence[str] | None = None,
        new_levels: NewLevels = "sample",
        interval: float | None = None,
        seed: int | None = None,
    ) -> Any:
        """The expected response along one variable or two, where all others have typical values.

        Parameters
        ----------
        effects : str or list of str, optional
            A variable, ``"x"``; two, ``"x:g"``; or a term, ``"s(x)"``. Of a pair the one along which the effect is
            shown is the number, or the first; a second number has its mean and one sd to both sides. By default each
            variable, and each pair of variables that are in one term.
        conditions : dict, optional
            Values of variables, one or several, such as ``{"age": 30, "sex": ["f", "m"]}``, instead of typical ones, or
            of those along which the effect is shown.
        kind : {"mean", "linear"}
            Expected response, or linear predictor.
        resolution : int
            How many values of a number; of whole numbers with a smaller range all.
        include_group_specific : bool or list of str, optional
            By default effects of groups count whose levels are given, in ``effects`` or ``conditions``.
        new_levels : {"sample", "zero", "error"}
            For levels that the fit does not have, as in `Fit.predict`.
        interval : float, optional
        seed : int, optional

        Returns
        -------
        pandas.DataFrame or dict of them
            All variables, mean, sd and interval: a table for one effect that is named, else a dict by effect.

        Raises
        ------
        LgmError
            For an effect, a variable or a value that the model does not have.

        Notes
        -----
        For variables x, and z at typical values, ``E[E(y | x, z, u, theta) | data]``, where the effects of groups in u
        are zero unless levels are given. The name and the typical values are those of brms (Buerkner 2017, J. Stat.
        Softw. 80(1)).

        Examples
        --------
        >>> import lgm
        >>> sleep = lgm.load_dataset("sleepstudy")
        >>> fit = lgm.fit("Reaction ~ Days + (Days|Subject)", sleep, method="mode", draws=100, seed=1, progress=False)
        >>> fit.conditional_effects("Days")["mean"].round(0).tolist()[:3]
        [251.0, 262.0, 272.0]
        >>> fit.conditional_effects("Days", conditions={"Subject": [308, 309]}).shape
        (20, 6)
        """
        fit = self._asked(interval)
        how = How.of(fit, kind, new_levels, seed)
        found = conditional.conditional_effects(
            fit, effects, conditions=conditions, resolution=resolution, groups=include_group_specific, how=how
        )
        tables = {name: effect.table for name, effect in found.items()}
        return tables[effects] if isinstance(effects, str) else tables

    def predictions(
        self,
        new_data: Any = None,
        *,
        data: Any = None,
        by: bool | str | Sequence[str] = False,
        conditions: Mapping[str, Any] | None = None,
        kind: Kind = "mean",
        include_group_specific: bool | Sequence[str] | None = None,
        new_levels: NewLevels = "sample",
        interval: float | None = None,
        seed: int | None = None,
    ) -> Any:
        """The expected response at rows, with the variables beside it, or averages of it over rows.

        Parameters
        ----------
        new_data : table or "grid", optional
            A table; ``"grid"`` for all combinations of the values in ``conditions``, others typical; by default the
            rows of the data with a response.
        data : partitions or table, optional
            For a fit of data in partitions: its rows, which are read again, one partition at a time. ``by`` is True or
            names columns: `Fit.predict` takes partitions for the expected response of each row.
        by : bool, str or list of str
            False gives each row, True the average of all, and names of columns the average over the rows of each
            combination of their values.
        conditions : dict, optional
            Values of variables, one or several. Of rows of data all are set to them, once for each combination: with
            ``by`` the same names, averages are those of the whole data at each value (standardisation).
        kind : {"mean", "linear"}
        include_group_specific : bool or list of str, optional
            By default effects of groups count for rows of data, and on a grid where their levels are given.
        new_levels : {"sample", "zero", "error"}
        interval : float, optional
        seed : int, optional

        Returns
        -------
        pandas.DataFrame
            Variables, mean, sd and interval. Rows of a polars or Arrow table come as such a table.

        Notes
        -----
        Averages are taken in each draw: ``(1/n) sum_i E(y_i | u, theta)``. Those of linear predictors, and of Gaussian
        responses with the identity link, are as exact as the numbers of `Fit.predict`. Names are those of
        marginaleffects (Arel-Bundock, Greifer & Heiss 2024, J. Stat. Softw. 111(9)).

        Examples
        --------
        >>> import lgm
        >>> sleep = lgm.load_dataset("sleepstudy")
        >>> fit = lgm.fit("Reaction ~ Days + (Days|Subject)", sleep, method="mode", draws=100, seed=1, progress=False)
        >>> fit.predictions("grid", conditions={"Days": [0, 9]})["mean"].round(0).tolist()
        [251.0, 346.0]
        >>> fit.predictions(by="Subject")["mean"].round(0).tolist()[:2]
        [342.0, 219.0]
        """
        fit = self._asked(interval)
        how = How.of(fit, kind, new_levels, seed)
        return predictions.predictions(
            fit, new_data, data=data, by=by, conditions=conditions, groups=include_group_specific, how=how
        )

    def comparisons(
        self,
        variables: str | Sequence[str] | Mapping[str, Any],
        new_data: Any = None,
        *,
        data: Any = None,
        by: bool | str | Sequence[str] = True,
        comparison: str = "difference",
        conditions: Mapping[str, Any] | None = None,
        kind: Kind = "mean",
        include_group_specific: bool | Sequence[str] | None = None,
        new_levels: NewLevels = "sample",
        interval: float | None = None,
        seed: int | None = None,
    ) -> pd.DataFrame:
        """What changes in the expected response when one variable changes and all others stay as they are.

        Parameters
        ----------
        variables : str, list of str, or dict
            Which variables, and by name how each of them changes. Numbers: a step from where each row is, by default
            1; ``"sd"`` or ``"2sd"`` around the mean, ``"iqr"``, ``"minmax"``, which is the default where a term has
            effects at the values of the data only, as ``rw1`` and ``mo`` have. Factors: ``"reference"`` (each level
            against the first, the default), ``"pairwise"``, ``"sequential"``. Both: a tuple ``(low, high)``.
        new_data : table or "grid", optional
            As in `predictions`.
        data : partitions or table, optional
            For a fit of data in partitions: its rows, as in `predictions`.
        by : bool, str or list of str
            True averages over all rows, the default; names of columns over the rows of each combination of values;
            False gives each row.
        comparison : {"difference", "ratio", "lift", "lnratio", "lnor"}
            Of the averages with the high and the low value: the second is a quotient, the third that less one, the
            fourth its logarithm, and the last the difference of log odds.
        conditions, kind, include_group_specific, new_levels, interval, seed
            As in `predictions`.

        Returns
        -------
        pandas.DataFrame
            Columns term and contrast, those of ``by``, mean, sd and interval.

        Raises
        ------
        LgmError
            For a variable that the model does not have, a factor with one level, or a contrast that does not fit the
            variable.

        Notes
        -----
        In each draw, ``f((1/n) sum_i E(y_i | x_i = high), (1/n) sum_i E(y_i | x_i = low))``: averages first, so that
        ratios are those of standardised means. Names are those of marginaleffects and of bambi's ``interpret``.

        Examples
        --------
        >>> import lgm
        >>> data = lgm.load_dataset("Penicillin")
        >>> fit = lgm.fit("diameter ~ sample + (1|plate)", data, method="mode", draws=100, seed=1, progress=False)
        >>> found = fit.comparisons({"sample": ("A", "F")}, comparison="ratio")
        >>> found[["contrast", "mean"]].round(2).to_numpy().tolist()
        [['F / A', 0.79]]
        """
        fit = self._asked(interval)
        how = How.of(fit, kind, new_levels, seed)
        return comparisons.comparisons(
            fit,
            variables,
            new_data,
            data=data,
            by=by,
            comparison=comparison,
            conditions=conditions,
            groups=include_group_specific,
            how=how,
        )

    def slopes(
        self,
        variables: str | Sequence[str],
        new_data: Any = None,
        *,
        data: Any = None,
        by: bool | str | Sequence[str] = True,
        slope: str = "dydx",
        conditions: Mapping[str, Any] | None = None,
        kind: Kind = "mean",
        include_group_specific: bool | Sequence[str] | None = None,
        new_levels: NewLevels = "sample",
        interval: float | None = None,
        seed: int | None = None,
    ) -> pd.DataFrame:
        """The derivative of the expected response by a number, all others held.

        Parameters
        ----------
        variables : str or list of str
            Numbers. What has effects at some values only, as a factor or the times of ``rw1(t)``, has no slope.
        new_data, data, by
            As in `comparisons`: by default averages over the rows of the data with a response.
        slope : {"dydx", "eyex", "eydx", "dyex"}
            The derivative of y by x; an ``e`` in place of a ``d`` stands for that of ``ln y``, or by ``ln x``.
        conditions, kind, include_group_specific, new_levels, interval, seed
            As in `predictions`.

        Returns
        -------
        pandas.DataFrame
            The column term, those of ``by``, mean, sd and interval.

        Raises
        ------
        LgmError
            For a variable that the model does not have, or one without slopes.

        Notes
        -----
        Central differences over a ten-thousandth of the range of the data to both sides, and at its ends quotients of
        three points within it. For lines and parabolas they are exact but for rounding (a relative error of 1e-11 or
        so); else the relative error is of the order of 1e-8 times that of the third derivative in units of the range.

        Examples
        --------
        >>> import lgm
        >>> sleep = lgm.load_dataset("sleepstudy")
        >>> fit = lgm.fit("Reaction ~ Days + (Days|Subject)", sleep, method="mode", draws=100, seed=1, progress=False)
        >>> fit.slopes("Days", "grid")["mean"].round(2).tolist()
        [10.47]
        """
        fit = self._asked(interval)
        how = How.of(fit, kind, new_levels, seed)
        return slopes.slopes(
            fit,
            variables,
            new_data,
            data=data,
            by=by,
            slope=slope,
            conditions=conditions,
            groups=include_group_specific,
            how=how,
        )

    def marginal_means(
        self,
        factors: str | Sequence[str],
        *,
        by: str | Sequence[str] | None = None,
        contrasts: Any = None,
        conditions: Mapping[str, Any] | None = None,
        kind: Kind = "mean",
        include_group_specific: bool | Sequence[str] | None = None,
        new_levels: NewLevels = "sample",
        interval: float | None = None,
        seed: int | None = None,
    ) -> pd.DataFrame:
        """The expected response at the levels of factors, averaged over a balanced grid of all other factors.

        Parameters
        ----------
        factors : str or list of str
            One, ``"trt"``, or several, ``"trt:sex"``.
        by : str or list of str, optional
            Further variables; contrasts are made at each combination of their values.
        contrasts : {"pairwise", "control", "sequential"} or dict, optional
            Instead of the means: all differences (of the earlier level less the later, as in emmeans), those from the
            first level, those of neighbours, or coefficients by name, ``{"b, c - a": [-1, 0.5, 0.5]}`` or
            ``{"c - a": {"c": 1, "a": -1}}``.
        conditions : dict, optional
            Values of variables: of factors, those that are averaged over; of numbers, instead of their mean.
        kind, include_group_specific, new_levels, interval, seed
            As in `predictions`.

        Returns
        -------
        pandas.DataFrame
            The factors, or the column contrast, mean, sd and interval.

        Raises
        ------
        LgmError
            For what is no factor, has one level, or coefficients that do not fit the levels.

        Notes
        -----
        Numbers have their mean. These are the estimated marginal means of R's emmeans (Searle, Speed & Milliken 1980,
        Am. Stat. 34, 216-221), on the scale that ``kind`` says: with ``kind="mean"`` the average is that of expected
        responses, emmeans' ``regrid = "response"``. A number of two values is a number here, and a factor there:
        ``conditions={"x": [0, 1]}`` averages over both.

        Examples
        --------
        >>> import lgm
        >>> data = lgm.load_dataset("Penicillin")
        >>> fit = lgm.fit("diameter ~ sample + (1|plate)", data, method="mode", draws=100, seed=1, progress=False)
        >>> fit.marginal_means("sample", contrasts="control")["contrast"].tolist()[:2]
        ['B - A', 'C - A']
        """
        fit = self._asked(interval)
        how = How.of(fit, kind, new_levels, seed)
        return marginal_means.marginal_means(
            fit, factors, by=by, contrasts=contrasts, conditions=conditions, groups=include_group_specific, how=how
        )

    def hypothesis(self, hypothesis_: str | Sequence[str], /, *, interval: float | None = None) -> pd.DataFrame:
        """Posterior probability of statements about parameters.

        Parameters
        ----------
        hypothesis_ : str or list of str
            A comparison (``>``, ``<`` or ``=``) of arithmetic (``+ - * / **``, exp, log, sqrt, abs) of names as tables
            print them: fixed effects, hyperparameters, and effects of levels, such as ``"sd(Days|Subject) > 5"``,
            ``"a - b = 0"`` or ``"Days + Days|Subject[308] > 0"``. Spaces do not matter; backticks stand around a name
            that could be read otherwise.
        interval : float, optional

        Returns
        -------
        pandas.DataFrame
            One row each: mean, sd and interval of the left side less the right one, its probability, the evidence
            ratio, and a note on what is missing.

        Raises
        ------
        LgmError
            For an unknown name, or text that is no such comparison.

        Notes
        -----
        One-sided: the posterior probability p, and the posterior odds ``p / (1 - p)``. A point has the ratio of the
        posterior to the prior density there (Savage-Dickey; Dickey 1971, Ann. Math. Stat. 42, 204-223), which is the
        Bayes factor for it, and the probability that this gives from even odds. It takes proper priors: where one is
        flat it is NaN, and so it is for effects of levels, whose prior depends on hyperparameters. Names and numbers
        are those of brms; its intervals of one-sided hypotheses have a probability of 90%, these have that of the fit.

        Linear combinations of effects have exact means, and exact numbers where effects are normal (a Gaussian response
        with theta held); others are those of draws, and densities at a point those of a kernel. Priors are exact for
        fixed effects, else from draws.

        Examples
        --------
        >>> import lgm
        >>> sleep = lgm.load_dataset("sleepstudy")
        >>> fit = lgm.fit("Reaction ~ Days + (Days|Subject)", sleep, method="mode", draws=100, seed=1, progress=False)
        >>> bool(fit.hypothesis("Days > 5").loc["Days > 5", "probability"] > 0.99)
        True
        """
        return hypothesis.hypothesis(self._asked(interval), hypothesis_)

    def plot_conditional_effects(
        self,
        effects: str | Sequence[str] | None = None,
        *,
        conditions: Mapping[str, Any] | None = None,
        kind: Kind = "mean",
        resolution: int = 100,
        include_group_specific: bool | Sequence[str] | None = None,
        new_levels: NewLevels = "sample",
        interval: float | None = None,
        seed: int | None = None,
        rug: bool = True,
        points: bool = False,
        ax: Any = None,
        figsize: tuple[float, float] | None = None,
    ) -> Figure | SubFigure:
        """The picture of `conditional_effects`: curves with bands, or points with intervals at the levels of factors.

        Parameters
        ----------
        effects, conditions, kind, resolution, include_group_specific, new_levels, interval, seed
            As in `conditional_effects`; there is a panel for each effect, and for each combination of conditions.
        rug : bool
            Whether the values of the data are marked below curves; of data in partitions, those of some rows.
        points : bool
            Whether responses are shown, with ``kind="mean"``; of data in partitions they are not there.
        ax : matplotlib axes, or an array of them, optional
            One for each panel, to draw on instead of a new figure.
        figsize : (width, height), optional
            Of a new figure, in inches.

        Returns
        -------
        matplotlib.figure.Figure

        Examples
        --------
        >>> import lgm
        >>> sleep = lgm.load_dataset("sleepstudy")
        >>> fit = lgm.fit("Reaction ~ Days + (Days|Subject)", sleep, method="mode", draws=100, seed=1, progress=False)
        >>> len(fit.plot_conditional_effects().axes)
        1
        """
        from lgm.plots import effects as pictures

        fit = self._asked(interval)
        how = How.of(fit, kind, new_levels, seed)
        found = conditional.conditional_effects(
            fit, effects, conditions=conditions, resolution=resolution, groups=include_group_specific, how=how
        )
        return pictures.conditional(fit, found, kind, rug=rug, points=points, ax=ax, figsize=figsize)

    def plot_predictions(
        self,
        new_data: Any = None,
        *,
        by: bool | str | Sequence[str] = True,
        kind: Kind = "mean",
        interval: float | None = None,
        ax: Any = None,
        figsize: tuple[float, float] | None = None,
        **options: Any,
    ) -> Figure | SubFigure:
        """The picture of `predictions` by one variable or two, such as ``by=["x", "g"]``; with "grid" along a number.

        Parameters
        ----------
        new_data, by, kind, interval, **options
            As in `predictions`; ``by`` names one column or two, or is True for one average.
        ax, figsize
            As in `plot_conditional_effects`.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from lgm.plots import effects as pictures

        found = self.predictions(new_data, by=by_columns(by), kind=kind, interval=interval, **options)
        fit = self._asked(interval)
        unit = pictures.unit_of(fit.design, kind)
        return pictures.estimates(fit, found, names_of_by(by), unit, None, ax=ax, figsize=figsize)

    def plot_comparisons(
        self,
        variables: str | Sequence[str] | Mapping[str, Any],
        new_data: Any = None,
        *,
        by: bool | str | Sequence[str] = True,
        comparison: str = "difference",
        kind: Kind = "mean",
        interval: float | None = None,
        ax: Any = None,
        figsize: tuple[float, float] | None = None,
        **options: Any,
    ) -> Figure | SubFigure:
        """The picture of `comparisons`: all below each other, or a panel for each by one variable or two.

        Parameters
        ----------
        variables, new_data, by, comparison, kind, interval, **options
            As in `comparisons`; ``by`` names one column or two, or is True for averages.
        ax, figsize
            As in `plot_conditional_effects`.

        Returns
        -------
        matplotlib.figure.Figure

        Examples
        --------
        >>> import lgm
        >>> sleep = lgm.load_dataset("sleepstudy")
        >>> fit = lgm.fit("Reaction ~ Days + (Days|Subject)", sleep, method="mode", draws=100, seed=1, progress=False)
        >>> len(fit.plot_comparisons("Days", by="Subject").axes)
        1
        """
        from lgm.plots import effects as pictures

        found = self.comparisons(
            variables, new_data, by=by_columns(by), comparison=comparison, kind=kind, interval=interval, **options
        )
        fit = self._asked(interval)
        words = {"difference": "difference in", "ratio": "ratio of", "lift": "lift of", "lnratio": "log ratio of"}
        unit = f"{words.get(comparison, 'log odds ratio of')} {pictures.unit_of(fit.design, kind)}"
        none = 1.0 if comparison == "ratio" else 0.0
        return pictures.estimates(fit, found, names_of_by(by), unit, none, ax=ax, figsize=figsize)

    def plot_slopes(
        self,
        variables: str | Sequence[str],
        new_data: Any = None,
        *,
        by: bool | str | Sequence[str] = True,
        slope: str = "dydx",
        kind: Kind = "mean",
        interval: float | None = None,
        ax: Any = None,
        figsize: tuple[float, float] | None = None,
        **options: Any,
    ) -> Figure | SubFigure:
        """The picture of `slopes`; ``plot_slopes("x", "grid", by="x")`` shows how the slope changes along x.

        Parameters
        ----------
        variables, new_data, by, slope, kind, interval, **options
            As in `slopes`; ``by`` names one column or two, or is True for averages.
        ax, figsize
            As in `plot_conditional_effects`.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from lgm.plots import effects as pictures

        found = self.slopes(
            variables, new_data, by=by_columns(by), slope=slope, kind=kind, interval=interval, **options
        )
        fit = self._asked(interval)
        words = "slope" if slope == "dydx" else slope
        unit = f"{words} of {pictures.unit_of(fit.design, kind)}"
        return pictures.estimates(fit, found, names_of_by(by), unit, 0.0, ax=ax, figsize=figsize)


def by_columns(by: Any) -> Any:
    """What ``by=`` of a picture says: columns, or True."""
    if by is False:
        raise LgmError("by=False gives an estimate for each row; a picture has by=True, or names of columns.")
    return by
