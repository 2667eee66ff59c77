"""Small models by importance sampling: how fast, how reliable, and the same as NUTS and as outside references?

    python benchmarks/bench_importance.py [--only NAME ...] [--fits 9] [--quick]

One fresh process for each model, in which it is fitted by importance sampling with one seed after another (the first
fit compiles) and then by NUTS. Priors are those of the reference where there is one (long Stan runs, or quadrature with
nothing of lgm), and lgm's defaults. Deviations are the largest over means, sds, 5% and 95% points of all fixed effects
and hyperparameters, in combined Monte Carlo errors: of the first fit, as users see it, and of all fits pooled, which
would show a bias. With --quick only Dyestuff, two fits, and NUTS takes a quarter of the draws.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))  # for the models and their references

STATISTICS = ["mean", "sd", "q5", "q95"]


def run(case: str, default_priors: bool, fits: int, quick: bool) -> dict[str, object]:
    """All figures of one model, in this process."""
    from statistical import models
    from statistical.models import REFERENCES

    model = models.model_of(case, default_priors=default_priors)
    found, seconds = [], []
    for i in range(fits + 1):
        start = time.perf_counter()
        fit = model.fit(method="importance", seed=100 * i, progress=False)
        theta = time.perf_counter() - start
        fit.summary()  # draws the effects first
        seconds.append((theta, time.perf_counter() - start))
        found.append(fit)
    warm = np.median(seconds[1:], axis=0)
    points = [fit.draws.points for fit in found]
    out: dict[str, object] = {
        "d": len(found[0].design.theta_names),
        "first": seconds[0][1],
        "theta": warm[0],
        "all": warm[1],
        "values": float(np.median([p.log_weights.size for p in points])),
        "k": max(p.k for p in points),
        "points": float(np.median([p.ess for p in points])),
        "evidence": points[0].log_evidence,
        "error": points[0].log_evidence_se,
        "spread": float(np.std([p.log_evidence for p in points], ddof=1)),
    }
    start = time.perf_counter()
    draws = models.CASES[case].draws // (4 if quick else 1)
    nuts = model.fit(draws=draws, seed=20250, progress=False)
    nuts.summary()
    out["nuts"] = time.perf_counter() - start
    for name, ours in (("one", found[:1]), ("all", found)):
        out[f"nuts, {name}"] = worst(models.engine_deviations(ours, [nuts]))
    for name in [] if default_priors else [n for n, of in REFERENCES.items() if of == case]:
        for which, ours in (("one", found[:1]), ("all", found)):
            kind = "quadrature" if "bayes_exact" in name else "Stan"
            out[f"{kind}, {which}"] = worst(models.reference_deviations(name, ours))
        if "bayes_exact" in name:
            fine = models.finer(name).log_evidence
            out["log p(y), one"] = (points[0].log_evidence - fine) / points[0].log_evidence_se
            value, error = models.pooled_evidence(found)
            out["log p(y), all"] = (value - fine) / error
            out["log p(y) stored"] = models.reference(name)["log_marginal_likelihood"]
            out["log p(y) exact"] = fine
    return out


def worst(deviations) -> float:
    return float(deviations[STATISTICS].abs().max(axis=None))


def child(case: str, default_priors: bool, options: argparse.Namespace) -> dict[str, object]:
    command = [sys.executable, "-W", "ignore", __file__, "--child", case, "--fits", str(options.fits)]
    command += ["--default-priors"] * default_priors + ["--quick"] * options.quick
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{case} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def print_tables(rows: dict[str, dict[str, object]]) -> None:
    """Speed and reliability; then agreement."""
    width = max(map(len, rows))

    def number(row: dict[str, object], key: str, form: str) -> str:
        return format(row[key], form) if key in row else format("-", ">" + form.split(".")[0])

    print("\nSeconds: the first fit with compilation, then medians; effects and table are in all but `theta`.")
    print(
        "k is the largest of all fits; `spread` is the sd of log p(y) between fits, beside the error that one states."
    )
    columns = [
        ("d", "4d"),
        ("first", "7.2f"),
        ("theta", "7.3f"),
        ("all", "7.3f"),
        ("nuts", "7.2f"),
        ("values", "7.0f"),
        ("k", "7.2f"),
        ("points", "7.0f"),
        ("evidence", "10.3f"),
        ("error", "7.4f"),
        ("spread", "7.4f"),
    ]
    print(f"{'':{width}s}" + "".join(format(name, ">" + form.split(".")[0].rstrip("d")) for name, form in columns))
    for name, row in rows.items():
        print(f"{name:{width}s}" + "".join(number(row, key, form) for key, form in columns))
    print(
        "\nLargest deviation in combined Monte Carlo errors: of one fit, of all fits pooled; log p(y) in its own error."
    )
    groups = ["nuts", "Stan", "quadrature", "log p(y)"]
    print(f"{'':{width}s}" + "".join(f"{group:>18s}" for group in groups))
    for name, row in rows.items():
        cells = [number(row, f"{g}, one", "10.2f") + number(row, f"{g}, all", "8.2f") for g in groups]
        print(f"{name:{width}s}" + "".join(cells))
    for name, row in rows.items():
        if "log p(y) exact" in row:
            print(f"log p(y), {name}: {row['log p(y) exact']:.4f} by quadrature, {row['log p(y) stored']:.4f} stored")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[], help="models whose name contains one of these")
    parser.add_argument("--fits", type=int, default=9, help="warm fits, each with its own seed")
    parser.add_argument("--quick", action="store_true", help="the smallest model, two fits, a quarter of NUTS's draws")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--default-priors", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.only, options.fits = ["dyestuff"], 2
    if options.child:
        print(json.dumps(run(options.child, options.default_priors, options.fits, options.quick)))
        return
    from statistical.models import CASES, REFERENCES

    runs = [(case, False) for case in CASES if case in REFERENCES.values()]
    runs += [(case, True) for case in CASES]
    named = {f"{case}, default priors" if default else case: (case, default) for case, default in runs}
    wanted = [name for name in named if not options.only or any(part.lower() in name for part in options.only)]
    if not wanted:
        parser.error(f"no model has a name with {' or '.join(options.only)} in it; there are {', '.join(CASES)}")
    rows = {}
    for name in wanted:
        rows[name] = child(*named[name], options)
        print(f"{name}: done", file=sys.stderr)
    print_tables(rows)


if __name__ == "__main__":
    main()
