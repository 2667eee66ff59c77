"""The first pass: what partitions say together, and what they cannot."""

import numpy as np
import pandas as pd
import pytest

from lgm import families
from lgm.data.partitions import in_tree
from lgm.design import survey
from lgm.design.survey import Plan, Survey
from lgm.errors import DataError, LgmError
from lgm.formula.parse import parse
from lgm.terms import TERMS

FRAME = pd.DataFrame(
    {
        "y": [1.0, 2.0, None, 4.0, 5.0, 7.0],
        "x": [1.0, None, 3.0, 4.0, 2.0, 6.0],
        "f": ["b", "a", "c", "b", "a", "b"],
        "t": [1, 1, 2, 2, 1, 3],
        "w": [1.0, 1.0, 1.0, 2.0, 4.0, 8.0],
    }
)


def _survey(source: str, cuts=(2, 2, 4), frame=FRAME, weights=None, missing="drop") -> Survey:
    formula = parse(source, tuple(TERMS))
    names = tuple(frame.columns)
    needed = tuple(name for name in names if name in source.partition("~")[2])
    plan = Plan(formula, families.find("gaussian"), {"np": np}, names, needed, ("y",), weights, missing)
    parts = [frame.iloc[a:b] for a, b in zip([0, *cuts], [*cuts, len(frame)], strict=True)]
    return in_tree((survey.survey(plan, part, i) for i, part in enumerate(parts)), lambda a, b: a + b)


@pytest.mark.parametrize("cuts", [(), (1,), (2, 2, 4), (1, 2, 3, 4, 5)], ids=str)
def test_partitions_say_what_the_whole_says(cuts):
    found = _survey("y ~ x + f + (1|t) + s(t) + scale(x)", cuts, weights="w")
    assert (found.rows, found.incomplete, found.n) == (6, 1, 4)
    assert found.missing == {"x": 1, "f": 0, "t": 0}
    used = FRAME.dropna()
    assert (found.answer.mean, found.answer.low, found.answer.high) == (used["y"].mean(), 1.0, 7.0)
    np.testing.assert_allclose(found.log_weights.mean, np.log(used["w"]).mean())
    times = found.witnesses["term s(t)"]
    assert dict(zip(times.values[0], times.counts, strict=True)) == {1: 2.0, 2: 1.0, 3: 1.0}
    assert set(found.witnesses["factor f"].values[0]) == {"a", "b"}  # the row with c has no response
    np.testing.assert_allclose(found.memory()["scale(x)"][0]["center"], used["x"].mean())
    assert len(found.sample) == 4


def test_the_sample_is_spread_over_all_partitions(monkeypatch):
    monkeypatch.setattr(survey, "SAMPLE", 4)
    many = pd.DataFrame({"y": np.arange(64.0), "x": np.arange(64.0)})
    found = _survey("y ~ x", tuple(range(4, 64, 4)), many)
    assert len(found.sample) == 4
    assert np.array_equal(found.sample["x"], found.outcomes[0])
    assert np.ptp(found.sample["x"]) == 63.0


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("y ~ x.rank()", "`x.rank\\(\\)` is computed from all rows at once"),
        ("y ~ scale(x.rank())", "`scale\\(x.rank\\(\\)\\)` is computed from all rows at once"),
        ("y ~ s(x.cumsum())", "`x.cumsum\\(\\)` is computed from all rows at once"),
        ("y ~ I(x - x.mean())", "`I\\(x - x.mean\\(\\)\\)` needs a number of all rows.*`center\\(x\\)`"),
        ("y ~ bs(x, df=4)", "`bs\\(x, df=4\\)` learns from all rows at once"),
        ("y ~ scale(center(x))", "transforms what another transformation learns"),
        ("y ~ np.log(x - 2)", "`np.log\\(x - 2\\)` is not finite in 1 of"),
        ("scale(y) ~ x", "the response `scale\\(y\\)` learns from all rows"),
    ],
)
def test_what_partitions_cannot_say(source, message):
    with pytest.raises(LgmError, match=message):
        _survey(source)


def test_too_many_values(monkeypatch):
    monkeypatch.setattr(survey, "MOST_VALUES", 2)
    with pytest.raises(DataError, match=r"`t` in s\(t\) has more than 2 distinct values.*`np.round\(t, 2\)`"):
        _survey("y ~ s(t)")


def test_missing_values_can_be_refused():
    with pytest.raises(DataError, match=r"values are missing in \[?'?`x` \(1\)"):
        _survey("y ~ x", missing="error")
