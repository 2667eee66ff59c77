"""What series have in common: an effect for each time, wherever the times are read from."""

import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.terms.clock import NUMBERS
from lgm.terms.series import AutoregressiveTerm, SeriesTerm, in_steps

T = np.array([2.0, 0.0, 1.0, 6.0, 3.0, 5.0, 2.0, 8.0])
DATA = pd.DataFrame({"y": np.sin(T) + 0.1 * np.arange(8), "t": T})
CALLS = ["rw1(t)", "rw2(t)", "ar1(t)", "ar(t, p=2)", "ou(t)", "seasonal(t, 3)"]


@pytest.mark.parametrize("call", CALLS)
def test_one_effect_for_each_time(call):
    model = lgm.model(f"y ~ {call}", DATA)
    (term,) = model.design.terms
    assert isinstance(term, SeriesTerm)
    (variable,) = term.variables
    assert variable.dim == "t" and variable.index.tolist() == list(range(term.timeline.n))
    np.testing.assert_array_equal(variable.labels, term.timeline.times)
    np.testing.assert_array_equal(term.z @ term.timeline.times, T)  # each row is at its own time
    assert np.isin(T, term.view.points).all()


@pytest.mark.parametrize("call", CALLS)
def test_times_may_be_read_from_another_column(call):
    design = lgm.model(f"y ~ {call}", DATA).design
    (term,) = design.terms
    moved = term.on_columns(["elsewhere"], "by")
    scope = design.scope.on(pd.DataFrame({"elsewhere": T[::-1]}))
    np.testing.assert_array_equal(moved.encode(scope).z.toarray(), term.z.toarray()[::-1])


def test_processes_with_one_step_say_what_it_is():
    (term,) = lgm.model("y ~ ar1(t)", DATA.assign(t=2.0 * T)).design.terms
    assert isinstance(term, AutoregressiveTerm) and term.one_series
    assert term.size == "7 times in steps of 2; rho is that of one step"
    assert (
        in_steps(NUMBERS, 1.0) == "" and in_steps(NUMBERS, 3.0, "lag 1") == " in steps of 3; lag 1 is that of one step"
    )
