"""Several kinds of independent effects: each has its own sd."""

import jax
import numpy as np

from lgm.precision.parts import Parts

PART = np.array([2, 0, 0, 1, 2])


def test_scales_and_determinant() -> None:
    block = Parts(PART, 5)
    found = block.whiten({"sd": np.array([3.0, 0.0, 7.0])})
    assert found.scale.tolist() == [7.0, 3.0, 3.0, 0.0, 7.0]
    assert block.pattern.matrix(found.values).toarray().tolist() == np.eye(5).tolist()
    assert found.logdet is not None and float(found.logdet) == 0.0


def test_gradients() -> None:
    with jax.enable_x64(True):
        slopes = jax.jacobian(lambda sd: Parts(PART, 5).whiten({"sd": sd}).scale)(np.zeros(3))
    assert np.asarray(slopes).tolist() == np.eye(3)[PART].tolist()
