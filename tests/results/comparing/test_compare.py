"""Comparing fits."""

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import lgm
from lgm.families.response import Response
from lgm.results.comparing.compare import labels, same_response, stacking_weights

DATA = lgm.load_dataset("Dyestuff")
FIT = lgm.fit("Yield ~ 1", DATA, method="mode", draws=4, seed=1, progress=False)


@pytest.mark.parametrize(
    ("fits", "got"),
    [
        ([], "got 0."),
        ([FIT], "got 1."),
        ([[FIT, FIT]], "got a list among them."),
        ([FIT, "a"], "got a str among them."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_fit(fits: list[Any], got: str) -> None:
    text = f"compare() takes two or more fits one by one, as in compare(one, other); {got}"
    with pytest.raises(lgm.LgmError, match=re.escape(text)):
        lgm.compare(*fits)


def test_other_rows_in_another_order() -> None:
    again = lgm.fit("Yield ~ 1", DATA[::-1], method="mode", draws=4, seed=1, progress=False)
    with pytest.raises(lgm.DataError, match=r"responses \(30 and 30 rows\) differ.*in the same order"):
        lgm.compare(FIT, again)


def test_the_same_successes_of_other_trials_are_other_data() -> None:
    y = np.array([1.0, 0.0, 3.0])
    assert same_response(Response(y), Response(y.copy(), np.ones(3)))
    assert not same_response(Response(y, np.full(3, 4.0)), Response(y, np.full(3, 5.0)))
    assert not same_response(Response(y), Response(y, censored=np.zeros(3)))


def test_models_are_told_apart() -> None:
    """By their numbers, and by their families where these differ."""
    other: Any = SimpleNamespace(design=lgm.model("Yield ~ 1", DATA, "lognormal").design)
    assert labels([FIT, FIT]) == ["Yield ~ 1 [1]", "Yield ~ 1 [2]"]
    assert labels([FIT, other]) == ["gaussian", "lognormal"]


def test_differences_row_by_row() -> None:
    other = lgm.fit("Yield ~ 1 + (1|Batch)", DATA, method="mode", draws=4, seed=1, progress=False)
    table, one, two = lgm.compare(FIT, other), FIT.loo().table["elpd"], other.loo().table["elpd"]
    assert table["elpd"].tolist() == pytest.approx(sorted([one.sum(), two.sum()], reverse=True))
    assert table["elpd_diff"].tolist() == pytest.approx([0.0, -abs(float((one - two).sum()))])
    assert table["se_diff"].iloc[1] == pytest.approx(np.sqrt(30 * (one - two).var(ddof=1)))
    assert table["weight"].sum() == pytest.approx(1.0)
    again = lgm.compare(FIT.loo(), other.loo())
    assert again.equals(table)
    with pytest.raises(lgm.LgmError, match="these left out different things"):
        lgm.compare(FIT.loo(), other.loo(groups=np.arange(30) % 3))


def test_stacking_weights() -> None:
    """Two models that are each right for some rows: the weight maximises the sum of logs."""
    p = np.where(np.arange(10)[:, None] < 7, [0.6, 0.2], [0.1, 0.5])
    grid = np.linspace(0.001, 0.999, 9999)
    best = grid[np.argmax(np.log(p[:, :1] * grid + p[:, 1:] * (1 - grid)).sum(axis=0))]
    np.testing.assert_allclose(stacking_weights(np.log(p)), [best, 1 - best], atol=2e-4)
    np.testing.assert_allclose(stacking_weights(np.log(p[:7])), [1.0, 0.0], atol=1e-6)


def test_a_transformed_response_with_its_jacobian() -> None:
    """A log-normal model of y is a normal one of its log."""
    y = DATA["Yield"].to_numpy()
    flat = {"Intercept": lgm.priors.flat(), "sigma": lgm.priors.constant(0.04)}
    log = lgm.fit("log(Yield) ~ 1", DATA, priors=flat, method="mode", draws=4, seed=1, progress=False)
    with pytest.raises(lgm.DataError, match=rf"`log\(Yield\)` is log\(y\) of the other.*{-np.log(y).sum():.6g}"):
        lgm.compare(FIT, log)
    table = lgm.compare(FIT, log, jacobians=[None, -np.log(y)])
    expected = log.loo().elpd - np.log(y).sum()
    assert table.loc["log(Yield) ~ 1", "elpd"] == pytest.approx(expected)
    with pytest.raises(lgm.DataError, match="None or 30 finite numbers"):
        lgm.compare(FIT, log, jacobians=[None, -np.log(y[:5])])


def test_other_weights_are_other_data() -> None:
    other = lgm.fit("Yield ~ 1", DATA, weights=np.arange(1.0, 31.0), method="mode", draws=4, seed=1, progress=False)
    with pytest.raises(lgm.DataError, match="have different weights"):
        lgm.compare(FIT, other)


def test_models_that_differ_between_groups() -> None:
    data = DATA.assign(z=DATA["Batch"].cat.codes.to_numpy() % 2 + 0.0)
    one, two = (
        lgm.fit(f"Yield ~ {x} + (1|Batch)", data, method="mode", draws=4, seed=1, progress=False) for x in ("1", "z")
    )
    with pytest.warns(lgm.LgmWarning, match="z is the same in all rows of each Batch.*groups='Batch'"):
        lgm.compare(one, two)


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"by": "aic"}, "by='aic'; accepted: 'loo', 'evidence', 'kfold', 'waic'"),
        ({"by": "evidence", "groups": "Batch"}, "groups= goes with"),
        ({"jacobians": [None]}, "has 1 entries; accepted: one for each of the 2 fits"),
    ],
    ids=["by", "groups", "jacobians"],
)
def test_other_arguments(how: dict[str, Any], match: str) -> None:
    with pytest.raises(lgm.LgmError, match=match):
        lgm.compare(FIT, FIT, **how)


def test_labels_of_rows_do_not_matter() -> None:
    """Nor do they have to be single ones: rows of the same responses are compared one by one."""
    options: Any = {"method": "mode", "draws": 4, "seed": 1, "progress": False}
    other = DATA.set_index([DATA["Batch"], np.arange(len(DATA))])
    table = lgm.compare(FIT, lgm.fit("Yield ~ 1 + (1|Batch)", other, **options))
    again = lgm.compare(FIT, lgm.fit("Yield ~ 1 + (1|Batch)", DATA, **options))
    assert np.allclose(table.to_numpy(dtype=float), again.to_numpy(dtype=float))
