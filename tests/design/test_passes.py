"""The later passes: what each partition gives, and that it can be sent to another process."""

import pickle
from functools import partial

import numpy as np
import pandas as pd

from lgm import families
from lgm.data.model_matrix import materialise
from lgm.data.partitions import in_tree
from lgm.design.passes import Spreading
from lgm.design.survey import Plan, survey
from lgm.formula.parse import parse

RNG = np.random.default_rng(0)
DATA = pd.DataFrame({"y": RNG.normal(size=90), "x": RNG.normal(50.0, 2.0, 90), "f": RNG.choice(list("ab"), 90)})
DATA["g"] = np.arange(90) % 5


def test_means_and_scales_of_varying_effects_are_those_of_all_rows():
    formula = parse("y ~ 1 + (x * f|g)", ())
    plan = Plan(formula, families.find("gaussian"), {}, tuple(DATA.columns), ("x", "f", "g"), ("y",), None, "drop")
    parts = [DATA.iloc[:7], DATA.iloc[7:7], DATA.iloc[7:50], DATA.iloc[50:]]
    first = pickle.loads(pickle.dumps(partial(survey, plan)))
    found = in_tree((first(part, i) for i, part in enumerate(parts)), lambda a, b: a + b)
    effects = formula.mu.bars[0].effects
    spec, columns, names = materialise(effects, plan.scope(DATA))
    made = pickle.loads(pickle.dumps(Spreading(plan, found, {}, {"e": effects}, {"e": spec})))
    spread = in_tree((made(part, i) for i, part in enumerate(parts)), lambda a, b: a + b).of["e"]
    whole = columns.toarray()
    assert names == ["Intercept", "x", "f[T.b]", "x:f[T.b]"]
    np.testing.assert_allclose([each.mean for each in spread], whole.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose([each.sd() for each in spread], whole.std(axis=0), rtol=1e-12)
