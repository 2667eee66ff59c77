"""Fresh processes, timed in turn, so that a noisy machine treats the rivals alike."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field


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
        done = subprocess.run(
            [self.python, "-W", "ignore", "-c", self.code],
            capture_output=True,
            text=True,
            env={**os.environ, **self.env},
        )
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
