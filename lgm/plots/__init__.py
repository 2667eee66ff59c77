"""Pictures of a fit: what methods such as `Fit.plot` draw, and those of what is made of fits."""

from lgm.plots.calibration import plot_ranks
from lgm.plots.checking import plot_residuals, pp_check
from lgm.plots.figures import plot, plot_term

__all__ = ["plot", "plot_ranks", "plot_residuals", "plot_term", "pp_check"]
