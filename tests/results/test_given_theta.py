"""Draws given anybody's thetas do not depend on how they are divided into calls."""

import numpy as np
import pytest

import lgm
from lgm.results import given_theta


def test_the_same_in_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    model = lgm.model("Yield ~ 1 + (1|Batch)", lgm.load_dataset("Dyestuff"))
    thetas = {"sd(Intercept|Batch)": np.linspace(20.0, 60.0, 20), "sigma": np.linspace(40.0, 60.0, 20)}
    offset = np.linspace(-1.0, 1.0, 20)[:, None] * np.ones(30)
    whole = model.draw_effects(thetas, offset=offset, seed=2)
    monkeypatch.setattr(given_theta, "CHUNK_BYTES", 8 * 4 * 30 * 3)
    pieces = model.draw_effects(thetas, offset=offset, seed=2)
    for name in whole:
        np.testing.assert_allclose(pieces[name], whole[name], rtol=1e-10)
    monkeypatch.setattr("lgm.results.effects.KEPT_BYTES", 100.0)
    with pytest.raises(lgm.LgmError, match="20 draws of 7 effects take"):
        model.draw_effects(thetas, seed=2)
