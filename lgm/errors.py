"""The errors and warnings of lgm: one tree, so that ``except lgm.LgmError`` catches all of them."""

from __future__ import annotations

import sys
import warnings


class LgmError(Exception):
    """Root of every error that lgm raises on purpose."""


class FormulaError(LgmError, ValueError):
    """The formula cannot be read; the message marks the place and says what is accepted."""


class DataError(LgmError, ValueError):
    """The data do not fit the formula; the message names the column, level or rows."""


class PriorError(LgmError, ValueError):
    """A prior is given for something that the model does not have, or is of the wrong kind."""


class IdentifiabilityError(LgmError, ValueError):
    """Two parts of the model cannot be told apart by these data."""


class NotPositiveDefiniteError(LgmError, ArithmeticError):
    """A matrix that must be positive definite is not; never raised from traced code."""


class MissingPackageError(LgmError, ImportError):
    """What was asked for needs a package that cannot be imported here; the message says which and how to get it."""


class LgmWarning(UserWarning):
    """Root of every warning that lgm gives."""


class DataWarning(LgmWarning):
    """Something in the data was handled in a way that the user should know about."""


class IdentifiabilityWarning(LgmWarning):
    """The data say little about a parameter, so its posterior is mostly its prior."""


class PredictionWarning(LgmWarning):
    """A prediction rests on something that the data did not show."""


class ConvergenceWarning(LgmWarning):
    """The draws should not be trusted yet; the message says what to do next."""


def warn(text: str, category: type[Warning]) -> None:
    """Warn about the line outside of lgm that led here, however deep in lgm this is."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "lgm":
        level, frame = level + 1, frame.f_back
    warnings.warn(text, category, stacklevel=level)
