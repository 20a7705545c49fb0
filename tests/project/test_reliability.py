"""The promises of docs/reliability.md, a few times each; benchmarks/reliability.py keeps them many times."""

import os
import subprocess
import sys

import pytest
from support import faults, fuzz_files, fuzz_frames

linux = pytest.mark.skipif(sys.platform != "linux", reason="limits, namespaces and /proc are Linux's")


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_a_killed_engine_is_replaced_and_its_last_model_is_good():
    faults.kills(2)


@linux
def test_the_engine_follows_its_parent():
    faults.orphans(1)


@linux
def test_little_memory_is_said():
    faults.little_memory(2, around=200)


@linux
def test_a_full_disk_is_said_and_leaves_no_partial_file():
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("this system gives no namespace to mount a small disk in")
    faults.full_disks(1)


@linux
def test_long_use_opens_no_files():
    faults.long_use(8)


@pytest.mark.parametrize("part", [fuzz_frames.reader, fuzz_frames.server, fuzz_frames.client])
def test_any_frames(part):
    part(1000)


@pytest.mark.skipif(os.name == "nt", reason="as the other tests of the engine's process")
def test_any_frames_in_a_real_process():
    fuzz_frames.process(100)


def test_any_mesh_file():
    fuzz_files.meshes(100)


def test_any_model_file():
    fuzz_files.models(100)
