"""A block is what the posterior sees of a term: it needs nothing else."""

import numpy as np
import pandas as pd
import pytest

import lgm

GRAPH = lgm.graph([(0, 1), (1, 2), (3, 4)], range(6))
RNG = np.random.default_rng(2)
DATA = pd.DataFrame({"y": RNG.normal(size=24), "x": RNG.normal(size=24), "t": np.tile(np.arange(6), 4)})
# the term, its effects, directions without precision, factors by which its structure is scaled
TERMS = {
    "(x|t)": (12, 0, None),
    "rw1(t)": (6, 1, 1),
    "rw2(t)": (6, 2, 1),
    "ar1(t)": (6, 0, None),
    "seasonal(t, 3)": (6, 2, 1),
    "icar(t, graph)": (6, 2, 2),
    "bym2(t, graph)": (12, 2, 2),
    "car(t, graph)": (6, 0, 2),
    "leroux(t, graph)": (6, 0, 2),
    "sar(t, graph)": (6, 0, None),
    "s(x, k=5)": (3, 0, 1),
}


@pytest.mark.filterwarnings("ignore:.*is one series:lgm.DataWarning")
@pytest.mark.parametrize("right", TERMS)
def test_blocks(right: str) -> None:
    (term,) = lgm.model(f"y ~ {right}", DATA, env={"graph": GRAPH}).design.terms
    block, (n, null, factors) = term.block, TERMS[right]
    assert block.n == n == block.template.n == block.template.pattern.n == term.z.shape[1]
    assert (0 if block.constraint is None else block.constraint.null_space.shape[1]) == null
    assert block.constraint is None or block.constraint.null_space.shape == (n, block.constraint.anchors.size)
    assert (block.factors is None) if factors is None else (block.factors is not None and block.factors.size == factors)
    # the template takes its hyperparameters by kind, and every one of them is needed
    theta = {
        q.kind: np.full(sum(len(p.names) for p in block.parameters if p.kind == q.kind), q.start)
        for q in block.parameters
    }
    found = block.template.whiten(theta)
    assert found.scale.shape == (n,) and found.values.shape == (block.template.pattern.nnz,)
    for kind in theta:
        with pytest.raises(KeyError, match=kind):
            block.template.whiten({k: v for k, v in theta.items() if k != kind})


@pytest.mark.filterwarnings("ignore:.*is one series:lgm.DataWarning")
@pytest.mark.parametrize("right", TERMS)
def test_printed_effects_are_effects_of_the_block(right: str) -> None:
    (term,) = lgm.model(f"y ~ {right}", DATA, env={"graph": GRAPH}).design.terms
    places = np.concatenate([variable.index.ravel() for variable in term.variables])
    assert set(places) == set(range(term.block.n))
    for variable in term.variables:
        assert len(variable.index) == variable.labels.size
