"""A user's own term in its simplest form: columns, and the precision of their coefficients."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from lgm import linalg
from lgm.data.scope import Scope
from lgm.data.table import is_number
from lgm.errors import LgmError
from lgm.formula.python import Expression
from lgm.formula.sides import Call
from lgm.parameter import standard_deviation
from lgm.pattern import Pattern
from lgm.precision.iid import Iid
from lgm.precision.intrinsic import Intrinsic
from lgm.precision.template import Template
from lgm.terms.block import Block
from lgm.terms.term import Encoded, Signature, Term, Variable, arguments
from lgm.terms.view import Curve, Levels, View
from lgm.words import counted
from lgm.xla import own_settings


@dataclass(frozen=True)
class ColumnsTerm(Term):
    """Coefficients of columns that a function makes, ``b ~ N(0, sd^2 R^-1)``."""

    label: str
    function: Callable[..., Any]
    piece: Expression
    others: tuple[Expression, ...]
    options: Mapping[str, Any]
    numeric: bool
    z: sp.csc_array
    block: Block

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The coefficients."""
        n = self.block.n
        return (Variable(self.label, np.arange(n), f"{self.label}_basis", np.arange(1, n + 1)),)

    @property
    def view(self) -> View:
        """A curve over the range of its variable, if it has one and that is numeric."""
        return Curve(self.piece) if self.numeric and not self.others else Levels()

    @property
    def size(self) -> str:
        """Number of columns."""
        return counted(self.block.n, "column")

    def encode(self, scope: Scope) -> Encoded:
        """The columns at other rows."""
        z = _columns(self.function, scope, (self.piece, *self.others), self.options, self.label)
        if z.shape[1] != self.block.n:
            found = counted(z.shape[1], "column")
            raise LgmError(f"{self.label} has {found} at these rows, and {self.block.n} in the fit.")
        return Encoded(z)


@dataclass(frozen=True)
class Custom:
    """A term from two functions; `custom` makes it."""

    columns: Callable[..., Any]
    precision: Callable[..., Any] | None
    signature: Signature

    def __call__(self, call: Call, scope: Scope, label: str, yardstick: float) -> ColumnsTerm:
        """Read a call against the data."""
        given = arguments(call, scope, self.signature)
        pieces = tuple(given[name] for name in self.signature.variables)
        options = {name: scope.value(given[name]) for name in self.signature.options if name in given}
        z = _columns(self.columns, scope, pieces, options, label)
        if z.shape[1] == 0:
            raise LgmError(f"{label} has no columns.")
        block = Block(self._template(z.shape[1], options, label), (standard_deviation(label, yardstick),))
        numeric = is_number(scope.column(pieces[0], f"the variable of {label}"))
        return ColumnsTerm(label, self.columns, pieces[0], pieces[1:], options, numeric, z, block)

    def _template(self, n: int, options: Mapping[str, Any], label: str) -> Template:
        if self.precision is None:
            return Iid(n)
        known = inspect.signature(self.precision).parameters
        matrix = sp.csc_array(self.precision(n, **{k: v for k, v in options.items() if k in known}), dtype=float)
        what = f"the precision of {label}"
        if matrix.shape != (n, n):
            raise LgmError(f"{what} is {matrix.shape[0]} x {matrix.shape[1]}, but there are {counted(n, 'column')}.")
        skew = abs(matrix - matrix.T)
        if not np.all(np.isfinite(matrix.data)) or skew.max() > 1e-10 * abs(matrix).max():
            raise LgmError(f"{what} is not a symmetric matrix of finite numbers.")
        pattern = Pattern.of(matrix)
        entries = pattern.values(matrix)
        with own_settings():
            log_det = float(linalg.logdet(linalg.analyse(pattern), entries))
        if not np.isfinite(log_det):
            raise LgmError(
                f"{what} is not positive definite. A singular one needs a term with a Constraint of its own, as "
                "lgm/terms/seasonal.py."
            )
        return Intrinsic(entries, np.float64(log_det), pattern)


