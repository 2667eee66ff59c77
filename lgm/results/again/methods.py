"""What a fit does once more: the methods of `lgm.results.fit.Fit` that make another fit of it, or weigh it anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from formulaic.utils.context import capture_context

from lgm.results.again import bootstrap, sensitivity
from lgm.results.again.settings import settings_of
from lgm.results.learned import learned
from lgm.results.seeds import seed_of

if TYPE_CHECKING:
    import pandas as pd

    from lgm.families.family import Family
    from lgm.results.again.bootstrap import Bootstrap
    from lgm.results.fit import Fit


class Again:
    """Methods of a fit."""

    def update(
        self,
        formula: str | None = None,
        data: Any = None,
        *,
        family: str | Family | None = None,
        link: str | None = None,
        priors: Mapping[str, Any] | None = None,
        weights: Any = None,
        env: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> Fit:
        """The model with some of its inputs changed, fitted in the same way.

        What has been compiled is not compiled again: another fit compiles only where its model has another structure.

        Parameters
        ----------
        formula : str, optional
            A change by the rules of R's ``update``: ``". ~ . + z"``, ``"log(.) ~ ."``, ``". ~ . - (1|g)"``. A ``.``
            stands for what is there on its side.
        data : table, optional
            By default the rows and columns in use: what the formula does not name was not kept, and rows that were
            dropped stay out, so that both fits are of the same rows.
        family, link : optional
            Of another family the link is its usual one.
        priors : mapping, optional
            Added to those that were given before, of which the ones of parameters that are no longer there fall away.
        weights : column name or array, optional
            By default those of before: the same column of other data.
        env : mapping, optional
            Added to the names of before.
        **settings
            Arguments of `lgm.model.Model.fit`, such as ``method="mode"``; by default those of this fit, its seed too.

        Raises
        ------
        FormulaError, DataError, PriorError, IdentifiabilityError
            As from `lgm.fit`, and where something is taken away that is not there.

        Examples
        --------
        >>> import lgm
        >>> sleep = lgm.load_dataset("sleepstudy")
        >>> fit = lgm.fit("Reaction ~ Days + (1|Subject)", sleep, method="mode", draws=100, seed=1, progress=False)
        >>> fit.update(". ~ . - (1|Subject) + (Days|Subject)").model.inputs.formula
        'Reaction ~ Days + (Days|Subject)'
        """
        fit = cast("Fit", self)
        model = fit.model.update(
            formula,
            data,
            family=family,
            link=link,
            priors=priors,
            weights=weights,
            env=env,
            caller=capture_context(1),
        )
        return model.fit(**settings_of(fit, **settings))

    def refit(self, y: Any, **settings: Any) -> Fit:
        """The same model of another response of the same rows, fitted in the same way: lme4's ``refit``.

        Nothing is compiled. Columns and priors stay, default ones with the scale of the first response: they are part
        of the model.

        Parameters
        ----------
        y : array
            As what stands before ``~`` in the formula, one value for each row with a response, or for each row of the
            data, where those of other rows are not looked at. Successes are of the same trials.
        **settings
            Arguments of `lgm.model.Model.fit`; by default those of this fit, its seed too.

        Raises
        ------
        DataError, IdentifiabilityError
            For values that the family does not take, or of which flat priors make no posterior.

        Examples
        --------
        >>> import lgm
        >>> dyestuff = lgm.load_dataset("Dyestuff")
        >>> fit = lgm.fit("Yield ~ 1 + (1|Batch)", dyestuff, method="mode", draws=100, seed=1, progress=False)
        >>> other = fit.refit(dyestuff["Yield"] + 100.0)
        >>> round(float(other.fixef()["mean"].iloc[0] - fit.fixef()["mean"].iloc[0]), 1)
        98.7
        """
        fit = cast("Fit", self)
        return fit.model.with_response(y).fit(**settings_of(fit, **settings))

    def bootstrap(
        self,
        n: int = 500,
        statistic: Callable[[Fit], Any] | None = None,
        *,
        use_u: bool = False,
        seed: int | None = None,
        progress: bool | None = None,
    ) -> Bootstrap:
        """Parametric bootstrap of what ``method="mode"`` estimates: lme4's ``bootMer``.

        New responses are drawn at the mode of theta and the means of the fixed effects there, and the model is fitted
        to each by its mode. The effects of terms are drawn anew from their distribution given theta. Nothing is
        compiled after the first fit; Ctrl-C keeps the estimates there are.

        Parameters
        ----------
        n : int
            Number of new responses.
        statistic : callable, optional
            From a fit to a number or to a dict of numbers by name. By default all fixed effects and hyperparameters.
        use_u : bool
            Whether the effects of terms are held at their means instead.
        seed : int, optional
            By default that of the fit.
        progress : bool, optional

        Returns
        -------
        Bootstrap
            Its ``estimates`` are a table with a row for each response; ``summary()`` gives bias, standard error and
            interval.

        Raises
        ------
        DataError
            If the response is censored, which the model does not explain.
        LgmError
            If few responses can be fitted.

        Examples
        --------
        >>> import lgm
        >>> flat = {"Intercept": lgm.priors.flat(), "sd": lgm.priors.flat(), "sigma": lgm.priors.flat()}
        >>> model = lgm.model("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"), priors=flat)
        >>> fit = model.fit(method="mode", draws=100, seed=1, progress=False)
        >>> fit.bootstrap(10).estimates.shape
        (10, 3)
        """
        fit = learned(self, "bootstrap")
        return bootstrap.bootstrap(
            fit,
            n,
            statistic,
            use_u=use_u,
            seed=seed_of(fit, seed),
            progress=fit.progress if progress is None else progress,
        )

    def prior_sensitivity(self, *, alpha: float = 1.25, limit: float = 0.05, each: bool = False) -> pd.DataFrame:
        """How much each fixed effect and hyperparameter hangs on the priors, and on the data.

        Of the draws at hand, by weights: no new fit is made. The prior of all of them, and their likelihood with the
        effects of terms integrated out, is raised to the powers ``alpha`` and ``1 / alpha``; what b is given theta is
        part of the model, and no prior in this sense. A response that is not Gaussian has Laplace's approximation of
        this likelihood.

        Parameters
        ----------
        alpha : float
            Powers close to one keep weights reliable; the result depends little on it.
        limit : float
            From which sensitivity on there is a diagnosis.
        each : bool
            Whether to scale the prior of each parameter alone, too: one more column for each.

        Returns
        -------
        pandas.DataFrame
            ``prior`` and ``likelihood``: by how much the cumulative Jensen-Shannon distance from the posterior grows
            with each doubling of the weight. A ``diagnosis`` of "potential prior-data conflict" where both are above
            the limit, "potential strong prior / weak likelihood" where the first is. Parameters that are held are left
            out. ``attrs`` holds ``alpha`` and the largest ``pareto_k`` by column.

        Raises
        ------
        LgmError, PriorError
            Where theta is held at its mode, draws are from the prior, or every prior is flat.

        References
        ----------
        Kallioinen, Paananen, Buerkner & Vehtari (2024), Detecting and diagnosing prior and likelihood sensitivity with
        power-scaling. Statistics and Computing 34, 57.

        Examples
        --------
        >>> import lgm
        >>> dyestuff = lgm.load_dataset("Dyestuff")
        >>> tight = {"sigma": lgm.priors.exponential(1.0)}
        >>> fit = lgm.fit("Yield ~ 1", dyestuff, priors=tight, method="importance", seed=1, progress=False)
        >>> fit.prior_sensitivity().loc["sigma", "diagnosis"]
        'potential prior-data conflict'
        """
        return sensitivity.table(cast("Fit", self), alpha, limit, each=each)
