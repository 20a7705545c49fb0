"""Why trimesh does not read the files: what load.py says of it, tried on the version that the tests run with."""

import numpy as np
import pytest
import trimesh
from support.mesh_files import CORNERS, Gltf, ply_file, primitive

from iseg_core.formats.load import load_mesh

TEXTURED = """v 7 7 7
v 0 1 0
v 0 0 0
v 1 0 0
v 1 1 0
vt 0 0
vt 1 1
f 3/1 4/1 5/1
{}
f 3/2 5/2 2/2
"""


def as_trimesh_reads(path, **options) -> np.ndarray:
    """Vertices [V, 3] of all that trimesh finds in the file."""
    return trimesh.load_scene(path, process=False, **options).to_mesh().vertices


def test_obj_vertices_are_split_and_left_out_or_repeated(tmp_path):
    path = tmp_path / "a.obj"
    path.write_text(TEXTURED.format("o b"))
    assert len(load_mesh(path).vertices) == 5
    theirs = as_trimesh_reads(path)
    assert (theirs == [0, 0, 0]).all(axis=1).sum() == 2  # split at the seam
    assert not (theirs == [7, 7, 7]).any()
    path.write_text(TEXTURED.format("usemtl b").replace("/1", "").replace("/2", ""))
    assert len(load_mesh(path).vertices) == 5
    assert len(as_trimesh_reads(path, maintain_order=True)) == 10


def test_binary_ply_of_a_triangle_and_a_quad_is_refused(tmp_path):
    path = tmp_path / "a.ply"
    path.write_bytes(ply_file("binary_little_endian", [[0, 1, 2], [0, 1, 2, 3]]))
    assert len(load_mesh(path).faces) == 3
    with pytest.raises(ValueError, match="unexpected length"):
        as_trimesh_reads(path)


def test_gltf_loses_sparse_values_and_instances_and_the_order_of_nodes(tmp_path):
    gltf, path = Gltf(), tmp_path / "a.gltf"
    order, moved = gltf.add(np.array([0, 1, 2, 0, 2, 3], np.uint16)), gltf.add(CORNERS * 5)
    pulled = gltf.add(CORNERS)
    where = {"bufferView": gltf.view(np.array([2], np.uint16)), "componentType": 5123}
    given = {"bufferView": gltf.view(np.full((1, 3), 9, np.float32))}
    gltf.accessors[pulled]["sparse"] = {"count": 1, "indices": where, "values": given}
    instances = {"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": moved}}}
    header = {
        "meshes": [{"primitives": [primitive(pulled, order)]}],
        "nodes": [{"mesh": 0}, {"mesh": 0, "translation": [100, 0, 0], "extensions": instances}],
        "scenes": [{"nodes": [0, 1]}],
    }
    path.write_bytes(gltf.text(**header))
    ours, theirs = load_mesh(path).vertices, as_trimesh_reads(path)
    assert len(ours) == 5 * 4 and len(theirs) == 2 * 4
    assert ours[0, 0] == 0 and theirs[0, 0] == 100
    assert (ours[:4] == 9).any() and not (theirs == 9).any()


def test_compressed_gltf_is_read_as_zeros(tmp_path):
    gltf, path = Gltf(), tmp_path / "a.gltf"
    packed = primitive(
        0, 1, extensions={"KHR_draco_mesh_compression": {"bufferView": 0, "attributes": {"POSITION": 0}}}
    )
    gltf.view(CORNERS)
    gltf.accessors = [
        {"componentType": 5126, "count": 4, "type": "VEC3"},
        {"componentType": 5123, "count": 6, "type": "SCALAR"},
    ]
    header = {"meshes": [{"primitives": [packed]}], "nodes": [{"mesh": 0}], "scenes": [{"nodes": [0]}]}
    path.write_bytes(gltf.text(**header, extensionsUsed=["KHR_draco_mesh_compression"]))
    assert not as_trimesh_reads(path).any()
