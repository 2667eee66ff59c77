"""New places and new copies: linear maps of effects and normals, against dense conditional Gaussian algebra."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from dense_model import ar1

from lgm.parameter import AUTOCORRELATION, one, standard_deviation
from lgm.precision import continuation
from lgm.precision.ar import Ar1
from lgm.precision.iid import Iid
from lgm.precision.kronecker import Kronecker
from lgm.priors import uniform
from lgm.terms.block import Block
from lgm.terms.extension import Extension
from lgm.terms.term import Novel

OLD, NEW = np.array([0.0, 1.0, 3.0]), np.array([2.0, 4.0])
YEARS, LATER = np.array([0.0, 1.0]), np.array([2.0, 4.0, 5.0])
SD, RHO, ACROSS = 0.7, 0.6, -0.5
THETA = {"sd": np.array([[SD]]), "rho": np.array([[RHO, ACROSS]])}


def block(times):
    parameters = (standard_deviation("x", 1.0), one("rho", "x", AUTOCORRELATION, uniform(-1, 1), 0.5))
    return Block(Ar1(np.diff(times).astype(np.int64), times.size), parameters)


def continued(old, new):
    def draw(theta, b, normals):
        bridge = continuation.autoregressive(theta["sd"][:, 0], theta["rho"][:, 0])
        return continuation.markov(old, new, bridge, b, normals)

    return Novel("times", sp.csc_array((1, new.size)), draw, population=False)


def levels(count):
    return Novel("levels", sp.csc_array((1, count)), lambda theta, b, z: theta["sd"] * z, population=True)


def extension(outer, places, new_copies, chosen):
    kinds = (("sd", 1), ("rho", 1))
    independent = isinstance(outer.template, Iid)
    template = Kronecker.of(outer.template, block(OLD).template, (kinds[: 1 if independent else 2], kinds))
    return Extension(template, outer, block(OLD), places, new_copies, np.array(chosen), independent)


def maps(found, theta, n):
    """What the new effects are of the fitted ones and of normals, (m, n) and (m, normals)."""

    def repeated(k):
        return {kind: np.repeat(values, k, axis=0) for kind, values in theta.items()}

    z = sum(found.normals)
    of_b = found.draw(repeated(n), np.eye(n), np.zeros((n, z))).T
    return of_b, found.draw(repeated(z), np.zeros((z, n)), np.eye(z)).T


def conditional(whole, n):
    """Weights and covariance of what follows the first n, given those."""
    weights = whole[n:, :n] @ np.linalg.inv(whole[:n, :n])
    return weights, whole[n:, n:] - weights @ whole[:n, n:]


def arranged(outer, inner, old_copies, old_places):
    """``outer (x) inner`` in the order: fitted, new places of fitted copies, all places of new copies."""
    a, b = np.divmod(np.arange(len(outer) * len(inner)), len(inner))
    order = np.lexsort((b, a, np.where(a >= old_copies, 2, b >= old_places)))
    return np.kron(outer, inner)[np.ix_(order, order)]


@pytest.mark.parametrize(("places", "later"), [(True, True), (True, False), (False, True)])
def test_dependent_copies(places, later):
    found = extension(
        block(YEARS),
        continued(OLD, NEW) if places else None,
        continued(YEARS, LATER) if later else None,
        np.arange(2 * places),
    )
    outer = ar1(np.concatenate([YEARS, LATER] if later else [YEARS]).astype(int), 1.0, ACROSS)
    inner = ar1(np.concatenate([OLD, NEW] if places else [OLD]).astype(int), SD, RHO)
    weights, covariance = conditional(arranged(outer, inner, 2, 3), 6)
    of_b, of_z = maps(found, THETA, 6)
    assert found.size == len(weights)
    np.testing.assert_allclose(of_b, weights, rtol=0, atol=1e-12)
    np.testing.assert_allclose(of_z @ of_z.T, covariance, rtol=0, atol=1e-12)


def test_independent_copies():
    """Only some of the known copies need new places; new copies have theirs as well."""
    outer = Block(Iid(3), (standard_deviation("x", 1.0),))
    found = extension(outer, continued(OLD, NEW), levels(2), [0, 2])
    inner = ar1(np.concatenate([OLD, NEW]).astype(int), SD, RHO)
    weights, left = conditional(inner, 3)
    of_b, of_z = maps(found, {"sd": THETA["sd"], "rho": THETA["rho"][:, :1]}, 9)
    assert (found.known, found.size) == (4, 14)
    wanted = np.zeros((14, 9))
    wanted[:2, :3] = wanted[2:4, 6:] = weights
    np.testing.assert_allclose(of_b, wanted, rtol=0, atol=1e-12)
    covariance = np.zeros((14, 14))
    covariance[:4, :4] = np.kron(np.eye(2), left)
    covariance[4:, 4:] = np.kron(np.eye(2), inner)
    np.testing.assert_allclose(of_z @ of_z.T, covariance, rtol=0, atol=1e-12)


def test_nothing_new():
    found = extension(block(YEARS), None, None, [])
    assert found.size == 0 and found.normals == (0, 0, 0)
