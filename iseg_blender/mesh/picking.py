"""Picking of the vertex that the cursor points at: pure functions on arrays, numpy only.

Everything happens in screen space, so scaled, mirrored and parented objects need no case of their own, and no ray can
slip between two faces. Of a large mesh only the parts near the cursor are projected.
"""

from typing import NamedTuple

import numpy as np

REACH = 12.0  # pixels around the cursor in which a vertex is picked where no face is under the cursor
CLOSE = 1e-6  # fraction of the depth: a smaller difference counts as the same depth
EDGE = 1e-6  # tolerance of the barycentric coordinates: a cursor this little outside a triangle is on its edge
BLOCK = 256  # consecutive faces, or vertices, that share an AABB: they mostly lie close together
STRETCH = 256 * BLOCK  # faces at a time, so that numpy never blocks other threads for long


class Solid(NamedTuple):
    """Mesh with the AABBs of its blocks of vertices and faces."""

    points: np.ndarray  # [V, 3] float32
    faces: np.ndarray  # [F, 3] int32
    point_boxes: np.ndarray  # [B, 2, 3] float32: least and greatest coordinates of each block of vertices
    face_boxes: np.ndarray  # [C, 2, 3] float32: the same of each block of faces


def solid(points: np.ndarray, faces: np.ndarray) -> Solid:
    """Compute AABBs of blocks of vertices [V, 3] and faces [F, 3]: some 100 ms for a million vertices."""
    around = [np.zeros((0, 2, 3), np.float32)]  # of [C', 2, 3]
    for begin in range(0, len(faces), STRETCH):
        a, b, c = (points[faces[begin : begin + STRETCH, k]] for k in range(3))  # 3 x [F', 3]
        around.append(boxes(np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)))
    return Solid(points, faces, boxes(points, points), np.concatenate(around))


def boxes(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """AABBs [B, 2, 3] that each enclose BLOCK consecutive boxes, which reach from low to high [N, 3]."""
    starts = np.arange(0, len(low), BLOCK)  # [B]
    return np.stack([np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)], axis=1)  # [B, 2, 3]


class Near(NamedTuple):
    """Part of a mesh near the cursor, as a mesh of its own."""

    points: np.ndarray  # [N] int: indices of vertices of the whole, unique and ascending; then those of the cut points
    faces: np.ndarray  # [M, 3] int32: indices of these points
    whole: np.ndarray  # [M] int: the face of the whole mesh that each is, or is a piece of
    screen: "Screen"  # projections of these points


def near(
    solid: Solid,
    matrix: np.ndarray,
    width: float,
    height: float,
    cursor: tuple[float, float],
    hidden: np.ndarray | None = None,
) -> Near:
    """Collect and project everything within REACH of the cursor, and some more, without faces in hidden [F] bool.

    A box is culled where it lies wholly outside the pyramid that has its apex in the eye and the square around the
    cursor as its section.
    """
    matrix = np.asarray(matrix, np.float64)  # [4, 4]
    planes = [matrix[3]]  # of [4]: what is in front of the camera is on the positive side
    for row, at, size in zip(matrix[:2], cursor, (width, height), strict=True):
        left, right = (2 * (at + side * (REACH + 1)) / size - 1 for side in (-1, 1))
        planes += [row - left * matrix[3], right * matrix[3] - row]

    def members(boxes: np.ndarray, count: int) -> np.ndarray:
        touched = np.ones(len(boxes), bool)  # [B]
        for plane in planes:
            farthest = boxes[:, (plane[:3] > 0).astype(int), range(3)]  # [B, 3] farthest corner along the normal
            touched &= farthest @ plane[:3] + plane[3] >= 0
        found = (np.flatnonzero(touched)[:, None] * BLOCK + np.arange(BLOCK)).ravel()  # [B' BLOCK]
        return found[found < count]

    found = members(solid.face_boxes, len(solid.faces))  # [M]
    found = found if hidden is None else found[~hidden[found]]  # [M']
    faces = solid.faces[found]  # [M', 3]
    there = np.zeros(len(solid.points), bool)  # [V]
    there[members(solid.point_boxes, len(solid.points))] = True
    there[faces] = True
    points = np.flatnonzero(there)  # [N]
    place = np.empty(len(solid.points), np.int32)  # [V] index among the N points
    place[points] = np.arange(len(points), dtype=np.int32)
    made, stands, faces, rows = cut(solid.points[points].astype(np.float64), place[faces], matrix[2] + matrix[3])
    screen = project(made, matrix, width, height)
    return Near(np.concatenate([points, points[stands]]), faces, found[rows], screen)


