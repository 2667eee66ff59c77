"""Bases of smooth functions, without data frames: columns and penalties in the form of a mixed model."""
