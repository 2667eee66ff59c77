"""Bars that appear only when one has to wait."""

import sys

import pytest

from lgm.results import progress


def test_short_work_shows_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress.bar(3, "effects", progress=True) as shown:
        shown.update(3)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("wanted", "terminal"), [(True, True), (True, False), (False, True)])
def test_long_work_says_what_it_is_on_a_terminal(
    wanted: bool, terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 1e-9)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    with progress.bar(3, "effects", progress=wanted) as shown:
        shown.mininterval = 0.0
        shown.update(2)
    assert ("lgm: effects" in capsys.readouterr().err) == (wanted and terminal)
