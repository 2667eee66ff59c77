"""Long tails at the mode of theta: where they are looked for, and which are told apart."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.inference import tails
from lgm.posterior.laplace import LaplaceData
from lgm.posterior.stretch import Leaning


@pytest.fixture(scope="module")
def post():
    """A posterior of counts, of which only the shape matters here."""
    data = pd.DataFrame({"y": [0, 2, 1, 3], "g": list("aabb")})
    found = lgm.model("y ~ 1 + (1|g)", data, "poisson").analysed.marginal
    assert isinstance(found.data, LaplaceData)
    return replace(found, data=replace(found.data, leaves=None))


def test_directions_start_from_effects_of_any_number(monkeypatch, post):
    """A million effects of which three lean: no array has a row and a column for each."""
    d, seen = 10**6, []

    def leaning(post, x, start):
        seen.append(start)
        return Leaning(start, np.zeros(8), np.eye(8))

    monkeypatch.setattr(tails, "_leaning", leaning)
    lean = np.zeros(d)
    lean[[5, d - 1, 17]] = 0.3, 0.2, 0.1
    assert tails.long_tails(SimpleNamespace(dim=d, data=post.data), np.zeros(1), lean) is None
    assert seen[0].shape == (d, 8) and list(np.argmax(seen[0], axis=0)[:4]) == [5, d - 1, 17, 5]


def test_tails_that_are_left_out_are_told_of(monkeypatch, post):
    """Of a hundred effects that lean, of which the first 64 lead to 20 long tails; of 64, none was left out."""
    directions = Leaning(np.eye(100)[:, :64], np.where(np.arange(64) < 20, 2.0, 0.1), np.eye(64))
    monkeypatch.setattr(tails, "_leaning", lambda *_: directions)
    monkeypatch.setattr(tails, "_widths", lambda *_: np.full((20, 2), 1.5))
    monkeypatch.setattr(type(post), "dim", 100)
    found = tails.long_tails(post, np.zeros(1), np.ones(100))
    assert found.more and found.tails.reach.shape == (20, 2)
    assert not tails.long_tails(post, np.zeros(1), np.where(np.arange(100) < 64, 1.0, 0.0)).more


def test_tails_of_the_same_combination_are_one():
    """Of three directions of which the last is nearly the first, and of one that leans little."""
    cov = np.array([[1.0, 0.1, 0.99, 0.0], [0.1, 1.0, 0.1, 0.0], [0.99, 0.1, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    third = np.array([0.9, -2.0, 1.0, 0.3])
    assert tails._several(Leaning(np.eye(4), third, cov)) == [1, 2]
