"""glTF and GLB as exporters write them: containers, extensions, instances, and what is refused in a sentence."""

import base64
import json
import struct
from typing import Any

import numpy as np
import pytest
from support.mesh_files import CORNERS, Gltf, primitive

from iseg_core.errors import MeshError
from iseg_core.formats.load import load_mesh

ORDER = np.array([0, 1, 2, 2, 3, 0], np.uint16)
FACES = [[0, 1, 2], [2, 3, 0]]


def square(**more) -> tuple[Gltf, dict[str, Any]]:
    """A square, and the header of its file."""
    gltf = Gltf()
    meshes = [{"primitives": [primitive(gltf.add(CORNERS), gltf.add(ORDER))]}]
    return gltf, {"meshes": meshes, "nodes": [{"mesh": 0}], "scenes": [{"nodes": [0]}], "scene": 0} | more


def read(tmp_path, content: bytes, name: str = "a.gltf"):
    (tmp_path / name).write_bytes(content)
    return load_mesh(tmp_path / name)


def refused(tmp_path, content: bytes, words: str, name: str = "a.gltf") -> None:
    with pytest.raises(MeshError, match=rf"^a\.\w+: .*({words})") as caught:
        read(tmp_path, content, name)
    for foreign in ("Error", "expected", "subscript", "object is"):
        assert foreign not in str(caught.value)


def assert_square(mesh) -> None:
    np.testing.assert_array_equal(mesh.vertices, CORNERS)
    np.testing.assert_array_equal(mesh.faces, FACES)


# ---- containers ----


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_json_is_read_in_any_encoding(tmp_path, encoding):
    gltf, header = square()
    assert_square(read(tmp_path, gltf.text(**header).decode().encode(encoding)))


def glb(*chunks: tuple[int, bytes], version: int = 2, longer: int = 0) -> bytes:
    body = b"".join(struct.pack("<II", len(content), kind) + content for kind, content in chunks)
    return struct.pack("<4sII", b"glTF", version, 12 + len(body) + longer) + body


JSON, BIN = 0x4E4F534A, 0x004E4942


def test_glb_chunks_are_read_with_any_padding_in_any_order(tmp_path):
    gltf, header = square()
    text = gltf.text(None, **header)
    for data in (
        glb((JSON, text + b"\0\0\0"), (BIN, gltf.data)),
        glb((JSON, text + b"   "), (0x58585858, b"something else"), (BIN, gltf.data + b"\0\0\0")),
        glb((BIN, gltf.data), (JSON, text)),
        glb((JSON, b"\xef\xbb\xbf" + text), (BIN, gltf.data)) + b"behind the end",
        gltf.text(**header),  # the name's ending does not decide
    ):
        assert_square(read(tmp_path, data, "a.glb"))


def test_glb_that_is_not_what_it_says_is_refused(tmp_path):
    gltf, header = square()
    chunks = (JSON, gltf.text(None, **header)), (BIN, gltf.data)
    for version in (0, 1, 3):
        refused(tmp_path, glb(*chunks, version=version), "only version 2 of glTF is read", "a.glb")
    refused(tmp_path, glb(*chunks, longer=4), "truncated", "a.glb")
    refused(tmp_path, glb(*chunks, longer=-4), "truncated", "a.glb")
    refused(tmp_path, glb(*chunks[1:]), "truncated", "a.glb")
    refused(tmp_path, glb(chunks[0]), "data is shorter than it says", "a.glb")
    refused(tmp_path, glb(chunks[0], (BIN, gltf.data[:-4])), "data is shorter than it says", "a.glb")
    refused(tmp_path, glb((JSON, chunks[0][1][:-1]), chunks[1]), "JSON is truncated", "a.glb")
    for length in range(4, 20):
        refused(tmp_path, glb(*chunks)[:length], "truncated", "a.glb")


@pytest.mark.parametrize(
    ("uri", "name"),
    [("the%20data.bin", "the data.bin"), ("d%C3%A9.bin", "dé.bin"), ("dé.bin", "dé.bin"), ("50%25.bin", "50%.bin")],
)
def test_data_files_are_found_by_their_percent_encoded_names(tmp_path, uri, name):
    gltf, header = square()
    (tmp_path / name).write_bytes(gltf.data + b"more than is needed")
    assert_square(read(tmp_path, gltf.text(uri, **header)))
    (tmp_path / name).write_bytes(gltf.data[:-1])
    refused(tmp_path, gltf.text(uri, **header), "data is shorter than it says")


