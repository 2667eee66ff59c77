"""The short lists: what is on them only computes, and comes back under its own name."""

import inspect

import numpy as np
import numpyro.distributions as dist
import pytest

import lgm
from lgm.storage import listed
from lgm.storage.archive import Archive, _home


def test_functions_are_those_that_save_writes() -> None:
    assert len(listed.FUNCTIONS) > 30
    for home, function in listed.FUNCTIONS.items():
        assert _home(function) == home
        assert isinstance(function, np.ufunc) or function is np.where


@pytest.mark.parametrize("name", listed.DISTRIBUTIONS)
def test_distributions_take_numbers_or_distributions(name: str) -> None:
    kind = listed.DISTRIBUTIONS[name]
    assert issubclass(kind, dist.Distribution) and kind.__name__ == name
    accepted = set(inspect.signature(kind.__init__).parameters) - {"self", "validate_args"}
    assert not accepted & {"fn", "func", "transforms", "mask", "support", "mixing_distribution"}


def test_priors_of_lgm_need_no_trust() -> None:
    p = lgm.priors
    made: list[object] = [
        p.exponential(2),
        p.pc_sd(1, 0.1),
        p.half_normal(2),
        p.half_student_t(3, 1),
        p.gamma(2, 1),
        p.beta(1, 2),
    ]
    made += [
        p.uniform(0, 1),
        p.pc_corr(0.5, 0.4),
        p.pc_prec(3, 0.05),
        p.pc_range(3, 0.05, dimension=1),
        p.pc_corr1(0.5, 0.9),
        p.shifted_gamma(2, 2, 0.1),
        p.half_cauchy(2),
        p.student_t(3, 0, 2),
        p.lognormal(0, 1),
        p.inverse_gamma(3, 2),
        p.lkj(2),
        p.dirichlet(2),
        p.pc_phi(0.5, 0.4),
        p.normal(0, 1),
        p.flat(),
        p.constant(1),
    ]
    for prior in made:
        box = Archive()
        packed = box.pack(prior, "it")
        assert repr(Archive(box.arrays).unpack(packed)) == repr(prior)