def custom(columns: Callable[..., Any], precision: Callable[..., Any] | None = None) -> Custom:
    """A term from its columns and the precision of their coefficients, for `lgm.register_term`.

    Parameters
    ----------
    columns : callable
        ``columns(x, ..., *, option=default, ...)``: an array (rows, n), dense or sparse, from the variables of the
        call, each an array (rows,). Its arguments without a keyword are the variables, which show in the term's name;
        those by keyword are options. It is called again for other rows, and row i may depend on row i only.
    precision : callable, optional
        ``precision(n, *, option=default, ...)``: R (n, n), dense or sparse, symmetric and positive definite, where
        the coefficients have the precision ``R / sd^2``; by default they are independent. Options of the call that it
        has a keyword for are handed to it.

    Returns
    -------
    Custom
        What `lgm.register_term` takes.

    Raises
    ------
    LgmError
        If the arguments are no functions of that kind.

    Notes
    -----
    The default prior of ``sd`` expects that ``z'R^-1 z`` is about one in a typical row z, so that sd is the size of a
    typical contribution to the linear predictor.

    Examples
    --------
    Waves of the year, the faster the smaller:

    >>> import lgm, numpy as np
    >>> def waves(day, *, k=3):
    ...     turns = 2 * np.pi * np.outer(day, np.arange(1, k + 1)) / 365.25
    ...     return np.hstack([np.cos(turns), np.sin(turns)])
    >>> def fading(n, *, k=3):
    ...     return np.diag(np.tile(np.arange(1.0, k + 1) ** 4, 2))
    >>> lgm.register_term("waves", lgm.terms.custom(waves, fading))
    >>> data = {"y": [1.0, 2.0, 0.5, 1.5, 3.0, 2.5], "day": [1, 60, 120, 180, 240, 300]}
    >>> lgm.model("y ~ waves(day, k=2)", data).design.theta_names
    ('sd(waves(day))', 'sigma')
    """
    for what, function in (("columns", columns), ("precision", precision)):
        if not (callable(function) or (function is None and what == "precision")):
            raise LgmError(f"{what}={function!r} of a term; accepted: a function.")
    return Custom(columns, precision, _signature(columns))


def _signature(columns: Callable[..., Any]) -> Signature:
    variables: list[str] = []
    options: list[str] = []
    for name, parameter in inspect.signature(columns).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise LgmError(f"the columns of a term are a function of `{parameter}`; accepted: arguments with names.")
        (options if parameter.kind is parameter.KEYWORD_ONLY else variables).append(name)
    if not variables:
        raise LgmError("the columns of a term are a function of nothing; accepted: columns(x), columns(x, z), ...")
    return Signature(tuple(variables), options=tuple(options))


def _columns(
    function: Callable[..., Any],
    scope: Scope,
    pieces: tuple[Expression, ...],
    options: Mapping[str, Any],
    label: str,
) -> sp.csc_array:
    """What the function makes of some rows.

    Raises
    ------
    LgmError
        If it fails, or does not give a row of finite numbers for each row.
    """
    values = [scope.column(piece, f"a variable of {label}").to_numpy() for piece in pieces]
    try:
        found = function(*values, **options)
        found = found if sp.issparse(found) else np.asarray(found, dtype=float)
    except LgmError:
        raise
    except Exception as error:
        raise LgmError(f"the columns of {label} cannot be computed: {type(error).__name__}: {error}") from error
    if found.ndim != 2 or found.shape[0] != scope.n:
        shape = f"have the shape {found.shape}"
        raise LgmError(f"the columns of {label} {shape}; accepted: a row for each of {scope.n} rows.")
    z = sp.csc_array(found)
    if not np.all(np.isfinite(z.data)):
        raise LgmError(f"the columns of {label} are not finite in some rows.")
    return z
