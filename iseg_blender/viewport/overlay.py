"""Arrays of the overlay on the mesh, computed from the state, numpy only. draw.py draws them."""

from typing import NamedTuple

import numpy as np

from ..core import Clicks, Prompt, SurfacePoint
from ..mesh import points as surface_points

SEGMENTS = 20  # line segments of a dot's rim
BIAS = 1e-3  # offset of the region from the surface towards the viewer, as a fraction of the viewing distance


class Base(NamedTuple):
    """Base mesh of a surface that modifiers have made, and where on it the surface's points come from."""

    vertices: np.ndarray  # [V, 3] float32
    faces: np.ndarray  # [T, 3] int32: triangles
    polygons: np.ndarray | None  # [T] polygon of each triangle; None: the identity
    rest: np.ndarray  # [S, 3] float64: position on the base mesh of each point of the surface

    def triangles_of(self, polygon: int) -> np.ndarray:
        """Triangles of a polygon. [n]"""
        return np.array([polygon]) if self.polygons is None else np.flatnonzero(self.polygons == polygon)  # [n]


class Surface(NamedTuple):
    """Mesh as it is displayed, in the object's own space."""

    points: np.ndarray  # [S, 3] float32
    triangles: np.ndarray  # [F, 3] int32
    source: np.ndarray | None = None  # [S] base-mesh vertex of each point; None: the identity
    shown: np.ndarray | None = None  # [V] point that shows each base-mesh vertex; None: the identity
    polygons: np.ndarray | None = None  # [F] base-mesh polygon that each triangle shows; None: the identity

    base: Base | None = None  # None: the triangles are those of the base mesh

    def base_point(self, point: SurfacePoint) -> SurfacePoint:
        """Find the point of the base mesh that a point of this surface shows."""
        if self.base is None or self.polygons is None:
            return point
        base = self.base
        place = surface_points.place_of(point, base.rest, self.triangles)  # [3]
        own = base.triangles_of(int(self.polygons[point.face]))  # [n]
        index, weights, _ = surface_points.nearest(base.vertices[base.faces[own]], place)
        return surface_points.surface_point(int(own[index]), weights)

    def base_vertex(self, point: int) -> int:
        return point if self.source is None else int(self.source[point])

    def point_of(self, vertex: int) -> int:
        """Index of the point that shows a vertex of the base mesh."""
        return vertex if self.shown is None else int(self.shown[vertex])

    def place(self, prompt: Prompt) -> np.ndarray:
        """Position where a vertex or a point of the base mesh is shown. [3]"""
        if not isinstance(prompt, SurfacePoint):
            return self.points[self.point_of(prompt)]
        if self.base is None or self.polygons is None:
            return surface_points.place_of(prompt, self.points, self.triangles)
        base = self.base
        polygon = prompt.face if base.polygons is None else int(base.polygons[prompt.face])
        shown = self.triangles[self.polygons == polygon]  # [n, 3]
        if not len(shown):  # modifiers have removed it
            corner = prompt.barycentric.index(max(prompt.barycentric))
            return self.points[self.point_of(int(base.faces[prompt.face, corner]))]
        place = surface_points.place_of(prompt, base.vertices, base.faces)  # [3]
        index, weights, _ = surface_points.nearest(base.rest[shown], place)
        return weights @ self.points[shown[index]]


class Overlay(NamedTuple):
    """Arrays of everything that is drawn."""

    region: np.ndarray  # [T, 3] int32: triangles of the surface that are in the part
    include: np.ndarray  # [I, 3] float32: positions of the including clicks
    exclude: np.ndarray  # [E, 3] float32: positions of the excluding clicks
    active: np.ndarray  # [A, 3] float32: position of the click chosen in the list, if there are several


def build(surface: Surface, inside: np.ndarray | None, clicks: Clicks, active: Prompt | None = None) -> Overlay:
    """Build the overlay of a part of the base mesh.

    inside: the part's polygons [P] bool, None while it is unknown. active: what the click chosen in the list is on.
    """
    triangles = np.zeros((0, 3), np.int32)  # [0, 3]
    if inside is not None:
        triangles = surface.triangles[inside if surface.polygons is None else inside[surface.polygons]]  # [T, 3]
    sides = [[surface.place(prompt) for prompt, include in clicks if include is side] for side in (True, False)]
    include, exclude = (np.array(side, np.float32).reshape(-1, 3) for side in sides)  # [I, 3], [E, 3]
    chosen = [surface.place(active)] if len(clicks) > 1 and active in dict(clicks) else []
    return Overlay(triangles, include, exclude, np.array(chosen, np.float32).reshape(-1, 3))


def towards_viewer(window: np.ndarray) -> np.ndarray:
    """Matrix [4, 4] that moves points in camera space a little towards the camera, to prevent z-fighting.

    Their positions on the screen do not change. window [4, 4]: from the camera to the screen.
    """
    matrix = np.eye(4)  # [4, 4]
    if window[3, 3] == 0:  # perspective
        matrix[:3, :3] *= 1 - BIAS
    else:
        matrix[2, 3] = BIAS * 2 / window[1, 1]  # BIAS times the visible height
    return matrix


def discs(places: np.ndarray, matrix: np.ndarray, view: np.ndarray, window: np.ndarray, size: float) -> np.ndarray:
    """Discs that face the viewer, as triangles in world space. [N, SEGMENTS, 3, 3] float32

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
