"""Many random sequences of operators (sequences.py), in Blenders of their own that take some each.

ISEG_ENGINE="<python with the engine's packages> -m iseg_core engine" \\
    .venv-bpy/bin/python tests/blender/many_sequences.py --count 1000 --seed 0
"""

import argparse
import collections
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def batch(first: int, count: int) -> None:
    """Sequences in this process, which ends with 1 where one of them went wrong."""
    sys.path[:0] = [str(HERE), str(HERE.parent.parent)]
    import conftest  # before bpy: a Blender that nobody has used before
    import sequences

    conftest.install()
    wrong, done = 0, collections.Counter()
    for seed in range(first, first + count):
        print(f"SEED {seed}", flush=True)
        try:
            done.update(sequences.run(seed, Path(conftest.PRIVATE.name)))
        except sequences.Wrong as error:
            wrong += 1
            print(f"WRONG {error}", flush=True)
    print(f"DONE {sum(done.values())} {dict(done.most_common())}", flush=True)
    sys.modules[conftest.MODULE].session.close()
    conftest.PRIVATE.cleanup()
    sys.stdout.flush()
    os._exit(1 if wrong else 0)  # before Blender's own clean-up


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="of the first sequence")
    parser.add_argument("--batch", type=int, default=50, help="sequences for each Blender")
    parser.add_argument("--here", action="store_true", help="all in this process")
    given = parser.parse_args()
    if given.here:
        batch(given.seed, given.count)
    began, bad, steps = time.monotonic(), 0, 0
    for first in range(given.seed, given.seed + given.count, given.batch):
        count = min(given.batch, given.seed + given.count - first)
        command = [sys.executable, __file__, "--here", "--seed", str(first), "--count", str(count)]
        with tempfile.TemporaryFile("w+") as said:
            status = subprocess.run(command, stdout=said, stderr=subprocess.STDOUT).returncode
            said.seek(0)
            lines = said.read().splitlines()
        steps += sum(int(line.split()[1]) for line in lines if line.startswith("DONE"))
        if status:
            bad += 1
            wrong = [line for n, line in enumerate(lines) if "WRONG" in "".join(lines[max(n - 1, 0) : n + 1])]
            print("\n".join([f"The Blender of seeds {first} to {first + count - 1} ended with {status}:"]))
            print("\n".join(wrong or lines[-20:]))
        minutes = (time.monotonic() - began) / 60
        print(f"{first + count - given.seed} sequences, {steps} steps, {bad} bad, {minutes:.1f} min", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
