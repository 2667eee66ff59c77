"""The benchmarks start from any folder, measure the installed lgm, and say in a line what they skip."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import timing
from helpers import CHECKOUT, PACKAGE, run_fresh
from timing import Contender, in_turn, installed, ratio, table

BENCHMARKS = CHECKOUT / "benchmarks"
SCRIPTS = sorted(BENCHMARKS.glob("bench_*.py"))
# As a user starts them; where the checkout itself is under test, it has to be pointed to.
ENV = {**os.environ, **({"PYTHONPATH": str(CHECKOUT)} if PACKAGE.parent == CHECKOUT else {})}


ASKS = """
import contextlib, io, json, runpy, sys
def said(path):
    sys.argv = [path, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        runpy.run_path(path, run_name="__main__")
    return out.getvalue()
"""


def start(script: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, f"benchmarks/{script.name}", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=CHECKOUT, env=ENV)


def output(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def test_every_script_says_how_it_is_called() -> None:
    """Asked in one process: importing takes its time."""
    assert len(SCRIPTS) >= 6
    said = json.loads(
        run_fresh(f"{ASKS}print(json.dumps({{path: said(path) for path in {[*map(str, SCRIPTS)]}}}))", BENCHMARKS)
    )
    for script in SCRIPTS:
        assert f"python benchmarks/{script.name}" in said[str(script)], script.name  # the module's docstring
        assert "--quick" in said[str(script)], script.name


def test_a_small_case_from_beginning_to_end() -> None:
    (script,) = [script for script in SCRIPTS if script.name == "bench_linalg.py"]
    said = output(start(script, "--quick", "--cases", "small 50"))
    rows = [line for line in said.splitlines() if line.startswith("small 50")]
    assert rows and "50" in rows[0].split()[2]


def test_processes_do_not_see_the_folder_they_start_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout has no compiled kernel; ``python -c`` would import from it."""
    (tmp_path / "lgm.py").write_text("raise ImportError('this is the checkout')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    code = "import json, sys; print(json.dumps({'here': float('' in sys.path or {!r} in sys.path)}))"
    contender = Contender("a", sys.executable, code.replace("{!r}", repr(str(tmp_path))))
    contender.run()
    assert contender.stages == [{"here": 0.0}]


def test_which_lgm_is_measured_and_that_there_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "lgm.py").write_text("raise ImportError('its kernel is not compiled')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(SystemExit, match="lgm cannot be measured: ImportError: its kernel is not compiled"):
        timing.under_test()


def test_a_rival_that_is_not_there() -> None:
    assert installed(sys.executable, "json", "numpy")
    assert not installed(sys.executable, "json", "no_such_module")
    assert not installed("/no/such/python", "json")
    assert not installed(None, "json")


def test_a_program_that_fails_ends_the_run_with_its_last_words() -> None:
    with pytest.raises(SystemExit, match=r"(?s)rival failed:.*ZeroDivisionError"):
        Contender("rival", sys.executable, "1 / 0").run()


def test_rivals_take_turns_and_the_first_round_does_not_count(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = "import json; open({log!r}, 'a').write({name!r}); print('noise'); print(json.dumps({{'x': 1.5}}))"
    pair = [Contender(n, sys.executable, code.format(log=str(log), name=n)) for n in "AB"]
    in_turn(pair, 2)
    assert log.read_text() == "AB" + "ABAB"
    assert [len(c.walls) for c in pair] == [2, 2] and pair[0].median("x") == 1.5
    in_turn(pair, 1)
    assert log.read_text() == "ABABAB" + "AB"


def test_numbers_of_the_table() -> None:
    a = Contender("a", "", "", walls=[1.0, 4.0, 3.0], stages=[{"s": 0.5}, {"s": 2.0}, {"s": 1.0}])
    b = Contender("b", "", "", walls=[2.0, 2.0, 2.0], stages=[{}, {}, {}])
    assert ratio(a, b) == 1.5  # the median of 0.5, 2 and 1.5, pair by pair
    lines = table([a]).splitlines()
    assert lines[0].split() == ["a", "3.00", "s", "(1.00", "to", "4.00,", "3", "runs)"]
    assert lines[1].split() == ["s", "1.000"]
