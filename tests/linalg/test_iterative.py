"""Systems that are never factored, against dense algebra; where probes estimate, within the error that is derived."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp

from lgm import linalg
from lgm.linalg import iterative, products

BORDER, PROBES = 2, 400


class Case:
    """Three factors crossed at random, with fixed effects: the effects of the first in a level are a block of the head.

    With two effects in a level, the second factor has two as well.
    """

    def __init__(self, size, seed=1):
        rng = np.random.default_rng(seed)
        rows, levels = 500, (60, 15, 6)
        x, fixed = rng.normal(size=rows), rng.normal(size=(rows, BORDER))
        columns = [sp.csr_array(fixed)]
        for n, effects in zip(levels, (size, size, 1), strict=True):
            level = rng.integers(n, size=rows)
            each = [(x**k, (np.arange(rows), effects * level + k)) for k in range(effects)]
            columns.append(sp.csr_array(sum(sp.csr_array(own, shape=(rows, effects * n)) for own in each)))
        a = sp.hstack(columns)
        prior = np.concatenate([np.zeros(BORDER), np.ones(a.shape[1] - BORDER)])
        matrix = sp.csc_array(0.3 * (a.T @ a) + sp.diags_array(prior))
        self.head = BORDER + np.arange(size * levels[0]).reshape(-1, size)
        self.border = np.arange(BORDER)
        self.sym = linalg.analyse_iterative(matrix, self.head, last=self.border, probes=PROBES)
        self.other = linalg.analyse_dense(matrix)
        self.values, self.dense = self.sym.values(matrix), matrix.toarray()
        self.b = rng.normal(size=(self.sym.n, 3))
        self.directions = rng.normal(size=(3, self.sym.nnz)) * np.abs(self.values)

    @property
    def inverse(self):
        return np.linalg.inv(self.dense)

    def reduced(self, matrix=None):
        """P and T of the module's docstring, and D^-1."""
        matrix = self.dense if matrix is None else matrix
        head = self.head.ravel()
        rest = np.setdiff1d(np.arange(len(matrix)), [*head, *self.border])
        d, cross = matrix[np.ix_(head, head)], matrix[np.ix_(rest, head)]
        schur = matrix[np.ix_(rest, rest)] - cross @ np.linalg.solve(d, cross.T)
        p = np.diag(schur)
        return rest, p, schur / np.sqrt(np.outer(p, p)), np.linalg.inv(d)


@pytest.fixture(scope="module", params=[1, 2], ids=["one effect in a level", "two effects in a level"])
def case(request):
    return Case(request.param)


def of_one_probe(t):
    """Standard deviation of z'log(T) z for independent signs z."""
    log = scipy.linalg.logm(t)
    return np.sqrt(2.0 * (np.sum(log**2) - np.sum(np.diag(log) ** 2)))


def test_systems_are_solved(case):
    x = case.inverse @ case.b
    with jax.enable_x64(True):
        _, quad, found = linalg.logdet_quad(case.sym, case.values, case.b)
        again = linalg.solve(case.sym, case.values, case.b)
    for each in (found, again):
        np.testing.assert_allclose(each, x, rtol=0, atol=1e-9 * np.abs(x).max())
    np.testing.assert_allclose(quad, case.b.T @ x, rtol=0, atol=1e-9 * np.abs(case.b.T @ x).max())


def test_the_log_determinant_is_within_its_error(case):
    wanted, error = np.linalg.slogdet(case.dense)[1], of_one_probe(case.reduced()[2])
    with jax.enable_x64(True):
        found = float(linalg.logdet(case.sym, case.values))
        each, _ = iterative.spread(case.sym, case.values, case.directions)
    assert abs(found - wanted) < 4.0 * error / np.sqrt(PROBES)
    assert np.mean(each) == pytest.approx(found, abs=1e-9)
    # of a sample variance; tails are those of a normal or lighter
    assert np.std(each, ddof=1) == pytest.approx(error, rel=4.0 / np.sqrt(2.0 * PROBES))


def test_the_gradient_is_that_of_the_estimate(case):
    with jax.enable_x64(True):

        def value(q):
            return linalg.logdet(case.sym, q)

        gradient = jax.grad(value)(jnp.asarray(case.values))
        _, slopes = iterative.spread(case.sym, case.values, case.directions)
        step = 1e-3
        for u in case.directions:
            one, two = ((value(case.values + h * u) - value(case.values - h * u)) / (2 * h) for h in (step, 2 * step))
            assert float(gradient @ u) == pytest.approx(float(4 * one - two) / 3, rel=1e-6, abs=1e-6)
    np.testing.assert_allclose(np.mean(slopes, axis=0), case.directions @ gradient, rtol=1e-9, atol=1e-9)


