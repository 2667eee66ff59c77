"""Whether a fit is adequate: new data beside the data, residuals, and tests of what may be amiss."""
