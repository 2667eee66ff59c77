"""Leave-group-out: against densities by their definition."""

import left_out
import numpy as np
import pytest

import lgm


@pytest.mark.parametrize(("name", "group"), [("sleepstudy", "Subject"), ("Penicillin", "plate"), ("Nile", None)])
def test_a_gaussian_group_given_all_others_is_exact(name: str, group: str | None) -> None:
    """Groups with slopes and weights, crossed ones, and blocks of time in a walk."""
    case = left_out.case(name)
    given = group or lgm.blocks(np.arange(case.y.size), 15)
    frame = case.fit.design.rows.frame
    labels = frame[group].cat.codes.to_numpy() if group else given
    found = case.fit.loo(groups=given)
    expected = [case.log_density(np.flatnonzero(labels == unit)) for unit in range(len(found.table))]
    np.testing.assert_allclose(found.table["elpd"], expected, atol=1e-8)
    assert found.table["rows"].sum() == case.y.size


def test_rows_of_a_group_that_is_left_out() -> None:
    case = left_out.case("Penicillin")
    found = case.fit.loo(groups="sample", joint=False)
    labels = case.fit.design.rows.frame["sample"].cat.codes.to_numpy()
    rows = np.arange(0, case.y.size, 20)
    expected = [case.log_density(i, np.flatnonzero(labels != labels[i])) for i in rows]
    np.testing.assert_allclose(found.table["elpd"].iloc[rows], expected, atol=1e-8)
    with pytest.raises(lgm.LgmError, match=r"accepted: fit.loo\(\).pit"):
        _ = found.pit
