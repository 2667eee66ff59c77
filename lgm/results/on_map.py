"""Effects of regions beside the shapes of these regions, for geopandas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lgm.design.predictor import Printed
from lgm.errors import DataError, LgmError
from lgm.terms.icar import region_labels
from lgm.terms.view import Maps
from lgm.words import some

_ACCEPTED = "a GeoDataFrame or GeoSeries whose index has the labels of the regions, such as places.set_index('region')"


def placed(table: pd.DataFrame, chosen: list[Printed], geometry: Any) -> Any:
    """The table as a GeoDataFrame: each row with the shape of its region.

    A region may have several rows in `geometry`, as of several years, if its shape is the same in all of them.

    Raises
    ------
    DataError
        If it is nothing of geopandas, lacks a region, or has several shapes of one.
    LgmError
        If a level that has no shape is of a term without a map.
    """
    shapes = getattr(geometry, "geometry", None)
    if not isinstance(shapes, pd.Series) or not hasattr(shapes, "geom_type"):
        raise DataError(f"geometry= is of the type {type(geometry).__name__}. Accepted: {_ACCEPTED}.")
    many = shapes.index.duplicated(keep=False)
    once = shapes[~shapes.index.duplicated()]
    moved = ~shapes[many].geom_equals(once.loc[shapes.index[many]].set_axis(shapes.index[many]), align=False)
    if moved.any():
        raise DataError(
            f"geometry has several shapes of {some(list(moved.index[moved].unique()))}; accepted: one of each."
        )
    places = once.index.get_indexer(np.concatenate([_regions(printed) for printed in chosen]))
    if np.any(places < 0):
        effect, level = table.index[int(np.argmax(places < 0))]
        raise LgmError(
            f"geometry has no shape of {level!r} of {effect}; it has {some(once.index.tolist())}. Accepted: "
            f"{_ACCEPTED}; and the name of one term, where others are not of regions."
        )
    name = str(shapes.name or "geometry")
    frame = type(once.to_frame())
    return frame(table.assign(**{name: once.to_numpy()[places]}), geometry=name, crs=shapes.crs)


def _regions(printed: Printed) -> Any:
    """The region of each level: itself, unless there is a map for each level of something else."""
    view, labels = printed.term.view, printed.variable.labels
    return np.tile(region_labels(view.graph), len(view.levels)) if isinstance(view, Maps) else labels
