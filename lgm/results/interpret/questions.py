"""What is asked of rows: sums over versions of each of them, such as one with a high and one with a low value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from lgm.arrays import FloatArray
from lgm.results.interpret.estimates import Compare, Estimand, How, averages, encoded, estimates, grouped
from lgm.results.interpret.grid import Rows

if TYPE_CHECKING:
    from lgm.results.fit import Fit


@dataclass(frozen=True, eq=False)
class Versions:
    """Some rows, several times.

    Parameters
    ----------
    frames : list of pandas.DataFrame
        The rows in each version.
    counts : list of float arrays (versions, n) or (versions, 1)
        For each sum what each of them counts in it.
    """

    frames: list[pd.DataFrame]
    counts: list[FloatArray]

    def stacked(self, rows: Rows) -> Rows:
        """All versions as rows, so that what is random about them is the same in all."""
        frame = pd.concat([each.reset_index(drop=True) for each in self.frames], ignore_index=True)
        return Rows(frame, rows.parts, rows.held, rows.library)

    def weights(self, of_rows: sp.csr_array) -> tuple[sp.csr_array, ...]:
        """What stacked rows count in each sum, by what rows count in each cell (cells, n)."""
        return tuple(self._weights(of_rows, counts) for counts in self.counts)

    @staticmethod
    def _weights(of_rows: sp.csr_array, counts: FloatArray) -> sp.csr_array:
        blocks = [of_rows @ sp.diags_array(np.broadcast_to(each, of_rows.shape[1])) for each in counts]
        found = sp.csr_array(sp.hstack(blocks, format="csr"))
        found.eliminate_zeros()
        return found


@dataclass(frozen=True)
class Question:
    """What is asked of the expected response.

    Parameters
    ----------
    versions : callable
        Of rows.
    compare : callable, optional
        Of two sums.
    of_rows : callable, optional
        Of the expected response of each row, before the sums.
    """

    versions: Callable[[pd.DataFrame], Versions]
    compare: Compare | None = None
    of_rows: Callable[[FloatArray], FloatArray] | None = None


def plainly(frame: pd.DataFrame) -> Versions:
    """The rows as they are."""
    return Versions([frame], [np.ones((1, 1))])


def answered(fit: Fit, rows: Rows, question: Question, by: Any, how: How) -> tuple[pd.DataFrame, FloatArray]:
    """Averages over rows: what the cells are called, and the estimates in them (see `estimates`)."""
    cells, labels = grouped(rows.frame, by)
    versions = question.versions(rows.frame)
    weights = versions.weights(averages(cells, len(labels)))
    estimand = Estimand(weights, question.compare, question.of_rows)
    return labels, estimates(fit, encoded(fit, versions.stacked(rows), how), estimand, how)
