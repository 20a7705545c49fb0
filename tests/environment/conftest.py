"""An engine environment to be made, with the modules of the zip and a uv that fails on command."""

import importlib
import json
import os
import sys
import zipfile
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from support.environment import locks

import build

if os.name == "nt":
    collect_ignore_glob = ["*"]  # the uv of these tests is a script with a #! line


@pytest.fixture(scope="session")
def iseg(tmp_path_factory) -> Any:
    """The modules of the unpacked zip that need no Blender; bpy is not there, so none of them imports it."""
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(build.extension(folder)) as archive:
        archive.extractall(folder)
    package = ModuleType("iseg_unpacked")
    package.__path__ = [str(folder)]
    sys.modules["iseg_unpacked"] = package
    names = ("folder", "job", "make", "uv", "uv_errors")
    modules = {name: importlib.import_module(f"iseg_unpacked.engine.environment.{name}") for name in names}
    for name in ("engine.selftest", "document.choices"):
        importlib.import_module(f"iseg_unpacked.{name}")
    rooms = ("core", "tasks", "engine", "document")
    others = {name: importlib.import_module(f"iseg_unpacked.{name}") for name in rooms}
    return SimpleNamespace(place=folder, **modules, **others)


@pytest.fixture
def fake(tmp_path, monkeypatch) -> Any:
    """uv on the PATH."""
    tools = tmp_path / "tools"
    tools.mkdir()
    program = tools / "uv"
    program.write_text(f"#!{sys.executable}\n" + (Path(__file__).parents[1] / "support" / "uv_fake.py").read_text())
    program.chmod(0o755)
    for name in list(os.environ):
        if name.startswith("UV_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_UV", str(tools))
    (tools / "plan").write_text("{}")

    def calls() -> list[dict]:
        path = tools / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def plan(**steps: dict) -> None:
        (tools / "plan").write_text(json.dumps(steps))

    return SimpleNamespace(program=program, calls=calls, plan=plan)


@pytest.fixture
def folder(iseg, tmp_path) -> Any:
    return iseg.folder.Folder(tmp_path / "mit Leerzeichen, ümlaut" / "engine", locks(tmp_path), "1.0.0")
