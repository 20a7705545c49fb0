"""glTF 2.0 and GLB files: the triangles of all nodes of the scene, in world coordinates (Khronos glTF 2.0).

Only geometry is read, and which faces have one node, material and colour: textures, cameras, animations and morph
targets are left aside, so missing images do not matter. Skinned meshes stand in the pose of the file.
"""

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MeshError
from .common import Polygons, both_labels, label_polygons, strip_triangles
from .gltf_data import INSTANCING, Document, natural, refuse_compressed, vector

POINTS, TRIANGLES, STRIP, FAN = 0, 4, 5, 6
WHITE = np.ones(3, np.float32)  # [3] of what has no colour
PRIMITIVE = 100  # as many vertices or corners take as long as one more primitive


def read_gltf(data: bytes, folder: Path) -> Polygons:
    """Read glTF: triangles, whose labels are of the placed mesh, the material and the colours of vertices (COLOR_0).

    Nodes come in the order of the scene's tree, a mesh that several nodes name once for each, one of a node with
    instances once for each of them. Errors: MeshError, and KeyError, TypeError, AttributeError for a damaged file.
    """
    return _Scene(Document(data, folder)).join()


class _Scene:
    def __init__(self, document: Document):
        self.document = document
        self.nodes: list[dict[str, Any]] = document.header.get("nodes", [])
        self.colours: dict[Any, np.ndarray] = {}  # [V, 3] of each accessor that was asked for

    def join(self) -> Polygons:
        world = self._world_transforms()
        vertices, corners, total = [np.zeros((0, 3))], [np.zeros(0, np.int64)], 0  # [0, 3], [0]
        labels: dict[tuple[int, int | None], int] = {}
        of_triangle = [np.zeros(0, np.int32)]  # [0]
        colours: list[np.ndarray] = []  # [c, 3] of the corners of each primitive
        instance, other = 0, False
        for index, own in world.items():
            node = self.nodes[index]
            for transform in self._instances(node, own) if "mesh" in node else []:
                placed: dict[int, tuple[int, int]] = {}  # primitives that share one list of vertices go on sharing it
                for primitive in self.document.item("meshes", node["mesh"])["primitives"]:
                    self.document.count(PRIMITIVE)
                    mode = primitive.get("mode", TRIANGLES)
                    if mode not in range(POINTS, FAN + 1):
                        raise MeshError(f"a primitive's mode is {mode!r:.40}, not 0 to 6. Export the mesh again.")
                    position = primitive["attributes"].get("POSITION")
                    if position is None or mode < TRIANGLES:
                        other |= position is not None
                        continue  # not drawn, says glTF; points and lines
                    if position not in placed:
                        self._refuse_unpacked(primitive)
                        points = self.document.accessor(position, "VEC3")  # [V, 3]
                        placed[position] = total, len(points)
                        total += len(points)
                        if "skin" in node:
                            points = self._skinned(points, primitive["attributes"], node["skin"], world)  # [V, 3]
                        else:
                            points = points @ transform[:3, :3].T + transform[:3, 3]  # [V, 3]
                        vertices.append(points)
                    start, length = placed[position]
                    own = self._triangles(primitive, mode, length)  # [c]
                    corners.append(start + own)
                    colours.append(self._colours(primitive["attributes"].get("COLOR_0"), own))
                    label = labels.setdefault((instance, primitive.get("material")), len(labels))
                    of_triangle.append(np.full(len(corners[-1]) // 3, label, np.int32))
                instance += 1
        if other and not total:
            raise MeshError("it has only points and lines. Give a surface.")
        joined, said = np.concatenate(corners), np.concatenate(of_triangle)  # [C], [T]
        counts = np.full(len(joined) // 3, 3)  # [T]
        if self.colours:
            said = both_labels(said, label_polygons(np.concatenate(colours), np.arange(len(joined)), counts))  # [T]
        return Polygons(np.concatenate(vertices), joined, counts, said)

    def _colours(self, index: Any, corners: np.ndarray) -> np.ndarray:
        """Colours of corners [c] of a primitive, from the accessor of that index; None: white. [c, 3] float32"""
        if index is None:
            return np.broadcast_to(WHITE, (len(corners), 3))  # [c, 3]
        if index not in self.colours:
            kind = "VEC4" if self.document.item("accessors", index).get("type") == "VEC4" else "VEC3"
            self.colours[index] = self.document.accessor(index, kind)[:, :3].astype(np.float32)  # [V, 3]
        if len(corners) and corners.max() >= len(self.colours[index]):
            raise MeshError("it has more vertices than colours. Export the mesh again.")
        return self.colours[index][corners]

    def _refuse_unpacked(self, primitive: dict[str, Any]) -> None:
        """Raise MeshError where the primitive's values exist in compressed form only, required or not."""
        named = [primitive["attributes"]["POSITION"], *([primitive["indices"]] if "indices" in primitive else [])]
        if any("bufferView" not in self.document.item("accessors", index) for index in named):
            refuse_compressed(primitive.get("extensions", {}))

    def _triangles(self, primitive: dict[str, Any], mode: int, vertex_count: int) -> np.ndarray:
        """Corners of the primitive's triangles. [C] int64"""
        if "indices" in primitive:
            wrong = "a face names a vertex that its mesh does not have"
            order = self.document.indices(primitive["indices"], "SCALAR", vertex_count, wrong)[:, 0]  # [N]
        else:
            self.document.count(vertex_count)
            order = np.arange(vertex_count)  # [N]
        if mode == TRIANGLES:
            return order[: len(order) // 3 * 3]
        self.document.count(3 * len(order))
        if mode == STRIP:
            return strip_triangles(order, np.array([len(order)])).ravel()
        step = np.arange(max(len(order) - 2, 0))  # [T]
        return order[np.stack([np.zeros_like(step), step + 1, step + 2], axis=1)].ravel()

    def _world_transforms(self) -> dict[int, np.ndarray]:
        """World transform [4, 4] of each node of the scene, in the order of its tree."""
        children = {child for node in self.nodes for child in node.get("children", [])}
        roots = [i for i in range(len(self.nodes)) if i not in children]
        if self.document.header.get("scenes"):
            roots = self.document.item("scenes", natural(self.document.header, "scene")).get("nodes", [])
        world: dict[int, np.ndarray] = {}
        waiting = [(root, np.eye(4)) for root in reversed(roots)]
        while waiting:
            index, parent = waiting.pop()
            node = self.document.item("nodes", index)
            if index in world:
                raise MeshError("the scene's nodes are not a tree. Export the mesh again.")
            world[index] = parent @ _local_transform(node)  # [4, 4]
            waiting += [(child, world[index]) for child in reversed(node.get("children", []))]
        if self.nodes and not roots and not self.document.header.get("scenes"):
            raise MeshError("the scene's nodes are not a tree. Export the mesh again.")
        return world

    def _instances(self, node: dict[str, Any], transform: np.ndarray) -> list[np.ndarray]:
        """World transforms [4, 4] of the node's mesh: its own, or one for each of its instances."""
        named = node.get("extensions", {}).get(INSTANCING, {}).get("attributes", {})
        if not named:
            return [transform]
        counts = {natural(self.document.item("accessors", index), "count") for index in named.values()}
        if len(counts) > 1:
            raise MeshError("its instances have more of one attribute than of another. Export the mesh again.")
        count = counts.pop()
        self.document.count(PRIMITIVE * count)
        kinds = {"TRANSLATION": "VEC3", "ROTATION": "VEC4", "SCALE": "VEC3"}
        given = [name for name in kinds if name in named]
        rows = zip(*(self.document.accessor(named[name], kinds[name]).tolist() for name in given), strict=True)
        own = [_local_transform(dict(zip(map(str.lower, given), row, strict=True))) for row in rows]  # [4, 4] each
        return [transform @ each for each in own or [np.eye(4)] * count]

    def _skinned(
        self, points: np.ndarray, attributes: dict[str, int], skin: int, world: dict[int, np.ndarray]
    ) -> np.ndarray:
        """World positions of a skinned primitive's points [V, 3]: its joints place it, not its own node. [V, 3]"""
        info = self.document.item("skins", skin)
        self.document.count(len(info["joints"]))
        pose = np.stack([world.get(joint, np.eye(4)) for joint in info["joints"]])  # [J, 4, 4]
        if "inverseBindMatrices" in info:
            inverse = self.document.accessor(info["inverseBindMatrices"], "MAT4")  # [J or more, 16]
            if len(inverse) < len(pose):
                raise MeshError("its skin has more joints than matrices. Export the mesh again.")
            pose = pose @ inverse[: len(pose)].reshape(-1, 4, 4).transpose(0, 2, 1)  # [J, 4, 4]
        local = np.concatenate([points, np.ones((len(points), 1))], axis=1)  # [V, 4]
        placed, total = np.zeros((len(points), 4)), np.zeros((len(points), 1))  # [V, 4], [V, 1]
        for k in range(sum(name.startswith("JOINTS_") for name in attributes)):
            wrong = "a vertex names a joint that its skin does not have"
            chosen = self.document.indices(attributes.get(f"JOINTS_{k}"), "VEC4", len(pose), wrong)  # [V, 4]
            weights = self.document.accessor(attributes.get(f"WEIGHTS_{k}"), "VEC4")  # [V, 4]
            if not len(chosen) == len(weights) == len(points):
                raise MeshError("its skin has more or fewer joints than vertices. Export the mesh again.")
            for corner in range(4):
                placed += weights[:, corner, None] * np.einsum("vij,vj->vi", pose[chosen[:, corner]], local)
            total += weights.sum(axis=1, keepdims=True)
        return np.where(total > 0, placed[:, :3] / np.where(total > 0, total, 1.0), points)


def _local_transform(node: dict[str, Any]) -> np.ndarray:
    """Read a node's own transform: a matrix, or translation, rotation (quaternion x y z w) and scale. [4, 4]"""
    if "matrix" in node:
        return vector(node, "matrix", (0.0,) * 16).reshape(4, 4).T  # [4, 4] the file has columns
    x, y, z, w = vector(node, "rotation", (0, 0, 0, 1))
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )  # [3, 3]
    transform = np.eye(4)  # [4, 4]
    transform[:3, :3] = turn * vector(node, "scale", (1, 1, 1))
    transform[:3, 3] = vector(node, "translation", (0, 0, 0))
    return transform
