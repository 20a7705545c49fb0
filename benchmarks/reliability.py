"""Measure what docs/reliability.md claims of the engine: kills, hostile bytes, long use. Linux.

    python benchmarks/reliability.py                     # everything, with the counts of the document: an hour or two
    python benchmarks/reliability.py frames files        # some of it
    python benchmarks/reliability.py kills --count 10

Each line that is printed is a figure of the document; a promise that does not hold ends the run.
"""

import argparse
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ.setdefault("OMP_NUM_THREADS", "1")

from support import faults, fuzz_files, fuzz_frames, interruptions  # noqa: E402

PARTS = {
    "kills": (faults.kills, 100),
    "resumed": (interruptions.resumed, 10),
    "orphans": (faults.orphans, 10),
    "memory": (faults.little_memory, 10),
    "disk": (faults.full_disks, 6),
    "reader": (fuzz_frames.reader, 200_000),
    "server": (fuzz_frames.server, 100_000),
    "client": (fuzz_frames.client, 100_000),
    "process": (fuzz_frames.process, 2_000),
    "meshes": (fuzz_files.meshes, 10_000),
    "models": (fuzz_files.models, 10_000),
    "use": (faults.long_use, 1_000),
    "use3000": (lambda count: faults.long_use(count, "small", around=55), 200),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--count", type=int, help="in place of the part's own")
    options = parser.parse_args()
    for name in options.parts or PARTS:
        run, count = PARTS[name]
        began = time.monotonic()
        print(f"{name}: {run(options.count or count)} [{time.monotonic() - began:.0f} s]", flush=True)


if __name__ == "__main__":
    main()
