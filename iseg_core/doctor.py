"""Check of the installation: what this machine has for iSeg, what is missing, and how to get it."""

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import NamedTuple

from .errors import lacks_runtime
from .system.folders import cache_folder
from .teachers.registry import TeacherEntry, extras, weights_files
from .teachers.weights import weights_folder
from .version import __version__

# The distributions that pyproject.toml names (a test compares them), and those of its extra `cluster`; the other extras
# are the teachers'.
REQUIRED = (
    "numpy",
    "scipy",
    "torch",
    "embreex",
    "fast-simplification",
    "filelock",
    "safetensors",
    "pillow",
    "platformdirs",
    "rich",
)
CLUSTER = ("ray",)
REINSTALL = "Get it: pip install iseg-core (or, in a copy of the repository, python build.py test)."


class Finding(NamedTuple):
    """Line of the report. remedy: what to do where something is missing, else None."""

    topic: str
    value: str
    remedy: str | None = None
    required: bool = True  # False: iSeg runs without it


def examine() -> list[Finding]:
    """Check all that the engine depends on, in the order in which a run needs it. Never raises for what is missing."""
    findings = [
        Finding("iSeg", __version__),
        Finding("Python", f"{platform.python_version()} on {platform.platform()}"),
        *(_package(name) for name in REQUIRED),
        *_devices(),
        _embree(),
        _nvdiffrast(),
        *(_package(name, f"{extra.users} need", extra.name) for extra in extras() for name in extra.packages),
        *(_package(name, "`batch` needs", "cluster") for name in CLUSTER),
    ]
    return findings + _files()


def missing(findings: list[Finding], teacher: TeacherEntry) -> str:
    """Say what a teacher lacks on this machine, and how to get it; empty where it can teach."""
    needs = {*(teacher.extra.packages if teacher.extra else ()), f"weights {teacher.name}"}
    lacking = [finding for finding in findings if finding.remedy]
    broken = [finding for finding in lacking if finding.required]  # needed by all teachers
    own = [finding for finding in lacking if finding.topic in needs]
    return " ".join(f"{finding.topic}: {finding.value} {finding.remedy}" for finding in broken + own)


def _package(name: str, users: str = "", extra: str = "") -> Finding:
    """Look for a distribution. users: for one of an extra, who needs it, with the verb: "the SAM teachers need"."""
    try:
        return Finding(name, version(name), required=not extra)
    except PackageNotFoundError:
        remedy = f'Only {users} it: pip install "iseg-core[{extra}]".' if extra else REINSTALL
        return Finding(name, "missing.", remedy, required=not extra)


def _devices() -> list[Finding]:
    """List the CPU and the accelerators that torch sees."""
    cores = os.cpu_count()
    try:
        import torch
    except Exception as error:  # missing, or installed but broken (a library that does not load is an OSError)
        remedy = lacks_runtime(error) or REINSTALL
        return [Finding("device", f"{cores} CPU cores; torch does not load ({error}).", remedy)]
    from .system.device import kernel_defect

    findings = [Finding("device cpu", f"{cores} cores, {torch.get_num_threads()} threads")]
    for i in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        properties = torch.cuda.get_device_properties(i)
        memory = properties.total_memory / 2**30
        value, defect = f"{properties.name}, {memory:.0f} GiB, CUDA {torch.version.cuda}", kernel_defect(f"cuda:{i}")
        findings.append(Finding(f"device cuda:{i}", value + "." * bool(defect), defect or None, required=False))
    if torch.backends.mps.is_available():
        findings.append(Finding("device mps", "Apple GPU"))
    if len(findings) == 1:
        remedy = None
        if shutil.which("nvidia-smi"):
            remedy = (
                "This torch cannot use the NVIDIA GPU: install the build of torch for it (pytorch.org, Get Started)."
            )
        findings.append(Finding("GPU", "none that torch can use.", remedy, required=False))
    return findings


def _embree() -> Finding:
    """Test embree: cast one ray at one triangle."""
    try:
        import numpy as np

        from .render.embree import EmbreeRasterizer

        triangle = np.array([[-1.0, -1.0, 0.0], [1.0, -1.0, 0.0], [0.0, 1.0, 0.0]])  # [3, 3]
        caster = EmbreeRasterizer(triangle, np.array([[0, 1, 2]]))
        hit = caster.cast(np.array([[0.0, 0.0, 1.0]]), np.array([[0.0, 0.0, -1.0]]))
    except Exception as error:  # whatever a broken binary raises
        return Finding("rasteriser embree", f"does not work ({error}).", REINSTALL)
    if hit["primID"][0] != 0:
        return Finding("rasteriser embree", "misses a triangle in front of it.", REINSTALL)
    return Finding("rasteriser embree", "works")


def _nvdiffrast() -> Finding:
    if find_spec("nvdiffrast"):
        return Finding("rasteriser nvdiffrast", "found", required=False)
    remedy = "Only faster rendering on CUDA needs it; its own site says how to build it and who may use it."
    return Finding("rasteriser nvdiffrast", "missing.", remedy, required=False)


def _files() -> list[Finding]:
    """Check the weights of the teachers and the cache folder."""
    try:
        folder = cache_folder()
    except ModuleNotFoundError as error:
        return [Finding("cache", f"unknown, for {error.name} is missing.", REINSTALL)]
    findings = []
    for name, weights in weights_files().items():
        path = weights_folder() / weights.file
        command = f"`python -m iseg_core fetch {name}`"
        if not path.is_file():
            remedy = f"Only `--teacher {name}` needs them: {command} ({weights.size}, {weights.licence})."
            findings.append(Finding(f"weights {name}", "missing.", remedy, required=False))
        elif path.stat().st_size != weights.bytes:
            remedy = f"Replace it: {command}."
            findings.append(Finding(f"weights {name}", f"{path} has the wrong length.", remedy, required=False))
        else:
            findings.append(Finding(f"weights {name}", str(path), required=False))

    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())  # it is made when needed
    free = f"{folder}, {shutil.disk_usage(there).free / 1e9:.1f} GB free"
    if os.access(there, os.W_OK):
        return [*findings, Finding("cache", free, required=False)]
    remedy = "Name a folder that may be written to in the environment variable ISEG_CACHE."
    return [*findings, Finding("cache", f"{free}; it may not be written to.", remedy, required=False)]
