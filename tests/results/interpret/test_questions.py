"""Versions of rows, and what each of them counts."""

import numpy as np
import pandas as pd
from synthetic import measured

from lgm.results.interpret import grid
from lgm.results.interpret.estimates import How, averages
from lgm.results.interpret.questions import Question, Versions, answered, plainly


def test_versions_count_in_each_sum():
    frame = pd.DataFrame({"x": [1.0, 2.0]}, index=[5, 7])
    versions = Versions([frame, frame + 10.0], [np.array([[1.0], [-1.0]]), np.array([[0.0, 0.0], [2.0, 3.0]])])
    first, second = versions.weights(averages(np.array([0, 0]), 1))
    np.testing.assert_array_equal(first.toarray(), [[0.5, 0.5, -0.5, -0.5]])
    np.testing.assert_array_equal(second.toarray(), [[0.0, 0.0, 1.0, 1.5]])
    assert second.nnz == 2


def test_a_sum_over_versions_is_that_of_their_predictions():
    fit, how = measured(), How.of(measured(), "mean")
    rows = grid.of_data(fit, None, None, None, ("sex",))
    one_more = grid.Rows(rows.frame.assign(x=rows.frame.x + 1.0), rows.parts, {})
    moved = Question(lambda frame: Versions([frame.assign(x=frame.x + 1.0), frame], [np.array([[2.0], [-1.0]])]))
    labels, values = answered(fit, rows, moved, "sex", how)
    (_, high), (_, low) = (answered(fit, each, Question(plainly), "sex", how) for each in (one_more, rows))
    assert labels["sex"].tolist() == ["f", "m"]
    np.testing.assert_allclose(values[:, 0], 2.0 * high[:, 0] - low[:, 0], rtol=1e-12)
