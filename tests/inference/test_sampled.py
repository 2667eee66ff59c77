"""Draws of theta and effects: what is known of effects, and which of them count in the verdict."""

import numpy as np
import pandas as pd

from lgm.inference.sampled import Sampled


def sampled(c: int = 4, d: int = 200, m: int = 3) -> Sampled:
    rng = np.random.default_rng(1)
    stats = {"diverging": np.zeros((c, d), dtype=bool)}
    return Sampled(rng.normal(size=(c, d, 1)), stats, False, np.ones(c), 150, rng.normal(size=(c, d, m)))


def test_draws_are_points_of_equal_weight() -> None:
    draws = sampled()
    found = draws.effects_at()
    assert found is not None
    points, index = found
    np.testing.assert_array_equal(index, np.arange(800))
    np.testing.assert_array_equal(points.theta[200], draws.theta[1, 0])
    np.testing.assert_array_equal(points.draws[200, 0], draws.effects[1, 0])
    np.testing.assert_array_equal(points.mean, points.draws[:, 0])
    np.testing.assert_allclose(np.exp(points.log_weights), 1 / 800)
    assert not draws.conditional


def test_without_effects() -> None:
    bare = sampled().without_effects()
    assert bare.effects.shape == (4, 200, 0) and bare.effects_at() is None
    assert bare.theta.shape == (4, 200, 1)
    assert bare.described() == "4 chains of 200 after 150 for warm-up, effects among them"


def test_the_worst_effects_are_judged() -> None:
    """Here one is worst by both, as chains disagree about it; what does not move is not judged."""
    rng = np.random.default_rng(2)
    drawn = {f"Intercept|g[{i}]": rng.normal(size=(4, 200)) for i in range(300)}
    drawn["Intercept|g[7]"] += np.array([[0.0], [0.0], [0.0], [0.8]])
    drawn["held"] = np.ones((4, 200))
    asked: list[str] = []

    def of_chains(some: dict[str, np.ndarray]) -> pd.DataFrame:
        asked.extend(some)
        return pd.DataFrame({"ess_bulk": 50.0, "ess_tail": 60.0, "r_hat": 1.2}, index=list(some))

    table = pd.DataFrame({"sd": [1.0], "ess_bulk": [800.0], "ess_tail": [800.0], "r_hat": [1.0]}, index=["sigma"])
    found = sampled().judged(table, lambda: drawn, of_chains)
    assert asked == ["Intercept|g[7]"]
    assert list(found.index) == ["sigma", *asked]
    verdict = sampled().verdict(found)
    assert verdict.doubted and "disagree about Intercept|g[7]" in verdict.text


def test_nothing_moves() -> None:
    table = pd.DataFrame({"sd": [1.0]}, index=["sigma"])
    assert sampled().judged(table, lambda: {"a": np.zeros((4, 200))}, dict) is table
