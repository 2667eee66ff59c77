"""One tree of errors and one of warnings."""

import inspect
import warnings

import pandas as pd
import pytest

import lgm
from lgm import errors

CLASSES = [found for _, found in inspect.getmembers(errors, inspect.isclass)]
ERRORS = [found for found in CLASSES if not issubclass(found, Warning)]


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: e.__name__)
def test_one_clause_catches_every_error(error: type[Exception]) -> None:
    with pytest.raises(lgm.LgmError, match="why"):
        raise error("why")
    assert getattr(lgm, error.__name__, error) is error


@pytest.mark.parametrize("warning", [w for w in CLASSES if issubclass(w, Warning)], ids=lambda w: w.__name__)
def test_one_filter_silences_every_warning(warning: type[Warning]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", errors.LgmWarning)
        warnings.warn("why", warning, stacklevel=1)
    assert caught == []
    assert issubclass(warning, UserWarning)  # shown unless told otherwise
    assert getattr(lgm, warning.__name__) is warning


def test_what_python_programmers_catch_works_too() -> None:
    for error in (lgm.FormulaError, lgm.DataError, lgm.PriorError, lgm.IdentifiabilityError):
        assert issubclass(error, ValueError)
    assert issubclass(errors.NotPositiveDefiniteError, ArithmeticError)


def test_a_warning_names_the_line_that_called_lgm_from_whatever_depth() -> None:
    weighted = {"from": ["a", "b"], "to": ["b", "c"], "weight": [1.0, 2.0]}
    data = {"y": [0.1, 0.5, 0.2, 0.9], "r": ["a", "b", "c", "a"], "x": [1.0, None, 0.0, 2.0]}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        lgm.graph(pd.DataFrame(weighted))  # near
        lgm.model("y ~ x + icar(r, table)", data, env={"table": pd.DataFrame(weighted)})  # deep inside
    said = [str(each.message) for each in caught]
    assert sum("weights of the edges" in text for text in said) == 2 and any("dropped" in text for text in said)
    assert {each.filename for each in caught} == {__file__}
