"""Covariates measured with error, ``me(x, sd)``, which are no term: why not, and what to do instead."""

from __future__ import annotations

from lgm.data.scope import Scope
from lgm.formula.sides import Call
from lgm.terms.term import Signature, Term, arguments

SIGNATURE = Signature(("x", "sd"), copied=False)


def build(call: Call, scope: Scope, label: str, yardstick: float) -> Term:
    """Refuse ``me(x, sd)``.

    Raises
    ------
    FormulaError
        Always.
    """
    x = arguments(call, scope, SIGNATURE)["x"].text
    message = (
        f"{label} is the product of a coefficient and of true values of `{x}`, both unknown: given the hyperparameters "
        "it is not normal, and lgm integrates normal effects out."
    )
    raise scope.formula.error(
        message,
        call.span,
        f"`{x}` as it was measured, whose coefficient is then that of measured values; fits to several data sets with "
        f"values drawn for `{x}`, whose draws are joined (multiple imputation); or a joint model in NumPyro.",
    )
