"""What is said of calls that lgm does not have."""

import pytest

from lgm.formula.hints import unknown_call_message

TERMS = ["s", "rw1", "icar"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("me", "(multiple imputation)"),
        ("bym", "`bym2(region, graph)`"),
        ("besagproper2", "`leroux(region, graph)`"),
        ("factor", "`C(x)`"),
        ("sqrt", "`np.sqrt()`"),
        ("icarr", "Did you mean `icar`?"),
    ],
)
def test_hints(name, hint):
    message = unknown_call_message(name, TERMS)
    assert message.startswith(f"lgm has no term `{name}()`") and hint in message
    assert message.endswith("The terms are `icar`, `rw1`, `s`.")


def test_nothing_to_say():
    assert unknown_call_message("qqq", TERMS) == (
        "lgm has no term `qqq()`, nor is there a function of that name. The terms are `icar`, `rw1`, `s`."
    )
