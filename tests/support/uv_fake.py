"""A program that takes uv's place in tests: makes an environment whose Python is this one, or the one that FAKE_PYTHON
names, and fails as it is told.

FAKE_UV names a folder with `plan`, JSON: step (managed, venv, pip) -> what happens there: it `says` this, then `exit`s
with this, is `kill`ed, or `hang`s with a child process. What it was asked goes to `calls` there, a line of JSON each.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        return print("uv 99.0.0")
    folder = Path(os.environ["FAKE_UV"])
    step = "managed" if "--managed-python" in sys.argv else sys.argv[1]
    child = None
    plan = json.loads((folder / "plan").read_text()).get(step, {})
    if "hang" in plan:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with open(folder / "calls", "a") as file:
        call = {"step": step, "arguments": sys.argv[1:], "environment": dict(os.environ), "pid": os.getpid()}
        file.write(json.dumps(call | {"child": child.pid if child else None}) + "\n")
    print(plan.get("says", ""), file=sys.stderr, flush=True)
    if "hang" in plan:
        time.sleep(600)
    if "kill" in plan:
        os.kill(os.getpid(), signal.SIGKILL)
    if "exit" in plan:
        sys.exit(plan["exit"])
    if step in ("managed", "venv"):
        place = Path(sys.argv[sys.argv.index("--allow-existing") + 1])
        (place / "bin").mkdir(parents=True, exist_ok=True)
        python = place / "bin" / "python"
        python.write_text(f'#!/bin/sh\nexec "{os.environ.get("FAKE_PYTHON", sys.executable)}" "$@"\n')
        python.chmod(0o755)
    else:
        Path(sys.argv[sys.argv.index("--python") + 1]).with_name("packages").write_text("all of them")


if __name__ == "__main__":
    main()