def test_data_uris_are_read_in_all_their_spellings(tmp_path):
    gltf, header = square()
    code = base64.b64encode(gltf.data).decode()
    for uri in (
        f"data:application/gltf-buffer;base64,{code}",
        f"DATA:;BASE64,{code}",
        f"data:;base64,{code.replace('=', '%3D').replace('+', '%2B')}",
        "data:application/octet-stream," + "".join(f"%{byte:02X}" for byte in gltf.data),
    ):
        assert_square(read(tmp_path, gltf.text(uri, **header)))
    refused(tmp_path, gltf.text(f"data:;base64,{code[:-2]}", **header), "base64, is damaged|shorter than it says")
    refused(tmp_path, gltf.text("data:nothing", **header), "shorter than it says")


# ---- extensions ----


@pytest.mark.parametrize(
    "name", ["KHR_materials_unlit", "KHR_texture_transform", "KHR_lights_punctual", "KHR_mesh_quantization"]
)
def test_extensions_that_do_not_move_triangles_may_be_required(tmp_path, name):
    gltf, header = square(extensionsRequired=[name], extensionsUsed=[name])
    assert_square(read(tmp_path, gltf.text(**header)))


def test_unknown_extensions_that_are_required_are_refused_by_name(tmp_path):
    gltf, header = square(
        extensionsRequired=["KHR_texture_basisu", "ACME_voxels", "ACME"], extensionsUsed=["ACME_voxels"]
    )
    refused(tmp_path, gltf.text(**header), r"requires extensions.*\(ACME_voxels, ACME\)\. Export it without them")
    header["extensionsRequired"] = []
    assert_square(read(tmp_path, gltf.text(**header)))


@pytest.mark.parametrize("name", ["KHR_draco_mesh_compression", "EXT_meshopt_compression"])
def test_compressed_meshes_are_refused_by_name_unless_they_are_there_uncompressed_too(tmp_path, name):
    words = rf"compressed \({name}\)\. Export it without compression"
    gltf, header = square(extensionsUsed=[name])
    header["extensionsRequired"] = [name]
    refused(tmp_path, gltf.text(**header), words)
    del header["extensionsRequired"]
    extension = {"extensions": {name: {}}}
    header["meshes"][0]["primitives"][0] |= extension
    gltf.views[0] |= extension
    assert_square(read(tmp_path, gltf.text(**header)))
    if "draco" in name:
        del gltf.accessors[0]["bufferView"]
        refused(tmp_path, gltf.text(**header), words)
    else:
        gltf.views[0]["buffer"] = 1
        buffers = json.loads(gltf.text())["buffers"] + [{"byteLength": 48, "extensions": {name: {"fallback": True}}}]
        refused(tmp_path, gltf.text(**header | {"buffers": buffers}), words)


# ---- instances ----


def instanced(**values: np.ndarray) -> tuple[Gltf, dict[str, Any]]:
    gltf, header = square(extensionsUsed=["EXT_mesh_gpu_instancing"], extensionsRequired=["EXT_mesh_gpu_instancing"])
    named = {}
    for name, array in values.items():
        named[name] = gltf.add(array, normalized=array.dtype.kind == "i")
    header["nodes"][0] |= {"translation": [0, 0, 7], "extensions": {"EXT_mesh_gpu_instancing": {"attributes": named}}}
    return gltf, header


def test_each_instance_stands_at_its_own_place(tmp_path):
    move = np.array([[0, 0, 0], [5, 0, 0], [0, 9, 0]], np.float32)
    gltf, header = instanced(TRANSLATION=move)
    mesh = read(tmp_path, gltf.text(**header))
    np.testing.assert_array_equal(mesh.vertices.reshape(3, 4, 3), move[:, None] + CORNERS + [0, 0, 7])
    np.testing.assert_array_equal(mesh.faces.reshape(3, 2, 3), np.array([0, 4, 8])[:, None, None] + FACES)


