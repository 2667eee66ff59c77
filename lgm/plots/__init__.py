"""Pictures of a fit: what methods such as `Fit.plot` draw, and those of what is made of fits."""

from lgm.plots.calibration import plot_ranks
from lgm.plots.checking import pp_check
from lgm.plots.figures import plot, plot_term
from lgm.plots.residuals import plot_residuals

__all__ = ["plot", "plot_ranks", "plot_residuals", "plot_term", "pp_check"]
