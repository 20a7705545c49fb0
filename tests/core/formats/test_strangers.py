"""Mesh files from strangers: what they name, how much they ask for, and what the fuzz of files would notice."""

import os
import signal
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from support import fuzz_files
from support.mesh_files import CORNERS, Gltf, primitive

from iseg_core.errors import MeshError
from iseg_core.formats import common, gltf_data, load
from iseg_core.formats import gltf as formats_gltf
from iseg_core.formats.load import load_mesh

pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")


def scene(gltf: Gltf, *primitives: dict, nodes: int = 1, **more) -> dict:
    """The header of a file whose nodes all have the mesh of these primitives."""
    return {"meshes": [{"primitives": list(primitives)}], "nodes": [{"mesh": 0}] * nodes, **more}


# ---- what a glTF names ----


@pytest.mark.parametrize(
    "uri",
    [
        "{outside}/data.bin",
        "file://{outside}/data.bin",
        "../outside/data.bin",
        "%2e%2e/outside/data.bin",
        "parts/../../outside/data.bin",
        "link.bin",
        "//server/share/data.bin",
        "https://example.com/data.bin",
        "/dev/zero",
    ],
)
def test_gltf_opens_no_file_outside_its_folder(tmp_path, uri):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, inside / "parts", outside):
        folder.mkdir()
    gltf = Gltf()
    header = scene(gltf, primitive(gltf.add(CORNERS), mode=6))
    (outside / "data.bin").write_bytes(gltf.data)
    if uri == "link.bin":
        try:
            (inside / "link.bin").symlink_to(outside / "data.bin")
        except OSError:
            pytest.skip("this system makes no links")
    (inside / "a.gltf").write_bytes(gltf.text(uri.format(outside=outside), **header))
    with pytest.raises(MeshError, match=r"a\.gltf: its data file .* is elsewhere\. Put it beside the \.gltf"):
        load_mesh(inside / "a.gltf")


def test_gltf_opens_files_in_folders_of_its_folder_wherever_it_is_opened_from(tmp_path, monkeypatch):
    gltf = Gltf()
    header = scene(gltf, primitive(gltf.add(CORNERS), mode=6))
    (tmp_path / "a.gltf").write_bytes(gltf.text("parts/./the%20data.bin", **header))
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "the data.bin").write_bytes(gltf.data)
    monkeypatch.chdir(tmp_path)
    for path in ("a.gltf", tmp_path / "a.gltf", tmp_path / "parts" / ".." / "a.gltf"):
        assert len(load_mesh(path).vertices) == 4


@pipes
def test_pipes_and_devices_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "a.obj")
    os.mkfifo(tmp_path / "pipe.bin")
    gltf = Gltf()
    (tmp_path / "a.gltf").write_bytes(gltf.text("pipe.bin", **scene(gltf, primitive(gltf.add(CORNERS), mode=6))))
    (tmp_path / "zero.obj").symlink_to("/dev/zero")
    with fuzz_files.watched(20):
        for name, words in [("a.obj", "not a file"), ("zero.obj", "not a file"), ("a.gltf", "cannot be read")]:
            with pytest.raises(MeshError, match=f"^{name}: .*{words}"):
                load_mesh(tmp_path / name)


# ---- how much they ask for ----


def test_a_file_that_is_too_large_is_refused_unread(tmp_path):
    with open(tmp_path / "a.obj", "wb") as file:
        file.truncate(common.FILE_LIMIT + 1)  # a hole: no disk is written
    tracemalloc.start()
    with pytest.raises(MeshError, match=r"a\.obj: .*1,073,741,824 bytes.*fewer vertices"):
        load_mesh(tmp_path / "a.obj")
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def test_the_data_files_of_a_gltf_count_together(tmp_path, monkeypatch):
    """A buffer is read once, but any number of buffers can name one file."""
    gltf = Gltf()
    header = scene(gltf, primitive(gltf.add(CORNERS), mode=6), primitive(gltf.add(CORNERS), mode=6))
    gltf.views[1]["buffer"] = 1
    header["buffers"] = [{"byteLength": len(gltf.data), "uri": "data.bin"}] * 2
    (tmp_path / "a.gltf").write_bytes(gltf.text(**header))
    (tmp_path / "data.bin").write_bytes(gltf.data)
    monkeypatch.setattr(gltf_data, "FILE_LIMIT", 2 * len(gltf.data))
    assert len(load_mesh(tmp_path / "a.gltf").vertices) == 8
    monkeypatch.setattr(gltf_data, "FILE_LIMIT", 2 * len(gltf.data) - 1)
    with pytest.raises(MeshError, match="fewer vertices"):
        load_mesh(tmp_path / "a.gltf")