def test_the_gradient_is_within_its_error_of_the_true_one(case):
    with jax.enable_x64(True):
        _, slopes = iterative.spread(case.sym, case.values, case.directions)
    for u, own in zip(case.directions, np.asarray(slopes).T, strict=True):
        full = case.sym.pattern.matrix(u).toarray()
        wanted = np.sum(case.inverse * full)
        h = 1e-5
        moved = (scipy.linalg.logm(case.reduced(case.dense + s * h * full)[2]) for s in (1.0, -1.0))
        along = next(moved)
        along = (along - next(moved)) / (2 * h)
        error = np.sqrt(2.0 * (np.sum(along**2) - np.sum(np.diag(along) ** 2)))
        assert abs(own.mean() - wanted) < 4.0 * error / np.sqrt(PROBES) + 1e-6
        assert np.std(own, ddof=1) == pytest.approx(error, rel=4.0 / np.sqrt(2.0 * PROBES))


def test_other_derivatives_are_those_of_dense_algebra(case):
    def function(sym, q, b):
        _, quad, x = linalg.logdet_quad(sym, q, b)
        return jnp.sum(jnp.sin(quad)) + jnp.sum(jnp.cos(x) * b)

    def solved(sym, q, b):
        return jnp.sum(jnp.sin(linalg.solve(sym, q, b)))

    with jax.enable_x64(True):
        values, b = jnp.asarray(case.values), jnp.asarray(case.b)
        for each in (function, solved):
            found, wanted = (jax.grad(each, (1, 2))(sym, values, b) for sym in (case.sym, case.other))
            for one, other in zip(found, wanted, strict=True):
                np.testing.assert_allclose(one, other, rtol=0, atol=1e-8 * np.abs(other).max())


def test_draws_have_the_covariance(case):
    with jax.enable_x64(True):
        root = np.asarray(linalg.solve_and_sample(case.sym, case.values, case.b, np.eye(case.sym.n))[2])
    np.testing.assert_allclose(root @ root.T, case.inverse, rtol=0, atol=1e-9 * case.inverse.max())


def test_the_inverse_as_far_as_it_is_known(case):
    pattern = case.sym.pattern
    with jax.enable_x64(True):
        diagonal, error, found = map(np.asarray, iterative.diagonal_of_inverse(case.sym, jnp.asarray(case.values)))
        _, x, same = linalg.solve_and_invert(case.sym, case.values, case.b)
    np.testing.assert_array_equal(same, found)
    np.testing.assert_array_equal(diagonal, found[pattern.indptr[:-1]])
    np.testing.assert_allclose(x, case.inverse @ case.b, rtol=0, atol=1e-9 * np.abs(x).max())
    wanted = case.inverse[pattern.rows, pattern.cols]
    in_border = pattern.cols < BORDER
    np.testing.assert_allclose(found[in_border], wanted[in_border], rtol=0, atol=1e-9 * np.abs(wanted).max())
    rest, p, _, inverse = case.reduced()
    given = np.zeros(case.sym.n)
    given[case.head.ravel()], given[rest] = np.diag(inverse), 1.0 / p
    # the square of a sum of independent signs times a_k varies by 2 (sum a_k^2)^2 at most
    share = np.diag(case.inverse) - given
    most = np.where(np.arange(case.sym.n) < BORDER, 1e-9, np.sqrt(2.0 / 64) * share)
    assert np.all(np.abs(diagonal - np.diag(case.inverse)) < 5.0 * most)
    assert np.all(error[BORDER:] < 3.0 * most[BORDER:]) and np.all(error[:BORDER] == 0.0)
    known = in_border | (pattern.rows == pattern.cols)
    blocks = np.isin(pattern.rows, case.head) & np.isin(pattern.cols, case.head)
    for e in np.flatnonzero(blocks & ~known):
        i, j = pattern.rows[e], pattern.cols[e]
        assert abs(found[e] - wanted[e]) < 5.0 * np.sqrt(most[i] * most[j]) * np.sqrt(2.0)
    beside = np.isin(pattern.rows, rest) & np.isin(pattern.cols, rest) & ~known
    assert np.any(beside)
    error = of_covariances(case, rest, p)
    places = {row: k for k, row in enumerate(rest)}
    for e in np.flatnonzero(beside):
        assert abs(found[e] - wanted[e]) < 5.0 * error[places[pattern.rows[e]], places[pattern.cols[e]]]
    every = known | blocks | beside
    assert np.all(np.isnan(found[~every])) and np.all(np.isfinite(found[every]))


