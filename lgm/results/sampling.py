"""What of a fit is draws by row: of the linear predictor, of the expected response, of new responses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import xarray as xr

from lgm.errors import LgmError
from lgm.results import groups, predict
from lgm.results.arviz import container
from lgm.results.seeds import seed_of

if TYPE_CHECKING:
    from lgm.results.fit import Fit


class Sampling:
    """Methods of a fit."""

    def posterior_linpred(
        self,
        new_data: Any = None,
        *,
        terms: Sequence[str] | str | None = None,
        exclude: Sequence[str] | str | None = None,
        new_levels: Literal["sample", "zero", "error"] = "sample",
        include_group_specific: bool | Sequence[str] = True,
        draws: int | None = None,
        chunk: int | Literal["auto"] | None = None,
        seed: int | None = None,
    ) -> Any:
        """Draws of the linear predictor ``eta = A u + offset``, on the scale of the link.

        See `posterior_predict` for the arguments.

        Examples
        --------
        >>> import lgm
        >>> sleep = lgm.load_dataset("sleepstudy")
        >>> fit = lgm.fit("Reaction ~ Days + (Days|Subject)", sleep, method="mode", draws=100, seed=1, progress=False)
        >>> fit.posterior_linpred({"Days": [0, 10]}, include_group_specific=False, draws=50).shape
        (1, 50, 2)
        """
        return self._drawn("linear", new_data, draws, chunk, seed, terms, exclude, new_levels, include_group_specific)

    def posterior_epred(
        self,
        new_data: Any = None,
        *,
        terms: Sequence[str] | str | None = None,
        exclude: Sequence[str] | str | None = None,
        new_levels: Literal["sample", "zero", "error"] = "sample",
        include_group_specific: bool | Sequence[str] = True,
        draws: int | None = None,
        chunk: int | Literal["auto"] | None = None,
        seed: int | None = None,
    ) -> Any:
        """Draws of the expected response ``E(y | eta, theta)``, given the effects.

        Of successes it is the share of the trials, where brms gives their number; of ordered categories, the
        probability of each. See `posterior_predict` for the arguments.

        Examples
        --------
        >>> import lgm
        >>> cbpp = lgm.load_dataset("cbpp")
        >>> formula = "cbind(incidence, size - incidence) ~ period + (1|herd)"
        >>> fit = lgm.fit(formula, cbpp, "binomial", method="mode", draws=100, seed=1, progress=False)
        >>> bool((fit.posterior_epred() < 1).all())
        True
        """
        return self._drawn("mean", new_data, draws, chunk, seed, terms, exclude, new_levels, include_group_specific)

    def posterior_predict(
        self,
        new_data: Any = None,
        *,
        terms: Sequence[str] | str | None = None,
        exclude: Sequence[str] | str | None = None,
        new_levels: Literal["sample", "zero", "error"] = "sample",
        include_group_specific: bool | Sequence[str] = True,
        weights: Any = None,
        trials: Any = None,
        draws: int | None = None,
        chunk: int | Literal["auto"] | None = None,
        seed: int | None = None,
    ) -> Any:
        """Draws of new responses, with their own variation: ``p(y_new | y)``.

        Parameters
        ----------
        new_data : table, optional
            By default the data of the fit, rows with a missing response included.
        terms, exclude, new_levels, include_group_specific, weights, trials
            As in `predict`.
        draws : int, optional
            How many, evenly spread over the draws of the fit and the same number from each chain; by default all.
        chunk : int or "auto", optional
            For data too large to hold all draws of all rows: arrays of so many rows come one after the other, each with
            all the draws; ``"auto"`` takes as many as two million numbers, which keeps all that it takes to make them
            small beside what the fit takes. Rows that miss a predictor are then left out.
        seed : int, optional
            For noise and new levels; by default the seed of the fit.

        Returns
        -------
        xarray.DataArray
            With the dimensions chain, draw and row, rows that miss a predictor as NaN; with ``chunk`` an iterator of
            such arrays.

        Examples
        --------
        >>> import lgm
        >>> sleep = lgm.load_dataset("sleepstudy")
        >>> fit = lgm.fit("Reaction ~ Days + (Days|Subject)", sleep, method="mode", draws=100, seed=1, progress=False)
        >>> fit.posterior_predict(draws=50).shape
        (1, 50, 180)
        >>> [part.sizes["row"] for part in fit.posterior_predict(chunk=100)]
        [100, 80]
        """
        parts = (terms, exclude, new_levels, include_group_specific)
        return self._drawn("response", new_data, draws, chunk, seed, *parts, weights, trials)

    def _drawn(
        self,
        of: str,
        new_data: Any,
        draws: int | None,
        chunk: int | Literal["auto"] | None,
        seed: int | None,
        terms: Any,
        exclude: Any,
        new_levels: str,
        include_group_specific: Any,
        weights: Any = None,
        trials: Any = None,
    ) -> xr.DataArray | Iterator[xr.DataArray]:
        fit = cast("Fit", self)
        seed = seed_of(fit, seed)
        how = {"terms": terms, "exclude": exclude, "include_group_specific": include_group_specific}
        how.update(new_levels=new_levels, weights=weights, trials=trials, draws=draws, seed=seed)
        if chunk is None:
            return cast("xr.DataArray", predict.predict(fit, new_data, "draws", of=of, **how))
        if isinstance(chunk, str) and chunk == "auto":
            chunk = predict.rows_at_once(fit, of, draws)
        if not isinstance(chunk, (int, np.integer)) or isinstance(chunk, bool) or chunk < 1:
            raise LgmError(f'chunk={chunk!r}; accepted: a number of rows, from 1, or "auto".')
        return predict.stream(fit, new_data, of, int(chunk), **how)

    @cached_property
    def _added(self) -> dict[str, xr.Dataset]:
        return {}

    @cached_property
    def idata(self) -> Any:
        """Everything as an ArviZ object (InferenceData, or an xarray DataTree with ArviZ 1).

        It has ``posterior``, ``sample_stats``, ``observed_data`` and ``constant_data``; `add_groups` makes what takes
        longer. Of draws from the prior the first two are ``prior`` and ``sample_stats_prior``.

        Neither xarray's trees nor NetCDF take a slash in a name, so a name such as ``I(Days / 10)`` has a division
        slash (U+2215) in its place here. `posterior` has the names as they were typed. Labels that are
        neither text nor numbers, such as those of a MultiIndex, are text.
        """
        return container(**groups.light(cast("Fit", self)), **self._added)

    def add_groups(self, *names: str) -> Any:
        """Make groups of `idata` that take time or memory, and keep them there.

        Parameters
        ----------
        names : {"posterior_predictive", "prior", "prior_predictive"}
            New responses; draws from the prior of everything; new responses that the priors imply.

        Returns
        -------
        InferenceData or xarray.DataTree
            `idata` with these groups. Copies that were taken before stay as they were.

        Raises
        ------
        LgmError
            For a group that there is not.

        Notes
        -----
        ``az.loo`` of ``log_likelihood`` is `loo`. ``az.plot_loo_pit`` and ``az.loo_pit`` are not for these groups: they
        weigh ``posterior_predictive``, whose draws know the effects of each row by its own response, by
        ``log_likelihood``, in which effects are integrated out and of which there are fewer draws.
        ``fit.pp_check("loo_pit")`` is the picture, ``fit.loo().pit`` the numbers.

        Examples
        --------
        >>> import lgm
        >>> fit = lgm.fit("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"), method="mode", seed=1, progress=False)
        >>> fit.add_groups("posterior_predictive").posterior_predictive["Yield"].shape
        (1, 4000, 30)
        """
        groups.require_known(names)
        for name in names:
            if name not in self._added:
                self._added[name] = groups.HEAVY[name](cast("Fit", self))
        vars(self).pop("idata", None)
        return self.idata
