"""What docs/reliability.md claims of Blender, measured: random operators, files and answers, kills, long use.

ISEG_ENGINE="<python with the engine's packages> -m iseg_core engine" \\
    .venv-bpy/bin/python benchmarks/blender_reliability.py                       # everything, as in the document
    .venv-bpy/bin/python benchmarks/blender_reliability.py sequences --count 200 --seed 5000

Each part runs in Blenders of its own (any Python with Blender's module), those of seeds in a new one for every 50.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests"
COUNTS = {"sequences": 1000, "files": 100, "replies": 500, "cycles": 200, "kills": 100, "orphans": 10}
MANY = ("sequences", "files", "replies")  # parts that consist of seeds
BATCH = 50  # seeds
SOON = 5.0  # seconds within which an engine must have followed its Blender


def here(part: str, count: int, seed: int) -> None:
    """Run a part in this process, which ends with 1 where something went wrong."""
    sys.path[:0] = [str(TESTS), str(TESTS.parent)]
    from support.blender import extension  # before bpy: a Blender that nobody has used before

    from support.blender import endurance, hostile, replies, sequences  # isort: skip

    extension.install()
    failed = False
    try:
        if part in MANY:
            steps, folder = 0, Path(tempfile.mkdtemp(dir=extension.PRIVATE.name))
            one = {
                "sequences": lambda seed: len(sequences.run(seed, folder)),
                "files": lambda seed: hostile.run(seed, folder),
                "replies": replies.run,
            }[part]
            if part == "files":
                os.environ["ISEG_ENGINE"] = hostile.quick(os.environ["ISEG_ENGINE"])
            for number in range(seed, seed + count):
                print(f"SEED {number}", flush=True)  # so that a crash says where
                steps += one(number)
            print(f"DONE {steps}")
        elif part == "orphans":
            endurance.train_for_ever()
        else:
            print(f"DONE {endurance.cycles(count) if part == 'cycles' else endurance.kills(count, seed)}")
    except (sequences.Wrong, AssertionError) as error:
        failed = True
        print(f"WRONG {error}")
    sys.modules[extension.MODULE].session.SESSION.close()
    extension.PRIVATE.cleanup()
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


def orphans(count: int) -> str:
    """Kill Blenders while their engine trains; within SOON it has ended, too."""
    sys.path[:0] = [str(TESTS), str(TESTS.parent)]
    from support.engine import alive, until

    times = []
    for _ in range(count):
        with tempfile.TemporaryDirectory() as folder:  # a Blender that is killed leaves its files behind
            command = [sys.executable, __file__, "orphans", "--here"]
            environment = os.environ | {"TMPDIR": folder}
            with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as blender:
                assert blender.stdout is not None
                said = next((line for line in blender.stdout if line.startswith("ENGINE ")), "ENGINE -1")
                engine = int(said.split()[1])
                if not alive(engine):
                    raise RuntimeError("orphans: no engine trains")
                began = time.monotonic()
                blender.kill()
                until(lambda engine=engine: not alive(engine))
                times.append(time.monotonic() - began)
    if max(times) >= SOON:
        raise RuntimeError(f"orphans: {times}")
    return f"{count} Blenders killed while their engine trained: it had ended after {max(times):.2f} s at most"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", choices=[[], *COUNTS], metavar="PART", help=", ".join(COUNTS))
    parser.add_argument("--count", type=int, help="in place of the part's own")
    parser.add_argument("--seed", type=int, default=0, help="of the first")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        here(given.parts[0], given.count or 0, given.seed)
    bad = 0
    for part in given.parts or COUNTS:
        began, count = time.monotonic(), given.count or COUNTS[part]
        try:
            if part == "orphans":
                said = orphans(count)
            elif part in MANY:
                starts = range(given.seed, given.seed + count, BATCH)
                steps = sum(int(elsewhere(part, min(BATCH, given.seed + count - first), first)) for first in starts)
                said = f"{count} of seeds {given.seed} on, {steps} steps"
            else:
                said = elsewhere(part, count, given.seed)
        except RuntimeError as error:
            bad += 1
            said = f"went wrong: {error}"
        print(f"{part}: {said} [{time.monotonic() - began:.0f} s]", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
