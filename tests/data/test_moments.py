"""Moments of parts, and what formulaic's transformations would have remembered of the whole."""

import numpy as np
import pytest
from formulaic.transforms import TRANSFORMS

from lgm.data.moments import Heard, Moments
from lgm.errors import DataError

RNG = np.random.default_rng(0)
CASES = {
    "ordinary": RNG.normal(3.0, 2.0, 500),
    "far from zero": RNG.normal(1e6, 1.0, 500),
    "sorted": np.sort(RNG.exponential(size=500)),
    "years": RNG.integers(1950, 2020, 500).astype(float),
}
CUTS: tuple[list[int], ...] = ([], [1], [100, 100, 350], list(range(50, 500, 50)))


def _parts(x, cuts):
    return np.split(x, cuts)


@pytest.mark.parametrize("x", CASES.values(), ids=CASES)
@pytest.mark.parametrize("cuts", CUTS, ids=len)
def test_parts_add_up(x, cuts):
    first, *rest = (Moments.of(part, 6) for part in _parts(x, cuts))
    found = sum(rest, first)
    assert (found.n, found.low, found.high) == (x.size, x.min(), x.max())
    np.testing.assert_allclose(found.mean, np.mean(x), rtol=1e-14)
    exact = x.astype(np.longdouble)
    about = exact - exact.mean()
    size = np.sum(np.abs(about[:, None]) ** np.arange(7), axis=0)  # where signs cancel
    error = np.abs(found.powers - np.sum(about[:, None] ** np.arange(7), axis=0)) / size
    assert np.max(error) < 1e-9 if x.mean() > 1e5 else np.max(error) < 1e-12
    np.testing.assert_allclose(found.sd(1), np.std(exact, ddof=1).astype(float), rtol=1e-12)
    np.testing.assert_allclose(found.root_mean_square(), np.sqrt(np.mean(x**2)), rtol=1e-14)


@pytest.mark.parametrize("x", CASES.values(), ids=CASES)
@pytest.mark.parametrize(
    ("name", "args", "options"),
    [
        ("scale", (), {}),
        ("scale", (), {"ddof": 0}),
        ("scale", (False,), {}),
        ("scale", (), {"scale": False}),
        ("scale", (2.0,), {"scale": 3.0}),
        ("center", (), {}),
        ("poly", (1,), {}),
        ("poly", (2,), {}),
        ("poly", (), {"degree": 4}),
        ("poly", (2,), {"raw": True}),
    ],
)
def test_states_are_those_of_the_whole(x, name, args, options):
    called = TRANSFORMS[name]
    first, *rest = (Heard.of(called, "f(x)", (part, *args), options) for part in _parts(x, [100, 350]))
    wanted: dict = {}
    whole = called(x, *args, **options, _state=wanted)
    state = sum(rest, first).state()
    again = called(x, *args, **options, _state=state)
    np.testing.assert_allclose(
        np.asarray(again), np.asarray(whole), rtol=0, atol=1e-9 * np.abs(np.asarray(whole)).max()
    )


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("bs", (np.arange(9.0),), "`f` learns from all rows at once.*`scale()`"),
        ("poly", (np.arange(9.0), 5), "degree 5; accepted of data in partitions: at most 4"),
        ("scale", (np.full(3, np.nan),), "transforms what another transformation learns"),
    ],
)
def test_what_moments_do_not_settle(name, args, message):
    with pytest.raises(DataError, match=message.replace("()", r"\(\)")):
        Heard.of(TRANSFORMS[name], "f", args, {})
