"""Model files: what is saved comes back; what is damaged, foreign or of another version is refused with a remedy."""

import io
import json
import math
import os
import pickle
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save
from support.engine import PATIENT
from support.models import arrays, assert_equal, make_model

from iseg_core.errors import MeshError, ModelFileError
from iseg_core.geometry.mesh import Mesh, with_marks
from iseg_core.storage import tensor_file, trained_model
from iseg_core.storage.trained_model import Model, check_mesh
from iseg_core.system import atomic_file
from iseg_core.system.atomic_file import atomic_write
from iseg_core.training.train import train


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "model.iseg"
    make_model().save(path)
    return path


def test_what_is_saved_comes_back_bit_by_bit(path: Path):
    assert_equal(make_model(), Model.load(path))


def test_loaded_arrays_can_be_written_to(path: Path):
    model = Model.load(path)
    assert all(array.flags.writeable for array in arrays(model).values())


def test_a_model_without_networks_comes_back(path: Path):
    bare = replace(make_model(), features=np.zeros((3, 0), dtype=np.float32), networks={})  # [P, 0]
    bare.save(path)
    assert_equal(bare, Model.load(path))


def test_marks_of_the_mesh_come_back(path: Path):
    model = make_model()
    count = len(model.mesh.faces)
    marked = with_marks(model.mesh, np.arange(count), [[0, 1], [2, 1]])
    replace(model, mesh=marked).save(path)
    mesh = Model.load(path).mesh
    assert mesh.labels is not None and mesh.marked_edges is not None
    assert mesh.labels.tolist() == list(range(count)) and mesh.marked_edges.tolist() == [[0, 1], [2, 1]]
    assert mesh.hash == marked.hash != model.mesh.hash
    assert check_mesh(Model.load(path), model.mesh) == "moved"  # of the same faces: its answers still hold
    damaged = replace(mesh, marked_edges=np.array([[0, len(mesh.vertices)]], np.int32))
    with pytest.raises(ModelFileError, match=r"mesh\.marked_edges points outside"):
        replace(model, mesh=damaged).save(path)


def test_settings_keep_their_order(path: Path):
    assert list(Model.load(path).info) == list(make_model().info)


def test_equal_models_are_equal_files(path: Path):
    again = path.with_name("again.iseg")
    make_model().save(again)
    assert again.read_bytes() == path.read_bytes()
    make_model(1).save(again)
    assert again.read_bytes() != path.read_bytes()


@given(position=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
def test_no_changed_byte_goes_unnoticed(tmp_path_factory: pytest.TempPathFactory, position: float, value: int):
    path = tmp_path_factory.mktemp("edited") / "model.iseg"
    make_model().save(path)
    data = bytearray(path.read_bytes())
    data[int(position * len(data))] = value
    path.write_bytes(data)
    try:
        loaded = Model.load(path)
    except ModelFileError as error:
        assert str(path) in str(error)
    else:  # nothing changed, or a space between two words of the header
        assert_equal(make_model(), loaded)


@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere_is_refused(tmp_path_factory: pytest.TempPathFactory, share: float):
    path = tmp_path_factory.mktemp("cut") / "model.iseg"
    make_model().save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ModelFileError, match="cut off|not a model"):
        Model.load(path)


def test_a_file_that_grew_is_refused(path: Path):
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ModelFileError, match="was changed"):
        Model.load(path)


def rewrite(path: Path, tensors: dict[str, np.ndarray], **changes: object) -> None:
    """Write a file whose checksum is right, whatever else is not."""
    record = {"format": 1, "engine": "0.1.0", "mesh": make_model().mesh.hash, "settings": {}, "info": {}} | changes
    record["sha256"] = tensor_file.checksum(record, tensors)
    path.write_bytes(save(tensors, {"iseg": json.dumps(record)}))


def test_the_rewritten_file_would_be_good(path: Path):
    rewrite(path, arrays(make_model()))
    Model.load(path)


@pytest.mark.parametrize(
    ("version", "remedy"), [(3, "Update iSeg"), (0, "Open it with iSeg 0.1.0"), ("x", "Open it with iSeg 0.1.0")]
)
def test_another_format_is_refused(path: Path, version: object, remedy: str):
    rewrite(path, arrays(make_model()), format=version)
    with pytest.raises(ModelFileError, match=f"format {version}; .* {remedy}, or train the mesh again"):
        Model.load(path)


def test_another_mesh_than_the_record_says_is_refused(path: Path):
    rewrite(path, arrays(make_model()), mesh="0" * 64)
    with pytest.raises(ModelFileError, match="another mesh than it says"):
        Model.load(path)


@pytest.mark.parametrize("changes", [{"mesh": 3}, {"settings": []}, {"info": "x"}])
def test_a_record_of_the_wrong_kind_is_refused(path: Path, changes: dict):
    rewrite(path, arrays(make_model()), **changes)
    with pytest.raises(ModelFileError, match="was changed"):
        Model.load(path)


