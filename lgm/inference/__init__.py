"""Engines: the mode of theta, and draws from its posterior."""
