"""Bars and forecasts."""

import os

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


def test_a_bar_goes_to_stderr_or_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.bar(3, "draw", shown=False) as hidden:
        hidden.update(3)
    assert capsys.readouterr().err == ""
    with progress.bar(3, "draw", shown=True) as shown:
        shown.update(3)
    assert "3/3" in capsys.readouterr().err
