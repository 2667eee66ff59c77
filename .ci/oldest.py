"""The oldest version of everything that pyproject.toml admits, as constraints for pip: ``python .ci/oldest.py``."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

# Of the tools of the tests, those that users hand their data over in.
CARRIERS = ("libpysal", "networkx", "polars", "pyarrow")


def oldest(text: str) -> str | None:
    """``name==version`` of the lower bound of a requirement, where that is for this interpreter."""
    requirement = Requirement(text)
    if requirement.marker is not None and not requirement.marker.evaluate():
        return None
    bounds = [s.version for s in requirement.specifier if s.operator == ">="]
    if len(bounds) != 1:
        raise SystemExit(f"pyproject.toml: {text!r} has {len(bounds)} lower bounds; one is needed")
    return f"{requirement.name}=={bounds[0]}"


project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
carriers = [text for text in project["optional-dependencies"]["test"] if Requirement(text).name in CARRIERS]
for constraint in map(oldest, [*project["dependencies"], *carriers]):
    if constraint is not None:
        print(constraint)
