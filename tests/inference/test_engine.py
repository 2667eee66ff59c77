"""Engines by name, and that what is compiled ahead is what they call."""

import numpy as np
import pytest
from compilations import compilations

import lgm
from lgm import priors
from lgm.inference import corrected, importance, mode, natural, sampler
from lgm.inference.compile import Compiled, begin
from lgm.inference.engine import ENGINES, Settings, engine
from lgm.inference.held import Exact
from lgm.results import drawing, effects, normal, variances

COMPILED = (
    sampler.begin,
    sampler.advance,
    importance._evaluate,
    corrected._weigh,
    mode._evaluate._compiled,
    natural._theta._compiled,
    drawing._draw_chunk,
    normal._moments,
    variances._chunk,
)


def known() -> list[set[object]]:
    return [set(function._known) for function in COMPILED]


@pytest.mark.parametrize(
    ("method", "warmup"),
    [
        ("nuts", None),
        ("nuts", 30),
        ("importance", None),
        ("mode", None),
        pytest.param("joint", None, marks=pytest.mark.slow),
    ],
)
def test_all_that_is_called_is_planned(method: str, warmup: int | None) -> None:
    """The seven rows give this model shapes of its own: planning it adds programs, fitting it adds none."""
    data = {"y": [1.0, 3.0, 2.0, 5.0, 4.0, 6.0, 8.0], "g": list("aabbccc")}
    model = lgm.model("y ~ 1 + (1|g)", data)
    settings = Settings(method, 2, 40, warmup, 1, False, None)
    chosen, post, before = engine(model.analysed.marginal, settings), model.analysed.marginal, known()
    begin(post, [*chosen.programs(post), *effects.programs(post, chosen.expected(post))])
    planned = known()
    assert planned != before
    str(model.fit(method=method, chains=2, draws=settings.draws, warmup=warmup, seed=1, progress=False))
    assert known() == planned


@pytest.mark.parametrize("method", ["importance", "nuts"])
def test_what_is_planned_for_other_families_is_called(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Points have effects already: no moments are to be found, and draws of repeated points only."""
    rng = np.random.default_rng(1)
    data = {"y": rng.poisson(2.0, 132), "x": rng.normal(size=132), "g": np.arange(132) % 12}
    found = Compiled._program
    planned: set[tuple[Compiled, object]] = set()
    called: set[tuple[Compiled, object]] = set()

    def noted(function: Compiled, how: object, args: object, *, wait: bool) -> object:
        (called if wait else planned).add((function, how))
        return found(function, how, args, wait=wait)

    monkeypatch.setattr(Compiled, "_program", noted)
    # of 2000 thetas some are drawn twice
    str(lgm.fit("y ~ x + (1|g)", data, family="poisson", method=method, chains=2, seed=1, progress=False))
    assert planned and planned <= called


def test_a_second_fit_compiles_nothing() -> None:
    data = lgm.load_dataset("Dyestuff")
    for method in ("importance", "mode"):
        str(lgm.fit("Yield ~ 1 + (1|Batch)", data, method=method, draws=50, seed=1, progress=False))
        other = data.assign(Yield=data["Yield"] * 1.1)
        with compilations() as names:
            str(lgm.fit("Yield ~ 1 + (1|Batch)", other, method=method, draws=50, seed=2, progress=False))
        assert names == []


@pytest.mark.parametrize("method", [method for method in ENGINES if method != "prior"])
def test_nothing_to_move(method: str) -> None:
    held = {"sd": priors.fixed(40.0), "sigma": priors.fixed(50.0)}
    data = lgm.load_dataset("Dyestuff")
    fit = lgm.fit("Yield ~ 1 + (1|Batch)", data, priors=held, method=method, draws=50, seed=1, progress=False)
    assert fit.method == method
    assert type(fit.draws) is Exact
