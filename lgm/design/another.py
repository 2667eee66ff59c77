"""Another response of the same rows: what `lgm.design.answer` reads of a column, from its values alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from lgm.arrays import FloatArray
from lgm.data.table import is_number
from lgm.design.answer import CLOSE
from lgm.design.design import Design, require_taken
from lgm.errors import DataError
from lgm.words import listed


def with_response(design: Design, values: Any) -> Design:
    """The same design for another response of the rows that have one.

    Parameters
    ----------
    design : Design
    values : array
        As what stands before ``~`` in the formula: for each row with a response, or for each row of the data, where
        those of other rows are not looked at. Successes are of the same trials. Categories are labels, or the numbers
        that stand for them.

    Raises
    ------
    DataError
        Of another length, or not what the family takes.
    """
    refuse_censored(design)
    response = replace(design.response, value=_numbers(design, _observed(design, values)))
    offset, labels = design.predictor.offset, design.seen.frame.index
    require_taken(design.formula, design.family, response, offset, labels)
    return replace(design, answer=replace(design.answer, response=response))


def refuse_censored(design: Design) -> None:
    """Raise where responses are censored: no model says where others would be."""
    if design.response.censored is not None:
        raise DataError(
            f"the response `{design.formula.response.text}` is censored, and the model does not say where another one "
            "would be. Accepted: a model of a response that is not censored, or the data with other codes, as in "
            "fit.update(data=...)."
        )


def _observed(design: Design, values: Any) -> pd.Series:
    """The values of the rows with a response."""
    rows, column = design.rows, pd.Series(np.asarray(values) if not isinstance(values, pd.Series) else values)
    if column.size == design.n:
        found = column
    elif column.size == len(rows.index):
        found = column.iloc[rows.kept[rows.observed]]
    else:
        whole = "" if len(rows.index) == design.n else f", or for each of the {len(rows.index)} rows of the data"
        raise DataError(
            f"the other response has {column.size} values; accepted: one for each of the {design.n} rows with a "
            f"response{whole}."
        )
    missing = int(found.isna().sum())
    if missing:
        raise DataError(
            f"the other response is missing in {missing} of the {design.n} rows with a response. Accepted: values for "
            "all of them, or the data with fewer responses, as in fit.update(data=...)."
        )
    return found


def _numbers(design: Design, column: pd.Series) -> FloatArray:
    answer, what = design.answer, f"the other response of `{design.formula.response.text}`"
    if answer.categories and not (is_number(column) and not pd.api.types.is_bool_dtype(column.dtype)):
        places = {label: answer.first + i for i, label in enumerate(answer.categories)}
        unknown = [value for value in column.unique().tolist() if str(value) not in places]
        if unknown:
            raise DataError(f"{what} has {unknown[0]!r}; accepted: {listed(list(answer.categories))}.")
        return np.array([places[str(value)] for value in column], dtype=float)
    if not is_number(column):
        raise DataError(f"{what} is not numeric; accepted: numbers.")
    found = column.to_numpy(dtype=float)
    if not np.all(np.isfinite(found)):
        raise DataError(f"{what} has values that are not finite; accepted: numbers.")
    if answer.categories:
        last = answer.first + len(answer.categories) - 1
        wrong = found[(found != np.floor(found)) | (found < answer.first) | (found > last)]
        if wrong.size:
            raise DataError(f"{what} has {wrong[0]:g}; accepted: whole numbers from {answer.first} to {last}.")
    if not answer.share:
        return found
    trials = np.asarray(design.response.trials)
    successes = np.round(found * trials)
    wrong = np.abs(found * trials - successes) > CLOSE
    if wrong.any():
        raise DataError(f"{what} has {found[wrong][0]:g}; accepted: shares of the trials, which are the weights.")
    return successes
