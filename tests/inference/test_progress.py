"""Bars and forecasts."""

import os
import sys
from pathlib import Path

import pytest

from lgm.inference import progress


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)


@pytest.mark.usefixtures("four_cores")
def test_short_work_is_not_spoken_of() -> None:
    assert progress.forecast(0.005, chains=4, draws=1150, values=1024) is None


@pytest.mark.usefixtures("four_cores")
@pytest.mark.parametrize(
    ("gradient", "chains", "nuts", "points"),
    [(0.1, 4, "15 minutes", "13 s"), (0.1, 5, "31 minutes", "13 s"), (2.0, 1, "5.1 hours", "4 minutes")],
)
def test_a_forecast_names_both_engines(gradient: float, chains: int, nuts: str, points: str) -> None:
    found = progress.forecast(gradient, chains=chains, draws=1150, values=1024)
    assert found is not None
    assert f"roughly {nuts};" in found and f'method="importance" would take {points} or' in found


@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_is_for_terminals(
    shown: bool, terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    with progress.bar(3, "draw", shown=shown) as made:
        made.update(3)
    said = capsys.readouterr()
    assert said.out == "" and ("3/3" in said.err) == (said.err != "") == (shown and terminal)


def test_a_program_without_a_console_has_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with progress.bar(3, "draw", shown=True) as made:
        made.update(3)
    assert made.disable


NOTEBOOK = """
import sys
sys.stderr.isatty()  # False, as stderr of every kernel
from lgm.inference import progress
with progress.bar(3, "draw", shown=SHOWN) as made:
    made.update(3)
print(type(made).__module__)
"""


@pytest.mark.parametrize("shown", [True, False])
def test_a_notebook_has_its_own(shown: bool, tmp_path: Path) -> None:
    """Where the kernel has widgets; without them there is no bar, as their text would fill the page."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipywidgets")
    cell = nbformat.v4.new_code_cell(NOTEBOOK.replace("SHOWN", str(shown)))
    elsewhere = {"metadata": {"path": str(tmp_path)}}  # a kernel started in a checkout would find that
    nbclient.NotebookClient(nbformat.v4.new_notebook(cells=[cell]), timeout=120, resources=elsewhere).execute()
    kinds = [output.output_type for output in cell.outputs]
    assert ("display_data" in kinds) == shown
