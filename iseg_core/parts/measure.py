"""Measure a surface: concavity and thickness become the conductances of its edges."""

import numpy as np
import scipy.sparse as sp

from ..geometry.sparse_lu import Factor
from ..render.embree import EmbreeRasterizer
from .laplacian import cotangent_graph, laplacian, unit
from .orientation import orient
from .shape_diameter import shape_diameter
from .surface import LEAST_MASS, Surface

NORMAL_RADIUS = 0.01  # smoothing radius of the normals, in R
CONCAVITY_SCALE = 0.01  # bending per smoothing radius that damps a weight by 1/e
THICKNESS_RADIUS = 0.02  # smoothing radius of the log thickness, in R
THICKNESS_SCALE = 0.025  # change of log thickness per smoothing radius that damps a weight by 1/e
WEIGHT_FLOOR = 1e-3  # what remains of a fully damped weight


def measure_surface(vertices: np.ndarray, faces: np.ndarray) -> Surface:
    """Measure concavity and thickness of a welded mesh: the Surface whose conductances are damped by them.

    vertices [P, 3], faces [G, 3] without degenerate or duplicate faces; every vertex may be isolated.
    """
    if len(faces) == 0:
        empty = np.zeros(0)
        mass = np.full(len(vertices), 1 / max(len(vertices), 1))  # [P]
        return Surface(vertices, np.zeros((0, 2), np.int32), empty, empty, mass, 1.0)
    rasterizer = EmbreeRasterizer(vertices, faces)
    faces = orient(vertices, faces, rasterizer)  # [G, 3]
    edges, cotangents, vertex_area, face_normals = cotangent_graph(vertices, faces)
    total = vertex_area.sum()
    size = np.sqrt(total)  # R
    span = vertices[edges[:, 1]] - vertices[edges[:, 0]]  # [E, 3]
    length = np.maximum(np.linalg.norm(span, axis=1), 1e-12 * size)  # [E]
    plain = laplacian(edges, cotangents, len(vertices))  # [P, P]
    area_matrix = sp.diags(np.maximum(vertex_area, LEAST_MASS * total))  # [P, P]

    def smooth(values: np.ndarray, radius: float) -> np.ndarray:
        """Smooth values [P, ...] by one implicit step of diffusion: a screened Poisson equation."""
        return Factor(area_matrix + (radius * size) ** 2 * plain).solve(area_matrix @ values)

    normals = np.zeros_like(vertices)  # [P, 3]
    for corner in range(3):
        np.add.at(normals, faces[:, corner], face_normals)
    normals = unit(smooth(unit(normals), NORMAL_RADIUS))  # [P, 3]
    turn = normals[edges[:, 1]] - normals[edges[:, 0]]  # [E, 3]
    # With outward normals they turn towards each other over a valley: the product is negative there.
    concavity = np.maximum(0, -(span * turn).sum(axis=1) / length**2) * NORMAL_RADIUS * size  # [E]

    thickness = np.log(np.maximum(shape_diameter(vertices, normals, size, rasterizer), 1e-3 * size) / size)  # [P]
    thickness = smooth(thickness, THICKNESS_RADIUS)  # [P]
    change = np.abs(thickness[edges[:, 1]] - thickness[edges[:, 0]]) / length * THICKNESS_RADIUS * size  # [E]

    damping = np.exp(-concavity / CONCAVITY_SCALE - change / THICKNESS_SCALE) + WEIGHT_FLOOR  # [E]
    return Surface(vertices, edges, cotangents * damping, length / size, vertex_area / total, float(total))
