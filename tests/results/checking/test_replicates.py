"""New data and their statistics, one by one."""

import numpy as np
import pandas as pd
import planted
import pytest

from lgm.errors import LgmError
from lgm.results.checking import replicates
from lgm.results.checking.observed import Observed


def test_new_data_have_the_distribution_of_the_family() -> None:
    rows = Observed(planted.of("gaussian"))
    new = replicates.replicates(rows, 100, False, 1)
    z = (new - rows.eta.draws().T) / planted.SIGMA
    assert new.shape == (100, 240)
    assert abs(z.mean()) < 5.0 / np.sqrt(z.size) and abs(z.std() - 1.0) < 5.0 / np.sqrt(2 * z.size)
    np.testing.assert_array_equal(new, replicates.replicates(rows, 100, False, 1))
    assert replicates.replicates(rows, 7, False, 1).shape == (7, 240)


def test_statistics_are_those_of_each_new_data_set() -> None:
    fit = planted.few()
    table, drawn = replicates.statistics(fit, "sd", by=None, draws=60, redraw=False, seed=3)
    new = replicates.replicates(Observed(fit), 60, False, 3)
    expected = new.std(axis=1, ddof=1)
    np.testing.assert_allclose(drawn[:, 0], expected)
    row = table.loc["sd"]
    assert row["observed"] == pytest.approx(np.std(fit.design.y, ddof=1))
    assert row["mean"] == pytest.approx(expected.mean()) and row["2.5%"] == pytest.approx(np.quantile(expected, 0.025))
    assert row["P(new > observed)"] == pytest.approx(np.mean(expected > row["observed"]))


def test_groups_have_a_statistic_each() -> None:
    fit = planted.few()
    table = fit.pp_statistic("max", by="g", draws=50, seed=3)
    y, g = pd.Series(fit.design.y), fit.design.seen.frame["g"].to_numpy()
    assert table.index.name == "g" and list(table.index) == list("abcd")
    np.testing.assert_array_equal(table["observed"], y.groupby(g).max())
    new = replicates.replicates(Observed(fit), 50, False, 3)
    share = [
        np.mean(b > a) + 0.5 * np.mean(b == a)
        for a, b in ((y[g == k].max(), new[:, g == k].max(axis=1)) for k in "abcd")
    ]
    np.testing.assert_allclose(table["P(new > observed)"], share)


def test_a_function_is_a_statistic() -> None:
    def above_two(y: np.ndarray) -> float:
        return float(np.mean(y > 2.0))

    table = planted.few().pp_statistic(above_two, draws=20, interval=0.5)
    assert list(table.index) == ["above_two"] and "25%" in table
    with pytest.raises(LgmError, match="statistic=cumsum gives an array of shape"):
        planted.few().pp_statistic(np.cumsum)


def test_shares_are_compared_with_shares() -> None:
    names = {name: function(np.array([0.0, 1.0, 5.0, 2.0])) for name, function in replicates.STATISTICS.items()}
    assert names["mean"] == 2.0 and names["prop_zero"] == 0.25 and names["median"] == 1.5 and names["max"] == 5.0
    rows = Observed(planted.several())
    assert np.all(replicates.replicates(rows, 5, False, 1) <= rows.trials)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(LgmError, match=r"statistic='maximum'.*Did you mean .*'max'"):
        planted.few().pp_statistic("maximum")
    with pytest.raises(LgmError, match="draws=0; accepted"):
        planted.few().pp_statistic(draws=0)
    with pytest.raises(LgmError, match="are censored. Accepted"):
        planted.times().pp_statistic()


def test_categories_have_statistics_of_their_numbers_by_functions_alone() -> None:
    with pytest.raises(LgmError, match=r"`y` has ordered categories. Accepted: pp_check\('bars'\), or a function"):
        planted.ordered().pp_statistic("mean")

    def lowest(y: np.ndarray) -> float:
        return float(np.mean(y == y.min()))

    assert list(planted.ordered().pp_statistic(lowest, draws=20).index) == ["lowest"]