def of_covariances(case, rest, p):
    """Standard errors of the mean over 64 draws of ``(m_i x_j + m_j x_i) / 2``, x = F z and m = M z with signs z."""
    both = np.array([*rest, *case.border])
    full = case.inverse[np.ix_(both, both)]
    n = rest.size
    inner = np.linalg.inv(np.linalg.inv(full)[:n, :n])  # given the border
    corner = np.linalg.cholesky(np.linalg.inv(full[n:, n:])).T
    root = np.linalg.inv(corner)
    t = case.reduced()[2]
    own = scipy.linalg.fractional_matrix_power(t, -0.5) / np.sqrt(p)[:, None]
    np.testing.assert_allclose(own @ own.T, inner, rtol=0, atol=1e-9)
    x = np.hstack([own, full[:n, n:] @ np.linalg.inv(full[n:, n:]) @ root])
    m = x - np.hstack([scipy.linalg.sqrtm(t) / np.sqrt(p)[:, None], np.zeros((n, both.size - n))])
    return np.array(
        [[_of_form(0.5 * (np.outer(m[i], x[j]) + np.outer(m[j], x[i]))) for j in range(n)] for i in range(n)]
    )


def _of_form(a):
    a = a + a.T
    return np.sqrt(0.5 * (np.sum(a**2) - np.sum(np.diag(a) ** 2)) / 64)


def test_products_with_the_entries(case):
    x, y = np.random.default_rng(5).normal(size=(2, 2, case.sym.n, 3))
    with jax.enable_x64(True):
        for function in (products.multiply, products.gradient):
            first = jnp.asarray(np.stack([case.values, 2.0 * case.values]) if function is products.multiply else y)
            found, wanted = (
                jax.vmap(lambda a, b, s=sym, f=function: f(s, a, b))(first, jnp.asarray(x))
                for sym in (case.sym, case.other)
            )
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-11 * np.abs(wanted).max())


def test_nothing_is_estimated_where_there_is_no_rest():
    case = Case(1)
    rest = case.reduced()[0]
    sym = linalg.analyse_iterative(case.sym.pattern, case.head, last=[*case.border, *rest], probes=2)
    with jax.enable_x64(True):
        found, gradient = jax.value_and_grad(lambda q: linalg.logdet(sym, q))(jnp.asarray(case.values))
        wanted, other = jax.value_and_grad(lambda q: linalg.logdet(case.other, q))(jnp.asarray(case.values))
        inverse = linalg.selected_inverse(sym, case.values)
    assert float(found) == pytest.approx(float(wanted), abs=1e-9)
    np.testing.assert_allclose(gradient, other, rtol=0, atol=1e-9)
    known = np.isfinite(inverse)
    assert np.count_nonzero(known) == case.sym.nnz
    diagonal = case.sym.pattern.indptr[:-1]
    np.testing.assert_allclose(inverse[diagonal][rest], np.diag(case.inverse)[rest], rtol=0, atol=1e-9)


def test_a_matrix_that_is_not_positive_definite_is_nan(case):
    beyond = case.values.copy()
    beyond[case.sym.pattern.indptr[:-1]] -= np.linalg.eigvalsh(case.dense)[0] + 1e-3
    with jax.enable_x64(True):
        assert int(linalg.factor_info(case.sym, case.values)) == 0
        for bad in (-case.values, beyond, np.full_like(case.values, np.nan)):
            assert int(linalg.factor_info(case.sym, bad)) == 1
            value, gradient = jax.value_and_grad(lambda q: linalg.logdet(case.sym, q))(jnp.asarray(bad))
            assert np.isnan(value) and np.all(np.isnan(gradient))


def test_probes_are_those_of_the_seed(case):
    def found(seed):
        sym = linalg.analyse_iterative(case.sym.pattern, case.head, last=case.border, probes=40, seed=seed)
        with jax.enable_x64(True):
            return sym, float(linalg.logdet(sym, case.values))

    (one, first), (same, second), (other, third) = found(1), found(1), found(2)
    assert one == same and hash(one) == hash(same) and one != other
    assert pickle.loads(pickle.dumps(one)) == one
    assert first == second != third


def test_bad_parts_are_refused():
    chain = sp.diags_array([np.full(5, 3.0), np.ones(4), np.ones(4)], offsets=[0, 1, -1])
    for head, what in (([0, 1], "meet"), ([0, 9], "no such rows"), (np.zeros((1, 5)), "shape")):
        with pytest.raises(ValueError, match=what):
            linalg.analyse_iterative(chain, head)
    with pytest.raises(ValueError, match="no such rows"):
        linalg.analyse_iterative(chain, [0, 2], last=[2])
    with pytest.raises(ValueError, match="two or more"):
        linalg.analyse_iterative(chain, [0, 2], probes=1)
