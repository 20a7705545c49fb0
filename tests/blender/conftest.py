"""The extension as a user has it, in a Blender of its own.

Run by `python build.py test`, in the Python of a Blender:
    ISEG_ENGINE="<python with the engine's packages> -m iseg_core engine" \\
        .venv-bpy/bin/python -m pytest --confcutdir=tests/blender tests/blender
"""

import os
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
from support.blender.extension import MODULE, PRIVATE, install  # before bpy: a Blender that nobody has used before

import bpy  # isort: skip


@pytest.fixture(scope="session")
def iseg() -> ModuleType:
    """The installed extension's package."""
    return install()


@pytest.fixture
def empty(iseg: ModuleType) -> Iterator[ModuleType]:
    """The extension in an empty file."""
    bpy.ops.wm.read_homefile(use_empty=True)
    yield iseg


@pytest.fixture
def engine() -> str:
    """The engine's command; tests that need it skip where there is none."""
    command = os.environ.get("ISEG_ENGINE", "")
    if not command:
        pytest.skip("needs the engine: set ISEG_ENGINE to the command that starts it")
    return command


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[STATUS] = int(exitstatus)


STATUS = pytest.StashKey[int]()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave before Blender's own clean-up, which may crash where a test left something registered."""
    if MODULE in sys.modules:
        sys.modules[f"{MODULE}.session"].SESSION.close()
    PRIVATE.cleanup()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(config.stash.get(STATUS, 3))
