"""glTF 2.0 and GLB files: the triangles of all nodes of the scene, in world coordinates (Khronos glTF 2.0).

Only geometry is read: materials, textures, cameras, animations and morph targets are left aside, so missing images
do not matter. Skinned meshes stand in the pose of the file.
"""

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np

from ..errors import MeshError
from .common import FILE_LIMIT, read_file

COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
SIZES = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
COMPRESSIONS = {"KHR_draco_mesh_compression", "EXT_meshopt_compression", "KHR_meshopt_compression"}
TRIANGLES, STRIP, FAN = 4, 5, 6
GLB, JSON, BINARY = b"glTF", 0x4E4F534A, 0x004E4942
MOST = 30_000_000  # vertices and corners of all nodes: a few bytes can ask for any number
PRIMITIVE = 100  # as many of them take as long as one more primitive


def read_gltf(data: bytes, folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices [V, 3] float64, corners of the triangles [C], three a triangle [F].

    Nodes come in the order of the scene's tree, a mesh that several nodes name once for each. Errors: MeshError, and
    KeyError, IndexError, ValueError, TypeError for a damaged file.
    """
    return _Document(data, folder).join()


class _Document:
    def __init__(self, data: bytes, folder: Path):
        self.folder = folder
        self.header, self.binary = _split_glb(data) if data[:4] == GLB else (json.loads(data.decode("utf-8-sig")), b"")
        if not str(self.header["asset"]["version"]).startswith("2."):
            raise MeshError("only version 2 of glTF is read. Export the mesh again as glTF 2.0.")
        compressed = COMPRESSIONS & set(self.header.get("extensionsRequired", []))
        if compressed:
            raise MeshError(f"the mesh is compressed ({', '.join(compressed)}). Export it without compression.")
        self.nodes: list[dict[str, Any]] = self.header.get("nodes", [])
        self.buffers: dict[int, bytes] = {}
        self.counted, self.room = 0, FILE_LIMIT

    def join(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        world = self._world_transforms()
        vertices, corners, total = [np.zeros((0, 3))], [np.zeros(0, np.int64)], 0  # [0, 3], [0]
        for index, transform in world.items():
            node = self.nodes[index]
            placed: dict[int, tuple[int, int]] = {}  # primitives that share one list of vertices go on sharing it
            for primitive in self.header["meshes"][node["mesh"]]["primitives"] if "mesh" in node else []:
                self._count(PRIMITIVE)
                if primitive.get("mode", TRIANGLES) not in (TRIANGLES, STRIP, FAN):
                    continue  # points and lines
                position = primitive["attributes"]["POSITION"]
                if position not in placed:
                    points = self.accessor(position)  # [V, 3]
                    placed[position] = total, len(points)
                    total += len(points)
                    if "skin" in node:
                        points = self._skinned(points, primitive["attributes"], node["skin"], world)  # [V, 3]
                    else:
                        points = points @ transform[:3, :3].T + transform[:3, 3]  # [V, 3]
                    vertices.append(points)
                start, length = placed[position]
                corners.append(start + self._triangles(primitive, length))
        joined = np.concatenate(corners)  # [C]
        return np.concatenate(vertices), joined, np.full(len(joined) // 3, 3)

    def _count(self, more: int) -> None:
        """Before memory is taken for so many more vertices and corners. Errors: MeshError."""
        self.counted += max(more, 0)
        if self.counted > MOST:
            much = f"{MOST:,} vertices and corners, or too many parts"
            raise MeshError(f"its nodes have more than {much}. Use a mesh of fewer vertices.")

    def _triangles(self, primitive: dict[str, Any], vertex_count: int) -> np.ndarray:
        """Corners of the primitive's triangles. [C] int64"""
        if "indices" in primitive:
            order = self.accessor(primitive["indices"])[:, 0].astype(np.int64)  # [N]
        else:
            self._count(vertex_count)
            order = np.arange(vertex_count)  # [N]
        mode = primitive.get("mode", TRIANGLES)
        if order.size and (order.max() >= vertex_count or order.min() < 0):
            raise MeshError("a face names a vertex that its mesh does not have. Export the mesh again.")
        if mode == TRIANGLES:
            return order[: len(order) // 3 * 3]
        self._count(3 * len(order))
        step = np.arange(max(len(order) - 2, 0))  # [T]
        if mode == FAN:
            picks = np.stack([np.zeros_like(step), step + 1, step + 2], axis=1)  # [T, 3]
        else:  # every other triangle of a strip runs the other way round
            picks = np.stack([step, step + 1 + step % 2, step + 2 - step % 2], axis=1)  # [T, 3]
        return order[picks].ravel()

    def _world_transforms(self) -> dict[int, np.ndarray]:
        """World transform [4, 4] of each node of the scene, in the order of its tree."""
        scenes = self.header.get("scenes", [])
        children = {child for node in self.nodes for child in node.get("children", [])}
        roots = [i for i in range(len(self.nodes)) if i not in children]
        if scenes:
            roots = scenes[self.header.get("scene", 0)].get("nodes", [])
        world: dict[int, np.ndarray] = {}
        waiting = [(root, np.eye(4)) for root in reversed(roots)]
        while waiting:
            index, parent = waiting.pop()
            if index in world:
                raise MeshError("the scene's nodes are not a tree. Export the mesh again.")
            world[index] = parent @ _local_transform(self.nodes[index])  # [4, 4]
            waiting += [(child, world[index]) for child in reversed(self.nodes[index].get("children", []))]
        return world

    def _skinned(
        self, points: np.ndarray, attributes: dict[str, int], skin: int, world: dict[int, np.ndarray]
    ) -> np.ndarray:
        """World positions of a skinned primitive's points [V, 3]: its joints place it, not its own node. [V, 3]"""
        joints = self.header["skins"][skin]["joints"]
        self._count(len(joints))
        pose = np.stack([world.get(joint, np.eye(4)) for joint in joints])  # [J, 4, 4]
        if "inverseBindMatrices" in self.header["skins"][skin]:
            inverse = self.accessor(self.header["skins"][skin]["inverseBindMatrices"])  # [J, 16]
            pose = pose @ inverse.reshape(-1, 4, 4).transpose(0, 2, 1)  # [J, 4, 4]
        local = np.concatenate([points, np.ones((len(points), 1))], axis=1)  # [V, 4]
        placed, total = np.zeros((len(points), 4)), np.zeros((len(points), 1))  # [V, 4], [V, 1]
        for k in range(sum(name.startswith("JOINTS_") for name in attributes)):
            chosen = self.accessor(attributes[f"JOINTS_{k}"]).astype(np.int64)  # [V, 4]
            weights = self.accessor(attributes[f"WEIGHTS_{k}"])  # [V, 4]
            if len(chosen) != len(points):
                raise MeshError("its skin has more or fewer joints than vertices. Export the mesh again.")
            for corner in range(4):
                placed += weights[:, corner, None] * np.einsum("vij,vj->vi", pose[chosen[:, corner]], local)
            total += weights.sum(axis=1, keepdims=True)
        return np.where(total > 0, placed[:, :3] / np.where(total > 0, total, 1.0), points)

    def accessor(self, index: int) -> np.ndarray:
        """The accessor's values, one row an item; normalised integers as fractions. [N, K] float64"""
        info = self.header["accessors"][index]
        dtype, size, count = np.dtype(COMPONENTS[info["componentType"]]), SIZES[info["type"]], info["count"]
        self._count(count * -(-size // 3))  # in vertices, which have three values
        if "bufferView" in info:
            values = self._view(info["bufferView"], info.get("byteOffset", 0), dtype, count, size)  # [N, K]
        else:
            values = np.zeros((count, size), dtype)  # [N, K] a sparse accessor fills it
        if "sparse" in info:
            sparse = info["sparse"]
            where, given = sparse["indices"], sparse["values"]
            kind = np.dtype(COMPONENTS[where["componentType"]])
            self._count(sparse["count"])
            rows = self._view(where["bufferView"], where.get("byteOffset", 0), kind, sparse["count"], 1)[:, 0]  # [S]
            values = values.copy()  # [N, K]
            values[rows] = self._view(given["bufferView"], given.get("byteOffset", 0), dtype, sparse["count"], size)
        scale = float(np.iinfo(dtype).max) if info.get("normalized") else 1.0
        return np.maximum(values / scale, -1.0) if scale > 1 else values.astype(np.float64)

    def _view(self, index: int, offset: int, dtype: np.dtype, count: int, size: int) -> np.ndarray:
        """count rows of size values each, out of a buffer view. [N, K]"""
        view = self.header["bufferViews"][index]
        buffer = self._buffer(view["buffer"])
        start, stride = view.get("byteOffset", 0) + offset, view.get("byteStride", dtype.itemsize * size)
        end = start + stride * (count - 1) + dtype.itemsize * size
        if count < 0 or start < 0 or end > len(buffer):
            raise MeshError("the file's data is shorter than it says. Export the mesh again.")
        if stride < dtype.itemsize * size:
            raise MeshError("the rows of the file's data overlap. Export the mesh again.")
        return np.ndarray((count, size), dtype, buffer, start, (stride, dtype.itemsize))  # [N, K]

    def _buffer(self, index: int) -> bytes:
        if index not in self.buffers:
            uri = self.header["buffers"][index].get("uri")
            if uri is None:
                self.buffers[index] = self.binary
            elif uri.startswith("data:"):
                self.buffers[index] = base64.b64decode(uri.partition(",")[2])
            else:
                self.buffers[index] = self._data_file(uri)
        return self.buffers[index]

    def _data_file(self, uri: str) -> bytes:
        """What the file of that name beside this one holds: a glTF of others must not name all that a user can read."""
        name, folder = unquote(uri), self.folder.resolve()
        away = urlsplit(uri).scheme or Path(name).anchor  # told by the name: a look at the path may ask another machine
        if away or not (folder / name).resolve().is_relative_to(folder):
            raise MeshError(
                f"its data file {uri:.80} is elsewhere. Put it beside the .gltf, and its bare name in there."
            )
        try:
            data = read_file(folder / name, self.room)
        except OSError as error:
            raise MeshError(f"its data file {uri:.80} cannot be read. Put it beside the .gltf.") from error
        self.room -= len(data)
        return data


def _split_glb(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The JSON header and the binary chunk (empty where there is none) of a GLB file."""
    if int.from_bytes(data[8:12], "little") > len(data):
        raise MeshError("the file is truncated. Export the mesh again.")
    chunks: dict[int, bytes] = {}
    at = 12
    while at + 8 <= len(data):
        length, kind = (int(n) for n in np.frombuffer(data, "<u4", 2, at))
        chunks.setdefault(kind, data[at + 8 : at + 8 + length])
        at += 8 + length
    return json.loads(chunks[JSON]), chunks.get(BINARY, b"")


def _local_transform(node: dict[str, Any]) -> np.ndarray:
    """The node's own transform: a matrix, or translation, rotation (quaternion x y z w) and scale. [4, 4]"""
    if "matrix" in node:
        return np.array(node["matrix"], dtype=np.float64).reshape(4, 4).T  # [4, 4] the file has columns
    x, y, z, w = np.array(node.get("rotation", (0, 0, 0, 1)), dtype=np.float64)
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )  # [3, 3]
    transform = np.eye(4)  # [4, 4]
    transform[:3, :3] = turn * np.array(node.get("scale", (1, 1, 1)), dtype=np.float64)
    transform[:3, 3] = node.get("translation", (0, 0, 0))
    return transform
