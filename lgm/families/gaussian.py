"""The Gaussian likelihood, for which the latent effects are integrated out exactly."""

from __future__ import annotations

from lgm.priors import Prior, exponential

name = "gaussian"
link = "identity"
parameters = ("sigma",)


def default_priors(y_scale: float) -> dict[str, Prior]:
    """Default prior of the residual standard deviation: exponential with mean sd(y)."""
    return {"sigma": exponential(1.0 / y_scale)}
