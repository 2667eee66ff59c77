"""The fixed effects: a well-conditioned basis, and whether the data can tell their columns apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from lgm.arrays import BoolArray, FloatArray
from lgm.design.columns import COLLINEAR, Columns, Interactions
from lgm.errors import IdentifiabilityError
from lgm.gram import dense_gram

MOST_NAMED = 6  # columns in a message


def standardise(x: sp.csc_array, intercept: int | None) -> tuple[sp.csc_array, FloatArray]:
    """Change of basis of the fixed effects that conditions their normal equations.

    Columns without a structural zero are centred (only beside an intercept) and all are scaled: ``X_int = X B``,
    ``beta = B beta_int``. Columns with such zeros, those of factors, stay sparse: numbers in interactions are centred
    over the rows of their level.

    Returns
    -------
    x_int : sparse array (n, p)
    basis : float array (p, p)
        B.
    """
    n, p = x.shape
    shift, scale = np.zeros(p), np.ones(p)
    x = x if x.has_sorted_indices else x.sorted_indices()
    out = sp.csc_array((x.data.astype(float), x.indices, x.indptr), shape=x.shape)
    pairs = Interactions.of(x)
    for i, j, mean, spread in zip(pairs.indicator, pairs.product, pairs.mean, pairs.spread, strict=True):
        one, part = slice(out.indptr[i], out.indptr[i + 1]), slice(out.indptr[j], out.indptr[j + 1])
        out.data[part] = out.data[part] - mean * out.data[one] if spread > 0.0 else 0.0
    for j in range(p):
        part = slice(out.indptr[j], out.indptr[j + 1])
        if j != intercept:
            if intercept is not None and part.stop - part.start == n:
                shift[j] = out.data[part].mean()
                out.data[part] -= shift[j]
            scale[j] = np.sqrt(np.sum(out.data[part] ** 2) / n) or 1.0
        out.data[part] /= scale[j]
    basis = np.diag(1.0 / scale)
    if intercept is not None:
        basis[intercept] -= shift / scale
    basis[pairs.indicator, pairs.product] -= pairs.mean / scale[pairs.product]
    return out, basis


def prior_functionals(
    columns: Columns, intercept: int | None, at_means: BoolArray, *, centred_intercept: bool
) -> sp.csr_array:
    """What of the coefficients the priors of fixed effects are about, one row for each: its determinant is one.

    Parameters
    ----------
    columns : Columns
    intercept : int or None
    at_means : bool array (p,)
        Whose prior is that of a difference at the mean of the numbers that it interacts with.
    centred_intercept : bool
        Whether that of the intercept is about the level at the mean of all other columns.
    """
    p = columns.p
    rows, cols, data = [np.arange(p)], [np.arange(p)], [np.ones(p)]
    pairs = columns.pairs
    chosen = at_means[pairs.indicator]
    rows.append(pairs.indicator[chosen])
    cols.append(pairs.product[chosen])
    data.append(pairs.mean[chosen])
    if centred_intercept and intercept is not None:
        others = np.flatnonzero(np.arange(p) != intercept)
        rows.append(np.full(others.size, intercept))
        cols.append(others)
        data.append(columns.mean[others])
    where = (np.concatenate(rows), np.concatenate(cols))
    return sp.csr_array((np.concatenate(data), where), shape=(p, p))


def residuals(gram: FloatArray) -> FloatArray:
    """Squared length of what each column adds to the ones before it, relative to its own length."""
    length = np.sqrt(np.diag(gram))
    length[length == 0.0] = 1.0
    left = gram / np.outer(length, length)
    try:
        pivots = np.diag(np.linalg.cholesky(left)) ** 2
        if np.all(pivots > COLLINEAR):
            return pivots
    except np.linalg.LinAlgError:
        pass
    out = np.ones(length.size)
    for j in range(length.size):
        out[j] = max(left[j, j], 0.0)
        if out[j] > COLLINEAR:
            left -= np.outer(left[:, j], left[j]) / left[j, j]
    return out


def require_full_rank(x: sp.csc_array, columns: Columns, names: Sequence[str], intercept: int | None) -> FloatArray:
    """Check the fixed effects at the rows with a response.

    Parameters
    ----------
    x : sparse array (n, p)
    columns : Columns
        What they are as a whole.
    names : sequence of p str
    intercept : int or None
        Its column.

    Returns
    -------
    float array (p, p)
        ``X_int' X_int`` of the standardised columns.

    Raises
    ------
    IdentifiabilityError
        If a column is zero, constant beside the intercept, or a combination of others, which are named.
    """
    require_seen(columns, names, intercept)
    standard, basis = standardise(x, intercept)
    gram = dense_gram(standard)
    require_independent(columns, gram, basis, names, intercept)
    return gram


def require_seen(columns: Columns, names: Sequence[str], intercept: int | None) -> None:
    """Refuse columns that are zero everywhere, or constant beside the intercept.

    Raises
    ------
    IdentifiabilityError
    """
    for j, name in enumerate(names):
        if columns.size[j] == 0.0:
            cell = " or make one factor of the combinations that occur," if ":" in name else ""
            raise IdentifiabilityError(
                f"the column `{name}` is zero in every row with a response, so nothing is known about it. Remove its "
                f"term,{cell} or remove the rows without a response that it comes from."
            )
        if intercept is not None and j != intercept and columns.stored[j] == columns.n:
            require_difference(columns.low[j], columns.high[j], name)


def require_independent(
    columns: Columns, gram: FloatArray, basis: FloatArray, names: Sequence[str], intercept: int | None
) -> None:
    """Refuse a column that is a combination of others.

    Parameters
    ----------
    columns : Columns
    gram : float array (p, p)
        Of the standardised columns.
    basis : float array (p, p)
        Which standardises them.
    names, intercept
        As in `require_full_rank`.

    Raises
    ------
    IdentifiabilityError
    """
    redundant = np.flatnonzero(residuals(gram) <= COLLINEAR)
    if not redundant.size:
        return
    j = int(redundant[0])
    _refuse_far_from_zero(columns, names, j, intercept)
    shares = np.linalg.lstsq(gram[:j, :j], gram[:j, j], rcond=None)[0]
    weights = np.abs(basis[:j, j] - basis[:j, :j] @ shares) * columns.length[:j]
    inside = weights > 1e-6 * weights.max()
    partners = [f"`{names[i]}`" for i in np.flatnonzero(inside).tolist() if i != intercept]
    if len(partners) > MOST_NAMED:
        partners[MOST_NAMED:] = [f"{len(partners) - MOST_NAMED} others"]
    others = f"{', '.join(partners[:-1])} and {partners[-1]}" if len(partners) > 1 else partners[0]
    what = "a linear function" if len(partners) == 1 else "a linear combination"
    stem = names[j].rpartition("[")[0]
    if intercept in np.flatnonzero(inside) and all(name.startswith(f"`{stem}[") for name in partners):
        centred = f", or `{stem[:-1]}, constraints='center')`" if stem.startswith(("cr(", "cc(")) else ""
        raise IdentifiabilityError(
            f"the columns of `{stem}` hold the intercept too: a combination of them is the same in every row. "
            f"Accepted: `0 + {stem}`{centred}."
        )
    constant = " and the intercept" if intercept in np.flatnonzero(inside) else ""
    raise IdentifiabilityError(
        f"the column `{names[j]}` is {what} of {others}{constant if len(partners) > 1 else ''}, so the data cannot "
        "tell them apart. Remove one of them."
    )


def require_difference(low: float, high: float, name: str) -> None:
    """Refuse a column that an intercept can say: of one number, but for what is lost beside its size.

    Raises
    ------
    IdentifiabilityError
    """
    spread = float(high - low)
    if spread <= COLLINEAR * max(abs(low), abs(high)):
        but = f", but for differences of {spread:.3g}, which are too small beside it for double precision" * (
            spread > 0
        )
        centre = ", or centre its numbers, as in `center(x)`" * (spread > 0)
        text = f"the column `{name}` is {low:g} in every row, like the intercept{but}"
        raise IdentifiabilityError(f"{text}. Remove one of the two{centre}.")


def _refuse_far_from_zero(columns: Columns, names: Sequence[str], j: int, intercept: int | None) -> None:
    """Raise if a column is constant but for rounding, though its numbers differ: there the default priors fail too."""
    whole = columns.stored[j] == columns.n
    centred = (intercept is not None and whole) or j in columns.pairs.product
    mean, sd = float(columns.level[j]), float(columns.scatter[j])
    if not centred and COLLINEAR * abs(mean) < sd < 1e-5 * abs(mean):
        raise IdentifiabilityError(
            f"the column `{names[j]}` varies by {sd:.3g} around {mean:.6g}, too far from zero to tell its slope from a "
            "level. Centre its numbers, as in `center(x)`."
        )


def adds(x: sp.csc_array, values: FloatArray, intercept: int | None) -> bool:
    """Whether a column is outside the span of the fixed effects so far."""
    n = values.size
    column = sp.csc_array((values, np.arange(n), np.array([0, n])), shape=(n, 1))
    return bool(adding(x, column, intercept)[0])


def adding(x: sp.csc_array, columns: sp.csc_array, intercept: int | None) -> BoolArray:
    """Which columns are outside the span of the fixed effects and of the columns before them."""
    standard, _ = standardise(sp.csc_array(sp.hstack([x, columns], format="csc")), intercept)
    gram = dense_gram(standard)
    found = (gram.diagonal() > 0) & (residuals(gram) > COLLINEAR)
    return np.asarray(found[x.shape[1] :])
