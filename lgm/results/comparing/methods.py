"""What a fit answers of its predictions of data that it has not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from lgm.results.comparing import loo as _loo

if TYPE_CHECKING:
    from lgm.results.comparing.loo import Loo
    from lgm.results.fit import Fit


class Criteria:
    """Leave-one-out and its kin, as methods of `lgm.Fit`."""

    def loo(self) -> Loo:
        """Leave-one-out: how well each row is predicted from all others.

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
        rows.

        Examples
        --------
        >>> import lgm
        >>> fit = lgm.fit("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"), method="mode", seed=1, progress=False)
        >>> found = fit.loo()
        >>> round(found.elpd, 1), list(found.pointwise.columns)
        (-162.3, ['elpd', 'se', 'p_loo', 'pareto_k', 'error'])
        """
        return _loo.loo(cast("Fit", self))
