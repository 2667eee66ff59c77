"""Large Matern fields, fitted by ``method="mode"``: time of each stage, and peak memory.

    python benchmarks/bench_fields.py [--quick]

100,000 observations at random places of a field with Matern covariance of smoothness one (2,000 random Fourier waves,
sd 1, range 150 in a square of side 1,000, noise 0.5), on a mesh of 50,000 nodes. The last line compares what is found
with what was drawn, and predictions of the field at new places with the field there.

On two cores of an AMD EPYC that other work kept busy (load 8): mesh 3 s, model 9 s, mode 188 s, summary 1 s, prediction
3 s; 118 s of processor time in all, and at most 0.9 GB of memory. The range was found to be 148 (standard error 11).
"""

import argparse
import resource
import time

import numpy as np
import pandas as pd

import lgm

SIDE, RANGE, NOISE, WAVES = 1000.0, 150.0, 0.5, 2000


class Field:
    """A field by its spectrum: frequencies are bivariate t with two degrees of freedom, of scale kappa."""

    def __init__(self, rng: np.random.Generator) -> None:
        kappa = np.sqrt(8.0) / RANGE
        self.frequency = kappa * rng.standard_normal((2, WAVES)) / np.sqrt(rng.chisquare(2.0, WAVES))
        self.phase = rng.uniform(0.0, 2.0 * np.pi, WAVES)

    def at(self, places: np.ndarray) -> np.ndarray:
        parts = np.array_split(places, max(1, len(places) // 5000))
        return np.concatenate(
            [np.sqrt(2.0 / WAVES) * np.cos(p @ self.frequency + self.phase).sum(axis=1) for p in parts]
        )


def peak() -> float:
    """Gigabytes so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="5,000 observations, 2,000 nodes")
    quick = parser.parse_args().quick
    rows, edge = (5_000, 30.0) if quick else (100_000, 5.0)
    rng = np.random.default_rng(1)
    field = Field(rng)
    places, new = rng.uniform(0.0, SIDE, (rows, 2)), rng.uniform(0.0, SIDE, (1000, 2))
    data = pd.DataFrame({"x": places[:, 0], "y": places[:, 1]})
    data["z"] = 2.0 + field.at(places) + NOISE * rng.standard_normal(rows)
    print(f"{'start':<10} {'':>8} {peak():6.2f} GB", flush=True)

    def stage(name: str, before: float, more: str = "") -> None:
        print(f"{name:<10} {time.perf_counter() - before:6.1f} s {peak():6.2f} GB  {more}", flush=True)

    before = time.perf_counter()
    mesh = lgm.mesh(places, edge=edge, extension=1.2 * RANGE)
    stage("mesh", before, repr(mesh))
    before = time.perf_counter()
    model = lgm.model("z ~ matern(x, y, mesh=mesh)", data, env={"mesh": mesh})
    stage("model", before)
    before = time.perf_counter()
    fit = model.fit(method="mode", seed=1, draws=25, progress=False)
    stage("mode", before)
    before = time.perf_counter()
    table = fit.summary()
    stage("summary", before)
    before = time.perf_counter()
    predicted = fit.predict(pd.DataFrame(new, columns=["x", "y"]))
    stage("predict", before, "1,000 new places")
    truth = field.at(new)
    error = predicted["mean"] - 2.0 - truth
    covered = np.mean(np.abs(error) < 1.96 * predicted["sd"])
    print(table[["mean", "sd"]].round(4).to_string())
    print(f"prediction: correlation {np.corrcoef(predicted['mean'], truth)[0, 1]:.4f}, coverage {covered:.3f}")


if __name__ == "__main__":
    main()
