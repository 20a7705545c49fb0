"""`train` of the command line, killed and started again: what a kill costs, and what the model is in the end. Linux.

benchmarks/reliability.py runs this with the preset standard.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

import iseg_core as iseg
from support.models import arrays
from support.shapes import dumbbell, write_off

STAGES = ("surface", "observe", "field", "decoder")
AGAIN = 20.0  # seconds of work that a kill may cost

# The command line, which tells every step, and what the process has taken of the processor by then.
TELLING = """
import sys, time
from iseg_core import cli
class Telling(cli.Display):
    def show(self, stage, fraction, seconds_left):
        print(stage, fraction, time.process_time(), time.time(), flush=True)
cli.Display = Telling
sys.exit(cli.main(sys.argv[1:]))
"""


class Step(NamedTuple):
    """Where a training stood at some moment."""

    stage: int
    fraction: float  # of the whole training
    cpu: float  # seconds of the processor that the process had taken by then, in all threads
    at: float  # time.time() then

    @property
    def place(self) -> tuple[int, float]:
        return self.stage, self.fraction


class Run:
    """A process that trains."""

    def __init__(self, command: list[str], environment: dict[str, str]):
        self.began, self.steps, self.kept = time.time(), list[Step](), 0.0
        self._process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def follow(self, place: tuple[int, float] | None = None) -> None:
        """Read its steps, up to this place; else to the end."""
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            stage, *numbers = line.split()
            if stage in STAGES and len(numbers) == 3:  # else a line that a kill has cut off, or one of another kind
                self.steps.append(Step(STAGES.index(stage), *map(float, numbers)))
                if place is not None and self.steps[-1].place >= place:
                    return

    def kill(self, folder: Path) -> None:
        """SIGKILL; where it stood then is the last of its steps. folder: of the cache."""
        words = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        cpu, at = (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK"), time.time()
        self._process.kill()
        self.end()
        last = self.steps[-1]
        self.steps.append(last._replace(cpu=max(cpu, last.cpu), at=max(at, last.at)))
        kept = max((p.stat().st_mtime for p in folder.rglob("*.checkpoint/*") if p.suffix != ".part"), default=0.0)
        times, cpus = [self.began, *(s.at for s in self.steps)], [0.0, *(s.cpu for s in self.steps)]
        self.kept = float(np.interp(kept, times, cpus))

    def end(self) -> int:
        """Read what is left; the exit code."""
        self.follow()
        assert self._process.stdout is not None
        self._process.stdout.close()
        return self._process.wait()


class Cost(NamedTuple):
    """What a kill has cost, in seconds of the processor but for the last."""

    stage: int  # that was killed
    lost: float  # since its last checkpoint or, before the first, since its start
    again: float  # all that was done twice
    clock: float  # the same by the clock


def cost(killed: Run, after: Run) -> Cost:
    """From the start of the next process until it was where the killed one had been, and what that one had begun."""
    *_, last, end = killed.steps
    there = next(step for step in after.steps if step.place >= end.place)
    again, clock = there.cpu + end.cpu - last.cpu, there.at - after.began + end.at - last.at
    return Cost(end.stage, end.cpu - killed.kept, again, clock)


def resumed(count: int, seed: int = 0, subdivisions: int = 5, preset: str = "standard") -> str:
    """Killed `count` times at random moments, at least once in each stage, and started again each time: the model is
    the very one of a run that nothing interrupts, and no kill costs AGAIN seconds.

    These are the processor's, as other programs on the machine do not count. Everything counts that is done again:
    Python and PyTorch that are loaded, proxy, surface and rasters, the work since the last checkpoint.
    """
    assert count >= len(STAGES)
    runs, dice = list[Run](), random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_off(folder / "mesh.off", dumbbell(subdivisions))
        environment = os.environ | {"ISEG_CACHE": name, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}

        def train(output: str) -> Run:
            arguments = ["train", str(folder / "mesh.off"), "-o", str(folder / output), "--preset", preset]
            return Run([sys.executable, "-c", TELLING, *arguments], environment)

        uninterrupted = train("whole.iseg")
        assert uninterrupted.end() == 0
        steps = uninterrupted.steps
        for moment in moments(steps, count, dice):
            runs.append(train("model.iseg"))
            near = max((step for step in steps if step.cpu <= moment), key=lambda step: step.cpu)
            runs[-1].follow(near.place)
            time.sleep(moment - near.cpu)
            runs[-1].kill(folder)
        runs.append(train("model.iseg"))
        assert runs[-1].end() == 0
        one, two = (iseg.load(folder / output) for output in ("whole.iseg", "model.iseg"))
        assert all(np.array_equal(array, arrays(two)[key]) for key, array in arrays(one).items())
        assert not list(folder.rglob("*.checkpoint")), "a checkpoint is left"
    costs = [cost(*pair) for pair in pairwise(runs)]
    more = (sum(run.steps[-1].cpu for run in runs) - steps[-1].cpu) / count
    struck = {stage: sum(c.stage == k for c in costs) for k, stage in enumerate(STAGES)}
    assert all(struck.values()), struck
    most = max(costs, key=lambda c: c.again)
    assert most.again < AGAIN and more < AGAIN, (costs, more)
    _, lost, again, clock = (max(values) for values in zip(*costs, strict=True))
    return (
        f"{count} kills ({', '.join(f'{n} in {stage}' for stage, n in struck.items())}) of a training of "
        f"{steps[-1].cpu:.0f} s: the same model as without, bit for bit. Done twice because of a kill: at most "
        f"{again:.1f} s (in {STAGES[most.stage]}), {np.median([c.again for c in costs]):.1f} s in the median, of it "
        f"since the last checkpoint {lost:.1f} s at most; all runs together took {more:.1f} s a kill more than one. "
        f"All this of the processor; by the clock {clock:.1f} s at most"
    )


def moments(steps: list[Step], count: int, dice: random.Random) -> list[float]:
    """When to kill, in seconds of the processor, given the steps of a run that nothing interrupts; in order.

    One in the first half of each stage, to meet it while it lasts, the others at any time.
    """
    found = []
    for stage in range(len(STAGES)):
        times = [step.cpu for step in steps if step.stage == stage]
        found.append(dice.uniform(times[0], (times[0] + times[-1]) / 2))
    return sorted(found + [dice.uniform(steps[0].cpu, steps[-1].cpu) for _ in range(count - len(STAGES))])
