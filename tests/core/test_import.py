"""Importing the engine needs numpy at most: Blender's own Python has nothing else."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Refuses every import from outside the standard library, numpy and the engine itself, as if it were not installed.
ONLY_NUMPY = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in ("numpy", "iseg_core"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refuse())
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", ONLY_NUMPY + code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("package", ["torch", "scipy", "trimesh"])
def test_the_refusal_works(package: str):
    result = run(f"import {package}")
    assert result.returncode == 1
    assert f"No module named '{package}'" in result.stderr


def used_in_blender() -> list[str]:
    """The modules that the extension imports of the engine, and those that must stay as light."""
    nodes = ast.walk(ast.parse((ROOT / "iseg_blender" / "core.py").read_text()))
    found = [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    modules = {module for module in found if module.startswith("iseg_core.")}
    assert len(modules) > 5
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (light,) = (rule["source_modules"] for rule in rules if "torch" in rule.get("forbidden_modules", ()))
    return sorted(modules | {module for module in light if module.startswith("iseg_core.")})


def test_imports_with_numpy_alone():
    result = run(
        "from importlib import import_module\n" + "\n".join(f"import_module({m!r})" for m in used_in_blender())
    )
    assert result.returncode == 0, result.stderr


def test_names_of_the_engine_are_there_without_torch():
    result = run("import iseg_core; print(iseg_core.__version__, 'train' in dir(iseg_core)); iseg_core.MeshError")
    assert result.returncode == 0, result.stderr
    assert result.stdout.split()[1] == "True"


def test_import_loads_nothing_heavy():
    heavy = "[m for m in ('torch', 'scipy', 'trimesh', 'embreex', 'PIL', 'rich') if m in sys.modules]"
    command = [sys.executable, "-c", f"import sys, iseg_core; print({heavy})"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize(("system", "given", "expected"), [
    ("darwin", None, "1"), ("darwin", "0", "0"), ("linux", None, "None"),
])  # fmt: skip
def test_on_a_mac_the_processor_does_what_mps_cannot(system: str, given: str | None, expected: str):
    """The variable must be there before torch is imported; a user's own choice stays."""
    name = "PYTORCH_ENABLE_MPS_FALLBACK"
    code = f"import os, sys; sys.platform = {system!r}; os.environ.pop({name!r}, None); "
    code += f"os.environ[{name!r}] = {given!r}; " if given else ""
    code += f"import iseg_core; print(os.environ.get({name!r}), 'torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.split() == [expected, "False"]
