"""Independent effects."""

import numpy as np

from lgm.pattern import Pattern
from lgm.precision.iid import Iid


def test_identity():
    template = Iid(3)
    assert (template.n, template.pattern) == (3, Pattern.diagonal(3))
    scale, values, log_det = template.whiten({"sd": np.array([2.0])})
    assert np.asarray(scale).tolist() == [2.0, 2.0, 2.0]
    assert np.asarray(values).tolist() == [1.0, 1.0, 1.0]
    assert log_det == 0.0


def test_several_effects_per_level_are_ordered_level_by_level():
    template = Iid(2, 3)
    assert template.n == 6
    assert np.asarray(template.whiten({"sd": np.array([1.0, 0.0, 3.0])}).scale).tolist() == [1.0, 0.0, 3.0] * 2
