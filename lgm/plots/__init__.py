"""Pictures of a fit: what `Fit.plot` and `Fit.plot_term` draw."""

from lgm.plots.figures import plot, plot_term

__all__ = ["plot", "plot_term"]
