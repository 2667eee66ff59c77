"""What an installed lgm must do anywhere: its kernel loads, and the sleep study has the estimates that it should."""

import sys
from pathlib import Path

import numpy as np

import lgm

here = Path(lgm.__file__).resolve()
if not here.is_relative_to(Path(sys.prefix).resolve()):
    sys.exit(f"this is the lgm of {here.parent}, not the installed one")

fit = lgm.fit("Reaction ~ Days + (Days|Subject)", lgm.load_dataset("sleepstudy"), method="mode", progress=False)
print(fit)

# In balanced data the fixed effects are averages of the people's own least-squares lines, whatever the variances.
data = lgm.load_dataset("sleepstudy")
lines = [np.polyfit(person["Days"], person["Reaction"], 1) for _, person in data.groupby("Subject", observed=True)]
slope, level = np.mean(lines, axis=0)
found = fit.fixef()["mean"]
if not np.allclose(found[["Intercept", "Days"]], [level, slope], rtol=0.01):
    sys.exit(f"fixed effects are {found.to_dict()} instead of {level:.2f} and {slope:.2f}")