BROKEN = {
    "face index too large": ("mesh.faces", np.full((4, 3), 4, dtype=np.int32), "points outside 0..3"),
    "negative proxy index": ("proxy.carry_index", np.full((4, 3), -1, dtype=np.int32), "points outside 0..2"),
    "edge to nowhere": ("surface.edges", np.full((3, 2), 3, dtype=np.int32), "points outside 0..2"),
    "features of fewer vertices": ("features", np.zeros((2, 5), dtype=np.float32), "does not fit"),
    "other type": ("features", np.zeros((3, 5)), "does not fit"),
    "too few axes": ("proxy.carry_weight", np.zeros(4, dtype=np.float32), "does not fit"),
    "too few weights": ("surface.weights", np.zeros(2), "does not fit"),
    "not finite": ("decoder.query.weight", np.full((4, 4), np.nan, dtype=np.float32), "not finite"),
    "unknown": ("extra", np.zeros(2), "unknown"),
    "missing": ("mesh.faces", None, "missing"),
    "no lengths": ("surface.lengths", None, "missing"),
    "area of nothing": ("surface.area", np.full(1, -1.0), "beyond 0..1000"),
    "negative mass": ("surface.mass", np.full(3, -1.0), "beyond 0..2"),
    "far away": ("proxy.vertices", np.full((3, 3), 1e30), "beyond -2..2"),
    "huge weight": ("decoder.query.weight", np.full((4, 4), 1e30, dtype=np.float32), "beyond"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_arrays_that_do_not_fit_are_refused(path: Path, case: str):
    name, array, message = BROKEN[case]
    tensors = arrays(make_model())
    if array is None:
        del tensors[name]
    else:
        tensors[name] = array
    rewrite(path, tensors)
    with pytest.raises(ModelFileError, match=message):
        Model.load(path)


def test_what_is_written_is_what_safetensors_writes(path: Path):
    random = np.random.default_rng(0)
    kinds = ("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "uint16", "bool")
    tensors = {f"of {kind}": random.integers(0, 2, (2, 3)).astype(kind) for kind in kinds}
    tensors |= {"": np.zeros(0), "ü": np.asarray(7), "turned": np.asarray(random.random((3, 4)), order="F")}
    tensor_file.write(path, {"name": "Stühle"}, tensors)
    loaded = load_file(path)
    assert loaded.keys() == tensors.keys()
    for name, array in tensors.items():
        assert loaded[name].dtype == array.dtype and np.array_equal(loaded[name], array), name
    with safe_open(path, "numpy") as file:
        assert json.loads(file.metadata()["iseg"]) == {"name": "Stühle"}
    of_64_bits = {name: array for name, array in tensors.items() if array.dtype == "float64"}
    tensor_file.write(path, {}, of_64_bits)
    assert path.read_bytes() == save({k: np.ascontiguousarray(a) for k, a in of_64_bits.items()}, {"iseg": "{}"})


def test_writing_and_summing_up_take_no_copy(path: Path):
    tensors = {name: np.zeros((2000, 1000)) for name in "abc"}
    tracemalloc.start()
    try:
        tensor_file.write(path, {"sha256": tensor_file.checksum({}, tensors)}, tensors)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_model_that_could_not_be_read_is_not_saved(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trained_model, "FILE_LIMIT", tensor_file.HEADER_LIMIT + 100)
    before = path.read_bytes()
    with pytest.raises(ModelFileError, match="cannot be saved.*fewer vertices"):
        make_model(1).save(path)
    assert path.read_bytes() == before


def test_a_mesh_whose_model_could_not_be_saved_is_not_trained(monkeypatch: pytest.MonkeyPatch):
    mesh = make_model(1).mesh
    monkeypatch.setattr(trained_model, "FILE_LIMIT", tensor_file.HEADER_LIMIT + mesh.vertices.nbytes)
    with pytest.raises(MeshError, match="larger than a model file may be.*Simplify"):
        train(mesh, progress=lambda progress: pytest.fail("it had begun"))


def test_the_model_of_three_million_vertices_is_far_from_too_large():
    lengths: dict[str | int, int] = {
        "V": 3_000_000,
        "F": 6_000_000,
        "P": 5000,
        "G": 10_000,
        "E": 15_000,
        "d": 256,
        "K": 1,
    }
    lengths |= {1: 1, 2: 2, 3: 3}
    size = 4 * 3_000_000  # the networks, by far
    for kind, shape in trained_model._REQUIRED.values():
        size += np.dtype(kind).itemsize * math.prod(lengths[n] for n in shape)
    assert 4 * size < tensor_file.FILE_LIMIT


def test_a_model_that_does_not_fit_is_not_saved(path: Path):
    before = path.read_bytes()
    with pytest.raises(ModelFileError, match="cannot be saved: features of type"):
        replace(make_model(), features=np.zeros((2, 5), dtype=np.float32)).save(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"solid triangle\nendsolid\n", b"ply\nformat ascii 1.0\n" * 50, bytes(1000), save({"x": np.zeros(2)})],
    ids=["empty", "brace", "stl", "ply", "zeros", "safetensors"],
)
def test_other_files_are_refused(path: Path, content: bytes):
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="not a model that iSeg wrote"):
        Model.load(path)


@pytest.mark.parametrize("name", ["a.obj", "a.GLB"])
def test_a_mesh_is_named_as_one(path: Path, name: str):
    (path.parent / name).write_bytes(b"v 0 0 0\nv 1 0 0\n")
    with pytest.raises(ModelFileError, match="is a mesh, not a model. .* name it after --instant"):
        Model.load(path.parent / name)


@pytest.mark.parametrize("size", [0, 1, tensor_file.HEADER_LIMIT + 1, 2**40, 2**64 - 1])
def test_a_header_of_absurd_size_is_refused_before_it_is_read(path: Path, size: int):
    content = io.BytesIO(size.to_bytes(8, "little") + b"{" + bytes(1000))
    with pytest.raises(ModelFileError, match=f"announces a header of {size:,} bytes"):
        tensor_file.read_header(path, content)
    assert content.tell() == 9


def test_a_deeply_nested_header_is_refused(path: Path):
    text = b'{"__metadata__":' + b"[" * 100_000
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    with pytest.raises(ModelFileError, match="not a model"):
        Model.load(path)


class Trap:
    """Unpickling it makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_file_larger_than_any_model_is_refused_unread(path: Path):
    with open(path, "r+b") as file:
        file.truncate(tensor_file.FILE_LIMIT + 1)  # takes no room on the disk
    with pytest.raises(ModelFileError, match="more than any model"):
        Model.load(path)


def test_nothing_is_unpickled(path: Path):
    sprung = path.with_name("sprung")
    path.write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(ModelFileError):
        Model.load(path)
    assert not sprung.exists()


def test_absent_and_unreadable_files(tmp_path: Path):
    with pytest.raises(ModelFileError, match="There is no file .* train MESH -o"):
        Model.load(tmp_path / "absent.iseg")
    with pytest.raises(ModelFileError, match="cannot be read: Is a directory"):
        Model.load(tmp_path)


def test_check_mesh():
    model = make_model()
    mesh = model.mesh
    assert check_mesh(model, Mesh(mesh.vertices.copy(), mesh.faces.copy())) == "same"
    assert check_mesh(model, Mesh(mesh.vertices + 1, mesh.faces)) == "moved"
    with pytest.raises(ModelFileError, match="trained on another mesh"):
        check_mesh(model, Mesh(mesh.vertices, mesh.faces[:, ::-1]))
    with pytest.raises(ModelFileError, match="4 vertices and 4 faces; this one has 5 vertices"):
        check_mesh(model, Mesh(np.vstack([mesh.vertices, [[0, 0, 0]]]), mesh.faces))


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError(28, "No space left on device"), SystemExit])
def test_an_interrupted_write_leaves_the_old_file_and_no_other(path: Path, failure, monkeypatch: pytest.MonkeyPatch):
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(atomic_file.os, "fsync", fail)
    with pytest.raises(type(failure) if isinstance(failure, Exception) else failure):
        make_model(1).save(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_atomic_write_keeps_links_and_the_usual_rights(tmp_path: Path):
    target, link, plain = tmp_path / "target", tmp_path / "link", tmp_path / "plain"
    target.write_bytes(b"old")
    link.symlink_to(target)
    with atomic_write(link) as file:
        file.write(b"new")
        assert target.read_bytes() == b"old"  # until the block ends
    assert link.is_symlink() and target.read_bytes() == b"new"
    plain.write_bytes(b"")
    assert target.stat().st_mode == plain.stat().st_mode


def test_a_file_that_is_read_is_replaced_when_it_is_closed(path: Path, monkeypatch: pytest.MonkeyPatch):
    """As Windows does it."""
    tries, rename = [], os.replace

    def refuse(*names: Path) -> None:
        tries.append(names)
        if len(tries) % 4:
            raise PermissionError(13, "Access is denied")
        rename(*names)

    monkeypatch.setattr(atomic_file.os, "replace", refuse)
    monkeypatch.setattr(atomic_file, "PATIENCE", PATIENT)
    make_model(1).save(path)
    assert len(tries) == 4
    assert_equal(make_model(1), Model.load(path))
    monkeypatch.setattr(atomic_file, "PATIENCE", 0.0)
    with pytest.raises(PermissionError, match="Access is denied"):
        make_model(2).save(path)
    assert list(path.parent.iterdir()) == [path]


def test_a_trace_that_stays_hides_no_error(path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object, **__: object) -> None:
        raise PermissionError(13, "Access is denied")

    monkeypatch.setattr(Path, "unlink", fail)
    with pytest.raises(OSError, match="No space left"), atomic_write(path):
        raise OSError(28, "No space left on device")


def test_atomic_write_into_no_folder(tmp_path: Path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "absent" / "file"):
        pass
    with pytest.raises(IsADirectoryError), atomic_write(tmp_path):
        pass
