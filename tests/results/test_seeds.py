"""Seeds are checked in one place, and said what is accepted."""

import pytest
from synthetic import successes

import lgm
from lgm.results.seeds import seed_of


@pytest.mark.parametrize("seed", [-1, 1.5, "1", True])
def test_what_is_no_seed(seed: object) -> None:
    fit = successes()
    for ask in (fit.posterior_predict, fit.predict, fit.residuals, fit.kfold, fit.predictions, fit.k_check):
        with pytest.raises(lgm.LgmError, match=rf"seed={seed!r}; accepted: a whole number from 0"):
            ask(seed=seed)


def test_by_default_that_of_the_fit() -> None:
    assert (seed_of(successes(), None), seed_of(successes(), 7)) == (1, 7)
