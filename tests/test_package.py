"""What every user of the installed package relies on."""

import json
import os
from importlib import metadata, resources
from typing import Any

import pytest
from helpers import run_fresh

import lgm

DISTRIBUTION = "lgm-bayes"


def _is_installed() -> bool:
    return any(True for _ in metadata.distributions(name=DISTRIBUTION))


# `python -m pytest` in a checkout has no distribution to look at; `make test` always has one, and may not skip.
needs_wheel = pytest.mark.skipif(
    not _is_installed() and not os.environ.get("LGM_TEST_INSTALLED"), reason=f"{DISTRIBUTION} is not installed"
)


@needs_wheel
def test_the_version_is_that_of_the_distribution():
    assert lgm.__version__ == metadata.version(DISTRIBUTION)


def test_type_information_is_shipped():
    assert (resources.files("lgm") / "py.typed").is_file()


@needs_wheel
def test_every_data_file_is_shipped():
    shipped = {str(path) for path in metadata.files(DISTRIBUTION) or []}
    expected = {"sleepstudy.csv", "InstEval.csv.gz", "columbus_adj.csv", "factors.json", "SOURCES.md"}
    assert {f"lgm/_shipped/data/{name}" for name in expected} <= shipped


@needs_wheel
def test_nothing_but_the_package_is_shipped():
    tops = {path.parts[0] for path in metadata.files(DISTRIBUTION) or []}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"lgm"}


@needs_wheel
def test_the_licence_is_shipped_and_named():
    assert metadata.metadata(DISTRIBUTION)["License-Expression"] == "BSD-3-Clause"
    assert any(path.name == "LICENSE" for path in metadata.files(DISTRIBUTION) or [])


@pytest.fixture(scope="module", params=[True, False], ids=["x64", "without x64"])
def imported(request: pytest.FixtureRequest) -> tuple[bool, dict[str, Any]]:
    """JAX's x64 mode before the import, and what a fresh process finds after it."""
    code = (
        "import json, jax, sys, warnings\n"
        f"jax.config.update('jax_enable_x64', {request.param})\n"
        "before = dict(jax.config.values)\n"
        "warnings.simplefilter('error')\n"
        "import lgm\n"
        "found = {\n"
        "    'read': sorted(sys.modules),\n"
        "    'changed': [k for k, v in jax.config.values.items() if before.get(k) != v],\n"
        "    'x64': jax.config.jax_enable_x64,\n"
        "    'missing': [name for name in lgm.__all__ if not hasattr(lgm, name)],\n"
        "    'beside': hasattr(lgm, 'plot'),\n"
        "}\n"
        "print(json.dumps(found))"
    )
    return request.param, json.loads(run_fresh(code))  # no more is printed, nor warned of


def test_import_leaves_the_settings_of_jax_alone(imported):
    x64, found = imported
    assert found["changed"] == [] and found["x64"] is x64


def test_import_leaves_for_later_what_is_slow_to_read(imported):
    slow = {"arviz", "arviz_base", "arviz_stats", "matplotlib", "networkx", "libpysal", "polars", "scipy.stats"}
    assert not slow & set(imported[1]["read"])


def test_every_public_part_is_there_after_the_import(imported):
    assert imported[1]["missing"] == [] and not imported[1]["beside"]


def test_parts_are_read_when_they_are_asked_for():
    assert run_fresh("import lgm; print(lgm.plots.plot_term.__name__, lgm.distributions.__name__)") == (
        "plot_term lgm.distributions"
    )
