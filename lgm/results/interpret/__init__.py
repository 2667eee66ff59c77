"""What a fit says of its variables: effects, predictions, comparisons, slopes, marginal means, hypotheses."""
