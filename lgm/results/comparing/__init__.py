"""Comparing fits: leave-one-out and its kin, and the marginal likelihood."""
