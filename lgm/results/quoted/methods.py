"""The numbers that summaries quote, as methods of `lgm.results.fit.Fit`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from lgm.results.quoted import direction, edf, partition, r2

if TYPE_CHECKING:
    import pandas as pd

    from lgm.results.fit import Fit


class Quoted:
    """Methods of a fit."""

    def r2(self, *, interval: float | None = None) -> pd.DataFrame:
        """Bayesian R-squared: the share of the variance of responses that the model explains.

        In each draw, with ``mu_i`` the expected response of row i, the share is

            ``V(mu) / (V(mu) + E), V(mu) = sum_i (mu_i - mean(mu))^2 / (n - 1), E = mean_i Var(y_i | mu_i, theta)``

        (Gelman et al. 2019, whose residual variance is the modelled one). That is the ``conditional`` one. Where there
        are groups, the ``marginal`` one has V of the expected responses with all group effects at zero over the same
        whole (Nakagawa & Schielzeth 2013). Successes count as shares of their trials. Variances of families without a
        closed form are simulated, without bias.

        Parameters
        ----------
        interval : float, optional

        Returns
        -------
        pandas.DataFrame
            Mean, sd and interval.

        Raises
        ------
        LgmError
            For a response of categories, or one that is censored.

        References
        ----------
        Gelman, Goodrich, Gabry & Vehtari (2019), R-squared for Bayesian regression models. American Statistician 73,
        307-309. Nakagawa & Schielzeth (2013), Methods in Ecology and Evolution 4, 133-142.

        Examples
        --------
        >>> import lgm
        >>> sleep = lgm.load_dataset("sleepstudy")
        >>> fit = lgm.fit("Reaction ~ Days + (1|Subject)", sleep, method="mode", draws=100, seed=1, progress=False)
        >>> fit.r2()["mean"].round(1).to_dict()
        {'conditional': 0.7, 'marginal': 0.3}
        """
        return r2.table(cast("Fit", self)._at(interval))

    def icc(
        self,
        *,
        fixed: bool = False,
        scale: Literal["latent", "response"] = "latent",
        interval: float | None = None,
    ) -> pd.DataFrame:
        """Variance partition: the share of each term in the variance of the linear predictor, or of the response.

        Of a group with an intercept alone, that is the intraclass correlation: that of two rows of one level. The
        variance of a term with slopes, of a smooth or a field is that of what it adds to a row, on average over the
        rows: ``mean_i z_i' Cov(b | theta) z_i`` (Johnson 2014). That of the errors is ``sigma^2 / w`` on average; for
        logit, probit and cloglog links that of the latent variable, ``pi^2 / 3``, 1 and ``pi^2 / 6``; with a log link
        ``log(1 + Var(y) / mu^2)`` at ``log mu`` = mean of the fixed part and half the variance of the terms (Nakagawa,
        Johnson & Schielzeth 2017).

        On the scale of the response, the variance of a response is that of its mean ``mu``, as all terms vary about the
        fixed part of its row, and the mean variance about it (Goldstein, Browne & Rasbash 2002). Of a term it is
        ``Var(E[mu | term])``; where there are several and the link bends, these leave something to their
        ``interaction``. All are averages over the rows, at most 200 of them, with their offsets; successes count as
        shares of their trials. For a Gaussian response both scales are the same.

        Parameters
        ----------
        fixed : bool
            Whether the fixed effects have a share, too: the variance over the rows of ``X beta``, or of the mean
            response.
        scale : {"latent", "response"}
            That of the linear predictor, or that of the response.
        interval : float, optional

        Returns
        -------
        pandas.DataFrame
            Mean, sd and interval over at most 100 draws of theta, by term, with the errors last.

        Raises
        ------
        LgmError
            Without latent terms, or for a family that has no variance on this scale.

        References
        ----------
        Goldstein, Browne & Rasbash (2002), Partitioning variation in multilevel models. Understanding Statistics 1,
        223-231.
        Johnson (2014), Methods in Ecology and Evolution 5, 944-946. Nakagawa, Johnson & Schielzeth (2017), Journal of
        the Royal Society Interface 14, 20170213.

        Examples
        --------
        >>> import lgm
        >>> flat = {"Intercept": lgm.priors.flat(), "sd": lgm.priors.flat(), "sigma": lgm.priors.flat()}
        >>> model = lgm.model("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"), priors=flat)
        >>> model.fit(method="mode", draws=100, seed=1, progress=False).icc()["mean"].round(3).to_dict()
        {'(1 | Batch)': 0.418, 'Residual': 0.582}
        """
        return partition.table(cast("Fit", self)._at(interval), fixed=fixed, scale=scale)

    def edf(self) -> pd.Series:
        """Effective degrees of freedom of each latent term: how many free coefficients it is worth.

        On average over theta; at one theta it is the trace over the term's effects of ``H^-1 A'WA``, with H the
        posterior and ``A'WA`` the data's precision of all effects: its part of the trace of the matrix that makes
        fitted values of the response, as in mgcv's ``summary``. A group ``(1|g)`` of many rows in each level comes near
        its number of levels, one that is not there to zero. Where the response is not Gaussian, it is that of the
        weighted least squares at the mode. A smooth has an entry for each of its curves, with the straight lines that
        stand for it among the fixed effects; these count one each, as do those of walks.

        Raises
        ------
        LgmError
            If there are no latent terms.

        Examples
        --------
        >>> import lgm
        >>> model = lgm.model("accel ~ s(times)", lgm.load_dataset("mcycle"))
        >>> fit = model.fit(method="mode", draws=100, seed=1, progress=False)
        >>> fit.edf().round(1).to_dict()
        {'s(times)': 8.6}
        """
        return edf.of_terms(cast("Fit", self))

    def p_direction(self) -> pd.Series:
        """Probability of direction of each fixed effect: that its sign is the more probable one.

        ``max(P(beta > 0 | y), P(beta < 0 | y))``, from a half to one; exact where theta is held and the response
        Gaussian, else a share of the draws (Makowski et al. 2019, Frontiers in Psychology 10, 2767).

        Examples
        --------
        >>> import lgm
        >>> sleep = lgm.load_dataset("sleepstudy")
        >>> fit = lgm.fit("Reaction ~ Days + (1|Subject)", sleep, method="mode", draws=100, seed=1, progress=False)
        >>> fit.p_direction().round(3).to_dict()
        {'Intercept': 1.0, 'Days': 1.0}
        """
        return direction.of_fixed_effects(cast("Fit", self))
