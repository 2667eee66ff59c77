"""The Gaussian likelihood, for which the latent effects are integrated out exactly."""

name = "gaussian"
link = "identity"
parameters = ("sigma",)
