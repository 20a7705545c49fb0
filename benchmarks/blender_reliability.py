"""What docs/reliability.md claims of Blender, measured: random sequences of operators, kills of the engine, long use.

ISEG_ENGINE="<python with the engine's packages> -m iseg_core engine" \\
    .venv-bpy/bin/python benchmarks/blender_reliability.py                       # everything, as in the document
    .venv-bpy/bin/python benchmarks/blender_reliability.py sequences --count 200 --seed 5000

Each part runs in Blenders of its own (any Python with Blender's module), the sequences in a new one for every 50.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests" / "blender"
COUNTS = {"sequences": 1000, "cycles": 200, "kills": 100}
BATCH = 50  # sequences


def here(part: str, count: int, seed: int) -> None:
    """Run a part in this process, which ends with 1 where something went wrong."""
    sys.path[:0] = [str(TESTS), str(TESTS.parent.parent)]
    import conftest  # pyright: ignore[reportMissingImports]  # before bpy: a Blender that nobody has used before
    import endurance  # pyright: ignore[reportMissingImports]
    import sequences  # pyright: ignore[reportMissingImports]

    conftest.install()
    failed = False
    try:
        if part == "sequences":
            steps = 0
            for number in range(seed, seed + count):
                print(f"SEED {number}", flush=True)  # so that a crash says where
                steps += len(sequences.run(number, Path(conftest.PRIVATE.name)))
            print(f"DONE {steps}")
        else:
            print(f"DONE {endurance.cycles(count) if part == 'cycles' else endurance.kills(count, seed)}")
    except (sequences.Wrong, AssertionError) as error:
        failed = True
        print(f"WRONG {error}")
    sys.modules[conftest.MODULE].session.close()
    conftest.PRIVATE.cleanup()
    sys.stdout.flush()
    os._exit(1 if failed else 0)  # before Blender's own clean-up


def elsewhere(part: str, count: int, seed: int) -> str:
    """Run a part in a process of its own; what it says in the end. Raises RuntimeError where it went wrong."""
    command = [sys.executable, __file__, part, "--here", "--count", str(count), "--seed", str(seed)]
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        status = subprocess.run(command, stdout=said, stderr=subprocess.STDOUT).returncode
        said.seek(0)
        lines = said.read().splitlines()
    done = [line for line in lines if line.startswith("DONE ")]
    if status or not done:
        raise RuntimeError("\n".join([f"{part}, seed {seed}: ended with {status}", *lines[-30:]]))
    return done[-1].removeprefix("DONE ")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", choices=[[], *COUNTS], metavar="PART", help=", ".join(COUNTS))
    parser.add_argument("--count", type=int, help="in place of the part's own")
    parser.add_argument("--seed", type=int, default=0, help="of the first")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        here(given.parts[0], given.count, given.seed)
    bad = 0
    for part in given.parts or COUNTS:
        began, count, steps, said = time.monotonic(), given.count or COUNTS[part], 0, "went wrong"
        for first in range(given.seed, given.seed + count, BATCH if part == "sequences" else count):
            try:
                said = elsewhere(part, min(BATCH, given.seed + count - first) if part == "sequences" else count, first)
            except RuntimeError as error:
                bad += 1
                print(error, flush=True)
                continue
            steps += int(said) if part == "sequences" else 0
        if part == "sequences":
            said = f"{count} of seeds {given.seed} on, {steps} steps, {bad} Blenders ended badly"
        print(f"{part}: {said} [{time.monotonic() - began:.0f} s]", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
