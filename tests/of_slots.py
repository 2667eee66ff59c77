"""A slot of theta of each kind."""

import numpy as np
import numpyro.distributions as dist

from lgm import priors
from lgm.parameter import correlations, simplex, standard_deviation
from lgm.posterior import slots
from lgm.priors import constant, lkj, pc_corr, pc_sd

# Prior, and where its density lives (the far tails hold less than 1e-12).
PRIORS = {
    "exponential": (priors.exponential(0.5), 0.0, np.inf),
    "pc_sd": (pc_sd(2.0, 0.05), 0.0, np.inf),
    "half_normal": (priors.half_normal(3.0), 0.0, np.inf),
    "half_student_t": (priors.half_student_t(3.0, 2.5), 0.0, np.inf),
    "gamma": (priors.gamma(2.0, 0.1), 0.0, np.inf),
    "beta": (priors.beta(2.0, 3.0), 0.0, 1.0),
    "uniform": (priors.uniform(-1.0, 2.0), -1.0, 2.0),
    "pc_corr": (pc_corr(0.5, 0.5), -1.0, 1.0),
    "lkj of two": (lkj(2.0), -1.0, 1.0),
    "numpyro's": (priors.Prior(dist.LogNormal(0.3, 0.5), "LogNormal"), 0.0, np.inf),
}


def slot(prior, q=2):
    """The slot of an sd, or of the correlations of q effects."""
    names = [(str(i), str(j)) for i in range(q) for j in range(i)]
    owner = standard_deviation("g", 1.0) if q == 2 else correlations("g", names, q, 2.0)
    return slots.slot(prior, owner)


SLOTS = {
    **{name: slot(prior) for name, (prior, _, _) in PRIORS.items()},
    "held": slot(constant(1.5)),
    "flat": slot(priors.flat()),
    "lkj of three": slot(lkj(2.0), 3),
    "lkj of four": slot(lkj(1.0), 4),
    "shares": slots.slot(priors.dirichlet(1.7), simplex("mo(x)", 4)),
}
