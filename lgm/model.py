"""The main path: parse, design, analyse, sample, draw, summarise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from formulaic.utils.context import capture_context

from lgm import families, pickling
from lgm.data.partitions import partitions_of
from lgm.data.table import Table
from lgm.design import design, partitioned
from lgm.design.another import with_response
from lgm.design.design import Design
from lgm.errors import ConvergenceWarning, DataError, LgmError, PriorError, warn
from lgm.families.family import Family
from lgm.formula.parse import parse
from lgm.formula.plain import require_plain
from lgm.formula.update import updated
from lgm.inference import forked, keys
from lgm.inference.compile import begin
from lgm.inference.engine import ENGINES, Engine, Settings, engine
from lgm.inference.interrupt import watched
from lgm.inference.ladder import APPROXIMATIONS, JOINT, USUAL, settle
from lgm.posterior.assemble import Analysed, analyse
from lgm.posterior.checks import check_identifiability, report_cautions, report_data, report_terms
from lgm.posterior.density import Marginal
from lgm.posterior.no_rows import without_rows
from lgm.posterior.priors import Priors, fitting, require_highest, require_proper, sample_prior, starts
from lgm.posterior.priors import settle as settle_priors
from lgm.posterior.separation import check_separation
from lgm.posterior.solvers import SOLVERS
from lgm.priors import Flat
from lgm.results import effects, tables, text
from lgm.results.embedding import Embedding
from lgm.results.fit import Fit
from lgm.results.progress import bar
from lgm.terms import TERMS
from lgm.words import in_composed_form


def fit(
    formula: str,
    data: Any,
    family: str | Family = "gaussian",
    *,
    link: str | None = None,
    priors: Mapping[str, Any] | None = None,
    weights: Any = None,
    env: Mapping[str, Any] | None = None,
    missing: Literal["drop", "error"] = "drop",
    python: bool = True,
    solver: Literal["direct", "iterative"] = "direct",
    method: Literal["nuts", "importance", "mode", "joint", "prior"] = "nuts",
    approximation: Literal["auto", "weighted", "quadrature", "transport", "second-order", "laplace"] = "auto",
    fallback: Literal["nuts"] | None = None,
    chains: int = 4,
    draws: int = 1000,
    warmup: int | None = None,
    interval: float = 0.95,
    seed: int | None = None,
    progress: bool = True,
) -> Fit:
    """Fit a latent Gaussian model: build it from a formula and draw from its posterior.

    The model is ``y | u, theta ~ family(A u + offset, theta)``, ``u | theta ~ N(m, Q(theta)^-1)``, with ``u`` all fixed
    and random effects. For a Gaussian response u is integrated out exactly, NUTS draws the few theta, and u is drawn
    from its exact conditional.

    Parameters
    ----------
    formula : str
        Such as ``"y ~ x + (1|group) + s(t) + icar(region, graph)"``. Fixed effects: formulaic's whole grammar, with
        ``offset(...)``. Group effects: ``(1|g)``, ``(x|g)`` correlated, ``(x||g)`` not, ``a/b`` nested, ``a:b``; other
        covariance classes, ``cs(0 + f|g)``, ``toep``, ``diag``, ``ar1(0 + t|g)``, ``ou``, with ``hom`` before them for
        equal variances; relatives ``(1|g, cov=K)``, members ``(1|mm(a, b))``, variances by factor ``(1|g, by=f)``.
        Terms: ``s(x, bs="tp"|"ts"|"cr"|"cs"|"cc"|"ps"|"cp", k=10)``, ``s(x, y)``, ``te(x, z)``, ``ti(x, z)``,
        ``t2(x, z)``, each with ``by=`` numbers or a factor, ``s(x, g, bs="fs")``, ``rw1(t)``, ``rw2(t)``,
        ``rw2(t, cyclic=True)``, ``ar1(t)``, ``ar(t, p=2)``, ``ou(t)``, ``gp(x)``, ``seasonal(t, 12)``, whose times are
        numbers, dates or periods, ``icar(region, graph)``, ``bym2(region, graph)``, ``car(region, graph)``,
        ``leroux(region, graph)``, ``sar(region, graph)``, ``matern(lon, lat)``, ``hs(x1, x2, ...)``,
        ``r2d2(x1, x2, ...)``. Processes in time and space take ``replicate=g`` and ``group=ar1(year)``. Before ``~``: a
        column or an expression, ``cbind(successes, failures)``, ``y | trials(n)``, or ``y | cens(code, upper)``, whose
        codes are ``"none"`` (0, False), ``"right"`` (1, True), ``"left"`` (-1) and ``"interval"`` (2, from ``y`` to
        ``upper``).
    data : pandas, polars or Arrow table, dict of columns, or list of records
        Or, for a Gaussian response, counts and proportions, data in partitions that need not fit in memory: a Dask
        DataFrame, the path of Parquet files, a `pyarrow.dataset.Dataset`, a list of tables or any object whose every
        iteration starts afresh, or a function that returns an iterator. They are gone through two or three times, and
        nothing of the size of the rows is kept: of a Gaussian response sums, of others the rows that differ in their
        predictors. Rows without a response are left out, and weights are a column.
    family : str or Family
        The distribution of the response: ``"gaussian"``, ``"bernoulli"``, ``"binomial"``, ``"poisson"`` or another one
        of `lgm.families`, whose classes say what each is. Of a response of two categories the second is the event.
    link : str, optional
        From the mean to the linear predictor, such as ``"probit"``; by default the usual one of the family.
    priors : mapping, optional
        Prior by variable (``"sd(Days|Subject)"``, ``"sigma"``, ``"Days"``) or by class (``"sd"``, ``"corr"``,
        ``"fixed"``, ``"rho"``); see `lgm.priors`. The others keep their defaults; ``fit.priors`` shows all.
    weights : column name or array (n,), optional
        Known positive weights. Where rows have errors with the sd sigma, their variance is ``sigma^2 / weight``; else
        the log-likelihood of a row is multiplied by its weight, as in R's ``glm``. For a binomial response that is a
        share of successes they are the numbers of trials.
    env : mapping, optional
        Names that the formula may use besides the columns; the caller's own names come last.
    missing : {"drop", "error"}
        What to do with rows that miss a predictor. Rows that miss the response are predicted.
    python : bool
        Whether the formula may hold any Python, which can do all that your process can. False accepts columns, names
        in ``env``, numbers, operators, terms and a list of functions (``log``, ``C``, ``poly``, ``np.sqrt``, ...): for
        formulas from strangers, whose use of time and memory is still yours to limit. The caller's own names are then
        out of reach.
    solver : {"direct", "iterative"}
        How systems with the precision of the effects are solved. ``"iterative"`` factors nothing: for crossed groups
        with so many levels that their factor is beyond memory or patience, which an error or a warning says before it
        is made. It takes ``method="mode"``, a Gaussian response and groups alone, with at most four effects in each
        level. Log-determinants, and standard deviations of effects, are then estimates; the fit prints by how much
        their error moves it.
    method : {"nuts", "importance", "mode", "joint", "prior"}
        NUTS on theta; weighted points around the mode (a thousand values instead of ten thousand gradients, equally
        exact where its own diagnostic, Pareto k, says so); theta held at its posterior mode, as lme4 does; NUTS on
        theta and all effects together; or draws from the prior, for which no response is used: tables, predictions and
        plots of such a fit show what the priors imply. Up to eight hyperparameters, dimension costs weighted points,
        not trust: NUTS is the better choice where k or the number of effective points raises a warning. ``"joint"``
        approximates nothing, whatever the family: the last resort where no approximation serves, and what others can be
        compared with. It takes about ten to a hundred gradients for an effective draw, and memory for all draws of all
        effects.
    approximation : {"auto", "weighted", "quadrature", "transport", "second-order", "laplace"}
        What stands for ``p(y | theta)`` of a response that is not Gaussian. ``"weighted"`` is exact up to Monte Carlo
        error: effects are drawn around their mode and weighted. ``"quadrature"`` is so too, and integrates out the
        effects of the largest group with one, two or three in each level, ``(1|g)`` or ``(x|g)``, for few binary
        outcomes in each; so is ``"transport"``, which bends the draws to follow the skewness of their density, for
        large fields. ``"second-order"`` corrects means and density without weights; ``"laplace"`` is what other
        packages do. By default what 64 pairs of draws at the mode say will serve; the fit prints it with its error.
        ``method="joint"`` has none.
    fallback : {None, "nuts"}
        What to do when the weights of ``method="importance"`` are not to be trusted: only say so, or go on with NUTS
        from its draws.
    chains, draws : int
        Chains, and kept draws per chain; the other engines return ``chains * draws`` draws as one chain.
    warmup : int, optional
        Draws per chain that adapt step size and metric. By default 150 that adapt the step size alone: NUTS starts
        from weighted points around the mode, which give it its metric.
    interval : float
        Probability of the equal-tailed intervals in tables and plots.
    seed : int, optional
        For the same bits again in the same environment: the same machine and the same versions of lgm, JAX and what
        they stand on. Elsewhere the last digits differ, and with them draws. By default a fresh one, kept as
        ``fit.seed``.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Fit

    Raises
    ------
    FormulaError, DataError, PriorError, IdentifiabilityError
        Each says what was found, where, and what is accepted.

    Examples
    --------
    >>> import lgm
    >>> fit = lgm.fit("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"), draws=250, seed=1, progress=False)
    >>> list(fit.summary().index)
    ['Intercept', 'sd(Intercept|Batch)', 'sigma']
    """
    caller = capture_context(1)
    built = build(
        formula, data, family, link, priors, weights, env, missing, caller, python, solver=solver, progress=progress
    )
    return built.fit(
        method=method,
        approximation=approximation,
        fallback=fallback,
        chains=chains,
        draws=draws,
        warmup=warmup,
        interval=interval,
        seed=seed,
        progress=progress,
    )


def model(
    formula: str,
    data: Any,
    family: str | Family = "gaussian",
    *,
    link: str | None = None,
    priors: Mapping[str, Any] | None = None,
    weights: Any = None,
    env: Mapping[str, Any] | None = None,
    missing: Literal["drop", "error"] = "drop",
    python: bool = True,
    solver: Literal["direct", "iterative"] = "direct",
) -> Model:
    """Build a model without fitting it; the arguments are those of `fit`.

    Examples
    --------
    >>> import lgm
    >>> model = lgm.model("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"))
    >>> round(model.log_likelihood({"sd(Intercept|Batch)": 40.0, "sigma": 50.0}), 3)
    -165.805
    """
    caller = capture_context(1)
    return build(formula, data, family, link, priors, weights, env, missing, caller, python, solver=solver)


def build(
    source: str,
    data: Any,
    family: str | Family,
    link: str | None,
    priors: Mapping[str, Any] | None,
    weights: Any,
    env: Mapping[str, Any] | None,
    missing: str,
    caller: Mapping[str, Any] | None,
    python: bool = True,
    inherited: Mapping[str, Any] | None = None,
    *,
    solver: str = "direct",
    progress: bool = False,
) -> Model:
    """Build a model; see `model`. ``progress`` counts the partitions that were read, where data come in some.

    ``caller`` are the names that come after ``env``, if any; ``inherited`` are priors of another model, which hold
    where they are of a parameter of this one and ``priors`` says nothing else.
    """
    forked.refuse()
    likelihood = families.find(family, link)
    _require(missing in ("drop", "error"), f'missing={missing!r}; accepted: "drop" or "error".')
    _require(isinstance(python, bool), f"python={python!r}; accepted: True or False.")
    _require(solver in SOLVERS, f"solver={solver!r}; accepted: {', '.join(map(repr, SOLVERS))}.")
    parsed = parse(source, tuple(TERMS))
    partitions = partitions_of(data)
    data = Table.of(data) if partitions is None else partitions
    weights = in_composed_form(weights) if isinstance(weights, str) else weights
    if not python:
        require_plain(parsed, data.names)
        caller = None
    given = {in_composed_form(name): value for name, value in (env or {}).items()}
    names = {**{k: v for k, v in (caller or {}).items() if k.isidentifier()}, **given}
    if partitions is None:
        built = design.build(parsed, data, likelihood, names, weights, missing)
    else:
        with bar(None, "partitions read", progress=progress) as shown:
            built = partitioned.build(parsed, partitions, likelihood, names, weights, missing, shown.update)
    if inherited and isinstance(priors, Mapping | None):
        priors = {**fitting(built, inherited), **(priors or {})}
    built, resolved = settle_priors(built, priors)
    report_data(built)
    report_cautions(built, resolved)
    report_terms(built)
    centred = resolved.centred_intercept
    analysed = analyse(built, resolved.fixed, resolved.theta, centred_intercept=centred, solver=solver)
    check_identifiability(built, resolved, analysed)
    check_separation(built, resolved)
    own = weights if weights is None or isinstance(weights, str) else built.all_weights
    inputs = Inputs(source, likelihood, dict(priors or {}), own, built.scope.env, missing, python, solver)
    return Model(built, resolved, analysed, inputs)


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a model was built from: enough to build it again, with the rows and columns in use as its data.

    Of the names around the formula only those that it uses are kept, and weights by value are those of these rows.
    """

    formula: str
    family: Family
    priors: dict[str, Any]
    weights: Any
    env: Mapping[str, Any]
    missing: str
    python: bool = True  # whether the formula may hold any
    solver: str = "direct"
    refitted: bool = False  # whether the model is of another response than these data have


