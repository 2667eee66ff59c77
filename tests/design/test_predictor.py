"""Parts of a linear predictor: which columns count, and which columns of the data they need."""

import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.design.design import encode
from lgm.design.predictor import Parts

N = 30
RNG = np.random.default_rng(3)
DATA = pd.DataFrame(
    {
        "y": RNG.normal(size=N),
        "x": RNG.normal(size=N),
        "t": RNG.integers(0, 9, N),
        "g": RNG.choice(["a", "b", "c"], N),
        "e": RNG.normal(size=N),
    }
)


@pytest.fixture(scope="module")
def design():
    return lgm.model("y ~ x + rw2(t) + (1|g) + offset(e)", DATA).design


def parts(design, fixed=(), terms=(), offset=False):
    labels = [term.label in terms for term in design.terms]
    return Parts(np.isin(design.fixed_names, list(fixed)), tuple(labels), offset)


def test_everything(design):
    rows = encode(design)
    np.testing.assert_array_equal(rows.X.toarray(), design.predictor.X.toarray())
    np.testing.assert_array_equal(rows.offset, DATA["e"])
    assert all(each is not None for each in rows.encoded)


def test_what_does_not_count_is_empty_and_needs_no_columns(design):
    rows = encode(design, DATA[["x"]], parts(design, fixed=["x"]))
    assert rows.X.toarray()[:, 0].tolist() == [0.0] * N
    np.testing.assert_array_equal(rows.X.toarray()[:, 1], DATA["x"])
    assert rows.encoded == (None, None) and not rows.offset.any()
    rows = encode(design, DATA[["g"]], parts(design, terms=["(1 | g)"]))
    assert rows.X.nnz == 0 and rows.encoded[0] is None and rows.encoded[1] is not None
    assert encode(design, DATA[["e"]], parts(design, offset=True)).offset.tolist() == DATA["e"].tolist()


def test_a_straight_line_is_read_from_its_walk(design):
    rows = encode(design, DATA[["t"]], parts(design, fixed=["rw2(t)[linear]"]))
    np.testing.assert_array_equal(rows.X.toarray()[:, 2], DATA["t"])
    assert rows.encoded == (None, None)


def test_what_counts_needs_its_columns(design):
    with pytest.raises(lgm.DataError, match=r"lacks the column\(s\) t\. It has: x"):
        encode(design, DATA[["x"]], parts(design, fixed=["x"], terms=["rw2(t)"]))


@pytest.mark.parametrize(
    ("typed", "printed"),
    [
        ("s(x, bs='cr', k=5)", "s(x)"),
        ('s( x,bs = "cr",k=5 )', "s(x)"),
        ("sd(s(x, bs='cr', k=5))", "sd(s(x))"),
        ("s(x, bs='cr', k=5)[linear] > 0", "s(x)[linear] > 0"),
        ("as(x, bs='cr', k=5)", "as(x, bs='cr', k=5)"),
        ("s(x, k=5)", "s(x, k=5)"),
        ("(1|g)", "(1 | g)"),
        ("sd(Intercept|g)", "sd(Intercept|g)"),
    ],
)
def test_terms_may_be_named_as_the_formula_has_them(typed, printed):
    """With their options, whatever the spaces and quotes; inside the names of their parameters too."""
    design = lgm.model("y ~ s(x, bs='cr', k=5) + (1|g)", DATA).design
    assert design.predictor.as_printed(typed) == printed


def test_every_table_takes_the_name_of_the_formula():
    written = "rw2(t, cyclic=True, period=9)"
    model = lgm.model(f"y ~ x + {written}", DATA, priors={f"sd({written})": lgm.priors.half_normal(1)})
    assert model.priors["prior"]["sd(rw2(t))"] == "half_normal(1)"
    fit = model.fit(method="mode", draws=50, seed=1, progress=False)
    plain = fit.predict(terms=["rw2(t)"])
    pd.testing.assert_frame_equal(fit.predict(terms=[written]), plain)
    assert fit.hypothesis(f"sd({written}) > 0").index[0] == f"sd({written}) > 0"
    assert fit.effect_draws(written).sizes == fit.effect_draws("rw2(t)").sizes
    assert fit.plot_term(written).axes and fit.plot(f"sd({written})").axes
    with pytest.raises(lgm.LgmError, match=r"terms= has 'rw2\(t, period=8\)'"):
        fit.predict(terms=["rw2(t, period=8)"])
    assert fit.update(". ~ . - x").priors["prior"]["sd(rw2(t))"] == "half_normal(1)"


def test_columns_of_terms_are_in_memory_once(design):
    z = design.predictor.Z
    for term, place in zip(design.terms, design.predictor.term_slices(), strict=True):
        np.testing.assert_array_equal(term.z.toarray(), z[:, place].toarray())
        assert np.shares_memory(term.z.data, z.data) and np.shares_memory(term.z.indices, z.indices)
