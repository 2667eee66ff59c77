"""Pictures of ranks: one panel for each quantity, and colours and strokes for those that are not uniform."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from lgm import plots
from lgm.errors import LgmError
from lgm.plots.canvas import RED
from lgm.results.again.sbc import SBC

RNG = np.random.default_rng(1)
RANKS = pd.DataFrame({f"q{i}": RNG.integers(0, 21, 80) for i in range(5)}).assign(low=RNG.integers(0, 12, 80))
FOUND = SBC(RANKS, 20, 0.01, 0, 0, False)


def test_a_panel_for_each_quantity() -> None:
    figure = FOUND.plot()
    assert isinstance(figure, Figure)
    shown = [ax for ax in figure.axes if ax.axison]
    assert [ax.get_title(loc="left") for ax in shown] == list(RANKS)
    last = [line for line in shown[-1].lines if line.get_color() == RED]
    assert len(last) == 1 and last[0].get_linestyle() == "--"
    assert not any(line.get_color() == RED for ax in shown[:-1] for line in ax.lines)
    np.testing.assert_allclose(np.asarray(last[0].get_ydata())[10], np.mean(RANKS["low"] < 11) - 11 / 21)


def test_it_fits_four_inches_and_axes_of_ones_own() -> None:
    assert len({ax.get_position().x0 for ax in plots.plot_ranks(FOUND, figsize=(4, 6)).axes}) == 2
    axes = Figure().subplots(1, 6)
    assert plots.plot_ranks(FOUND, ax=axes) is axes[0].figure
    with pytest.raises(LgmError, match="6 panel"):
        FOUND.plot(ax=axes[:2])