def cut(
    points: np.ndarray, faces: np.ndarray, plane: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Clip faces [M, 3] at a plane [4], so that a wall that goes on behind the camera is seen as far as it is in front.

    Returns the points [N, 3] followed by those where edges are cut, together [N', 3]; for each cut point the point in
    front of the plane that it stands for [N' - N]; the faces [M', 3]; and for each the one that it is a piece of [M'].
    Faces wholly behind stay as they are.
    """
    height = points @ plane[:3] + plane[3]  # [N]
    above = height > 0  # [N]
    count = above[faces].sum(axis=1)  # [M]
    whole = np.flatnonzero((count == 0) | (count == 3))  # [M'']
    made, stands, kept, rows = [points], [np.zeros(0, np.int64)], [faces[whole]], [whole]

    def crossing(inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
        """Add a point on each edge from inner [K] to outer [K], a little in front of the plane. Its index. [K]"""
        share = (1 - 1e-6) * height[inner] / (height[inner] - height[outer])  # [K]
        made.append(points[inner] + share[:, None] * (points[outer] - points[inner]))
        stands.append(inner)
        return np.arange(len(inner)) + sum(map(len, made[:-1]))

    for number in (1, 2):
        row = np.flatnonzero(count == number)  # [K]
        mixed = faces[row]  # [K, 3]
        rows += [row] * number
        first = (above[mixed] == (number == 1)).argmax(axis=1)  # [K] corner that is alone on its side
        a, b, c = (mixed[np.arange(len(mixed)), (first + k) % 3] for k in range(3))  # 3 x [K]
        if number == 1:
            kept.append(np.stack([a, crossing(a, b), crossing(a, c)], axis=1))
        else:
            ab, ac = crossing(b, a), crossing(c, a)
            kept += [np.stack([b, c, ab], axis=1), np.stack([c, ac, ab], axis=1)]
    return np.concatenate(made), np.concatenate(stands), np.concatenate(kept).astype(np.int32), np.concatenate(rows)


class Screen(NamedTuple):
    """Vertices projected to the screen."""

    points: np.ndarray  # [V, 2] float64, pixels from the region's bottom left
    depth: np.ndarray  # [V] float64, larger is farther away; linear in screen space
    seen: np.ndarray  # [V] bool: in front of the camera


def project(vertices: np.ndarray, matrix: np.ndarray, width: float, height: float) -> Screen:
    """Project vertices [V, 3] by `matrix` [4, 4] (perspective @ view @ world) to a region of width x height pixels."""
    matrix = np.asarray(matrix, np.float64)  # [4, 4]
    clip = matrix[:, :3] @ vertices.T + matrix[:, 3:]  # [4, V]
    w = clip[3]  # [V]
    seen = w > 1e-9  # [V]
    ndc = clip[:3] / np.where(seen, w, 1.0)  # [3, V]
    points = (ndc[:2] + 1) / 2 * [[width], [height]]  # [2, V]
    return Screen(points.T, ndc[2], seen & (np.abs(ndc[2]) <= 1))


def under_cursor(screen: Screen, faces: np.ndarray, cursor: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Find the faces [F, 3] under the cursor, front to back: their indices [H], and their depths there [H]."""
    x, y = cursor
    px, py = screen.points[:, 0], screen.points[:, 1]  # [V], [V]
    # Faces whose bounding box holds the cursor: few of many, at a fraction of the cost of the exact test.
    side = np.where(screen.seen, 0, 16).astype(np.uint8)  # [V] one bit for each side that the vertex is on
    for bit, is_there in enumerate((px <= x + 1, px >= x - 1, py <= y + 1, py >= y - 1)):
        side |= is_there.view(np.uint8) << bit
    around = side[faces[:, 0]]  # [F]
    for corner in (1, 2):
        around |= side[faces[:, corner]]
    found = np.flatnonzero(around == 15)  # [B] also wholly in front of the camera
    a, b, c = (screen.points[faces[found, k]] for k in range(3))  # 3 x [B', 2]
    area = cross(b - a, c - a)  # [B']
    flat = np.abs(area) < 1e-12  # [B'] seen edge-on
    area = np.where(flat, 1.0, area)  # [B']
    p = np.array([x, y])  # [2]
    weights = (
        np.stack([cross(c - b, p - b), cross(a - c, p - c), cross(b - a, p - a)], axis=1) / area[:, None]
    )  # [B', 3] barycentric coordinates
    hit = (weights >= -EDGE).all(axis=1) & ~flat  # [B']
    depths = (weights[hit] * screen.depth[faces[found[hit]]]).sum(axis=1)  # [H]
    order = np.argsort(depths, kind="stable")  # [H]
    return found[hit][order], depths[order]


def cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]


class Meant(NamedTuple):
    """Picked vertex, the face that is seen there, and the depth."""

    point: int
    depth: float  # of the surface or the vertex that is seen there
    face: int | None = None  # under the cursor; None: the cursor is beside the mesh


def meant(screen: Screen, faces: np.ndarray, cursor: tuple[float, float], through: bool = False) -> Meant | None:
    """Find the vertex that the cursor points at; None where there is none.

    It is the nearest corner of the frontmost face under the cursor; beside the mesh, the frontmost of the vertices
    within REACH. through (x-ray): the nearest corner of all faces under the cursor, also of hidden ones.
    """
    hits, depths = under_cursor(screen, faces, cursor)
    if len(hits):
        corners = np.unique(faces[hits] if through else faces[hits[0]])  # [C]
        away = ((screen.points[corners] - cursor) ** 2).sum(axis=1)  # [C]
        return Meant(int(corners[away.argmin()]), float(depths[0]), int(hits[0]))
    distance = np.where(screen.seen, squares(screen, cursor), np.inf)  # [V]
    close = np.flatnonzero(distance <= REACH**2)  # [C]
    if not len(close):
        return None
    if not through:
        best = np.sqrt(distance[close].min())
        close = close[np.sqrt(distance[close]) <= best + 2]  # [C'] all at about the same place on the screen
    point = int(close[(distance if through else screen.depth)[close].argmin()])
    return Meant(point, float(screen.depth[point]))


def weights_at(
    corners: np.ndarray, matrix: np.ndarray, width: float, height: float, cursor: tuple[float, float]
) -> np.ndarray:
    """Barycentric coordinates [3] of the point of a triangle [3, 3] that is seen under the cursor, which is over it.

    They are those whose point is projected there, so corners behind the camera need no case of their own.
    """
    clip = np.asarray(matrix, np.float64) @ np.concatenate([corners.T, np.ones((1, 3))])  # [4, 3]
    x, y = 2 * cursor[0] / width - 1, 2 * cursor[1] / height - 1
    system = np.stack([clip[0] - x * clip[3], clip[1] - y * clip[3], np.ones(3)])  # [3, 3]
    found = np.maximum(np.linalg.solve(system, (0.0, 0.0, 1.0)), 0.0)  # [3]
    return found / found.sum()


def hidden(screen: Screen, faces: np.ndarray, place: tuple[float, float], depth: float, point: int = -1) -> bool:
    """Tell whether what is at a place of the screen, at this depth, is occluded by one of the faces [F, 3].

    point: the vertex that it is, if it is one; faces that have it as a corner do not occlude it.
    """
    hits, depths = under_cursor(screen, faces, place)
    others = (faces[hits] != point).all(axis=1)  # [H]
    return bool((depths[others] < depth - CLOSE).any())


def pick(screen: Screen, faces: np.ndarray, cursor: tuple[float, float], through: bool = False) -> int | None:
    """Find the same vertex as `meant`, without its depth."""
    found = meant(screen, faces, cursor, through)
    return None if found is None else found.point


def squares(screen: Screen, cursor: tuple[float, float]) -> np.ndarray:
    """Squared distances of the vertices to the cursor on the screen. [V]"""
    return ((screen.points - cursor) ** 2).sum(axis=1)
