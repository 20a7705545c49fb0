"""Measure a proxy: concavity and thickness become the conductances of its edges, cluster by cluster."""

import numpy as np
import scipy.sparse as sp

from ..geometry.frame import principal_axes
from ..geometry.sparse_lu import Factor
from ..render.embree import EmbreeRasterizer
from .assembly import Assembly
from .facets import find_facets
from .laplacian import cotangent_graph, laplacian, unit
from .orientation import orient
from .shape_diameter import shape_diameter
from .shells import find_shells
from .surface import LEAST_MASS, Surface

NORMAL_RADIUS = 0.01  # smoothing radius of the normals, in the root of the shell's area
CONCAVITY_SCALE = 0.01  # bending per smoothing radius that damps a weight by 1/e
THICKNESS_RADIUS = 0.02  # smoothing radius of the log thickness, in the root of the shell's area
THICKNESS_SCALE = 0.025  # change of log thickness per smoothing radius that damps a weight by 1/e
WEIGHT_FLOOR = 1e-3  # what remains of a fully damped weight
LABEL_DAMPING = 0.03  # factor of the weight of an edge between vertices of different labels
CONTACT = 0.02  # conductance of a contact between two shells; its length is that of a median edge
LONGEST = 8.0  # extent of a shell in its own frame, at most: one of hardly any area can be long
APART = 2 * LONGEST  # between the shells' frames: a ray that meets another shell has gone farther than one is long


def measure(vertices: np.ndarray, faces: np.ndarray, labels: np.ndarray | None = None) -> Assembly:
    """Measure the surfaces of a welded mesh, one for each cluster of touching shells.

    vertices [P, 3], faces [G, 3] without degenerate or duplicate faces; every vertex may be isolated. labels [P]:
    what the mesh itself says of each; their borders are cheap. Each shell is measured as if it were alone and of unit
    area, so that nothing beside it changes how it falls into parts.
    """
    shells = find_shells(vertices, faces)
    edges, weights, area = _measure_shells(vertices, faces, shells.labels)  # [E, 2], [E], [P]
    if labels is not None:
        weights[labels[edges[:, 0]] != labels[edges[:, 1]]] *= LABEL_DAMPING
    span = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)  # [E]
    facets = find_facets(vertices, faces)  # [P]
    surfaces: list[Surface] = []
    members = [np.flatnonzero(shells.clusters == k) for k in range(int(shells.clusters.max()) + 1)]
    rank = np.empty(len(vertices), dtype=np.int64)  # [P]
    for ids in members:
        rank[ids] = np.arange(len(ids))
    of_edge, of_contact = shells.clusters[edges[:, 0]], shells.clusters[shells.contacts[:, 0]]  # [E], [C]
    for k, ids in enumerate(members):
        total = float(area[ids].sum())
        size = np.sqrt(total) if total > 0 else 1.0  # R
        inside = of_edge == k  # [E]
        lengths = np.maximum(span[inside] / size, 1e-12)  # [e]
        contacts = rank[shells.contacts[of_contact == k]].astype(np.int32)  # [c, 2]
        surfaces.append(
            Surface(
                vertices[ids],
                rank[edges[inside]].astype(np.int32),
                weights[inside],
                lengths,
                area[ids] / total if total > 0 else np.full(len(ids), 1 / len(ids)),
                total,
                contacts,
                np.full(len(contacts), CONTACT),
                np.full(len(contacts), np.median(lengths) if len(contacts) else 1.0),
                facets[ids],
            )
        )
    return Assembly(shells.clusters, tuple(surfaces))


def _measure_shells(
    vertices: np.ndarray, faces: np.ndarray, shells: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges [E, 2] int32 of all shells [P], their damped conductances [E], and the area at each vertex [P]."""
    if len(faces) == 0:
        return np.zeros((0, 2), np.int32), np.zeros(0), np.zeros(len(vertices))
    moved, scale = _own_frames(vertices, faces, shells)  # [P, 3], [P]
    rasterizer = EmbreeRasterizer(moved, faces)
    faces = orient(moved, faces, rasterizer)  # [G, 3]
    edges, cotangents, area, face_normals = cotangent_graph(moved, faces)  # [E, 2], [E], [P], [G, 3]
    span = moved[edges[:, 1]] - moved[edges[:, 0]]  # [E, 3]
    length = np.maximum(np.linalg.norm(span, axis=1), 1e-12)  # [E]
    plain = laplacian(edges, cotangents, len(moved))  # [P, P]
    area_matrix = sp.diags(np.maximum(area, LEAST_MASS))  # [P, P]

    def smooth(values: np.ndarray, radius: float) -> np.ndarray:
        """Smooth values [P, ...] by one implicit step of diffusion: a screened Poisson equation."""
        return Factor(area_matrix + radius**2 * plain).solve(area_matrix @ values)

    normals = np.zeros_like(moved)  # [P, 3]
    for corner in range(3):
        np.add.at(normals, faces[:, corner], face_normals)
    normals = unit(smooth(unit(normals), NORMAL_RADIUS))  # [P, 3]
    turn = normals[edges[:, 1]] - normals[edges[:, 0]]  # [E, 3]
    # With outward normals they turn towards each other over a valley: the product is negative there.
    concavity = np.maximum(0, -(span * turn).sum(axis=1) / length**2) * NORMAL_RADIUS  # [E]

    thickness = np.log(np.maximum(shape_diameter(moved, normals, shells, LONGEST, rasterizer), 1e-3))  # [P]
    thickness = smooth(thickness, THICKNESS_RADIUS)  # [P]
    change = np.abs(thickness[edges[:, 1]] - thickness[edges[:, 0]]) / length * THICKNESS_RADIUS  # [E]

    damping = np.exp(-concavity / CONCAVITY_SCALE - change / THICKNESS_SCALE) + WEIGHT_FLOOR  # [E]
    return edges, cotangents * damping, area / scale**2


def _own_frames(vertices: np.ndarray, faces: np.ndarray, shells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn each shell [P] to its axes, scale it to unit area, lay them out side by side: vertices [P, 3], scale [P]."""
    count = int(shells.max()) + 1
    a, b, c = (vertices[faces[:, k]] for k in range(3))  # [G, 3] each
    area = np.bincount(shells[faces[:, 0]], np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2, count)  # [S]
    side = int(np.ceil(count ** (1 / 3)))
    moved, scale = np.empty_like(vertices), np.empty(len(vertices))  # [P, 3], [P]
    order = np.argsort(shells, kind="stable")  # [P]
    for shell, members in enumerate(np.split(order, np.cumsum(np.bincount(shells, minlength=count))[:-1])):
        turned = vertices[members] @ principal_axes(vertices[members]).T  # [n, 3]
        low, high = turned.min(axis=0), turned.max(axis=0)  # [3] each
        size = max(float(np.sqrt(area[shell])), float((high - low).max()) / LONGEST, 1e-9)  # a lone vertex has none
        place = APART * np.array(np.unravel_index(shell, (side,) * 3))  # [3]
        moved[members], scale[members] = (turned - (low + high) / 2) / size + place, 1 / size
    return moved, scale
