"""What several test files share."""

import json
from functools import cache
from pathlib import Path
from typing import Any

REFERENCE = Path(__file__).parent / "oracles" / "reference"


@cache
def _stored(name: str) -> str:
    path = REFERENCE / f"{name}.json"
    # An oracle that is gone must fail the test: a skipped check looks like a passed one.
    assert path.is_file(), f"the reference result {path} is missing"
    return path.read_text(encoding="utf-8")


def reference(name: str) -> dict[str, Any]:
    """A stored fit of other software, for example ``reference("sleepstudy.lmer_reml")``; see oracles/README.md."""
    return json.loads(_stored(name))
