"""Making an engine environment, for the tests of it: what is asked for, and waiting until it is done."""

from pathlib import Path
from typing import Any

REPORT = {"findings": [], "teachers": [{"name": "geometric", "missing": ""}]}


def locks(tmp_path: Path) -> dict[str, Path]:
    found = {part: tmp_path / f"{part} lock.txt" for part in ("engine", "sam")}
    for part, path in found.items():
        if not path.exists():
            path.write_text(f"torch==2.13.0\n# {part}\n")
    return found


def begin(iseg, folder, parts=("engine",), check=lambda python, job: REPORT, own_python=None) -> Any:
    order = iseg.make.Order(parts, check, own_python)
    return iseg.job.EnvironmentJob(lambda job: iseg.make.make(folder, order, job))


def done(job: Any) -> Any:
    job.wait()
    assert job.error is None, job.error
    return job.result


def failed(job: Any, *words: str) -> None:
    job.wait()
    for word in words:
        assert word in str(job.error)
