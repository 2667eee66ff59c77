"""Pickles give back arrays of JAX as they were, and modules by name."""

import math
import pickle
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lgm
from lgm import pickling


class Holder:
    def __init__(self, value: object) -> None:
        self.value = value

    def __reduce__(self) -> tuple[object, ...]:
        return pickling.reduced(self)


def test_arrays_keep_their_64_bits() -> None:
    with jax.enable_x64(True):
        array = jnp.array([1 / 3, 2 / 3])
    assert pickle.loads(pickle.dumps(array)).dtype == jnp.float32  # why this is needed
    again = pickle.loads(pickle.dumps(Holder(array))).value
    assert again.dtype == jnp.float64 and again.tolist() == array.tolist()


def test_modules_go_by_name() -> None:
    assert pickle.loads(pickle.dumps(Holder([math, {"a": math}]))).value == [math, {"a": math}]
    assert pickle.loads(pickling.dumps(math)) is math
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        pickle.loads(pickling.dumps(ModuleType("no_such_module")))


def test_priors_keep_their_numbers() -> None:
    for prior in (lgm.priors.uniform(0.1, 1 / 3), lgm.priors.half_student_t(3, 1 / 3), lgm.priors.pc_corr(0.3, 0.1)):
        again = pickle.loads(pickle.dumps(prior))
        assert repr(again) == repr(prior)
        one, two = (jax.tree.leaves(each.distribution) for each in (again, prior))
        assert [(type(x), np.asarray(x).dtype, float(x)) for x in one] == [
            (type(x), np.asarray(x).dtype, float(x)) for x in two
        ]
