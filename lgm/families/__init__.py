"""Likelihoods, one per file."""