@pytest.mark.parametrize("kind", [np.float32, np.int16, np.int8])
def test_instances_are_scaled_then_turned_then_moved_all_in_the_nodes_own_place(tmp_path, kind):
    turn = np.array([[0, 0, 0, 1], [0, 0, 1, 0]])  # none, and half a turn about z
    size, move = np.array([[1, 1, 1], [2, 3, 4]], np.float32), np.array([[0, 0, 0], [10, 0, 0]], np.float32)
    whole = (turn * (1 if kind is np.float32 else np.iinfo(kind).max)).astype(kind)
    gltf, header = instanced(SCALE=size, ROTATION=whole, TRANSLATION=move)
    mesh = read(tmp_path, gltf.text(**header))
    np.testing.assert_array_equal(mesh.vertices[:4], CORNERS + [0, 0, 7])
    np.testing.assert_array_equal(mesh.vertices[4:], CORNERS * [-2, -3, 1] + [10, 0, 7])


def test_instances_without_places_and_without_attributes(tmp_path):
    gltf, header = instanced(_ID=np.arange(3, dtype=np.float32))
    assert len(read(tmp_path, gltf.text(**header)).vertices) == 12
    gltf, header = instanced()
    assert len(read(tmp_path, gltf.text(**header)).vertices) == 4
    gltf, header = instanced(TRANSLATION=np.zeros((3, 3), np.float32), SCALE=np.ones((2, 3), np.float32))
    refused(tmp_path, gltf.text(**header), "more of one attribute than of another")


# ---- primitives and arrays ----


def test_primitives_without_positions_and_points_and_lines_are_not_drawn(tmp_path):
    gltf, header = square()
    lines = [primitive(0, 1, mode=mode) for mode in range(4)]
    header["meshes"][0]["primitives"] += [{"attributes": {}, "indices": 1}, {"attributes": {"NORMAL": 0}}, *lines]
    assert_square(read(tmp_path, gltf.text(**header)))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32])
def test_indices_and_interleaved_rows_of_all_kinds(tmp_path, kind):
    gltf = Gltf()
    rows = np.zeros(4, np.dtype([("normal", "<f4", 3), ("position", "<f4", 3), ("colour", "u1", 4)]))
    rows["position"] = CORNERS
    view = gltf.view(rows, byteStride=28)
    gltf.accessors.append({"bufferView": view, "byteOffset": 12, "componentType": 5126, "count": 4, "type": "VEC3"})
    meshes = [{"primitives": [primitive(0, gltf.add(ORDER.astype(kind)))]}]
    assert_square(read(tmp_path, gltf.text(meshes=meshes, nodes=[{"mesh": 0}])))


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.uint16])
@pytest.mark.parametrize("normalized", [False, True])
def test_quantised_positions_are_read(tmp_path, kind, normalized):
    gltf = Gltf()
    position = gltf.add((CORNERS * np.iinfo(kind).max).astype(kind), normalized=normalized)
    meshes = [{"primitives": [primitive(position, gltf.add(ORDER))]}]
    scale = [1 if normalized else 1 / np.iinfo(kind).max] * 3
    header = {"meshes": meshes, "nodes": [{"mesh": 0, "scale": scale}], "extensionsRequired": ["KHR_mesh_quantization"]}
    np.testing.assert_allclose(read(tmp_path, gltf.text(**header)).vertices, CORNERS, atol=1e-12)


def test_a_stride_of_zero_means_rows_without_gaps(tmp_path):
    gltf, header = square()
    for view in gltf.views:
        view["byteStride"] = 0
    assert_square(read(tmp_path, gltf.text(**header)))


