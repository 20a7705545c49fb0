"""Arrays of what is drawn over the mesh, made from the state with numpy only. draw.py draws them."""

from typing import NamedTuple

import numpy as np

from ..core import VertexClicks

SEGMENTS = 20  # of a dot's rim
BIAS = 1e-3  # how far towards the viewer the region lies before the surface, of the distance between them


class Surface(NamedTuple):
    """A mesh as it is seen, in the object's own space."""

    points: np.ndarray  # [S, 3] float32
    triangles: np.ndarray  # [F, 3] int32
    source: np.ndarray | None = None  # [S] the base mesh's vertex that each point belongs to; None: one each, in order
    shown: np.ndarray | None = None  # [V] the point that shows each vertex of the base mesh; None: one each, in order

    def base_vertex(self, point: int) -> int:
        return point if self.source is None else int(self.source[point])

    def point_of(self, vertex: int) -> int:
        """The point that shows a vertex of the base mesh."""
        return vertex if self.shown is None else int(self.shown[vertex])

    def place(self, vertex: int) -> np.ndarray:
        """Where a vertex of the base mesh is seen. [3]"""
        return self.points[self.point_of(vertex)]


class Overlay(NamedTuple):
    """Everything that is drawn."""

    region: np.ndarray  # [T, 3] int32: those triangles of the surface that are in the part
    include: np.ndarray  # [I, 3] float32: places of the including clicks
    exclude: np.ndarray  # [E, 3] float32
    active: np.ndarray  # [A, 3] float32: place of the click that the list has chosen among several, if one is there


def build(surface: Surface, inside: np.ndarray | None, clicks: VertexClicks, active: int | None = None) -> Overlay:
    """What to draw for a part of the base mesh: inside [V] bool (None: not known yet), its clicks, and the vertex of
    the one that the list has chosen.
    """
    triangles = np.zeros((0, 3), np.int32)  # [0, 3]
    if inside is not None:
        seen = inside if surface.source is None else inside[surface.source]  # [S]
        kept = seen[surface.triangles[:, 0]]  # [F]
        for corner in (1, 2):
            kept &= seen[surface.triangles[:, corner]]
        triangles = surface.triangles[kept]  # [T, 3]
    sides = [[surface.place(v) for v, include in clicks if include is side] for side in (True, False)]
    include, exclude = (np.array(side, np.float32).reshape(-1, 3) for side in sides)  # [I, 3], [E, 3]
    chosen = [surface.place(active)] if len(clicks) > 1 and active in dict(clicks) else []
    return Overlay(triangles, include, exclude, np.array(chosen, np.float32).reshape(-1, 3))


def towards_viewer(window: np.ndarray) -> np.ndarray:
    """What moves points of the camera's space a little towards it, so that they do not flicker with the surface that
    they lie on; on the screen they stay where they are. window [4, 4]: from the camera to the screen. [4, 4]
    """
    matrix = np.eye(4)  # [4, 4]
    if window[3, 3] == 0:  # perspective
        matrix[:3, :3] *= 1 - BIAS
    else:
        matrix[2, 3] = BIAS * 2 / window[1, 1]  # of the height that is seen
    return matrix


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
