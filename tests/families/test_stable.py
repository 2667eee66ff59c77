"""Functions that keep their digits, against many."""

from decimal import Decimal, localcontext
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lgm.families.stable import log_one_minus_exp, log_rising, logistic, softplus, softplus_both

FAR = np.array([-700.0, -36.0, -8.0, -0.3, 0.0, 1e-9, 2.0, 20.0, 36.0, 700.0])


@pytest.fixture(autouse=True)
def digits():
    """Decimals have a context for each thread."""
    with localcontext() as context:
        context.prec = 350
        yield


@partial(jax.jit, static_argnums=0)
def _slopes(function, x, *others):
    functions = [lambda t: function(t, *others)]
    for _ in range(3):
        functions.append(_derivative(functions[-1]))
    return jnp.stack([f(x) for f in functions])


def _derivative(function):
    return lambda t: jax.jvp(function, (t,), (jnp.ones_like(t),))[1]


def slopes(function, *arguments):
    """The function and its first three derivatives in its first argument (4, n)."""
    with jax.enable_x64(True):
        return np.asarray(_slopes(function, *(np.asarray(argument, dtype=float) for argument in arguments)))


def softplus_exactly(x):
    e = Decimal(float(x)).exp()
    share, rest = e / (1 + e), 1 / (1 + e)
    third = share * rest * (rest - share)
    return [float((1 + e).ln()), float(share), float(share * rest), float(third)]


def test_softplus_and_logistic():
    exact = np.array([softplus_exactly(x) for x in FAR]).T
    np.testing.assert_allclose(slopes(softplus, FAR), exact, rtol=1e-13, atol=3e-17)
    np.testing.assert_allclose(slopes(logistic, FAR)[:3], exact[1:], rtol=1e-13, atol=3e-17)
    assert np.all(np.isfinite(slopes(softplus, [-1e4, 1e4])))
    for x in (FAR, [-1e4, 1e4]):
        for place, sign in ((0, 1.0), (1, -1.0)):
            both = slopes(lambda x, place=place: softplus_both(x)[place], x)
            np.testing.assert_array_equal(both, slopes(lambda x, sign=sign: softplus(sign * x), x))


def _log_one_minus_exp(t, q):
    return log_one_minus_exp(jnp.log(q) + t)


def test_log_one_minus_exp():
    """With ``t = log q``, in which likelihoods differentiate it."""
    q = np.array([1e-200, 1e-12, 9.9e-5, 1.01e-4, 0.3, 2.0, 30.0, 800.0])
    exact = []
    for d in map(Decimal, q):
        e = (-d).exp()
        g = d * e / (1 - e)
        exact.append([float((1 - e).ln()), float(g), float(g * (1 - d - g))])
    found = slopes(_log_one_minus_exp, np.zeros(q.size), q)[:3]
    np.testing.assert_allclose(found, np.array(exact).T, rtol=1e-12, atol=3e-13)


def _rising(t, x, y):
    return log_rising(jnp.log(x) + t, y)


def test_log_rising():
    """A product of y factors; with ``t = log x`` its slopes are sums of ``x / (x + k)`` and ``x k / (x + k)^2``."""
    x, y = (part.ravel() for part in np.meshgrid([1e-300, 1e-6, 0.3, 7.0, 1e3, 1e8, 1e15, 1e21], [0.0, 1.0, 40.0]))
    exact = []
    for start, count in zip(map(Decimal, x), map(int, y), strict=True):
        parts = [start + k for k in range(count)]
        sums = [sum(p.ln() for p in parts), sum(start / p for p in parts)]
        exact.append([*map(float, sums), float(sum(start * k / p**2 for k, p in enumerate(parts)))])
    found = slopes(_rising, np.zeros(x.size), x, y)[:3]
    error = np.abs(found - np.array(exact).T) / (1.0 + y + np.abs(exact).T)
    assert np.max(error) < 5e-15
