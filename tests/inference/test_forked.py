"""A child of a process that has computed is told so, where it would hang; one of a process that has not may compute."""

import os

import pytest
from helpers import run_fresh

CODE = """
import os, warnings, lgm
warnings.simplefilter("ignore")

def value():
    model = lgm.model("y ~ 1 + (1|g)", {"y": [1.0, 2.0, 4.0, 3.0, 5.0, 7.0], "g": list("aabbcc")})
    return model.log_density({"sd(Intercept|g)": 1.0, "sigma": 1.0})

BEFORE
if child := os.fork():
    os.waitpid(child, 0)
else:
    try:
        print(value() < 0, flush=True)
    except lgm.LgmError as error:
        print("spawn" in str(error) and "joblib" in str(error) and "refused", flush=True)
    os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize(("before", "found"), [("value()", "refused"), ("", "True")])
def test_a_forked_child(before: str, found: str) -> None:
    assert run_fresh(CODE.replace("BEFORE", before)) == found
