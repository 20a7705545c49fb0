"""Decimation: fewer vertices, with a map from the old vertices to the new."""

import threading

import numpy as np

from .mesh import equal_rows, has_area
from .vectors import norms

JITTER = 0.05  # of a vertex' shortest edge; see _collapse
PATIENT, EAGER = 4.0, 7.0  # how fast the decimator's error threshold grows
TOLERANCE = 1.02  # a proxy may have this many times the vertices that were asked for
STUCK = 0.8  # a pass that leaves more of the vertices than this, and too many, is not worth its time
_decimator = threading.Lock()


def clean_faces(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Drop faces [F, 3] that have no area, and repetitions whatever their orientation. [G, 3]"""
    faces = faces[has_area(vertices, faces)]  # [G, 3]
    return faces[equal_rows(sorted_corners(faces))[1]]


def sorted_corners(faces: np.ndarray) -> np.ndarray:
    """Corners of each of the faces [F, 3], ascending. [F, 3]"""
    a, b, c = faces.T  # [F] each
    low, high = np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)  # [F] each
    return np.stack([low, a + b + c - low - high, high], axis=1)


def used_vertices(faces: np.ndarray) -> np.ndarray:
    """Vertices that faces [F, 3] name, ascending. [U]"""
    return np.flatnonzero(np.bincount(faces.ravel()))


def decimate(vertices: np.ndarray, faces: np.ndarray, max_vertices: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decimate vertices [W, 3] and faces [F, 3] by quadric error (Garland and Heckbert 1997).

    Returns the vertices where that moved them [W, 3], the faces left [G, 3], the vertex that each collapsed into [W].

    The decimator runs with patience first, with haste where its last error threshold was too small. Where it refuses
    nearly every collapse (needles, which all would turn over), the shortest edges are contracted to get it going again.
    """
    moved, root = vertices.copy(), np.arange(len(vertices))  # [W, 3], [W]
    haste, goal = PATIENT, len(vertices)  # what contraction goes down to
    while (count := len(used := used_vertices(faces))) > TOLERANCE * max_vertices:
        rank = np.empty(len(vertices), dtype=np.int32)  # [W]
        rank[used] = np.arange(count)
        points, local = moved[used], rank[faces]  # [U, 3], [G, 3]
        face_count = max(len(faces) * max_vertices // count, 1)
        contracts = count > goal
        if contracts:
            placed, parent = _contract(points, local, count - goal)  # [U, 3], [U]
        else:
            placed, parent = _collapse(points, local, face_count, haste)  # [U, 3], [U]
        merged = np.arange(len(vertices))  # [W] those that have lost all faces stay what they are
        merged[used] = used[parent]
        further = moved.copy()  # [W, 3]
        further[used] = placed
        left = clean_faces(further, merged[faces])  # [G, 3]
        if not len(left):
            break  # a few small components: rather too many vertices than no shape at all
        moved, faces, root = further, left, merged[root]  # [W, 3], [G, 3], [W]
        if not contracts and len(faces) > face_count:
            remaining = len(np.unique(parent))
            if haste == EAGER and remaining > STUCK * count:
                goal = int(np.sqrt(remaining * max_vertices))
            haste = EAGER
    return moved, faces, root


def _collapse(points: np.ndarray, faces: np.ndarray, face_count: int, haste: float) -> tuple[np.ndarray, np.ndarray]:
    """Run the decimator once: new positions of the vertices [U, 3], and the vertex that each collapsed into [U].

    Its error says nothing about edges inside flat regions, which it would turn into a few huge triangles and needles:
    no border of a part could cross them. Noise on the positions makes every collapse cost something that grows with
    the edge, so triangles stay even; afterwards each vertex' mean noise is taken off again.
    """
    import fast_simplification

    ends = [points[corner] for corner in faces.T]  # 3 of [G, 3]
    a, b, c = (norms(ends[k] - ends[(k + 1) % 3]) for k in range(3))  # [G] each
    side = np.minimum(np.minimum(a, b), c)  # [G]
    shortest = np.full(len(points), np.inf)  # [U]
    for corner in faces.T:
        np.minimum.at(shortest, corner, side)
    noise = np.random.default_rng(0).normal(size=points.shape) * JITTER * shortest[:, None]  # [U, 3]
    with _decimator:  # it keeps the mesh in global variables
        answer = fast_simplification.simplify(
            points + noise, faces, target_count=face_count, agg=haste, return_collapses=True
        )
    placed, collapses = answer[0], answer[-1]  # [P, 3], [N, 2] (kept, gone), in the order they happened
    parent = np.arange(len(points))  # [U]
    parent[collapses[:, 1]] = collapses[:, 0]
    while not np.array_equal(parent, further := parent[parent]):
        parent = further
    corners = parent[faces]  # [G, 3]
    a, b, c = corners.T  # [G] each
    alive = (a != b) & (b != c) & (c != a)  # [G] two corners in one place: gone
    left = used_vertices(corners[alive])  # [P] the order of the decimator's own vertices
    merged = np.bincount(parent, minlength=len(points))  # [U] how many each one stands for
    mean = np.stack([np.bincount(parent, noise[:, k], len(points)) for k in range(3)], axis=1)  # [U, 3]
    result = points.copy()  # [U, 3]
    result[left] = placed - mean[left] / merged[left, None]
    untouched = merged == 1  # [U]
    result[untouched] = points[untouched]
    return result, parent


def _contract(points: np.ndarray, faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Contract up to `count` edges that are the shortest at both ends, the shortest first; results as of _collapse."""
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)  # [3G, 2]
    edges = edges[equal_rows(edges)[1]]  # [E, 2]
    lengths = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1)  # [E]
    edges = edges[np.argsort(lengths, kind="stable")]  # [E, 2] the shortest first
    best = np.full(len(points), len(edges))  # [U]
    np.minimum.at(best, edges.ravel(), np.repeat(np.arange(len(edges)), 2))
    mutual = edges[(best[edges] == np.arange(len(edges))[:, None]).all(axis=1)][:count]  # [N, 2]
    result, parent = points.copy(), np.arange(len(points))  # [U, 3], [U]
    result[mutual[:, 0]] = points[mutual].mean(axis=1)
    parent[mutual[:, 1]] = mutual[:, 0]
    return result, parent
