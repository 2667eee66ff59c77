"""Bad input: each mistake has its class of error, and a message that names the piece and says what is accepted.

The messages are quoted as a user reads them. What a term or a frame does with good input is tested beside its module.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from random import Random
from typing import Any

import fuzz
import numpy as np
import pandas as pd
import pytest

import lgm
from lgm import DataError, FormulaError, IdentifiabilityError, IdentifiabilityWarning, LgmError, PriorError
from lgm.design.design import encode
from lgm.terms import TERMS as REGISTERED

N = 24


def _data() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    x, z = rng.normal(size=(2, N))
    return pd.DataFrame(
        {
            "y": rng.normal(size=N),
            "x": x,
            "z": z,
            "double": 2 * x + 1,
            "both": x - z,
            "g": np.repeat(list("abcdef"), 4),
            "h": np.tile(list("uvw"), 8),
            "region": np.tile(["n", "s", "e", "w"], 6),
            "t": np.arange(N),
            "two": np.arange(N) % 2,
            "three": 3.0,
            "one": "k",
            "row": np.arange(N),
            "flag": np.arange(N) % 2 == 0,
            "text": [str(i) for i in range(N)],
            "date": pd.date_range("2020-01-01", periods=N),
            "log": rng.uniform(1, 2, N),
            "body mass": rng.normal(size=N),
            "Sepal.Length": rng.normal(size=N),
        }
    )


DATA = _data()
EDGES = [("n", "e"), ("e", "s"), ("s", "w")]


def _message(error: type[LgmError], formula: Any, data: Any = None, **arguments: Any) -> str:
    with pytest.raises(error) as caught:
        lgm.model(formula, DATA if data is None else data, **arguments)
    assert type(caught.value) is error
    assert isinstance(caught.value, ValueError)
    return str(caught.value)


def _check(error: type[LgmError], marked: str, *parts: str, data: Any = None, **arguments: Any) -> None:
    """The parts are in the message in their order; what stands between > and < is marked below the formula."""
    formula = marked.replace(">", "").replace("<", "")
    message = _message(error, formula, data, **arguments)
    assert re.search(".*".join(map(re.escape, parts)), message, re.DOTALL), message
    if ">" in marked:
        start, stop = marked.index(">"), marked.index("<") - 1
        assert ["    " + formula, "    " + " " * start + "^" * (stop - start)] == message.split("\n")[1:3], message


NOT_A_COLUMN = "is not a column of the data, and no such name is in reach."
COLUMNS = (
    "Accepted: a column of the data (y, x, z, double, both, g, h, region, t, two, three, one, ...), or a name in `env`"
)
FUNCTION = "nor is there a function of that name."
TERMS = f"The terms are {', '.join(f'`{name}`' for name in sorted(REGISTERED))}."
NUMERIC = "but it must be numeric."

FORMULAS: list[tuple[type[LgmError], str, list[str]]] = [
    # Names
    (FormulaError, "y ~ >xx< + (1|g)", [f"`xx` {NOT_A_COLUMN} Did you mean `x`?", COLUMNS]),
    (FormulaError, ">yy< ~ x", [f"`yy` {NOT_A_COLUMN}"]),
    (FormulaError, "y ~ log(>xx<)", [f"`xx` {NOT_A_COLUMN}"]),
    (FormulaError, "y ~ (1|g/>hh<)", [f"`hh` {NOT_A_COLUMN} Did you mean `h`?"]),
    (FormulaError, "y ~ (>zz<|g)", [f"`zz` {NOT_A_COLUMN}"]),
    (FormulaError, "y ~ s(>zz<)", [f"`zz` {NOT_A_COLUMN}"]),
    (FormulaError, "y ~ x + offset(>zz<)", [f"`zz` {NOT_A_COLUMN}"]),
    (FormulaError, "y ~ >`body mas`<", [f"`body mas` {NOT_A_COLUMN} Did you mean `body mass`?"]),
    (FormulaError, "y ~ (1|>id<)", [f"`id` {NOT_A_COLUMN}"]),
    (FormulaError, "y ~ log(>id<)", [f"`id` {NOT_A_COLUMN}"]),
    (FormulaError, "y ~ >scale<", [f"`scale` {NOT_A_COLUMN}"]),
    (FormulaError, "y ~ >pytest<", ["`pytest` is not a column of the data, and outside it is a function or module."]),
    (FormulaError, "y ~ >foo<(x)", [f"lgm has no term `foo()`, {FUNCTION} {TERMS}"]),
    (FormulaError, "y ~ s(>foo<(x))", [f"lgm has no term `foo()`, {FUNCTION} {TERMS}"]),
    (FormulaError, "y ~ (1|>foo<(g))", [f"lgm has no term `foo()`, {FUNCTION} {TERMS}"]),
    (FormulaError, "y ~ >me<(x, 0.1)", [f"lgm has no term `me()`, {FUNCTION} A covariate that is measured", TERMS]),
    (FormulaError, "y ~ >te(x)<", ["te(x) is a product of one variable.", "te(x, z), or s(x) for a smooth of one"]),
    (DataError, "y ~ s(x, z, bs='fs')", ["s(x, z): bs='fs' has a curve for each level of one factor, and none of"]),
    (FormulaError, "y ~ >f<(t)", ['INLA\'s `f(x, model="rw1")` is written with the name of the model as the call']),
    # The formula itself; tests/test_formula.py has all of these
    (FormulaError, "", ["The formula is empty.", "Accepted: a response, one `~` and terms"]),
    (FormulaError, "y x", ["There is no `~` in this formula."]),
    (FormulaError, "y ~ >sqrt<(t)", [f"lgm has no term `sqrt()`, {FUNCTION} NumPy's is written `np.sqrt()`."]),
    (FormulaError, "y ~ I(>t^2<)", ["`^` is Python's exclusive or.", "Accepted: `**` for a power, as in `I(x**2)`"]),
    (FormulaError, "y ~ x + >(<1|g", ["This bracket is never closed."]),
    (FormulaError, "y ~ >s(x<", ["This is never closed; ) is missing."]),
    (FormulaError, "y ~ x >|< g", ["This bar stands outside parentheses.", "in parentheses: `(1 | g)`"]),
    (FormulaError, "y ~ >.<", ["`.` is not available.", "Accepted: the columns by name."]),
    (FormulaError, "y ~ >y<", ["The response `y` is among the predictors too."]),
    (FormulaError, "y ~ (>x + y<|g)", ["The response `y` is among the predictors too."]),
    (FormulaError, "y ~ (1|g:>y<)", ["The response `y` is among the predictors too."]),
    (FormulaError, "y ~ s(>y<)", ["The response `y` is among the predictors too."]),
    (FormulaError, "`body mass` ~ >`body mass`<", ["The response `body mass` is among the predictors too."]),
    (
        FormulaError,
        "y ~ x + >date.dt.day<",
        [f"`date.dt.day` {NOT_A_COLUMN}", "Python is written in braces: `{date.dt.day}`."],
    ),
    (FormulaError, "y ~ >Sepal.Width<", [f"`Sepal.Width` {NOT_A_COLUMN} Did you mean `Sepal.Length`?"]),
    (FormulaError, "y ~ (1 | >date.dt.day<)", ["Python is written in braces: `{date.dt.day}`."]),
    (FormulaError, "y ~ >s(x.1)<", ["A column called `x.1` is written in backticks."]),
    (
        DataError,
        "y ~ icar(region, >h<)",
        ["icar(region): `h` is a column of the data, and those come before other names."],
    ),
    (FormulaError, "y ~ >`nº`<", [f"`nº` {NOT_A_COLUMN}"]),
    # The same term twice
    (FormulaError, "y ~ (1|g) + >(1|g)<", ["`(1 | g)` is written twice.", "each term once"]),
    (FormulaError, "y ~ (1|g/h) + >(1|g)<", ["`(1 | g)` is written twice."]),
    (FormulaError, "y ~ (1|g) + >(x|g)<", ["The effect `Intercept|g` is in two terms", "(1 | g) + (0 + x | g)"]),
    (FormulaError, "y ~ rw1(t) + >rw1( t )<", ["`rw1(t)` is written twice."]),
    # Values that cannot be what they should be
    (DataError, "y ~ s(>g<)", [f"the variable of s(g) `g` holds text, {NUMERIC}", "converted by astype(float)"]),
    (DataError, "y ~ s(>flag<)", [f"`flag` holds booleans, {NUMERIC} Booleans are factors"]),
    (DataError, "y ~ ar1(>date - date.min()<)", ["holds durations. Write their days", "numbers, dates, or periods of"]),
    (DataError, "y ~ >date<", ["`date` holds dates, which cannot be a predictor. Write `C(date)` for a factor, or"]),
    (DataError, "y ~ >{date - date.min()}<", ["holds durations, which cannot be a predictor.", "numbers, text,"]),
    (DataError, "y ~ offset(>text<)", [f"the offset `text` holds text, {NUMERIC}"]),
    (DataError, ">text< ~ x", [f"the response `text` holds text, {NUMERIC}", "converted by astype(float)"]),
    (DataError, ">flag< ~ x", [f"the response `flag` holds booleans, {NUMERIC}"]),
    (DataError, ">date< ~ x", [f"the response `date` holds dates, {NUMERIC}"]),
    (DataError, ">C(g)< ~ x", [f"the response `C(g)` holds text, {NUMERIC}"]),
    (FormulaError, ">poly(x,2)< ~ z", ["the response `poly(x,2)` is an array of shape (24, 2).", "one value for each"]),
    (FormulaError, "y ~ >np.ones(5)<", ["`np.ones(5)` is an array of 5 values.", "each of the 24 rows in use"]),
    (FormulaError, "y ~ 0 + >{5}<", ["`5` is a single value, 5.", "one value for each of the 24 rows in use"]),
    (FormulaError, "y ~ >{x.mean()}<", ["is a single value", "one value for each of the 24 rows in use"]),
    (FormulaError, "y ~ offset(>3<)", ["the offset `3` is a single value, 3."]),
    (FormulaError, "y ~ (1|>np.ones(5)<)", ["the grouping factor `np.ones(5)` is an array of 5 values."]),
    (FormulaError, "y ~ (>np.ones(5)<|g)", ["`np.ones(5)` is an array of 5 values."]),
    (FormulaError, "y ~ s(>x.foo<)", ["`x.foo` cannot be evaluated: AttributeError:"]),
    (FormulaError, "y ~ z + >{x / 'a'}<", ["`x / 'a'` cannot be evaluated: ", "Error:"]),
    (FormulaError, "y ~ (z + >{x / 'a'}<|g)", ["`x / 'a'` cannot be evaluated: "]),
    (FormulaError, "y ~ z + >I(exit())<", ["`I(exit())` cannot be evaluated: RuntimeError: it raises SystemExit."]),
    (FormulaError, "y ~ s(>exit(3)<)", ["`exit(3)` cannot be evaluated: RuntimeError: it raises SystemExit."]),
    (FormulaError, "y ~ z + >C(bs(x), z)<", ["`C(bs(x), z)` is a factor of several columns."]),
    (FormulaError, ">{y, +1}< ~ z", ["the response `{y, +1}` is a list of parts of unequal length."]),
    (FormulaError, "y ~ (1 | >{x, [1]}<)", ["is a list of parts of unequal length.", "24 values, one for each row"]),
    (FormulaError, "y ~ z + >scale(g)<", ["`scale(g)` cannot be evaluated: "]),
    (
        FormulaError,
        "y ~ z + >C(g, contr.treatment('k'))<",
        ["`C(g, contr.treatment('k'))` cannot be encoded: Value `'k'`", "Accepted: contrasts of its levels (a, b, c,"],
    ),
    (FormulaError, "y ~ z + >C(g, [1, 2])<", ["`C(g, [1, 2])` cannot be encoded: ", "(a, b, c, d, e, f)."]),
    (FormulaError, "y ~ >offset()<", ["`offset()` takes one expression."]),
    (FormulaError, "y ~ >offset(x, z)<", ["`offset()` takes one expression."]),
    (FormulaError, "y ~ x:>offset(z)<", ["Here `offset()` is part of a larger term."]),
    # Values that are not finite
    (
        DataError,
        "y ~ log(two)",
        ["the column `log(two)` is -inf in row 0 and in 11 others; every predictor must be finite.", "or look at a"],
    ),
    (DataError, "y ~ (log(two)|g)", ["the column `log(two)` is -inf in row 0"]),
    (
        DataError,
        "y ~ s(log(two))",
        ["the variable of s(log(two)) `log(two)` is not finite in 12 of 24 rows (rows 0, 2,"],
    ),
    (DataError, "y ~ offset(log(two))", ["the offset `log(two)` is not finite in 12 of 24 rows"]),
    (DataError, "log(x) ~ z", ["the response `log(x)` is not finite in", "Give finite numbers, or remove these rows."]),
    (DataError, "y ~ (1|log(two))", ["the grouping factor `log(two)` is missing or infinite in 12 rows"]),
    (DataError, "y ~ lag(x)", ["the column `lag(x)` is nan in row 0; every predictor must be finite."]),
    # Arguments of terms
    (FormulaError, "y ~ >s()<", ["s() needs `x`.", "Accepted: `s(x, ..., bs=..., k=..., m=..., knots="]),
    (FormulaError, "y ~ rw1(t, >z<)", ["rw1() takes 1 argument without a keyword.", "Accepted: `rw1(t, cyclic=..."]),
    (FormulaError, "y ~ s(x, >df=3<)", ["s() has no argument `df`.", "Accepted: `s(x, ..., bs=..., k=..."]),
    (FormulaError, "y ~ s(x, >K=3<)", ["s() has no argument `K`. Did you mean `k`?"]),
    (FormulaError, "y ~ s(x, >x=z<)", ["s() gets `x` twice."]),
    (FormulaError, "y ~ s(x, bs=>'foo'<)", ["bs='foo' is not known.", "Accepted: bs = 'tp', 'ts', 'cr', 'cs', 'cc',"]),
    (DataError, "y ~ s(x, bs='re')", ["s(x): bs='re' has an effect for each level of a factor, and x holds numbers."]),
    (FormulaError, "y ~ s(x, bs=>tp<)", ["bs=tp is not known. Put it in quotes: bs='tp'."]),
    (FormulaError, "y ~ s(x, k=>3.5<)", ["k=3.5 is not a whole number.", "such as k=10."]),
    (FormulaError, "y ~ s(x, k=>'a'<)", ["k='a' is not a whole number."]),
    (FormulaError, "y ~ s(x, k=>True<)", ["k=True is not a whole number."]),
    (FormulaError, "y ~ z + >bs(x, df=1)<", ["`bs(x, df=1)` cannot be evaluated: ValueError: "]),
    (DataError, "y ~ s(x, k=25)", ["s(x): k=25 but x has only 24 distinct values; pass k=24 or less"]),
    (DataError, "y ~ s(two)", ["s(two): k=10 but two has only 2 distinct values; bs='tp' needs 3 or more"]),
    (DataError, "y ~ s(x, k=2)", ["s(x): k=2 is too small; bs='tp' needs k=3 or more"]),
    (
        FormulaError,
        "y ~ ar1(t, >p=2<)",
        ["ar1() has no argument `p`.", "Accepted: `ar1(t, freq=..., replicate=..., group=...)`"],
    ),
    (
        FormulaError,
        "y ~ >icar(region)<",
        ["icar() needs `graph`.", "Accepted: `icar(region, graph, replicate=..., group=...)`"],
    ),
    (DataError, "y ~ rw2(two)", ["rw2(two) needs at least 3 distinct values, `two` has 2."]),
    (DataError, "y ~ rw1(three)", ["rw1(three) needs at least 2 distinct values, `three` has 1."]),
    (DataError, "y ~ ar1(three)", ["ar1(three) needs at least 2 distinct times, `three` has 1."]),
    (DataError, "y ~ ar1(x)", ["ar1(x) needs whole times (1, 2, 3, ...; gaps are fine), `x` has", "or use ou(x)."]),
    # What the data cannot tell apart
    (FormulaError, "y ~ >0<", ["Without an intercept nothing is left to estimate.", "Accepted: an intercept, `y ~ 1`"]),
    (FormulaError, "y ~ >x - x - 1< + offset(z)", ["Without an intercept nothing is left to estimate."]),
    # rounding decides whether the 24th column or the 25th is named, in 24 rows
    (IdentifiabilityError, "y ~ poly(t, 11) + poly(z, 8) + poly(x, 9)", ["`poly(t, 11)[6]` and 1", " others, so"]),
    (
        DataError,
        "y ~ (1|one)",
        ["the group `one` in (1 | one) has one level (k): a variance between levels needs at least"],
    ),
    (DataError, "three ~ x", ["the response `three` is 3 in all 24 rows that have one; there is nothing to model."]),
    (FormulaError, "y ~ x + offset(>y<)", ["The response `y` is among the predictors too."]),
    (DataError, "y ~ x + offset(1 * y)", ["the response `y` less its offset is 0 in all 24 rows that have one"]),
    (
        IdentifiabilityError,
        "y ~ three",
        ["the column `three` is 3 in every row, like the intercept. Remove one of the two."],
    ),
    (IdentifiabilityError, "y ~ one + x", ["the term `one` adds no column: `one` has one level, 'k'. Remove it."]),
    (IdentifiabilityError, "y ~ (one|g)", ["the term `one` adds no column: `one` has one level, 'k'. Remove it."]),
    (
        IdentifiabilityError,
        "y ~ x + double",
        ["the column `double` is a linear function of `x`, so the data cannot tell"],
    ),
    (
        IdentifiabilityError,
        "y ~ x + z + both",
        ["the column `both` is a linear combination of `x` and `z`, so the data"],
    ),
    (IdentifiabilityError, "y ~ g + C(g)", ["the column `C(g)[T.b]` is a linear function of `g[T.b]`"]),
    (
        IdentifiabilityError,
        "y ~ {0 * x}",
        ["the column `0 * x` is zero in every row with a response, so nothing is known"],
    ),
    (IdentifiabilityError, "y ~ ({0 * x}|g)", ["the effect `0 * x` in ({0 * x} | g) is zero in every row; remove it."]),
    (DataError, "y ~ C(g, levels=['a', 'b'])", ["`C(g, levels=['a', 'b'])` has values that its `levels` do not list."]),
    (DataError, "y ~ C(pd.cut(x, [0, 1, 9]))", ["`C(pd.cut(x, [0, 1, 9]))` is missing in"]),
]


@pytest.mark.parametrize(("error", "marked", "parts"), FORMULAS, ids=[case[1] for case in FORMULAS])
def test_formulas(error: type[LgmError], marked: str, parts: list[str]) -> None:
    _check(error, marked, *parts)


def test_a_formula_that_is_no_text() -> None:
    assert "The formula must be text, not int." in _message(FormulaError, 3)


def test_keywords_that_do_not_exist() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'prior'"):
        lgm.model("y ~ x", DATA, prior={})  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'iter'"):
        lgm.fit("y ~ x", DATA, iter=100)  # type: ignore[call-arg]
    with pytest.raises(
        LgmError,
        match=r"family='poison' is not available; Did you mean `poisson` or `hurdle_poisson`\? accepted: \"gaussian\"",
    ):
        lgm.model("y ~ x", DATA, "poison")
    with pytest.raises(LgmError, match=r"missing='ignore'; accepted: \"drop\" or \"error\""):
        lgm.model("y ~ x", DATA, missing="ignore")


@pytest.mark.parametrize(
    "given",
    [
        {"draws": 3},
        {"draws": 10.5},
        {"draws": "10"},
        {"draws": True},
        {"chains": 0},
        {"warmup": 0},
        {"seed": -1},
        {"seed": "a"},
        {"interval": 95},
        {"interval": 1},
        {"interval": "0.9"},
        {"method": "NUTS"},
        {"fallback": "mode"},
    ],
    ids=str,
)
def test_numbers_and_names_of_a_fit(given: dict[str, Any]) -> None:
    ((name, value),) = given.items()
    with pytest.raises(LgmError, match=f"^{name}={re.escape(repr(value))}; accepted: "):
        lgm.model("y ~ x", DATA).fit(**given, progress=False)


def test_whole_numbers_of_numpy() -> None:
    fit = lgm.fit("y ~ x", DATA, method="mode", draws=np.int64(8), seed=np.int64(1), progress=False)
    assert fit.draws.theta.shape[:2] == (1, 32)


def test_theta_and_draws_of_a_model() -> None:
    model = lgm.model("y ~ x", DATA)
    with pytest.raises(LgmError, match="theta is of the type list; accepted: a dict with sigma"):
        model.log_density([1.0])  # type: ignore[arg-type]
    for draws in (0, -1, "a"):
        with pytest.raises(LgmError, match="accepted: a whole number of at least 1"):
            model.sample_prior(draws)  # type: ignore[arg-type]


def test_priors_of_what_does_not_exist() -> None:
    prior = lgm.priors.exponential(1)
    message = _message(PriorError, "y ~ x + (1|g)", priors={"sd(Intercept|h)": prior})
    assert "priors has the key 'sd(Intercept|h)', which matches nothing in this model." in message
    assert "Did you mean `sd(Intercept|g)`" in message
    assert "Variables: Intercept, x, sd(Intercept|g), sigma." in message
    assert "matches nothing" in _message(PriorError, "y ~ x", priors={"corr": lgm.priors.lkj(1)})
    assert "takes a normal prior" in _message(PriorError, "y ~ x", priors={"x": prior})


# Tables ---------------------------------------------------------------------------------------------------------------

TABLES: list[tuple[Any, str]] = [
    (
        np.ones((3, 3)),
        "the data must be a pandas, polars or Arrow table, a dict of columns or a list of records, not ndarray. "
        "Columns need names.",
    ),
    ([1, 2], "not list."),
    (None, "not NoneType."),
    ("data.csv", "there is no file or folder 'data.csv'; accepted: tables, or the path of Parquet files."),
    (DATA["x"], "not Series."),
    (DATA.iloc[:0], "there are no rows in the data."),
    ({"y": [1.0, 2.0], "x": [1.0]}, "the columns in the dict must be arrays of one length"),
    ({"y": 1.0, "x": 2.0}, 'arrays of one length (a single value is written as a list, {"x": [1]}).'),
]


@pytest.mark.parametrize(("data", "part"), TABLES, ids=[case[1][:40] for case in TABLES])
def test_tables(data: Any, part: str) -> None:
    with pytest.raises(DataError, match=re.escape(part)):
        lgm.model("y ~ x", data)


def test_a_lazy_table_is_told_to_collect() -> None:
    polars = pytest.importorskip("polars")
    message = _message(DataError, "y ~ x", polars.DataFrame({"y": [1.0], "x": [2.0]}).lazy())
    assert message.endswith("not LazyFrame. Call its collect() first.")


def test_two_columns_of_one_name() -> None:
    twice = pd.concat([DATA, DATA[["x"]]], axis=1)
    assert _message(DataError, "y ~ x", twice) == "several columns of the data are called x; rename all but one."
    assert lgm.model("y ~ z", twice).design.fixed_names == ("Intercept", "z")


def test_one_row() -> None:
    assert "only one row has a response `y`" in _message(DataError, "y ~ 1", DATA.iloc[:1])


def test_as_many_fixed_effects_as_rows() -> None:
    text = "there are as many fixed effects as rows (4), so nothing is left to estimate sigma from."
    data, flat = DATA[:4], lgm.priors.flat()
    with pytest.warns(IdentifiabilityWarning, match=re.escape(text)):
        lgm.model("y ~ poly(x, 3)", data)
    assert text in _message(IdentifiabilityError, "y ~ poly(x, 3)", data, priors={"fixed": flat, "Intercept": flat})
    lgm.model("y ~ poly(x, 3)", data, priors={"sigma": lgm.priors.constant(1)})
    lgm.model("y ~ poly(x, 3)", DATA[:5])


@pytest.mark.filterwarnings("ignore::lgm.IdentifiabilityWarning")
@pytest.mark.parametrize(("formula", "name"), [("y ~ decimal", "decimal"), ("y ~ z + (many|g)", "many")])
def test_text_that_reads_as_measurements(formula: str, name: str) -> None:
    data = DATA.assign(
        decimal=[f"{i % 6}.5" for i in range(N)],
        many=[str(i % 13) for i in range(N)],
    )
    levels = data[name].nunique()
    text = (
        rf"`{name}` holds numbers as text \({data[name][0]}, .*\), which is a factor of {levels} levels. For a slope,"
    )
    with pytest.warns(lgm.DataWarning, match=text):
        lgm.model(formula, data)


def test_text_that_is_a_factor() -> None:
    data = DATA.assign(code=[str(i % 3) for i in range(N)], size=["1.5", "2.5", "large"] * 8)
    lgm.model("y ~ code + (size | g) + (1 | text)", data, priors={"sigma": lgm.priors.constant(1)})


def test_fewer_rows_than_columns() -> None:
    assert "the column `z` is a linear combination of" in _message(IdentifiabilityError, "y ~ poly(x,3)+z", DATA[:4])


# Missing and infinite values ------------------------------------------------------------------------------------------


def _with(**columns: Any) -> pd.DataFrame:
    """The data with some values replaced: column={row: value}."""
    data = DATA.copy()
    for name, changes in columns.items():
        data[name] = data[name].astype(object if data[name].dtype != float else float)
        for row, value in changes.items():
            data.loc[row, name] = value
    return data


def test_missing_predictors_are_dropped_and_counted() -> None:
    data = _with(x={3: np.nan, 5: np.nan}, g={5: None, 6: None})
    with pytest.warns(lgm.DataWarning, match=r"3 of 24 rows are dropped: missing values in x \(2\), g \(2\)$"):
        design = lgm.model("y ~ x + (1|g)", data).design
    assert design.n == 21 and design.rows.dropped == 3
    assert design.rows.kept.tolist() == [i for i in range(N) if i not in (3, 5, 6)]


def test_missing_predictors_can_be_an_error() -> None:
    data = _with(x={3: np.nan, 5: np.nan}, g={5: None})
    message = _message(DataError, "y ~ x + (1|g)", data, missing="error")
    expected = (
        "values are missing in `x` (2: row 3, 5); `g` (1: row 5). Accepted: complete predictors, or missing='drop'."
    )
    assert message == expected


def test_missing_values_in_columns_that_are_not_used_do_not_matter() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", lgm.DataWarning)
        assert lgm.model("y ~ x", _with(z={3: np.nan}), missing="error").design.n == N


def test_missing_responses_are_kept() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", lgm.DataWarning)
        design = lgm.model("y ~ x + (1|g)", _with(y={0: np.nan, 9: np.nan}), missing="error").design
    assert design.n == N - 2 and len(design.rows.frame) == N
    assert np.flatnonzero(~design.rows.observed).tolist() == [0, 9]


def test_nothing_is_left() -> None:
    message = _message(DataError, "y ~ x", DATA.assign(y=np.nan))
    assert message == "no row is left: every row misses `y`."
    message = _message(DataError, "y ~ x", DATA.assign(x=np.nan))
    assert message == "no row is left: every row misses `y`, or a predictor: `x` (24)."


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinite_values(bad: float) -> None:
    data = _with(x={3: bad})
    assert f"the column `x` is {bad} in row 3; every predictor must be finite." in _message(DataError, "y ~ x", data)
    message = _message(DataError, "x ~ z", data)
    assert message.startswith("the response `x` is not finite in 1 of 24 rows (rows 3). Give finite numbers")
    for term in ("s(x)", "rw1(x)", "rw2(x)", "ar1(x)"):
        assert "`x` is not finite in 1 of 24 rows (rows 3)." in _message(DataError, f"y ~ {term}", data)


def test_a_fixed_level_without_a_response() -> None:
    data = _with(y=dict.fromkeys(range(4), np.nan))
    message = _message(IdentifiabilityError, "y ~ g + x", data)
    assert message.startswith("no row with level a of `g` has a response, so nothing is known about it.")
    assert message.endswith("or use a group effect, (1 | g).")


# Weights --------------------------------------------------------------------------------------------------------------

POSITIVE = "weights must be positive and finite;"
PER_ROW = "weights must have one number for each of the 24 rows of the data, not"
WEIGHTS: list[tuple[Any, str]] = [
    (
        np.zeros(N),
        f"{POSITIVE} 24 of 24 are not (first: 0 in row 0). To leave a row out, remove it; to predict it, make",
    ),
    (np.where(np.arange(N) == 4, -2.0, 1.0), f"{POSITIVE} 1 of 24 are not (first: -2 in row 4)."),
    (np.where(np.arange(N) == 4, np.nan, 1.0), f"{POSITIVE} 1 of 24 are not (first: nan in row 4)."),
    (np.full(N, np.inf), f"{POSITIVE} 24 of 24 are not (first: inf in row 0)."),
    (np.ones(N - 1), f"{PER_ROW} an array of shape (23,)."),
    (np.ones((N, 1)), f"{PER_ROW} an array of shape (24, 1)."),
    (3.0, f"{PER_ROW} 3.0."),
    ("w", "weights='w' is not a column of the data. Columns: y, x, z,"),
    ("tet", "weights='tet' is not a column of the data. Did you mean `text`? Columns:"),
    ("g", "the weights `g` must be numbers; these are text."),
    ("flag", "the weights `flag` must be numbers; these are booleans."),
    ("x", "the weights `x` must be positive and finite;"),
    (["1"] * N, "weights must be numbers; these are text."),
    (
        pd.Series(np.ones(N), index=range(5, 5 + N)),
        "`weights` is a pandas Series from outside of the data, and its index",
    ),
]


@pytest.mark.parametrize(("weights", "part"), WEIGHTS, ids=[case[1][:60] for case in WEIGHTS])
def test_weights(weights: Any, part: str) -> None:
    assert part in _message(DataError, "y ~ x", weights=weights)


def test_weights_of_dropped_rows_do_not_matter() -> None:
    w = np.where(np.arange(N) == 3, np.nan, 2.0)
    with pytest.warns(lgm.DataWarning, match="1 of 24 rows"):
        assert lgm.model("y ~ x", _with(x={3: np.nan}), weights=w).design.weights.tolist() == [2.0] * (N - 1)


# Slopes whose covariate is far from zero ------------------------------------------------------------------------------


def test_intercepts_far_from_the_data_warn_where_they_are_not_about_the_mean() -> None:
    """They are where a prior of the correlations is given, and where there are no correlations."""
    years = DATA.assign(year=30.0 + np.arange(len(DATA)) % 8)
    message = (
        "in {}, `year` is far from zero, so sd(Intercept|g) is the spread of extrapolations to year = 0, which "
        "its default prior does not expect. Centre it, as in (center(year) | g), or give sd(Intercept|g) a prior."
    )
    lgm.model("y ~ year + (year|g)", years)  # warnings are errors here
    lgm.model("y ~ year + (center(year)||g)", years)
    lgm.model("y ~ year + (0 + year|g)", years)
    given = {"corr": lgm.priors.lkj(1)}
    with pytest.warns(lgm.DataWarning, match=re.escape(message.format("(year | g)"))):
        lgm.model("y ~ year + (year|g)", years, priors=given)
    with pytest.warns(lgm.DataWarning, match=re.escape(message.format("(year || g)"))):
        lgm.model("y ~ year + (year||g)", years)
    wide = {"sd(Intercept|g)": lgm.priors.half_normal(1000)}
    lgm.model("y ~ year + (year|g)", years, priors={**given, **wide})


# A level per row ------------------------------------------------------------------------------------------------------

PER_LEVEL = "(1 | row) can give each of the 24 rows an error of its own, so sd(Intercept|row) and sigma say the same."


def test_a_level_per_row_beside_a_free_sigma() -> None:
    with pytest.warns(IdentifiabilityWarning, match=re.escape(PER_LEVEL)):
        lgm.model("y ~ x + (1|row)", DATA)
    for key in ("sd", "sigma"):
        message = _message(IdentifiabilityError, "y ~ x + (1|row)", priors={key: lgm.priors.flat()})
        assert message.startswith(PER_LEVEL) and 'fix sigma: priors={"sigma": lgm.priors.constant(...)}' in message


@pytest.mark.parametrize("flat", [False, True])
def test_a_level_per_row_that_is_identified(flat: bool) -> None:
    priors = {"fixed": lgm.priors.flat()} if flat else {}
    with warnings.catch_warnings():
        warnings.simplefilter("error", IdentifiabilityWarning)
        lgm.model("y ~ x + (1|row)", DATA, priors={**priors, "sigma": lgm.priors.constant(1.0)})
        lgm.model("y ~ x + (1|row)", DATA, weights=np.arange(1, N + 1), priors=priors)
        for term in ("rw1(t)", "rw2(t)", "ar1(t)", "s(t)"):
            lgm.model(f"y ~ x + {term}", DATA, priors=priors)


# Graphs ---------------------------------------------------------------------------------------------------------------


def _links(*rows: tuple[Any, ...]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["from", "to", "weight"][: len(rows[0])])


GRAPHS: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: EDGES[:2],
        "regions that are not in the graph: 'w'. It has 3 nodes: 'e', 'n', 's'. Regions without neighbours",
    ),
    (lambda: [*EDGES, ("n", "e")], "edges are given more than once in the same direction: ('n', 'e')."),
    (
        lambda: _links(("n", "e", 1.0), ("e", "n", 2.0)),
        "the two directions of an edge have different weights: ('n', 'e')",
    ),
    (
        lambda: _links(("n", "e", 1.0), ("s", "s", 2.0)),
        "region 's' is its own neighbour. A region without neighbours is",
    ),
    (lambda: _links(("n", "e", 1.0), ("s", "w", -1.0)), "weights of edges must be positive"),
    (lambda: [(1, 2), (2, 3)], "regions that are not in the graph: 'n', 's', 'e', 'w'. It has 3 nodes: 1, 2, 3."),
    (lambda: "edges.csv", "cannot read a graph from str. Accepted: a data frame with the columns 'from' and 'to'"),
    (lambda: np.ones(N), "an array of edges has two columns, this one is 24."),
]


@pytest.mark.parametrize(("make", "part"), GRAPHS, ids=[case[1][:50] for case in GRAPHS])
def test_graphs(make: Callable[[], Any], part: str) -> None:
    assert f"icar(region): {part}" in _message(DataError, "y ~ icar(region, graph)", env={"graph": make()})


def test_a_graph_with_nodes_that_it_does_not_list() -> None:
    with pytest.raises(DataError, match="the edges name regions that nodes= does not list: 's', 'w'"):
        lgm.model("y ~ icar(region, lgm.graph(EDGES, nodes=['n', 'e']))", DATA)


def test_graphs_that_are_fine() -> None:
    both = _links(*[(a, b, 1.0) for a, b in EDGES], *[(b, a, 1.0) for a, b in EDGES])
    island = _links(("n", "e", 1.0), ("e", "s", 1.0), ("w", "w", 0.0))
    for graph in (EDGES, both, island, lgm.graph(EDGES, nodes=["w", "s", "e", "n", "elsewhere"])):
        assert lgm.model("y ~ icar(region, graph)", DATA).design.q == (5 if isinstance(graph, lgm.Graph) else 4)


def test_text_and_numbers_as_regions() -> None:
    data = DATA.assign(region=DATA["t"] % 3)
    message = _message(DataError, "y ~ icar(region, [('0', '1'), ('1', '2')])", data)
    assert message.endswith("The same labels are text on one side and numbers on the other: convert one of them.")


# New data -------------------------------------------------------------------------------------------------------------


def _new_message(formula: str, new: Any) -> str:
    design = lgm.model(formula, DATA).design
    with pytest.raises(DataError) as caught:
        encode(design, new)
    return str(caught.value)


def test_new_data_without_a_column() -> None:
    message = _new_message("y ~ x + s(z) + (log|g)", DATA[["x", "t"]])
    assert message == "new_data lacks the column(s) z, log, g. It has: x, t."


def test_new_data_with_gaps() -> None:
    message = _new_message("y ~ x + (1|g)", _with(x={3: np.nan}, g={1: None, 2: None}))
    assert message.startswith("new_data has missing values in x (1), g (2). Give complete predictors")


def test_new_data_with_an_unknown_level_of_a_fixed_factor() -> None:
    new = DATA.assign(g=DATA["g"].replace("b", "new"))
    expected = "has level(s) that the fit does not have: new. Known levels: a, b, c, d, e, f."
    for formula, name in [("y ~ g", "g"), ("y ~ C(g)", "C(g)"), ("y ~ (0 + g|h)", "g"), ("y ~ g:x", "g")]:
        assert _new_message(formula, new) == f"`{name}` {expected}"


def test_levels_that_are_text_on_one_side_only() -> None:
    data = DATA.assign(flag=np.arange(N) % 2 == 0)
    built = lgm.model("y ~ flag", data).design
    expected = r"the levels of `flag` are text on one side and not on the other: 'True', 'False' here"
    with pytest.raises(DataError, match=expected):
        encode(built, data.assign(flag=data["flag"].astype(str)))


def test_new_data_of_another_kind() -> None:
    new = DATA.assign(x=DATA["text"], g=1.0, row=DATA["text"], t=DATA["t"] + 0.5, z=np.inf)
    assert _new_message("y ~ x", new) == "`x` is a factor here, but a number in the fit."
    assert _new_message("y ~ g", new) == "`g` is a number here, but a factor in the fit."
    coded = DATA.assign(two=DATA["two"].astype(str))
    expected = "the levels of `two` are text on one side and not on the other: '0', '1' here, and 0, 1 in the fit."
    assert _new_message("y ~ (1|two)", coded).startswith(expected)
    assert "ar1(t) needs whole times" in _new_message("y ~ ar1(t)", new)
    assert "the column `z` is inf in row 0" in _new_message("y ~ z", new)
    assert "holds text" in _new_message("y ~ s(x)", new)


def test_new_data_that_is_no_table() -> None:
    assert _new_message("y ~ x", DATA.iloc[:0]) == "there are no rows in new_data."
    assert _new_message("y ~ x", [1, 2]).startswith("new_data must be a pandas, polars or Arrow table")


# Names that look like something else ----------------------------------------------------------------------------------


def test_a_column_named_like_a_function() -> None:
    design = lgm.model("y ~ log(log) + log + (log(log)|g) + s(log(log)) + offset(log(log))", DATA).design
    np.testing.assert_allclose(design.predictor.X.toarray()[:, 1], np.log(DATA["log"]))
    np.testing.assert_allclose(design.predictor.X.toarray()[:, 2], DATA["log"])
    np.testing.assert_allclose(design.predictor.offset, np.log(DATA["log"]))


@pytest.mark.parametrize("name", ["body mass", "Sepal.Length", "a-b", "a:b", "(1|g)", "log(x)", "2", "größe"])
def test_names_in_backticks_everywhere(name: str) -> None:
    data = DATA.assign(**{name: DATA["body mass"], "y2": DATA["body mass"] + DATA["y"]})
    model = lgm.model(f"y ~ `{name}` + exp(`{name}`) + s(`{name}`) + (0 + `{name}`|g) + offset(`{name}`)", data)
    assert model.design.fixed_names[1] == name
    np.testing.assert_allclose(model.design.predictor.X.toarray()[:, 1], data[name])
    np.testing.assert_allclose(model.design.predictor.X.toarray()[:, 2], np.exp(data[name]))
    np.testing.assert_allclose(model.design.predictor.offset, data[name])
    assert model.design.theta_names[-2] == f"sd({name}|g)"
    np.testing.assert_allclose(lgm.model(f"`{name}` ~ x", data).design.y, data[name])
    np.testing.assert_allclose(lgm.model(f"exp(`{name}`) ~ x", data).design.y, np.exp(data[name]))
    with pytest.warns(IdentifiabilityWarning):
        grouped = lgm.model(f"y ~ (1|`{name}`)", data)
    assert grouped.design.theta_names[0] == f"sd(Intercept|{name})"


def test_dots_need_no_backticks() -> None:
    design = lgm.model("Sepal.Length ~ x + (1|g)", DATA).design
    np.testing.assert_allclose(design.y, DATA["Sepal.Length"])
    design = lgm.model("y ~ Sepal.Length + exp(Sepal.Length) + s(Sepal.Length) + (0 + Sepal.Length|g)", DATA).design
    np.testing.assert_allclose(design.predictor.X.toarray()[:, 2], np.exp(DATA["Sepal.Length"]))


def _is_a_model_or_refused(seed: int, times: int) -> None:
    random = Random(seed)
    data = DATA.assign(
        y=DATA.y.abs() + 1, t2=np.tile(np.arange(8), 3), **{"a b": DATA.x + 1, "class": DATA.z, "é": 1.0}
    )
    for _ in range(times):
        source = fuzz.formula(random)
        try:
            lgm.model(source, data, env={})
        except LgmError as error:
            assert len(str(error)) < 3000, source[:200]
        except BaseException as error:
            raise AssertionError(f"{source[:200]!r} gives {error!r}") from error


@pytest.mark.filterwarnings("ignore")
def test_any_formula_is_a_model_or_refused() -> None:
    _is_a_model_or_refused(seed=1, times=60)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(2, 6))
def test_any_of_very_many_formulas_is_a_model_or_refused(seed: int) -> None:
    _is_a_model_or_refused(seed, times=3_000)
