"""What several test files share."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import lgm

REFERENCE = Path(__file__).parent / "oracles" / "reference"
CHECKOUT = Path(__file__).resolve().parents[1]
PACKAGE = Path(lgm.__file__).resolve().parent


@cache
def _stored(name: str) -> str:
    path = REFERENCE / f"{name}.json"
    # An oracle that is gone must fail the test: a skipped check looks like a passed one.
    assert path.is_file(), f"the reference result {path} is missing"
    return path.read_text(encoding="utf-8")


def reference(name: str) -> dict[str, Any]:
    """A stored fit of other software, for example ``reference("sleepstudy.lmer_reml")``; see oracles/README.md."""
    found: dict[str, Any] = json.loads(_stored(name))
    return found


def run_fresh(code: str, *first: Path) -> str:
    """Output of code in a fresh interpreter with the same lgm; folders given are searched before all others."""
    folders = [*first, *([CHECKOUT] if PACKAGE.parent == CHECKOUT else [])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, env=env, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
