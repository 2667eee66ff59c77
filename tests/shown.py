"""What a picture says."""

from matplotlib.figure import Figure


def texts(figure: Figure) -> str:
    """Names of the first axes, and all of the legends."""
    legend = [text.get_text() for each in figure.legends for text in each.get_texts()]
    return " | ".join([figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel(), *legend])
