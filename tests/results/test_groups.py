"""Groups of the ArviZ object by name; what is in them is tested with the fit that has them."""

import pytest

from lgm.errors import LgmError
from lgm.results.groups import require_known


def test_a_group_near_by_is_suggested() -> None:
    with pytest.raises(LgmError, match=r"there is no group 'prior_predictiv' to add. Did you mean `prior_predictive`"):
        require_known(("prior", "prior_predictiv"))


def test_no_group_is_asked_for_by_name() -> None:
    with pytest.raises(LgmError, match=r"add_groups\(\) needs to know which ones. Accepted: 'posterior_predictive'"):
        require_known(())