@dataclass(frozen=True, eq=False)
class Model(Embedding):
    """A model before it is fitted; `lgm.model` builds it.

    It equals itself only, and a copy of it is the model itself. It can be pickled; functions that its formula uses go
    by the name under which they can be imported.

    Parameters
    ----------
    design : Design
        Response, sparse columns, terms.
    chosen_priors : Priors
        Priors of all parameters.
    analysed : Analysed
        The posterior with u integrated out, and its structure.
    inputs : Inputs
        What the model was built from.
    """

    design: Design
    chosen_priors: Priors
    analysed: Analysed
    inputs: Inputs

    @property
    def priors(self) -> pd.DataFrame:
        """Prior of every variable, and whether it is the default or was given."""
        return self.chosen_priors.table

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
        caller: Mapping[str, Any] | None = None,
    ) -> Model:
        """The model with some of its inputs changed; the others stay.

        Parameters
        ----------
        formula : str, optional
            A change by the rules of R's ``update``: ``". ~ . + z"``, ``"log(.) ~ ."``, ``". ~ . - (1|g)"``. A ``.``
            stands for what is there on its side.
        data : table, optional
            By default the rows and columns in use: what the formula does not name was not kept, and rows that were
            dropped stay out, so that the model is one of the same rows.
        family, link : optional
            Of another family the link is its usual one.
        priors : mapping, optional
            Added to those that were given before, of which the ones of parameters that are no longer there fall away.
        weights : column name or array, optional
            By default those of before: the same column of other data.
        env : mapping, optional
            Added to the names of before.
        caller : mapping, optional
            Names that come last, by default those where this is called.

        Raises
        ------
        FormulaError, DataError, PriorError, IdentifiabilityError
            As from `lgm.model`, and where something is taken away that is not there.

        Examples
        --------
        >>> import lgm
        >>> model = lgm.model("Reaction ~ Days + (Days|Subject)", lgm.load_dataset("sleepstudy"))
        >>> model.update(". ~ . - (Days|Subject) + (1|Subject)").inputs.formula
        'Reaction ~ Days + (1|Subject)'
        """
        given = self.inputs
        if given.refitted:
            raise LgmError(
                "this model is of another response than its data have, so that they cannot be read again. Accepted: "
                "update() of the model that it was made from, or lgm.model() on data with the response."
            )
        if data is None and not self.design.has_rows:
            raise LgmError(
                "this model is of data in partitions, which it does not hold. Accepted: update(..., data=...), "
                "with the same or other ones."
            )
        source = given.formula if formula is None else updated(given.formula, formula, tuple(TERMS))
        if family is None and link is None:
            family, link = given.family, None
        elif family is None:
            family = given.family.name
        own = data is None
        built = build(
            source,
            self.design.scope.frame if own else data,
            family,
            link,
            priors,
            self._weights_again(weights, own=own),
            {**given.env, **(env or {})},
            given.missing,
            (capture_context(1) if caller is None else caller) if given.python else None,
            given.python,
            given.priors,
            solver=given.solver,
        )
        return built._of_rows(self) if own else built

    def _weights_again(self, weights: Any, *, own: bool) -> Any:
        given = self.inputs.weights
        if weights is not None or given is None:
            return weights
        if own:
            return self.design.all_weights
        if isinstance(given, str):
            return given
        raise DataError(
            "the weights were given as an array, which belongs to the rows of the first data. Give weights=."
        )

    def _of_rows(self, before: Model) -> Model:
        """The model, with its rows counted among those of the data that another was built from."""
        mine, was = self.design.rows, before.design.rows
        missing = {name: count for name, count in {**was.missing_in, **mine.missing_in}.items() if count}
        rows = replace(mine, kept=was.kept[mine.kept], index=was.index, missing_in=missing, library=was.library)
        scope = replace(self.design.scope, columns=before.design.scope.columns)
        named = before.inputs.weights if isinstance(before.inputs.weights, str) else self.inputs.weights
        design = replace(self.design, rows=rows, scope=scope)
        return replace(self, design=design, inputs=replace(self.inputs, weights=named))

    def with_response(self, y: Any) -> Model:
        """The same model for another response of the same rows; priors and columns stay, and nothing is compiled anew.

        Default priors are those of the first response, whose scale they follow: they are part of the model.

        Parameters
        ----------
        y : array
            As what stands before ``~`` in the formula, one value for each row with a response, or for each row of the
            data, where those of other rows are not looked at. Successes are of the same trials.

        Raises
        ------
        DataError, IdentifiabilityError
            For values that the family does not take, or of which flat priors make no posterior.

        Examples
        --------
        >>> import lgm
        >>> dyestuff = lgm.load_dataset("Dyestuff")
        >>> model = lgm.model("Yield ~ 1 + (1|Batch)", dyestuff)
        >>> other = model.with_response(dyestuff["Yield"] + 100.0)
        >>> round(other.log_likelihood({"sd(Intercept|Batch)": 40.0, "sigma": 50.0}), 3)
        -166.01
        """
        design, priors = with_response(self.design, y), self.chosen_priors
        centred, solver = priors.centred_intercept, self.inputs.solver
        analysed = analyse(design, priors.fixed, priors.theta, centred_intercept=centred, solver=solver)
        check_separation(design, priors)
        return Model(design, priors, analysed, replace(self.inputs, refitted=True))

    def sample_prior(self, draws: int = 1000, seed: int | None = None) -> pd.DataFrame:
        """Draws of the fixed effects and theta from their priors, one column per variable.

        Raises
        ------
        PriorError
            If a prior is flat.
        """
        _require(_is_whole(draws, 1), f"draws={draws!r}; accepted: a whole number of at least 1.")
        return sample_prior(
            self.design, self.chosen_priors, self.analysed.marginal.hyper, int(draws), keys.chosen(seed)
        )

    def prior_predictive(self, draws: int = 1000, *, seed: int | None = None) -> xr.DataArray:
        """New responses at the rows of the data, from parameters and effects that are drawn from their priors.

        ``y ~ p(y | u, theta)`` with ``u, theta`` from their joint prior. They are predictions of
        ``model.fit(method="prior")``, a fit whose tables and plots show what the priors imply of all else.

        Parameters
        ----------
        draws : int
        seed : int, optional

        Returns
        -------
        xarray.DataArray
            With the dimensions chain, draw and row.

        Raises
        ------
        PriorError
            If a prior is flat.

        Examples
        --------
        >>> import lgm
        >>> model = lgm.model("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"))
        >>> dict(model.prior_predictive(draws=50, seed=1).sizes)
        {'chain': 1, 'draw': 50, 'row': 30}
        """
        found: xr.DataArray = self.fit(method="prior", chains=1, draws=draws, seed=seed).predict(
            kind="draws", of="response"
        )
        return found

    def fit(
        self,
        *,
        method: Literal["nuts", "importance", "mode", "joint", "prior"] = "nuts",
        approximation: Literal["auto", "weighted", "quadrature", "transport", "second-order", "laplace"] = "auto",
        fallback: Literal["nuts"] | None = None,
        chains: int = 4,
        draws: int = 1000,
        warmup: int | None = None,
        interval: float = 0.95,
        seed: int | None = None,
        progress: bool = True,
    ) -> Fit:
        """Draw from the posterior; the arguments are those of `lgm.fit`."""
        counts = {"chains": chains, "draws": draws, "warmup": warmup}
        self._require_possible(method, approximation, fallback, interval, counts)
        chains, draws, warmup = int(chains), int(draws), None if warmup is None else int(warmup)
        seed = keys.chosen(seed)
        post, start = self.analysed.marginal, starts(self.design, self.chosen_priors.theta)
        asked = {
            "method": method,
            "approximation": approximation,
            "fallback": fallback,
            "chains": chains,
            "draws": draws,
            "warmup": warmup,
        }
        settings = Settings(method, chains, draws, warmup, seed, progress, fallback)
        if method == "prior":
            require_proper(self.design, self.chosen_priors)
            post = without_rows(post)
            return Fit(self, engine(post, settings).run(post, start), interval, seed, progress, asked=asked)
        chosen = engine(post, settings)
        with watched():
            wanted = JOINT if method == "joint" else approximation
            if wanted in ("auto", USUAL, JOINT):  # what most models need is compiled while theirs is chosen
                _begin(post, chosen)
            post, start, rung = settle(post, start, self.analysed.basis, wanted, seed)
            _begin(post, chosen)
            run = chosen.run(post, start)._replace(rung=rung)
        model = replace(self, analysed=replace(self.analysed, marginal=post))
        made = Fit(model, run, interval, seed, progress, asked=asked)
        if made.doubt_of_theta:
            warn(made.doubt_of_theta, ConvergenceWarning)
        return made

    def _require_possible(
        self, method: str, approximation: str, fallback: str | None, interval: float, counts: Mapping[str, Any]
    ) -> None:
        """Raise if a run is asked for that there is not, or not of this model."""
        _require(method in ENGINES, f"method={method!r}; accepted: {', '.join(repr(m) for m in ENGINES)}.")
        accepted = ("auto", *APPROXIMATIONS)
        _require(
            approximation in accepted, f"approximation={approximation!r}; accepted: {', '.join(map(repr, accepted))}."
        )
        _require(
            method != "joint" or approximation == "auto",
            f'approximation={approximation!r}: method="joint" approximates nothing. Accepted with it: "auto".',
        )
        _require(
            self.analysed.marginal.analysis.exact or self.analysed.marginal.hyper.working_size > 0,
            'solver="iterative": there is no hyperparameter to find, so that nothing says how large its error is. '
            'Accepted: solver="direct".',
        )
        _require(
            method == "mode" or self.analysed.marginal.analysis.exact,
            f'method={method!r} with solver="iterative"; accepted: method="mode", which says how large the error of '
            'the solver is, or solver="direct".',
        )
        _require(fallback in (None, "nuts"), f'fallback={fallback!r}; accepted: None or "nuts".')
        for name, least in (("chains", 1), ("draws", 4), ("warmup", 1)):
            value = counts[name]
            fine = (name == "warmup" and value is None) or _is_whole(value, least)
            _require(fine, f"{name}={value!r}; accepted: a whole number of at least {least}.")
        tables.require_interval(interval)
        if method == "joint":
            effects.require_memory(int(counts["chains"]) * int(counts["draws"]), self.analysed.marginal.dim)
        if method != "mode" and not self.chosen_priors.proper_theta:
            pairs = zip(self.design.parameters, self.chosen_priors.theta, strict=True)
            flat = [parameter.names[0] for parameter, prior in pairs if isinstance(prior, Flat)]
            raise PriorError(
                f"the prior of {', '.join(flat)} is flat, so the posterior may be improper. "
                'Accepted: a proper prior, or method="mode".'
            )
        if method == "mode":
            require_highest(self.design, self.chosen_priors.theta)

    def __copy__(self) -> Model:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Model:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        try:
            return pickling.reduced(self)
        except Exception as error:
            named = self._why_not_pickled()
            if named is None:
                raise
            raise named from error

    def _why_not_pickled(self) -> LgmError | None:
        env, priors = self.inputs.env, self.inputs.priors
        given = {f"`{name}` of the formula": value for name, value in env.items()}
        given |= {f"the prior of `{name}`": value for name, value in priors.items()}
        given |= {f"the family {self.design.family.name}": self.design.family}
        for what, value in given.items():
            try:
                pickling.dumps(value)
            except Exception as error:
                return LgmError(
                    f"{what} cannot be pickled: {error}. Functions are found again by importing them: put it into a "
                    "module (a .py file), or compute its values as a column of the data."
                )
        return None

    def __repr__(self) -> str:
        return text.model_text(self.design, self.priors)

    def _repr_html_(self) -> str:
        return text.model_html(self.design, self.priors)


def _begin(post: Marginal, chosen: Engine) -> None:
    """Begin to compile what a run and its tables will call, unless that has begun."""
    begin(post, [*chosen.programs(post), *effects.programs(post, chosen.expected(post))])


def _require(fine: bool, message: str) -> None:
    if not fine:
        raise LgmError(message)


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and int(value) >= least
