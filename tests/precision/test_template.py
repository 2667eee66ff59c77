"""What templates leave to a factorisation."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lgm.pattern import Pattern
from lgm.precision.template import Theta, Whitened, leaves_determinant

traced: list[Theta] = []


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Diagonal:
    """With ``log|R|`` where its numbers are known, as in some areal models; they may be a plain number."""

    n = 2
    logs: np.ndarray | float | None

    @property
    def pattern(self) -> Pattern:
        raise AssertionError("the determinant does not ask for positions")

    def whiten(self, theta: Theta) -> Whitened:
        traced.append(theta)
        sd = jnp.asarray(theta["sd"])
        return Whitened(sd, sd**-2.0, None if self.logs is None else jnp.sum(jnp.asarray(self.logs)))


@pytest.mark.parametrize("logs", [(np.ones(2), np.zeros(2)), (0.5, 1.5), (None, None)], ids=["array", "number", "none"])
def test_structure_tells_whether_the_determinant_is_left(logs: tuple[np.ndarray | float | None, ...]) -> None:
    """Templates are looked at once, not once for each model."""
    traced.clear()
    for each in logs:
        assert leaves_determinant(Diagonal(each), (("sd", 2),)) is (each is None)
    assert len(traced) <= 1
    assert all(theta["sd"].shape == (2,) and theta["sd"].dtype == np.float64 for theta in traced)
