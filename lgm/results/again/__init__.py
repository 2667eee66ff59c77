"""A model once more: changed, of another response, of simulated ones, and with other weight on its priors."""