def change(header: dict, path: str, value) -> None:
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in way:
        header = header[step]
    header[last] = value


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("asset", {}, "not GLTF"),
        ("asset.version", "1.0", "only version 2"),
        ("asset.minVersion", "2.1", "only version 2"),
        ("scene", 1, "names scenes 1, and has 1"),
        ("scene", -1, "scene is -1"),
        ("scenes.0.nodes", [0, 3], "names nodes 3, and has 1"),
        ("scenes.0.nodes", [0, 0], "not a tree"),
        ("nodes.0.children", [0], "not a tree"),
        ("nodes.0.children", [-1], "names nodes -1"),
        ("nodes.0.mesh", 1, "names meshes 1, and has 1"),
        ("nodes.0.mesh", "square", "names meshes 'square'"),
        ("nodes.0.matrix", [1, 0, 0], "matrix does not have 16 numbers"),
        ("nodes.0.scale", [1, 1], "scale does not have 3 numbers"),
        ("nodes.0.rotation", [0, 0, "x", 1], "rotation does not have 4 numbers"),
        ("nodes.0.skin", 0, "names skins 0, and has 0"),
        ("meshes.0.primitives.0.mode", 7, "mode is 7"),
        ("meshes.0.primitives.0.indices", 2, "names accessors 2, and has 2"),
        ("meshes.0.primitives.0.indices", 0, "accessor 0 is not what is wanted there, SCALAR"),
        ("meshes.0.primitives.0.attributes.POSITION", 1, "accessor 1 is not what is wanted there, VEC3"),
        ("meshes.0.primitives.0.attributes.POSITION", -1, "names accessors -1"),
        ("accessors.0.componentType", 5124, "accessor 0 is not what is wanted"),
        ("accessors.1.componentType", 5126, "a vertex that its mesh does not have|shorter than it says"),
        ("accessors.0.count", 3, "a vertex that its mesh does not have"),
        ("accessors.0.count", 5, "shorter than it says"),
        ("accessors.0.count", 4.5, "count is 4.5"),
        ("accessors.0.count", -4, "count is -4"),
        ("accessors.0.byteOffset", 4, "shorter than it says"),
        ("accessors.0.byteOffset", -4, "byteOffset is -4"),
        ("accessors.0.bufferView", 2, "names bufferViews 2, and has 2"),
        ("bufferViews.0.buffer", 1, "names buffers 1, and has 1"),
        ("bufferViews.1.byteOffset", 52, "shorter than it says"),
        ("bufferViews.0.byteLength", 47, "shorter than it says"),
        ("bufferViews.0.byteStride", 8, "overlap"),
        ("bufferViews.0.byteStride", "12", "overlap"),
        ("buffers.0.byteLength", 61, "shorter than it says"),
        ("buffers.0.uri", None, "shorter than it says"),
        ("extensionsRequired", 5, "not GLTF"),
        ("nodes", 5, "not GLTF"),
        ("meshes.0.primitives.0", 5, "not GLTF"),
    ],
)
def test_what_the_header_gets_wrong_is_said(tmp_path, path, value, words):
    gltf, header = square()
    whole = json.loads(gltf.text(**header))
    assert_square(read(tmp_path, json.dumps(whole).encode()))
    change(whole, path, value)
    refused(tmp_path, json.dumps(whole).encode(), words)


def test_sparse_values_outside_are_refused(tmp_path):
    gltf, header = square()
    for rows, words in [([4], "rows that are not there"), ([1, 2], "shorter than it says")]:
        where = {"bufferView": gltf.view(np.array(rows[:1], np.uint8)), "componentType": 5121}
        given = {"bufferView": gltf.view(CORNERS[:1])}
        gltf.accessors[0]["sparse"] = {"count": len(rows), "indices": where, "values": given}
        refused(tmp_path, gltf.text(**header), words)


def test_indices_outside_are_refused(tmp_path):
    gltf, header = square()
    header["meshes"][0]["primitives"][0]["indices"] = gltf.add(np.array([0, 1, 65535], np.uint16))
    refused(tmp_path, gltf.text(**header), "a vertex that its mesh does not have")


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("JOINTS_0", np.full((4, 4), 2, np.uint8), "a joint that its skin does not have"),
        ("WEIGHTS_0", np.ones((3, 4), np.float32), "more or fewer joints than vertices"),
        ("WEIGHTS_0", np.ones((4, 3), np.float32), "not what is wanted there, VEC4"),
        ("WEIGHTS_0", None, "names accessors None"),
        ("inverseBindMatrices", np.zeros((1, 16), np.float32), "more joints than matrices"),
    ],
)
def test_skins_that_do_not_fit_are_refused(tmp_path, name, array, words):
    gltf, header = square(skins=[{"joints": [0, 0]}])
    header["nodes"] = [{"mesh": 0, "skin": 0}]
    attributes = header["meshes"][0]["primitives"][0]["attributes"]
    attributes["JOINTS_0"] = gltf.add(np.ones((4, 4), np.uint8))
    attributes["WEIGHTS_0"] = gltf.add(np.ones((4, 4), np.float32))
    assert len(read(tmp_path, gltf.text(**header)).vertices) == 4
    place = header["skins"][0] if name == "inverseBindMatrices" else attributes
    if array is None:
        del place[name]
    else:
        place[name] = gltf.add(array)
    refused(tmp_path, gltf.text(**header), words)


@pytest.mark.parametrize("mode", [0, 1, 2, 3])
def test_points_and_lines_alone_are_named(tmp_path, mode):
    gltf, header = square()
    header["meshes"][0]["primitives"][0]["mode"] = mode
    refused(tmp_path, gltf.text(**header), "only points and lines. Give a surface")
