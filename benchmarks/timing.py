"""Fresh processes, timed in turn, so that a noisy machine treats the rivals alike.

They see what is installed for their interpreter, never the folder that they were started in: a checkout has no compiled
kernel.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

ELSEWHERE = {"PYTHONSAFEPATH": "1"}  # the current folder is not searched for modules


def installed(python: str | None, *modules: str) -> bool:
    """Whether an interpreter runs and finds these modules."""
    code = f"import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, {modules!r})))"
    try:
        return python is not None and not _started(python, code, {}).returncode
    except OSError:
        return False


def _started(python: str, code: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [python, "-W", "ignore", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **ELSEWHERE, **env})


def under_test() -> str:
    """Which lgm is measured, in one line."""
    code = "import jax, lgm; print(f'lgm {lgm.__version__} in {lgm.__path__[0]}, jax {jax.__version__}')"
    done = _started(sys.executable, code, {})
    if done.returncode:
        sys.exit(f"lgm cannot be measured: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout.strip()


def export(dataset: str, folder: str, every: int = 1) -> str:
    """Write every so many rows of a data set for programs other than lgm; the path of the file."""
    path = os.path.join(folder, f"{dataset}.csv")
    code = f"import lgm; lgm.load_dataset({dataset!r})[::{every}].to_csv({path!r}, index=False)"
    _started(sys.executable, code, {}).check_returncode()
    return path


@dataclass
class Contender:
    """A program that prints one line of JSON, its own stage times in seconds."""

    name: str
    python: str
    code: str
    env: dict[str, str] = field(default_factory=dict)
    walls: list[float] = field(default_factory=list)
    stages: list[dict[str, float]] = field(default_factory=list)

    def run(self) -> None:
        """One fresh process: its wall time from start to end, and its stages."""
        start = time.perf_counter()
        done = _started(self.python, self.code, self.env)
        wall = time.perf_counter() - start
        if done.returncode:
            sys.exit(f"{self.name} failed:\n{done.stderr[-2000:]}")
        self.walls.append(wall)
        self.stages.append(json.loads(done.stdout.strip().splitlines()[-1]))

    def median(self, stage: str) -> float:
        """Median of a stage over the runs."""
        return statistics.median(run[stage] for run in self.stages)


def in_turn(contenders: Sequence[Contender], runs: int) -> None:
    """A B A B ..., after one uncounted run each, which fills the caches of the operating system, unless one is all."""
    for contender in contenders if runs > 1 else ():
        contender.run()
        contender.walls.clear()
        contender.stages.clear()
    for _ in range(runs):
        for contender in contenders:
            contender.run()


def table(contenders: Sequence[Contender]) -> str:
    """Median, smallest and largest wall time, and the median of every stage (seconds unless its name says other)."""
    lines = []
    for c in contenders:
        spread = f"{min(c.walls):.2f} to {max(c.walls):.2f}"
        lines.append(f"{c.name:<28} {statistics.median(c.walls):6.2f} s  ({spread}, {len(c.walls)} runs)")
        lines.extend(f"    {stage:<24} {c.median(stage):9.3f}" for stage in c.stages[0])
    return "\n".join(lines)


def ratio(a: Contender, b: Contender) -> float:
    """Median over pairs of runs of a's wall time over b's."""
    return statistics.median(x / y for x, y in zip(a.walls, b.walls, strict=True))
