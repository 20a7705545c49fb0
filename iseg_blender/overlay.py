"""What is drawn over the mesh: arrays from state (numpy only), and their drawing (view.py draws them)."""

from typing import NamedTuple

import numpy as np

SEGMENTS = 20  # of a dot's rim
LIFT = 2e-3  # of the mesh's size: how far the region lies above the surface


class Overlay(NamedTuple):
    """Everything that is drawn, in the object's own space."""

    region: np.ndarray  # [T, 3, 3] float32: triangles of the part, a little above the surface
    include: np.ndarray  # [I, 3] float32: places of the including clicks
    exclude: np.ndarray  # [E, 3] float32


def build(
    vertices: np.ndarray,
    faces: np.ndarray,
    inside: np.ndarray | None,
    clicks: tuple[tuple[int, bool], ...],
) -> Overlay:
    """What to draw for a part. vertices [V, 3], faces [F, 3], inside [V] bool (None: not known yet), its clicks."""
    region = np.zeros((0, 3, 3), np.float32)  # [0, 3, 3]
    if inside is not None:
        triangles = faces[inside[faces].all(axis=1)]  # [T, 3]
        region = lifted(vertices, triangles)  # [T, 3, 3]
    sides = [[vertex for vertex, positive in clicks if positive is side] for side in (True, False)]
    include, exclude = (vertices[np.array(side, np.int64)].astype(np.float32) for side in sides)  # [I, 3], [E, 3]
    return Overlay(region, include, exclude)


def lifted(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Triangles moved along the normals of their vertices, so that they do not flicker with the surface. [T, 3, 3]"""
    if not len(triangles):
        return np.zeros((0, 3, 3), np.float32)  # [0, 3, 3]
    corners = vertices[triangles].astype(np.float64)  # [T, 3, 3]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])  # [T, 3] as long as twice the area
    at = np.stack(
        [np.bincount(triangles.ravel(), np.repeat(normals[:, k], 3), minlength=len(vertices)) for k in range(3)], axis=1
    )  # [V, 3]
    length = np.linalg.norm(at, axis=1, keepdims=True)  # [V, 1]
    at = at / np.where(length > 0, length, 1.0)  # [V, 3]
    size = float(np.ptp(vertices, axis=0).max())
    return (corners + LIFT * size * at[triangles]).astype(np.float32)  # [T, 3, 3]


def discs(places: np.ndarray, matrix: np.ndarray, view: np.ndarray, window: np.ndarray, size: float) -> np.ndarray:
    """Round dots that face the viewer, as triangles in the world. [N, SEGMENTS, 3, 3] float32

    places [N, 3] in the object's space; matrix [4, 4] from there to the world; view [4, 4] from the world to the
    camera; window [4, 4] from the camera to the screen; size: the radius as a fraction of half the region's height.
    """
    world = places @ matrix[:3, :3].T + matrix[:3, 3]  # [N, 3]
    seen = world @ view[:3, :3].T + view[:3, 3]  # [N, 3]
    w = seen @ window[3, :3] + window[3, 3]  # [N] 1 in an orthographic view
    radius = size * np.maximum(w, 0.0) / window[1, 1]  # [N]
    right, up, back = view[:3, :3] / np.linalg.norm(view[:3, :3], axis=1, keepdims=True)  # 3 x [3]
    angle = np.linspace(0, 2 * np.pi, SEGMENTS + 1)  # [S + 1]
    rim = np.cos(angle)[:, None] * right + np.sin(angle)[:, None] * up  # [S + 1, 3]
    centre = world + back * radius[:, None]  # [N, 3] towards the viewer: the surface must not cut it
    corners = centre[:, None] + radius[:, None, None] * rim  # [N, S + 1, 3]
    middle = np.broadcast_to(centre[:, None], corners[:, :-1].shape)  # [N, S, 3]
    return np.stack([middle, corners[:, :-1], corners[:, 1:]], axis=2).astype(np.float32)
