"""Precision templates: the mathematics of each latent prior, without data frames."""
