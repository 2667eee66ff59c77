"""A model inside other people's models and samplers: densities of theta that JAX traces, and effects given theta."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from lgm.design.another import refuse_censored, with_response
from lgm.errors import LgmError
from lgm.inference import forked, keys
from lgm.inference.compile import jit
from lgm.inference.log_density import LogDensity, require_names, require_x64
from lgm.posterior import density
from lgm.posterior.assemble import Analysed, analyse, every_row
from lgm.posterior.density import Marginal
from lgm.posterior.every_row import EveryRow
from lgm.posterior.priors import starts
from lgm.results import given_theta, tables
from lgm.xla import own_settings

if TYPE_CHECKING:
    from lgm.design.design import Design
    from lgm.model import Model


class Embedding:
    """Methods of a model."""

    def log_density(self, theta: Mapping[str, Any], *, y: Any = None, offset: Any = None) -> Any:
        """``log p(y | theta) + log p(theta)``, with u integrated out: a density of theta as it is printed.

        Arguments as for `log_likelihood`; the prior of theta has no Jacobian. `logdensity_fn` is for samplers that move
        on the whole real line.

        Returns
        -------
        float, or a traced scalar
            -inf where it is undefined.
        """
        return self._evaluated(_density, theta, y, offset)

    def log_likelihood(self, theta: Mapping[str, Any], *, y: Any = None, offset: Any = None) -> Any:
        """``log p(y | theta)`` with u integrated out; with flat fixed effects this is the REML log likelihood.

        Exact for a Gaussian response, else Laplace's approximation. It is a part for models of your own, such as
        NumPyro's: ``numpyro.factor("y", model.log_likelihood(theta))``; `draw_effects` finds u afterwards.

        Parameters
        ----------
        theta : mapping
            A value for every hyperparameter by name. Values that JAX traces are welcome, here and below, so that
            ``jax.grad``, ``jax.jit`` and ``jax.vmap`` go through; JAX must then be in x64 mode.
        y : float array (n,), optional
            Another response, as for `with_response`, such as a transformed one, whose Jacobian is yours to add. Traced
            ones are numbers of the family, and nothing checks them.
        offset : float array (n,), optional
            Added to the linear predictor, for each row with a response or for each row of the data: any function of
            parameters that stand outside of the formula.

        Returns
        -------
        float, or a traced scalar

        Raises
        ------
        LgmError, DataError
            For other names, other shapes, or a response that the family does not take.

        Examples
        --------
        >>> import jax, lgm
        >>> model = lgm.model("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"))
        >>> with jax.enable_x64(True):
        ...     slope = jax.grad(lambda sd: model.log_likelihood({"sd(Intercept|Batch)": sd, "sigma": 50.0}))(40.0)
        >>> round(float(slope), 5)
        0.00672

        A mean that is not linear in its parameter, with hyperparameters under priors of one's own:

        >>> import numpy as np, numpyro, numpyro.distributions as dist
        >>> from numpyro.infer import MCMC, NUTS
        >>> sleep = lgm.load_dataset("sleepstudy")
        >>> model = lgm.model("Reaction ~ 1 + (1|Subject)", sleep)
        >>> days = sleep["Days"].to_numpy()
        >>> def reaction():
        ...     theta = {name: numpyro.sample(name, dist.HalfNormal(50.0)) for name in model.design.theta_names}
        ...     power = numpyro.sample("power", dist.LogNormal(0.0, 0.3))
        ...     numpyro.factor("y", model.log_likelihood(theta, offset=10.0 * days**power))
        >>> with jax.enable_x64(True):
        ...     mcmc = MCMC(NUTS(reaction), num_warmup=50, num_samples=50, progress_bar=False)
        ...     mcmc.run(jax.random.key(1))
        ...     draws = {name: np.asarray(values) for name, values in mcmc.get_samples(group_by_chain=True).items()}
        >>> bool(abs(draws["power"].mean() - 1.0) < 0.1)
        True
        >>> thetas = {name: draws[name] for name in model.design.theta_names}
        >>> effects = model.draw_effects(thetas, offset=10.0 * days ** draws["power"][..., None], seed=1)
        >>> dict(effects["Intercept|Subject"].sizes)
        {'chain': 1, 'draw': 50, 'Subject': 18}
        """
        return self._evaluated(_likelihood, theta, y, offset)

    def logdensity_fn(self) -> LogDensity:
        """The log posterior of the hyperparameters as a function of one vector without bounds, with the maps back.

        For BlackJAX and for samplers of your own. All effects are integrated out; `draw_effects` finds them.

        Returns
        -------
        LogDensity

        Examples
        --------
        >>> import jax, lgm
        >>> model = lgm.model("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"))
        >>> density = model.logdensity_fn()
        >>> with jax.enable_x64(True):
        ...     slopes = jax.grad(density)(density.start)
        >>> slopes.shape, sorted(density.theta(density.start))
        ((2,), ['sd(Intercept|Batch)', 'sigma'])
        """
        m = cast("Model", self)
        post, names = m.analysed.marginal, m.design.theta_names
        with own_settings():
            start = np.asarray(post.hyper.working(jnp.asarray(starts(m.design, m.chosen_priors.theta))))
        return LogDensity(post, start, tuple(names))

    def draw_effects(
        self,
        thetas: Mapping[str, Any],
        *,
        y: Any = None,
        offset: Any = None,
        term: str | None = None,
        levels: Any = None,
        seed: int | None = None,
        progress: bool = False,
    ) -> xr.Dataset:
        """A draw of the effects from ``p(u | y, theta)`` for each theta, such as those of a sampler of your own.

        The law is that of the effects of a fit. Where the response is not Gaussian effects are drawn around Laplace's
        approximation and weighted, and what that approximation lacks of ``log p(y | theta)`` comes back as
        ``log_weight``: draws of theta by `log_likelihood`, weighted by its exponential, are exact together with their
        effects.

        Parameters
        ----------
        thetas : mapping
            Draws of every hyperparameter by name, of one shape: (draws,) or (chains, draws).
        y, offset : float arrays, optional
            As for `log_likelihood`: (n,), or for each theta its own, (draws, n) or (chains, draws, n).
        term : str, optional
            A term, one of its effects, or a group, as in `Fit.ranef`; by default all.
        levels : list, optional
            Labels as in the tables; by default all.
        seed : int, optional
            By default a fresh one; it is among the attributes of the result.
        progress : bool
            Whether work of more than two seconds shows a bar.

        Returns
        -------
        xarray.Dataset
            By chain and draw: the fixed effects, the effects of the terms under the names and labels of
            ``fit.posterior``, and ``log_weight``, if any.

        Raises
        ------
        LgmError
            For other names or shapes, or where the draws would take more than 1 GB.

        Examples
        --------
        >>> import numpy as np, lgm
        >>> model = lgm.model("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"))
        >>> thetas = {"sd(Intercept|Batch)": np.full(100, 40.0), "sigma": np.full(100, 50.0)}
        >>> list(model.draw_effects(thetas, seed=1))
        ['Intercept', 'Intercept|Batch']
        """
        m = cast("Model", self)
        forked.refuse()
        names = m.design.theta_names
        require_names(thetas, names)
        if not names:
            raise LgmError(
                "this model has no hyperparameters, of which effects could be drawn; model.fit() draws them."
            )
        columns = [np.asarray(thetas[name], dtype=float) for name in names]
        shapes = {column.shape for column in columns}
        if len(shapes) != 1 or not 1 <= columns[0].ndim <= 2 or not columns[0].size:
            raise LgmError(
                f"the draws of theta have the shapes {', '.join(map(str, sorted(shapes)))}; accepted: one shape for "
                "all, (draws,) or (chains, draws)."
            )
        printed = np.stack([np.atleast_2d(column) for column in columns], axis=-1)
        chosen = [each for each in m.design.predictor.printed() if tables.is_named(term, each)]
        if not chosen and term is not None:
            raise tables.unknown_term(term, m.design)
        lead = columns[0].shape
        own_y, own_offset = self._per_row(y, "y", lead), self._per_row(offset, "offset", lead)
        rows = None if y is None and offset is None else self._rows
        with own_settings():
            natural = np.asarray(m.analysed.marginal.hyper.from_printed(printed))
        given = given_theta.Given(natural, rows, own_y, own_offset)
        parts = [(each, tables.places(each, levels)) for each in chosen]
        return given_theta.draws(m.design, m.analysed, given, parts, keys.chosen(seed), progress=progress)

    @cached_property
    def _rows(self) -> EveryRow:
        """The rows with a response in the coordinates of the posterior."""
        m = cast("Model", self)
        with own_settings(), jax.ensure_compile_time_eval():
            return every_row(m.design, m.analysed)

    @cached_property
    def _about_zero(self) -> _AboutZero:
        """The posterior with blocks whose hyperparameters are those that are printed, whatever their size.

        An sd of zero about zero is an ordinary point; about the mean, correlations are then one.
        """
        m = cast("Model", self)
        if not any(term.origin for term in m.design.terms):
            return _AboutZero(m.design, m.analysed)
        terms = tuple(m.design.about_zero(term) for term in m.design.terms)
        priors, design = m.chosen_priors, m.design.with_terms(terms)
        with jax.ensure_compile_time_eval():  # the first call may be a traced one
            centred, solver = priors.centred_intercept, m.inputs.solver
            found = analyse(design, priors.fixed, priors.theta, centred_intercept=centred, solver=solver)
        return _AboutZero(design, found)

    @cached_property
    def _rows_about_zero(self) -> EveryRow:
        with own_settings(), jax.ensure_compile_time_eval():
            return every_row(*self._about_zero)

    def _evaluated(self, function: Callable[..., jax.Array], theta: Mapping[str, Any], y: Any, offset: Any) -> Any:
        """The function inside what traces its arguments, else its compiled form."""
        m = cast("Model", self)
        forked.refuse()
        names = m.design.theta_names
        require_names(theta, names)
        values = [theta[name] for name in names]
        own_y, own_offset = self._per_row(y, "y"), self._per_row(offset, "offset")
        rows = None if y is None and offset is None else self._rows_about_zero
        post, hyper = self._about_zero.analysed.marginal, m.analysed.marginal.hyper
        if any(isinstance(each, jax.core.Tracer) for each in (*values, own_y, own_offset)):
            require_x64()
            at = jnp.stack([jnp.asarray(value, dtype=float) for value in values]) if values else jnp.zeros(0)
            return function(post, at, hyper, rows, own_y, own_offset)
        with own_settings():
            numbers = np.array([float(value) for value in values])
            return float(_compiled[function](post, numbers, hyper, rows, own_y, own_offset))

    def _per_row(self, values: Any, name: str, lead: tuple[int, ...] = ()) -> Any:
        """Numbers for the rows with a response (n,), or (*lead, n); traced ones as they are."""
        if values is None:
            return None
        design = cast("Model", self).design
        if name == "y":
            refuse_censored(design)
        if not isinstance(values, jax.core.Tracer):
            if name == "y" and np.ndim(values) == 1:
                return np.asarray(with_response(design, values).response.value, dtype=float)
            values = np.asarray(values, dtype=float)
        every = len(design.rows.index)
        if np.ndim(values) not in {1, 1 + len(lead)} or np.shape(values)[:-1] not in {(), lead}:
            before = f", or {(*lead, design.n)}" if lead else ""
            raise LgmError(f"{name} has the shape {np.shape(values)}; accepted: ({design.n},){before}.")
        if values.shape[-1] == every and every != design.n:
            values = values[..., design.rows.kept[design.rows.observed]]
        if values.shape[-1] != design.n:
            whole = "" if every == design.n else f", or for each of the {every} rows of the data"
            raise LgmError(
                f"{name} has {values.shape[-1]} values; accepted: one for each of the {design.n} rows with a "
                f"response{whole}."
            )
        if not isinstance(values, jax.core.Tracer) and not np.all(np.isfinite(values)):
            raise LgmError(f"{name} has values that are not finite; accepted: numbers.")
        return values


class _AboutZero(NamedTuple):
    design: Design
    analysed: Analysed


def _likelihood(post: Marginal, theta: jax.Array, hyper: Any, rows: EveryRow | None, y: Any, offset: Any) -> jax.Array:
    there = post if rows is None else density.answering(post, rows, y, offset)
    return density.log_likelihood(there, theta)


def _density(post: Marginal, theta: jax.Array, hyper: Any, rows: EveryRow | None, y: Any, offset: Any) -> jax.Array:
    natural = hyper.from_printed(theta)
    prior = hyper.log_prior(natural) - hyper.log_jacobian_printed(natural)
    value = _likelihood(post, theta, hyper, rows, y, offset) + prior
    return jnp.where(jnp.isfinite(prior) & jnp.isfinite(value), value, -jnp.inf)


_compiled = {function: jit(function) for function in (_likelihood, _density)}
