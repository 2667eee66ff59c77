"""Pictures of residuals: what is in them; how they look was judged by eye."""

import numpy as np
import planted
from matplotlib.figure import Figure
from shown import texts


def test_residuals() -> None:
    fit = planted.of("gaussian")
    assert texts(fit.plot_residuals()).startswith("normal quantile | quantile residual")
    assert texts(fit.plot_residuals("fitted", kind="pearson")).startswith("fitted y | pearson residual | smooth mean")
    assert texts(fit.plot_residuals("x")).startswith("x | quantile residual | smooth mean")
    assert texts(fit.plot_residuals("g", kind="response")).startswith("g | response residual")
    levels = fit.plot_residuals(np.repeat(["b", "a"], 120))
    assert texts(levels).startswith("quantile residual | against | median")
    assert "lag, in rows" in texts(fit.plot_residuals(acf=True))
    assert "lag, in steps of against within g" in texts(fit.plot_residuals(np.tile(np.arange(8), 30), acf=True))


def test_a_map_of_residuals() -> None:
    data, _ = planted.response("space", 1)
    figure = planted.of("space").plot_residuals((data.lon, data.lat))
    assert texts(figure).startswith("lon | lat | positive quantile residual | negative")
    assert "Moran's I 0." in figure.axes[0].get_title(loc="left")


def test_on_axes_of_ones_own() -> None:
    figure = Figure()
    assert planted.of("gaussian").plot_residuals(ax=figure.subplots()) is figure and len(figure.axes) == 1
