"""Draws given theta in blocks: every draw once, the same however they are divided."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import lgm
from lgm.posterior.density import Marginal
from lgm.results import drawing, normal
from lgm.results.drawing import Drawing, _slots

DATA = pd.DataFrame({"y": [1.0, 2.0, 4.0, 3.0, -1.0, 0.5, 2.5], "g": list("aabbcca")})


def of(thetas: np.ndarray, seed: int = 1) -> Drawing:
    return Drawing(lgm.model("y ~ 1 + (1|g)", DATA).analysed, thetas, seed, progress=False)


@pytest.mark.parametrize("each", [1, 3, 4])
def test_slots(each: int) -> None:
    which = np.random.default_rng(3).integers(0, 5, 40)
    theta, numbers = _slots(which, np.bincount(which), each)
    assert numbers.shape == (len(theta), each)
    for t, row in zip(theta, numbers, strict=True):
        assert row[0] >= 0 and np.all(which[row[row >= 0]] == t)
    assert sorted(numbers[numbers >= 0]) == list(range(40))
    assert len(theta) == sum(-(-np.bincount(which) // each))


THETAS = {
    "all differ": np.linspace([0.5, 1.0], [1.5, 2.0], 150),
    "some are alike": np.repeat(np.linspace([0.5, 1.0], [1.5, 2.0], 12), 15, axis=0),
    "all are alike": np.tile([0.7, 1.1], (150, 1)),
}


@pytest.mark.parametrize("kind", THETAS)
def test_every_draw_comes_once_and_its_theta_counts(kind: str) -> None:
    made = of(THETAS[kind])
    blocks = list(made.blocks(np.arange(made.size)))
    numbers = np.concatenate([block.numbers for block in blocks])
    assert sorted(numbers) == list(range(made.size))
    means = np.concatenate([np.repeat(block.means, block.counts, axis=0) for block in blocks])
    first = numbers.argsort()[0]
    np.testing.assert_allclose(means[first], normal.moments(made)[0], rtol=1e-12)
    assert made.alike == (kind == "all are alike")


@pytest.mark.parametrize("kind", THETAS)
def test_a_draw_is_the_same_by_itself(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = of(THETAS[kind])
    whole = np.empty((made.size, 4))
    for block in made.blocks(np.arange(made.size)):
        whole[block.numbers] = block.draws
    monkeypatch.setattr(drawing, "CHUNK_BYTES", 8 * 4 * 5 * 3)
    chosen = np.array([149, 7, 3, 80])
    for block in made.blocks(chosen):
        np.testing.assert_allclose(block.draws, whole[block.numbers], rtol=1e-12, atol=1e-12)
    [other] = of(THETAS[kind], seed=2).blocks(np.array([7]))
    assert np.all(other.draws != whole[7])
    assert np.unique(whole[:, 0]).size == made.size


def test_no_two_columns_of_normals_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of weighted points, those of columns without a draw count too."""
    thetas = np.repeat(np.linspace([0.5, 1.0], [1.5, 2.0], 12), [1, 3, 5, 7, 9, 10, 11, 13, 14, 15, 17, 18], axis=0)
    made, plain, seen = of(thetas), drawing._draw_chunk, []

    def noted(how: tuple[int, int], post: Marginal, thetas: np.ndarray, z: np.ndarray) -> Any:
        seen.append(z.reshape(-1, z.shape[-1]))
        return plain(how, post, thetas, z)

    monkeypatch.setattr(drawing, "_draw_chunk", noted)
    assert sorted(k for block in made.blocks(np.arange(made.size)) for k in block.numbers) == list(range(made.size))
    columns = np.concatenate(seen)
    assert len(columns) > made.size and len(np.unique(columns, axis=0)) == len(columns)
