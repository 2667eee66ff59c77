"""What families of times share: censoring, and the level of default priors."""

import numpy as np
import pytest

from lgm.errors import DataError
from lgm.families.exponential import Exponential
from lgm.families.response import Response

FAMILY = Exponential()


def censored(value, codes, upper=None):
    return Response(np.array(value), upper=None if upper is None else np.array(upper), censored=np.array(codes))


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (censored([1.0, 2.0], [0, 3]), "code 3 in row 2 .* accepted: 0 .known., 1 .right"),
        (censored([1.0, 2.0], [0, 2]), "without their upper ends"),
        (censored([1.0, 2.0], [0, 2], [1.0, 2.0]), "from 2 to 2 in row 2"),
        (censored([1.0, 2.0], [0, 2], [1.0, np.inf]), "from 2 to inf .* on the right .code 1"),
        (censored([0.0, 2.0], [1, 0]), "0 in row 1 .* numbers above 0"),
        (Response(np.array([3.0, 3.0])), "nothing to model"),
    ],
)
def test_bad_responses(y, words):
    with pytest.raises(DataError, match=words):
        FAMILY.check(y, "`t`")


def test_equal_times_may_be_censored_at_the_end_of_a_study():
    FAMILY.check(censored([5.0, 5.0], [1, 1]), "`t`")
    FAMILY.check(censored([5.0, 5.0], [2, 2], [6.0, 6.0]), "`t`")


def test_the_level_is_all_time_over_the_number_of_events():
    y = censored([1.0, 2.0, 3.0], [0, 1, -1])
    assert FAMILY.level_of(y, np.zeros(3), np.ones(3)) == pytest.approx(np.log(6.0 / 2.0))
    none = censored([1.0, 2.0, 3.0], [1, 1, 1])
    assert FAMILY.level_of(none, np.zeros(3), np.ones(3)) == pytest.approx(np.log(6.0 / 0.5))
