"""The marginal likelihood; its numbers are tested with the engine that gives them."""

import pandas as pd
import pytest

import lgm
from lgm.results.comparing import evidence


def test_what_is_added_counts() -> None:
    """As the logs of Jacobians do."""
    one = lgm.fit("Yield ~ 1", lgm.load_dataset("Dyestuff"), method="importance", seed=1, progress=False)
    table = evidence.table([one, one], pd.Index(["a", "b"]), [0.0, 2.0])
    assert table.loc["b", "log_evidence"] - table.loc["a", "log_evidence"] == pytest.approx(2.0)
    assert table.index.tolist() == ["b", "a"]
