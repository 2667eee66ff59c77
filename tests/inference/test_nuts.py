"""Draws of theta: reproducible, interruptible, compiled once, right at the boundary, indifferent to units."""

import asyncio
import contextlib
import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from compilations import compilations
from statistical import monte_carlo, quadrature
from statistical.monte_carlo import Estimate

import lgm
from lgm import priors
from lgm.errors import ConvergenceWarning
from lgm.inference import at_mode, importance, mode, natural, nuts, sampler

YIELD = "Yield ~ 1 + (1|Batch)"


def quick(seed: int | None = 1, draws: int = 50, **options: object) -> lgm.Fit:
    return lgm.fit(YIELD, lgm.load_dataset("Dyestuff"), draws=draws, seed=seed, progress=False, **options)


def digest(fit: lgm.Fit) -> str:
    """Of all bits of all draws."""
    values = [np.ascontiguousarray(fit.draws.theta), np.ascontiguousarray(fit.effects.draws)]
    return hashlib.sha256(b"".join(v.tobytes() for v in values)).hexdigest()


def in_new_process(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in another interpreter that finds the helpers of the tests."""
    here = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    code = f"import sys; sys.path[:0] = {here!r}\n{code}"
    command = [sys.executable, "-P", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


# Reproducible ---------------------------------------------------------------------------------------------------------


def test_a_seed_gives_the_same_bits() -> None:
    assert digest(quick(seed=3)) == digest(quick(seed=3))


def test_a_seed_gives_the_same_bits_in_another_process() -> None:
    done = in_new_process("from test_nuts import digest, quick; print(digest(quick(seed=3)))")
    assert done.stdout.strip() == digest(quick(seed=3)), done.stderr


def test_seeds_differ() -> None:
    first, second = quick(seed=3), quick(seed=4)
    assert not np.any(first.draws.theta == second.draws.theta)
    assert not np.any(first.effects.draws == second.effects.draws)


def test_chains_differ() -> None:
    theta = quick().draws.theta
    assert np.unique(theta[:, :, 0]).size > 0.7 * theta[:, :, 0].size  # a rejected proposal repeats a value, no more


def test_no_seed_is_a_fresh_one_that_is_kept() -> None:
    fit = quick(seed=None)
    assert digest(fit) == digest(quick(seed=fit.seed))
    assert quick(seed=None).seed != fit.seed


# Shapes ---------------------------------------------------------------------------------------------------------------


def test_one_chain() -> None:
    fit = quick(chains=1, draws=100)
    assert fit.draws.theta.shape == (1, 100, 2)
    assert fit.summary()["mean"].notna().all()


def test_warmup_and_draws_need_not_fill_blocks() -> None:
    fit = quick(draws=33, warmup=60)
    assert fit.draws.theta.shape == (4, 33, 2)
    assert {v.shape for v in fit.draws.stats.values()} == {(4, 33)}
    assert fit.draws.warmup >= 60


def test_one_working_dimension() -> None:
    """With sigma known, ``p(sd | y)`` has one dimension; compared with its quadrature."""
    table = lgm.load_dataset("Dyestuff")
    known = {"Intercept": priors.normal(0, 1e4), "sd": priors.exponential(0.02), "sigma": priors.constant(50.0)}
    fit = lgm.fit(YIELD, table, priors=known, draws=1000, seed=1, progress=False)
    assert np.all(fit.draws.theta[..., 1] == 50.0)
    x = np.linspace(-5, 7, 2000)
    model = lgm.model(YIELD, table, priors=known)
    density = np.array([model.log_density({"sd(Intercept|Batch)": np.exp(v), "sigma": 50.0}) for v in x]) + x
    [exact] = quadrature.marginals(density, (x,), (np.exp,))
    ours = monte_carlo.of_draws(fit.draws.theta[..., 0])
    assert all(abs(monte_carlo.deviation(ours[s], Estimate(exact[s], 0.0))) < monte_carlo.LIMIT for s in ours)


def test_nothing_left_to_sample() -> None:
    """All hyperparameters known: the draws of the effects are exact and independent, with closed-form moments."""
    known = {"Intercept": priors.flat(), "sd": priors.constant(40.0), "sigma": priors.constant(50.0)}
    fit = quick(draws=2000, priors=known)
    # a balanced one-way layout with flat mean: intercept ~ N(mean(y), (sd^2 + sigma^2 / 5) / 6)
    y = lgm.load_dataset("Dyestuff")["Yield"]
    exact_sd = np.sqrt((40.0**2 + 50.0**2 / 5) / 6)
    assert fit.summary().loc["Intercept", "mean"] == pytest.approx(y.mean(), rel=1e-12)
    assert fit.summary().loc["Intercept", "sd"] == pytest.approx(exact_sd, rel=1e-10)
    draws = fit.posterior["Intercept"].to_numpy()
    assert abs(draws.mean() - y.mean()) < 4 * exact_sd / np.sqrt(draws.size)
    assert abs(draws.std() - exact_sd) < 4 * exact_sd / np.sqrt(2 * draws.size)
    assert "exact" in fit.verdict.lower()


def test_chains_of_one_metric_share_their_step_size() -> None:
    shared, own = quick(draws=20), quick(draws=20, warmup=60)
    assert np.ptp(shared.draws.step_size) == 0.0 < shared.draws.step_size[0]
    assert np.unique(own.draws.step_size).size == 4


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_two_that_share_a_variance_are_an_arc_without_divergences(seed: int) -> None:
    """One row for each time of a walk: either sd may be zero."""
    rng = np.random.default_rng(7)
    data = pd.DataFrame({"t": np.arange(40), "y": rng.normal(0.0, 0.3, 40)})
    fit = lgm.fit("y ~ rw1(t)", data, seed=seed, progress=False)
    assert not fit.draws.stats["diverging"].any()
    assert fit.summary()["r_hat"].max() < 1.01


# Compiled once --------------------------------------------------------------------------------------------------------


def test_second_fit_of_a_structure_compiles_nothing() -> None:
    table = lgm.load_dataset("Dyestuff")
    str(lgm.fit(YIELD, table, draws=50, seed=1, progress=False))
    other = table.assign(Yield=np.random.default_rng(1).normal(10, 3, len(table)))
    with compilations() as names:
        str(lgm.fit(YIELD, other, draws=50, seed=2, progress=False))
        str(lgm.fit(YIELD, other, draws=50, seed=2, progress=False, priors={"sd": priors.exponential(0.1)}))
    assert names == []


# Screen and settings --------------------------------------------------------------------------------------------------


def test_silent_without_progress(capfd: pytest.CaptureFixture[str]) -> None:
    quick()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_bar_on_stderr(
    terminal: bool, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where that is a terminal."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    lgm.fit(YIELD, lgm.load_dataset("Dyestuff"), draws=50, seed=1)
    out, err = capfd.readouterr()
    assert out == ""
    total = nuts.WARMUP + 50
    assert f"{total}/{total}" in err if terminal else err == ""


@pytest.mark.parametrize("value", [True, False])
def test_precision_setting_of_the_user_stays(value: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a fit, after an error inside one, and for other threads during one."""
    before, block, elsewhere = jax.config.read("jax_enable_x64"), sampler.block, []

    def with_a_look(*args: object, **static: object) -> object:
        thread = threading.Thread(target=lambda: elsewhere.append(jnp.ones(1).dtype))
        thread.start()
        thread.join()
        return block(*args, **static)

    monkeypatch.setattr(sampler, "block", with_a_look)
    monkeypatch.setattr(nuts.Nuts, "programs", lambda *_: [])
    try:
        jax.config.update("jax_enable_x64", value)
        quick()
        assert set(elsewhere) == {np.dtype(np.float64 if value else np.float32)}
        assert jax.config.read("jax_enable_x64") is value
        monkeypatch.setattr(nuts, "from_points", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            quick()
        assert jax.config.read("jax_enable_x64") is value
    finally:
        jax.config.update("jax_enable_x64", before)


# Ctrl-C ---------------------------------------------------------------------------------------------------------------


def press(monkeypatch: pytest.MonkeyPatch, at: Callable[[int], bool]) -> None:
    """Send SIGINT while the blocks run whose number satisfies ``at``."""
    block, count = sampler.block, [0]

    def pressed(*args: object, **static: object) -> object:
        count[0] += 1
        if at(count[0]):
            signal.raise_signal(signal.SIGINT)
        return block(*args, **static)

    monkeypatch.setattr(sampler, "block", pressed)
    monkeypatch.setattr(nuts.Nuts, "programs", lambda *_: [])


def test_ctrl_c_keeps_what_is_drawn(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    whole = quick(draws=200)
    made = 2 * sampler.BLOCK_OF_QUICK
    press(monkeypatch, at=lambda number: number == nuts.WARMUP // sampler.BLOCK_OF_QUICK + 2)
    with pytest.warns(ConvergenceWarning, match=f"stopped after {made} of 200 draws per chain"):
        part = quick(draws=200)
    assert part.draws.interrupted
    np.testing.assert_array_equal(part.draws.theta, whole.draws.theta[:, :made])
    assert part.effects.draws.shape == (4 * made, 7)
    assert "Ctrl-C" in caplog.text
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_during_warmup_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    press(monkeypatch, at=lambda number: number == 2)
    with pytest.raises(KeyboardInterrupt, match="before a draw could be kept"):
        quick(draws=200)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_twice_stops_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    press(monkeypatch, at=lambda number: number == nuts.WARMUP // sampler.BLOCK_OF_QUICK + 2)
    monkeypatch.setattr(jax.tree, "map", lambda *_: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        quick(draws=200)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    ("method", "engine", "search"),
    [
        ("nuts", nuts, mode.find_mode),
        ("importance", importance, mode.find_mode),
        ("mode", at_mode, natural.find_natural_mode),
    ],
)
def test_ctrl_c_that_a_callback_swallows_is_not_lost(
    method: str, engine: ModuleType, search: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when it arrives while JAX's garbage collection calls back into Python."""

    def swallowed(*args: object) -> object:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        return search(*args)

    monkeypatch.setattr(engine, search.__name__, swallowed)
    with pytest.raises(KeyboardInterrupt):
        quick(method=method)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_on_a_terminal() -> None:
    """As a user presses it: from outside, in a long run, when the bar is seen."""
    pty, termios = (pytest.importorskip(name, reason="no such terminals here") for name in ("pty", "termios"))
    code = (
        "import sys, warnings, lgm\n"
        "warnings.simplefilter('ignore')\n"
        "fit = lgm.fit('Yield ~ 1 + (1|Batch)', lgm.load_dataset('Dyestuff'), draws=1_000_000, seed=1)\n"
        "print(fit.draws.interrupted, 4 <= fit.draws.theta.shape[1] < 1_000_000)\n"
    )
    screen, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    process = subprocess.Popen([sys.executable, "-P", "-c", code], stdout=subprocess.PIPE, stderr=theirs, text=True)
    os.close(theirs)
    seen = ""
    while not re.search(rf"\b[1-9]\d{{3,}}/{1_000_000 + nuts.WARMUP}", seen):  # until a thousand draws are made
        try:
            seen += os.read(screen, 1000).decode(errors="replace")
        except OSError:  # the other end is closed
            raise AssertionError(seen) from None
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(OSError):  # until the other end is closed
        while more := os.read(screen, 1000):
            seen += more.decode(errors="replace")
    out, _ = process.communicate(timeout=120)
    assert (out.split(), process.returncode) == (["True", "True"], 0), seen
    assert "stopping after this block of draws" in seen
    os.close(screen)


def test_sampling_in_a_thread() -> None:
    """Signals belong to the main thread; elsewhere there is nothing to catch."""
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(digest(quick(seed=3))))
    thread.start()
    thread.join()
    assert found == [digest(quick(seed=3))]


def test_sampling_under_an_event_loop() -> None:
    """In its task, as in a notebook, and in two threads of it at once."""

    async def work() -> list[str]:
        here = digest(quick(seed=3))
        return [here, *await asyncio.gather(*(asyncio.to_thread(lambda: digest(quick(seed=3))) for _ in range(2)))]

    assert set(asyncio.run(work())) == {digest(quick(seed=3))}


# The boundary and the scale -------------------------------------------------------------------------------------------


def test_group_variance_that_is_estimated_as_zero() -> None:
    """Dyestuff2: REML puts the sd at 0; the posterior there is smooth, and equals quadrature."""
    table, rate = lgm.load_dataset("Dyestuff2"), 0.3
    given = {k: priors.exponential(rate) for k in ("sd", "sigma")}
    fit = lgm.fit(
        YIELD, table, priors={"Intercept": priors.normal(0, 100), **given}, draws=2000, seed=1, progress=False
    )
    exact = quadrature.one_way(table["Yield"].to_numpy(), table["Batch"].to_numpy(), 100.0, rate).posterior
    assert np.all(np.isfinite(fit.draws.theta)) and np.all(np.isfinite(fit.effects.draws))
    assert fit.draws.stats["diverging"].mean() < 0.005
    assert fit.draws.stats["n_steps"].mean() < 20
    for name, key in (("sd(Intercept|Batch)", "sd"), ("sigma", "sigma")):
        ours = monte_carlo.of_draws(fit.posterior[name].to_numpy())
        found = {s: monte_carlo.deviation(ours[s], Estimate(exact[key][s], 0.0)) for s in ours}
        assert max(map(abs, found.values())) < monte_carlo.LIMIT, (name, found)


def clumped() -> pd.DataFrame:
    """A response with two clumps, which no normal distribution fits."""
    y = np.random.default_rng(1).permutation(np.repeat([-1.0, 1.0], 30))
    return pd.DataFrame({"Yield": y + np.linspace(-0.05, 0.05, 60), "Batch": np.arange(60) % 6})


@pytest.mark.parametrize("data", [lambda: lgm.load_dataset("Dyestuff"), clumped], ids=["dyestuff", "clumped"])
@pytest.mark.parametrize("factor", [1e6, 1e-6])
def test_units_of_the_response(data: Callable[[], pd.DataFrame], factor: float) -> None:
    """Default priors scale with sd(y), so the posterior does too."""
    table = data()
    plain = lgm.fit(YIELD, table, draws=1000, seed=1, progress=False)
    scaled = lgm.fit(YIELD, table.assign(Yield=table["Yield"] * factor), draws=1000, seed=2, progress=False)
    for name in plain.summary().index:
        ours, theirs = (monte_carlo.of_draws(f.posterior[name].to_numpy()) for f in (scaled, plain))
        rescaled = {s: Estimate(e.value / factor, e.error / factor) for s, e in ours.items()}
        assert max(abs(monte_carlo.deviation(rescaled[s], theirs[s])) for s in theirs) < monte_carlo.LIMIT
