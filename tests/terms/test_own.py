"""Terms from outside of the package: from two functions, and from nothing as the page "A term in one file" does it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from dense_model import restricted
from helpers import CHECKOUT
from synthetic import around

import lgm
from lgm.design.design import encode
from lgm.priors import flat
from lgm.terms import TERMS, Signature

N = 30
RNG = np.random.default_rng(5)
DATA = pd.DataFrame({"x": RNG.uniform(0, 5, N), "w": RNG.normal(size=N), "g": RNG.choice(["a", "b"], N)})
DATA["y"] = np.sin(DATA["x"]) + 0.3 * RNG.normal(size=N)
FLAT = {"Intercept": flat()}
PAGE = (CHECKOUT / "vignettes" / "a_term_in_one_file.md").read_text(encoding="utf-8")
BLOCKS = [
    block.replace("%matplotlib inline\n", "") for block in re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)
]


@pytest.fixture(autouse=True)
def known() -> Iterator[None]:
    """Terms that a test registers are gone after it."""
    before = dict(TERMS)
    yield
    for name in set(TERMS) - set(before):
        del TERMS[name]


def powers(x, *, k=3):
    return np.column_stack([x**j for j in range(1, k + 1)])


def band(n, *, k=3):
    return sp.diags_array([2.0 + 0.1 * k, -0.7, -0.7], offsets=[0, 1, -1], shape=(n, n))


def model(formula="y ~ 1 + powers(x, k=4)"):
    lgm.register_term("powers", lgm.terms.custom(powers, band))
    return lgm.model(formula, DATA, priors=FLAT)


def test_columns_with_a_precision():
    """Options of the call reach both functions."""
    built = model()
    Z = DATA["x"].to_numpy()[:, None] ** np.arange(1, 5)
    R = 2.4 * np.eye(4) - 0.7 * (np.abs(np.subtract.outer(np.arange(4), np.arange(4))) == 1)
    np.testing.assert_array_equal(built.design.predictor.Z.toarray(), Z)
    V = 0.3**2 * Z @ np.linalg.inv(R) @ Z.T + 0.25 * np.eye(N)
    wanted = restricted(DATA["y"].to_numpy(), np.ones((N, 1)), V)[0]
    assert built.log_likelihood({"sd(powers(x))": 0.3, "sigma": 0.5}) == pytest.approx(wanted, abs=1e-9)
    (encoded,) = encode(built.design, pd.DataFrame({"x": [0.5, 2.0]})).encoded
    np.testing.assert_allclose(encoded.z.toarray(), [[0.5, 0.25, 0.125, 0.0625], [2, 4, 8, 16]])
    assert built.design.terms[0].size == "4 columns"


def test_independent_coefficients_of_several_variables():
    def crossed(x, w):
        return sp.csr_array(np.column_stack([x * w, x - w]))

    lgm.register_term("crossed", lgm.terms.custom(crossed))
    built = lgm.model("y ~ 1 + crossed(x, w=w) + crossed(w, x)", DATA, priors=FLAT)
    assert built.design.theta_names == ("sd(crossed(x, w))", "sd(crossed(w, x))", "sigma")
    x, w = DATA["x"].to_numpy(), DATA["w"].to_numpy()
    A, B = np.column_stack([x * w, x - w]), np.column_stack([x * w, w - x])
    V = 0.49 * A @ A.T + 0.09 * B @ B.T + 0.25 * np.eye(N)
    wanted = restricted(DATA["y"].to_numpy(), np.ones((N, 1)), V)[0]
    found = built.log_likelihood(dict(zip(built.design.theta_names, (0.7, 0.3, 0.5), strict=True)))
    assert found == pytest.approx(wanted, abs=1e-9)


def test_plot_and_file(tmp_path):
    """A curve of its variable; the file says which term to register, and takes it from there."""
    fit = around(model(), {"sd(powers(x))": 0.3, "sigma": 0.5}, chains=1, draws=20)
    (ax,) = fit.plot_term("powers(x)").axes[:1]
    assert max(len(line.get_xdata()) for line in ax.lines) == 200
    fit.save(tmp_path / "fit.lgm")
    new = pd.DataFrame({"x": [1.0, 7.0]})
    pd.testing.assert_frame_equal(lgm.load(tmp_path / "fit.lgm").predict(new), fit.predict(new))
    del TERMS["powers"]
    for trusted in (False, True):
        with pytest.raises(lgm.LgmError, match=r'has `powers\(\)`, .*run lgm.register_term\("powers", ...\) before'):
            lgm.load(tmp_path / "fit.lgm", trusted=trusted)


def test_a_name_that_is_registered_again_means_the_new_term():
    model()
    lgm.register_term("powers", lgm.terms.custom(lambda x: x[:, None]))
    assert lgm.model("y ~ 1 + powers(x)", DATA).design.terms[0].size == "1 column"
    with pytest.raises(lgm.FormulaError, match=r"powers\(\) has no argument `k`"):
        lgm.model("y ~ 1 + powers(x, k=4)", DATA)
    lgm.register_term("powers", lgm.terms.custom(powers), Signature(("x",), shown=("k",)))
    assert lgm.model("y ~ 1 + powers(x)", DATA).design.theta_names[0] == "sd(powers(x))"


BAD_FUNCTIONS = [
    (3, None, "columns=3 of a term; accepted: a function"),
    (powers, 3, "precision=3 of a term; accepted: a function"),
    (lambda: 1, None, "a function of nothing"),
    (lambda *x: x, None, r"a function of `\*x`; accepted: arguments with names"),
]


@pytest.mark.parametrize(("columns", "precision", "message"), BAD_FUNCTIONS)
def test_what_is_no_term(columns, precision, message):
    with pytest.raises(lgm.LgmError, match=message):
        lgm.terms.custom(columns, precision)


BAD_VALUES = [
    (lambda x: x, None, r"the columns of own\(x\) have the shape \(30,\); accepted: a row for each of 30 rows"),
    (lambda x: np.ones((3, 2)), None, r"have the shape \(3, 2\)"),
    (lambda x: np.ones((30, 0)), None, "has no columns"),
    (lambda x: np.log(-np.ones((30, 1))), None, "are not finite in some rows"),
    (lambda x: 1 / 0, None, "cannot be computed: ZeroDivisionError"),
    (powers, lambda n: np.eye(2), r"the precision of own\(x\) is 2 x 2, but there are 3 columns"),
    (powers, lambda n: np.triu(np.ones((n, n))), "is not a symmetric matrix of finite numbers"),
    (powers, lambda n: np.full((n, n), np.nan), "is not a symmetric matrix of finite numbers"),
    (powers, lambda n: np.ones((n, n)), "is not positive definite. A singular one needs"),
]


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize(("columns", "precision", "message"), BAD_VALUES)
def test_what_functions_may_not_return(columns, precision, message):
    lgm.register_term("own", lgm.terms.custom(columns, precision))
    with pytest.raises(lgm.LgmError, match=message):
        lgm.model("y ~ 1 + own(x)", DATA)


def test_other_rows_have_as_many_columns():
    lgm.register_term("own", lgm.terms.custom(lambda x: np.ones((x.size, 2 if x.size == N else 1))))
    built = lgm.model("y ~ 0 + own(x)", DATA)
    with pytest.raises(lgm.LgmError, match=r"own\(x\) has 1 column at these rows, and 2 in the fit"):
        encode(built.design, DATA.iloc[:3])


def test_the_term_of_the_page():
    """Its definitions and its checks; the fits of the page are left out."""
    names: dict[str, object] = {}
    for block in BLOCKS:
        if "lgm.fit(" not in block and "fit." not in block:
            exec(compile(block, "a_term_in_one_file.md", "exec"), names)
    assert abs(names["ours"] - names["dense"]) < 1e-9  # type: ignore[operator]
    assert {"waves", "circle"} <= set(TERMS)


@pytest.mark.slow
def test_the_whole_page(capsys):
    names: dict[str, object] = {}
    for block in BLOCKS:
        exec(compile(block, "a_term_in_one_file.md", "exec"), names)
    assert capsys.readouterr().out.endswith("True\n")
