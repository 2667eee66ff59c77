"""Smooths that can vanish: the line is penalised a tenth as much as the largest column."""

import numpy as np
import pytest

from lgm.smooths.basis import typical
from lgm.smooths.build import build

RNG = np.random.default_rng(6)
X = RNG.uniform(0.0, 7.0, (50, 2))


@pytest.mark.parametrize(("kind", "plain"), [("ts", "tp"), ("cs", "cr")])
def test_lines_are_penalised_too(kind: str, plain: str) -> None:
    x = X[:, :1]
    found, usual = (build(each, x, 8, None, None, "s(x)") for each in (kind, plain))
    z, own = found.evaluate(x[:, 0]), usual.evaluate(x[:, 0])
    assert z.shape == (50, 7) and found.k == 8 and found.kind == kind and found.null.m == 0
    np.testing.assert_allclose(z[:, :6] * (found.scale / usual.scale) ** 0.5, own, atol=1e-12)
    line = z[:, 6]
    np.testing.assert_allclose(line, np.polyval(np.polyfit(x[:, 0], line, 1), x[:, 0]), atol=1e-11)
    assert np.mean(line) == pytest.approx(0.0, abs=1e-13)
    assert np.mean(line**2) == pytest.approx(10.0 * np.mean(z[:, 0] ** 2))
    assert typical(np.sum(z**2, axis=1)) == pytest.approx(1.0)
    far = np.array([-3.0, 9.0])
    assert found.outside(far).tolist() == [True, True] and np.all(np.isfinite(found.evaluate(far)))


def test_planes_do_not_depend_on_the_axes() -> None:
    """Lines of two variables are penalised as one plane, in whatever direction it rises."""
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    one, other = (build("ts", x, 12, None, None, "s(x, z)").evaluate(x) for x in (X, X @ turn))
    np.testing.assert_allclose(one @ one.T, other @ other.T, atol=1e-9)
    assert one.shape == (50, 11)
