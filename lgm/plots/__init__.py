"""Pictures of a fit: what `Fit.plot` and `Fit.plot_term` draw, and those of what is made of fits."""

from lgm.plots.calibration import plot_ranks
from lgm.plots.figures import plot, plot_term

__all__ = ["plot", "plot_ranks", "plot_term"]