def test_few_bytes_of_gltf_do_not_take_gigabytes(tmp_path):
    gltf = Gltf()
    gltf.accessors = [{"componentType": 5126, "count": 40_000_000, "type": "VEC3"}]  # zeros, says glTF
    (tmp_path / "a.gltf").write_bytes(gltf.text(**scene(gltf, primitive(0))))
    tracemalloc.start()
    with pytest.raises(MeshError, match=r"a\.gltf: .*30,000,000 vertices.*Use a mesh of fewer vertices"):
        load_mesh(tmp_path / "a.gltf")
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def counted(case: str) -> tuple[bytes, int]:
    """A file, and what it comes to: vertices, corners, values by threes, and PRIMITIVE for each primitive."""
    gltf, part = Gltf(), formats_gltf.PRIMITIVE
    many = gltf.add(np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32))
    if case == "nodes":
        return gltf.text(**scene(gltf, primitive(many), nodes=20)), 20 * (part + 300 + 300)
    if case == "primitives that share vertices":
        return gltf.text(**scene(gltf, *[primitive(many)] * 20)), 20 * (part + 300) + 300
    if case == "indices":
        order = gltf.add(np.zeros(900, np.uint8) + np.arange(900, dtype=np.uint8) % 3)
        return gltf.text(**scene(gltf, *[primitive(many, order)] * 9)), 9 * (part + 900) + 300
    if case == "a fan":
        return gltf.text(**scene(gltf, primitive(many, mode=6))), part + 300 + 300 + 900
    if case == "a strip":
        return gltf.text(**scene(gltf, primitive(many, mode=5))), part + 300 + 300 + 900
    if case == "lines":  # they are left aside, one by one
        lines = [primitive(many, mode=1)] * 50
        return gltf.text(**scene(gltf, primitive(many), *lines, nodes=5)), 5 * (51 * part + 300 + 300)
    if case == "sparse":
        gltf.accessors[many]["sparse"] = {
            "count": 200,
            "indices": {"bufferView": gltf.view(np.arange(200, dtype=np.uint8)), "componentType": 5121},
            "values": {"bufferView": gltf.view(np.zeros((200, 3), np.float32))},
        }
        return gltf.text(**scene(gltf, primitive(many))), part + 300 + 200 + 300
    joints, weights = np.zeros((300, 4), np.uint8), np.zeros((300, 4), np.float32)
    inverse = gltf.add(np.tile(np.eye(4, dtype=np.float32).reshape(1, 16), (50, 1)))
    skinned = primitive(many)
    skinned["attributes"] |= {"JOINTS_0": gltf.add(joints), "WEIGHTS_0": gltf.add(weights)}
    header = scene(gltf, skinned, skins=[{"joints": [0] * 50, "inverseBindMatrices": inverse}])
    header["nodes"] = [{"mesh": 0, "skin": 0}]
    return gltf.text(**header), part + 300 + 50 + 50 * 6 + 2 * 300 * 2 + 300


@pytest.mark.parametrize(
    "case",
    ["nodes", "primitives that share vertices", "indices", "a fan", "a strip", "lines", "sparse", "a skin"],
)
def test_whatever_gltf_repeats_is_counted(tmp_path, monkeypatch, case):
    content, number = counted(case)
    (tmp_path / "a.gltf").write_bytes(content)
    monkeypatch.setattr(gltf_data, "MOST", number)
    load_mesh(tmp_path / "a.gltf")
    monkeypatch.setattr(gltf_data, "MOST", number - 1)
    with pytest.raises(MeshError, match="Use a mesh of fewer vertices"):
        load_mesh(tmp_path / "a.gltf")


@pytest.mark.parametrize("stride", [1, 11, -12])
def test_gltf_rows_may_not_overlap(tmp_path, stride):
    gltf = Gltf()
    header = scene(gltf, primitive(gltf.add(CORNERS), mode=6))
    gltf.views[0]["byteStride"] = stride
    (tmp_path / "a.gltf").write_bytes(gltf.text(**header))
    with pytest.raises(MeshError, match="overlap.*Export"):
        load_mesh(tmp_path / "a.gltf")


def test_a_gltf_skin_for_more_vertices_than_there_are_is_refused(tmp_path):
    gltf = Gltf()
    skinned = primitive(gltf.add(CORNERS), mode=6)
    joints, weights = gltf.add(np.zeros((9, 4), np.uint8)), gltf.add(np.zeros((9, 4), np.float32))
    skinned["attributes"] |= {"JOINTS_0": joints, "WEIGHTS_0": weights}
    header = scene(gltf, skinned, skins=[{"joints": [0]}])
    header["nodes"] = [{"mesh": 0, "skin": 0}]
    (tmp_path / "a.gltf").write_bytes(gltf.text(**header))
    with pytest.raises(MeshError, match="joints.*Export"):
        load_mesh(tmp_path / "a.gltf")


def test_corners_whose_sum_overflows_are_refused(tmp_path):
    """Four times 2^62 is 0 in 64 bits."""
    face = f"{2**62 + 3} 0 1 2"
    (tmp_path / "a.off").write_text("\n".join(["OFF", "3 4 0", "0 0 0", "1 0 0", "0 1 0", *[face] * 4]))
    with pytest.raises(MeshError, match=r"a\.off: .*where a whole number should"):
        load_mesh(tmp_path / "a.off")


def test_too_little_memory_is_said_with_its_own_remedy(tmp_path, monkeypatch):
    def read(data: bytes, folder: Path) -> common.Polygons:
        raise MemoryError

    monkeypatch.setitem(load.READERS, ".obj", read)
    (tmp_path / "a.obj").write_text("v 0 0 0")
    with pytest.raises(MeshError, match=r"a\.obj: .*not enough memory.*Close other programs.*fewer vertices") as caught:
        load_mesh(tmp_path / "a.obj")
    assert isinstance(caught.value.__cause__, MemoryError)


# ---- what the fuzz would notice ----


def test_the_fuzz_does_not_take_too_little_memory_for_a_refusal():
    def work() -> None:
        raise MeshError("not enough memory") from MemoryError()

    with pytest.raises(AssertionError, match="a file"):
        fuzz_files._try("a file", work, (MeshError,), Counter())


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarm")
def test_the_fuzz_does_not_wait_for_ever(monkeypatch):
    monkeypatch.setattr(fuzz_files, "LATE", 0.1)
    reader, writer = os.pipe()

    def work() -> None:
        try:
            os.read(reader, 1)
        except Exception as error:
            raise MeshError("taken for a damaged file") from error

    with pytest.raises(AssertionError, match="a file.*not over after"):
        fuzz_files._try("a file", work, (MeshError,), Counter())
    os.close(reader)
    os.close(writer)
