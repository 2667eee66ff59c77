"""What families of positive measurements share."""

import numpy as np
import pytest

from lgm.families.gamma import Gamma
from lgm.families.response import Response

FAMILY = Gamma()
Y = Response(np.array([1.0, 2.0, 6.0]))


def test_the_level_is_the_log_of_the_mean():
    assert FAMILY.level_of(Y, np.zeros(3), np.ones(3)) == pytest.approx(np.log(3.0))
    assert FAMILY.level_of(Y, np.full(3, 800.0), np.ones(3)) == pytest.approx(np.log(3.0) - 800.0)
    assert FAMILY.level_of(Y, np.zeros(3), np.array([1.0, 1.0, 2.0])) == pytest.approx(np.log(15.0 / 4.0))


def test_the_yardstick_is_a_factor_of_e_about_the_level():
    assert FAMILY.scale_of(Y, np.zeros(3)) == 1.0
    assert FAMILY.scale_of(Y, np.zeros(3), about_zero=True) == pytest.approx(np.hypot(1.0, np.log(3.0)))
