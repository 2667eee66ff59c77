"""Draws of chains: the branches of their verdict, and their words."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lgm.inference.chains import Chains


def _draws(chains: int = 4, draws: int = 500, diverging: int = 0) -> Chains:
    theta = np.random.default_rng(0).normal(size=(chains, draws, 1))
    flags = np.zeros((chains, draws), dtype=bool)
    flags.ravel()[:diverging] = True
    return Chains(theta, {"diverging": flags}, False, np.ones(chains), 200)


def _table(r_hat: float = 1.002, ess: float = 1500.0, sd: float = 1.0) -> pd.DataFrame:
    rows = {
        "Intercept": {"mean": 1.0, "sd": 1.0, "ess_bulk": 2000.0, "ess_tail": 2000.0, "r_hat": 1.0},
        "sd(s(t))": {"mean": 1.0, "sd": sd, "ess_bulk": ess, "ess_tail": ess + 10, "r_hat": r_hat},
    }
    return pd.DataFrame(rows).T


def test_converged() -> None:
    assert _draws().verdict(_table()).text == (
        "Converged: largest R-hat 1.002, smallest effective sample size 1500, 0 divergences."
    )


def test_a_few_divergences_are_doubtful_too() -> None:
    found = _draws(diverging=1).verdict(_table())
    assert found.doubted and "1 divergence. Few, but" in found.text and found.text.startswith("Doubtful")
    assert not _draws().verdict(_table()).doubted


def test_a_few_are_of_no_matter_where_weighted_points_agree() -> None:
    few = _draws(diverging=2)
    agreeing, other = (replace(few, apart=apart) for apart in (2.5, 7.4))
    found = agreeing.verdict(_table())
    assert not found.doubted and found.text == (
        "Converged: largest R-hat 1.002, smallest effective sample size 1500, "
        "2 divergences (weighted points around the mode agree)."
    )
    assert agreeing.verdict(_table(ess=100.0)).text.startswith("Too few draws")
    assert "differ from the chains by 7 Monte Carlo errors: raise warmup" in other.verdict(_table()).text
    for draws in (agreeing, other):  # points that stand for nothing
        assert "Few, but" in draws.verdict(_table(), points=False).text


def test_not_converged_names_the_worst_variable_and_what_to_do() -> None:
    found = _draws().verdict(_table(r_hat=1.2)).text
    assert found.startswith("Not converged: largest R-hat 1.200")
    assert "disagree about sd(s(t)): draw more (draws=1000, warmup=400)" in found


def test_chains_that_never_moved_have_not_converged() -> None:
    """Each stuck at its own place: R-hat and effective sample sizes are not defined, beside others that are good."""
    found = _draws().verdict(_table(r_hat=np.nan, ess=np.nan))
    assert found.doubted and found.text.startswith("Not converged: largest R-hat inf, smallest effective sample size 0")
    assert "disagree about sd(s(t))" in found.text


def test_many_divergences_are_doubtful() -> None:
    found = _draws(diverging=50).verdict(_table()).text
    assert found.startswith("Doubtful: ")
    assert "50 divergences. Divergences can bias" in found
    assert "raise warmup to 400" in found


def test_weighted_points_are_advised_where_they_can_serve() -> None:
    draws = _draws(diverging=50)
    assert 'compare with method="importance"' in draws.verdict(_table()).text
    without = draws.verdict(_table(), points=False).text
    assert "importance" not in without and without.endswith("raise warmup to 400, or give the scales narrower priors.")


@pytest.mark.parametrize(("ess", "wanted"), [(350.0, "580"), (100.0, "2000"), (7.0, "29000")])
def test_too_few_draws_says_how_many_would_do(ess: float, wanted: str) -> None:
    found = _draws().verdict(_table(ess=ess)).text
    assert found.startswith(f"Too few draws: largest R-hat 1.002, smallest effective sample size {ess:.0f}")
    assert found.endswith(f"Raise draws to about {wanted}, so that sd(s(t)), the smallest, reaches 400.")


def test_one_chain_cannot_be_compared() -> None:
    table = _table()
    table["r_hat"] = np.nan
    found = _draws(chains=1).verdict(table).text
    assert found.startswith("Unchecked: no R-hat from one chain")
    assert "Run chains=4" in found


def test_a_held_variable_is_not_judged() -> None:
    assert _draws().verdict(_table(r_hat=np.nan, ess=np.nan, sd=0.0)).text.startswith("Converged")


def test_words() -> None:
    assert _draws().described() == "4 chains of 500 after 200 for warm-up"
    stopped = Chains(np.zeros((1, 7, 1)), {}, True, np.ones(1), 150)
    assert stopped.described() == "1 chain of 7 after 150 for warm-up, stopped early"
