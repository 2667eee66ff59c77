"""Public data sets for examples and tests, read from the files that ship with the package."""

from __future__ import annotations

import difflib
import json
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

import pandas as pd

from lgm.errors import DataError

_SUFFIXES = (".csv", ".csv.gz")


def load_dataset(name: str) -> pd.DataFrame:
    """Read one of the data sets that come with lgm.

    Parameters
    ----------
    name : str
        A name from `names`, for example ``"sleepstudy"``. Names that contain ``_adj`` are tables of neighbours with
        the columns ``from`` and ``to``, ready for `lgm.graph`.

    Returns
    -------
    pandas.DataFrame
        A fresh copy. Columns that are labels are categorical also where the labels are numbers (``Subject`` of
        sleepstudy, ``period`` of cbpp), so that a formula treats them as factors. Their levels ascend; kidney's
        ``disease`` starts with "Other". Times, months among them, and the ``id`` of areal data are numbers.

    Raises
    ------
    DataError
        If there is no such data set.

    Notes
    -----
    Origin, units and licence of each are in ``data/SOURCES.md``.

    Examples
    --------
    >>> from lgm.datasets import load_dataset
    >>> sleepstudy = load_dataset("sleepstudy")
    >>> sleepstudy.head(3)
       Reaction  Days Subject
    0  249.5600     0     308
    1  258.7047     1     308
    2  250.8006     2     308
    >>> sleepstudy["Subject"].cat.categories[:3].tolist()
    [308, 309, 310]
    """
    files = _files()
    if name not in files:
        raise DataError(_unknown(name, list(files)))
    compression = "gzip" if files[name].name.endswith(".gz") else None
    with files[name].open("rb") as stream:
        # The files mark no value as missing, and "NA" or "None" could be a label.
        table = pd.read_csv(stream, compression=compression, keep_default_na=False)
    for column, levels in _factors().get(name, {}).items():
        table[column] = pd.Categorical(table[column], categories=levels or sorted(table[column].unique().tolist()))
    return table


def names() -> list[str]:
    """Names of all data sets, in alphabetical order.

    Examples
    --------
    >>> import lgm.datasets
    >>> lgm.datasets.names()[:3]
    ['AirPassengers', 'BodyWeight', 'cbpp']
    """
    return list(_files())


def _unknown(name: object, known: list[str]) -> str:
    by_lower = {each.lower(): each for each in known}
    close = difflib.get_close_matches(str(name).lower(), by_lower, n=3, cutoff=0.6)
    hint = f" Did you mean {' or '.join(repr(by_lower[each]) for each in close)}?" if close else ""
    return f"there is no data set {name!r}.{hint} The names are: {', '.join(known)}"


def _folder() -> Traversable:
    package = resources.files("lgm")
    shipped = package / "_shipped" / "data"
    if shipped.is_dir():
        return shipped
    # In a checkout the data stand beside the package; a wheel carries them inside.
    with resources.as_file(package) as path:
        return path.parent / "data"


@cache
def _files() -> dict[str, Traversable]:
    found = {}
    for entry in _folder().iterdir():
        suffix = next((end for end in _SUFFIXES if entry.name.endswith(end)), None)
        if suffix is not None:
            found[entry.name.removesuffix(suffix)] = entry
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


@cache
def _factors() -> dict[str, dict[str, list[str] | None]]:
    """Factor columns of each data set, with their levels where these do not simply ascend."""
    factors: dict[str, dict[str, list[str] | None]] = json.loads(
        (_folder() / "factors.json").read_text(encoding="utf-8")
    )
    return factors
