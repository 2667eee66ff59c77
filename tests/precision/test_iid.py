"""Independent effects."""

import numpy as np

from lgm.pattern import Pattern
from lgm.precision.iid import Iid


def test_identity():
    template = Iid(3)
    assert (template.n, template.n_shape, template.pattern) == (3, 0, Pattern.diagonal(3))
    assert np.asarray(template.values(None)).tolist() == [1.0, 1.0, 1.0]
    assert template.logdet(None) == 0.0
