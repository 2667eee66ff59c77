"""Tests mirror the package file by file: lgm/a/b.py is tested by tests/a/test_b.py. Checks are the same everywhere."""

import re

import pytest
from helpers import CHECKOUT

# Nothing in them can go wrong by itself: names of types, a contract without code, the registration of the kernel.
WITHOUT = {
    "arrays.py",
    "linalg/_arguments.py",
    "linalg/_ffi.py",
    "posterior/functionals.py",
    "terms/view.py",
}

# Still tested elsewhere only. Write the file and take the line away; nothing may be added.
MISSING: set[str] = set()


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


def test_a_commit_is_checked_as_a_build_is() -> None:
    hooks = re.findall(r"entry: (.*)", (CHECKOUT / ".pre-commit-config.yaml").read_text())
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", (CHECKOUT / "Makefile").read_text(), flags=re.M)
    assert lint is not None
    built = [re.sub(r"^\t\$\((BIN\)/|PY\) -m )", "", line) for line in lint[1].splitlines()]

    def tool(command: str) -> tuple[str, ...]:
        """A program and what it is to do, without how and where."""
        words = [word for word in command.split() if not word.startswith(("-", "$", "."))]
        return tuple(words)

    assert sorted(map(tool, hooks)) == sorted(map(tool, built))


def test_every_target_is_explained() -> None:
    """`make help` lists what has two hashes after it."""
    for name in ("Makefile", "kernel.mk", "release.mk"):
        text = (CHECKOUT / name).read_text()
        phony = " ".join(re.findall(r"^\.PHONY: (.*)", text, flags=re.M)).split()
        explained = re.findall(r"^([a-z0-9-]+):.*## \S", text, flags=re.M)
        assert set(phony) - {"arviz-tests", "docs-python"} == set(explained)
        assert len(explained) == len(set(explained))
