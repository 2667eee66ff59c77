"""Tests mirror the package file by file: lgm/a/b.py is tested by tests/a/test_b.py."""

import pytest
from helpers import CHECKOUT

# Nothing in them can go wrong by itself: names of types, a contract without code, the registration of the kernel.
WITHOUT = {"arrays.py", "precision/template.py", "linalg/_ffi.py"}

# Still tested elsewhere only. Write the file and take the line away; nothing may be added.
MISSING = {
    "formula/hints.py",
    "formula/tokens.py",
    "inference/at_mode.py",
    "inference/compile.py",
    "inference/draws.py",
    "inference/engine.py",
    "inference/proposal.py",
    "linalg/_calls.py",
    "model.py",
    "posterior/checks.py",
    "results/contributions.py",
    "results/tables.py",
    "results/verdict.py",
    "terms/ar1.py",
    "terms/block.py",
    "terms/icar.py",
    "terms/smooth.py",
    "terms/term.py",
    "terms/walk.py",
}


def _modules() -> list[str]:
    root = CHECKOUT / "lgm"
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.py") if path.name != "__init__.py")


def _mirror(module: str) -> str:
    folder, _, name = module.rpartition("/")
    return f"{folder}/test_{name.lstrip('_')}".lstrip("/")


@pytest.mark.parametrize("module", [m for m in _modules() if m not in WITHOUT | MISSING])
def test_a_module_has_its_tests(module: str) -> None:
    assert (CHECKOUT / "tests" / _mirror(module)).is_file(), f"lgm/{module} needs tests/{_mirror(module)}"


def test_exceptions_are_still_needed() -> None:
    assert WITHOUT | MISSING <= set(_modules())
    written = {module for module in WITHOUT | MISSING if (CHECKOUT / "tests" / _mirror(module)).is_file()}
    assert not written, f"tests/test_layout.py names modules that have their tests: {sorted(written)}"
