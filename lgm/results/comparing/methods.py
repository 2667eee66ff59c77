"""What a fit answers of its predictions of data that it has not seen."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from lgm.errors import LgmError
from lgm.results import partitioned
from lgm.results.comparing import information
from lgm.results.comparing import kfold as _kfold
from lgm.results.comparing import loo as _loo
from lgm.results.comparing.groups import leave_group_out
from lgm.results.comparing.reloo import fitted_again
from lgm.results.learned import learned
from lgm.results.seeds import seed_of

if TYPE_CHECKING:
    import pandas as pd

    from lgm.results.comparing.loo import Criterion, Loo


KEPT_BYTES = 250e6  # of log densities; larger ones are computed again
Key: TypeAlias = tuple[Any, ...]


class Criteria:
    """Leave-one-out and its kin, as methods of `lgm.Fit`."""

    @cached_property
    def _criteria(self) -> dict[Key, Criterion]:
        """What was computed so far, by what was asked for."""
        return {}

    def _kept(self, key: Key, make: Callable[[], Criterion]) -> Any:
        """Computed once, where it is complete and not large, and what was asked for has a name."""
        named = all(isinstance(each, (str, int, bool, type(None))) for each in key)
        if named and key in self._criteria:
            return self._criteria[key]
        found = make()
        large = isinstance(found, _loo.Loo) and found.log_density.nbytes > KEPT_BYTES
        whole = not any(note.startswith(_kfold.STOPPED) for note in found.notes)
        if named and whole and not large:
            self._criteria[key] = found
        return found

    def loo(self, groups: Any = None, *, joint: bool = True, reloo: bool = False, data: Any = None) -> Any:
        """Leave-one-out: how well each row, or each group of rows, is predicted from all others.

        Parameters
        ----------
        groups : column name or array, optional
            Rows with one label are left out together: those of a group to ask about new groups, blocks in time or space
            (`lgm.blocks`) to ask about extrapolation. By default each row is left out by itself, which asks about new
            rows of the same groups, between those that are there. An array has a label for each row of the data.
        joint : bool
            For groups: the joint log density of all responses of a group, or else that of each of its rows given all
            other groups.
        reloo : bool
            For rows: whether to fit again without each row whose ``pareto_k`` is large (above a half with draws of the
            posterior), as `kfold` fits. ``.log_likelihood`` and ``.pit`` stay as they were.
        data : partitions or table, optional
            For a fit of data in partitions with a Gaussian response: the rows, which are read again. What comes back is
            the table ``.pointwise`` alone: of a table at once; of a Dask DataFrame as another one, computed when it is
            asked for; of other partitions as an iterator. The elpd is the sum of its column of that name.

        Returns
        -------
        Loo
            Prints the expected log predictive density (elpd) with its standard error, the effective number of
            parameters ``p_loo``, and ``looic = -2 elpd``. ``.pointwise`` has a row for each row of the data with a
            response, ``.log_likelihood`` the log densities behind it at draws of the hyperparameters, ``.pit`` the
            leave-one-out probabilities of smaller responses.

        Notes
        -----
        ``elpd = sum_i log p(y_i | y_-i)``. Given the hyperparameters, what all others say of row i follows from what
        all rows say by taking row i out: exactly for a Gaussian response; for others by fits without the row where that
        matters, with Laplace's approximation (Vehtari, Mononen, Tolvanen, Sivula & Winther 2016, JMLR 17(103)). What
        the row says of the hyperparameters is taken out by importance weights, Pareto-smoothed (Vehtari, Gelman & Gabry
        2017, Statistics and Computing 27, 1413-1432). Only few hyperparameters are weighted, no effects, so that
        ``pareto_k`` is small even where a row has an effect of its own. At most 1000 draws are used, fewer for many
        rows. Groups are left out by fits without them, given the hyperparameters; exact for a Gaussian response.

        Draws of the posterior do not reach where the hyperparameters are without an extreme outlier. Such a row has a
        large ``pareto_k``, and is named; ``reloo=True`` and a fit by ``method="importance"`` see it. What was computed
        is kept, and `lgm.Fit.save` keeps it, unless it is large or ``groups`` is an array.

        Raises
        ------
        DataError
            For labels that are missing or of the wrong number, or a single group.

        Examples
        --------
        >>> import lgm
        >>> fit = lgm.fit("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"), method="mode", seed=1, progress=False)
        >>> found = fit.loo()
        >>> round(found.elpd, 1), list(found.pointwise.columns)
        (-162.3, ['elpd', 'se', 'p_loo', 'pareto_k', 'error', 'reliable'])
        """
        fit = learned(self, "leave-one-out")
        if data is not None:
            if groups is not None or reloo:
                raise LgmError("data= is for single rows. Accepted with it: neither groups= nor reloo=.")
            return partitioned.loo(fit, data)
        if groups is not None:
            if reloo:
                raise LgmError("reloo=True is for single rows. Accepted for groups: fit.kfold(groups=...).")
            key: Key = ("loo", groups, bool(joint))
            return cast("Loo", self._kept(key, lambda: leave_group_out(fit, groups, joint=joint)))
        found = cast("Loo", self._kept(("loo",), lambda: _loo.loo(fit)))
        if not reloo:
            return found
        return cast("Loo", self._kept(("loo", "reloo"), lambda: fitted_again(found)))

    def kfold(self, k: int | None = None, *, groups: Any = None, seed: int | None = None) -> Criterion:
        """K-fold cross-validation: the model is fitted again without each fold, and predicts its rows.

        Parameters
        ----------
        k : int, optional
            Number of folds of rows at random, by default 10.
        groups : column name or array, optional
            Folds by name instead, as for `loo`.
        seed : int, optional
            Of the folds; by default that of the fit.

        Returns
        -------
        Criterion
            ``.pointwise`` has for each row its fold and its log density given all other folds.

        Raises
        ------
        LgmError, DataError
            For a k that is no number of folds, or labels that are missing.

        Notes
        -----
        Refits have the priors, bases and structure of the fit, by the same method, and compile nothing once the first
        is made. Ctrl-C keeps the folds that are done.

        Examples
        --------
        >>> import lgm
        >>> fit = lgm.fit("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"), method="mode", seed=1, progress=False)
        >>> fit.kfold(groups="Batch").pointwise.columns.tolist()
        ['Batch', 'elpd']
        """
        fit = learned(self, "cross-validation")
        seed = seed_of(fit, seed)
        key: Key = ("kfold", k, groups, seed)
        return cast("Criterion", self._kept(key, lambda: _kfold.kfold(fit, k, groups, seed)))

    def waic(self) -> Criterion:
        """The widely applicable information criterion, given the effects (Watanabe 2010); `loo` is more reliable.

        Its effective number of parameters is a sum of variances of log-likelihoods at draws of the effects. It fails
        where one of these is large, as with few rows for each effect, and a warning says so.

        Examples
        --------
        >>> import lgm
        >>> fit = lgm.fit("Yield ~ 1", lgm.load_dataset("Dyestuff"), method="importance", seed=1, progress=False)
        >>> fit.waic().pointwise.columns.tolist()
        ['elpd', 'p_waic']
        """
        fit = learned(self, "WAIC")
        return cast("Criterion", self._kept(("waic",), lambda: information.waic(fit)))

    def dic(self) -> pd.Series:
        """The deviance information criterion, given the effects (Spiegelhalter et al. 2002, JRSS B 64, 583-639).

        ``dic = D + p_dic`` with D the mean deviance, and ``p_dic`` what it has beside the deviance at the posterior
        means of the linear predictors and the family's parameters. `loo` answers the same question without that normal
        approximation.

        Examples
        --------
        >>> import lgm
        >>> fit = lgm.fit("Yield ~ 1", lgm.load_dataset("Dyestuff"), method="importance", seed=1, progress=False)
        >>> fit.dic().index.tolist()
        ['dic', 'p_dic', 'mean_deviance', 'deviance_at_means']
        """
        return information.dic(learned(self, "DIC"))
