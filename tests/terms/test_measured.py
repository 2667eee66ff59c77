"""``me(x, sd)`` is refused with a reason."""

import numpy as np
import pytest

import lgm
from lgm.errors import FormulaError


def test_a_covariate_with_error_says_what_else_there_is() -> None:
    data = {"y": np.arange(9.0), "x": np.arange(9.0) ** 2, "s": np.ones(9)}
    with pytest.raises(
        FormulaError, match=r"(?s)me\(x, s\) is the product of .* `x`, both unknown.*multiple imputation"
    ):
        lgm.model("y ~ me(x, s)", data)
    with pytest.raises(FormulaError, match="needs `sd`"):
        lgm.model("y ~ me(x)", data)
