"""Bars that appear only when one has to wait."""

import pytest

from lgm.results import progress


def test_short_work_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.bar(3, "effects", progress=True) as shown:
        shown.update(3)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("wanted", [True, False])
def test_long_work_says_what_it_is(
    wanted: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 1e-9)
    with progress.bar(3, "effects", progress=wanted) as shown:
        shown.mininterval = 0.0
        shown.update(2)
    assert ("lgm: effects" in capsys.readouterr().err) == wanted
