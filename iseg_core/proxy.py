"""Proxy: the mesh of bounded size on which everything is computed, and the map that carries answers back."""

import threading
from dataclasses import dataclass

import numpy as np

from .errors import SettingsError
from .mesh import Mesh, equal_rows, has_area, weld

JITTER = 0.05  # of a vertex' shortest edge; see _collapse
PATIENT, EAGER = 4.0, 7.0  # how fast the decimator's error threshold grows
TOLERANCE = 1.02  # a proxy may have this many times the vertices that were asked for
STUCK = 0.8  # a pass that leaves more of the vertices than this, and too many, is not worth its time
FEWEST = 4  # a closed surface has no fewer
CHUNK = 1 << 14  # vertices carried at once: what they need stays in the processor's cache
WALK = 8  # steps of a vertex over the proxy's surface towards its closest point; most need one
_decimator = threading.Lock()


@dataclass(frozen=True, eq=False)
class Proxy:
    """A welded, normalised, decimated copy of a mesh. P proxy vertices; V vertices of the user's mesh.

    An answer x [P] is carried to the user's vertices as (carry_weight * x[carry_index]).sum(1)  # [V]
    """

    vertices: np.ndarray  # [P, 3] float64, in the unit sphere
    faces: np.ndarray  # [G, 3] int32, no degenerate and no duplicate faces
    carry_index: np.ndarray  # [V, 3] int32, proxy vertices
    carry_weight: np.ndarray  # [V, 3] float32, >= 0, rows sum to 1

    def carry(self, values: np.ndarray) -> np.ndarray:
        """Carry values [P] to the user's vertices. [V] float32"""
        return np.einsum("vk,vk->v", self.carry_weight, values.astype(np.float32)[self.carry_index])

    @property
    def nearest(self) -> np.ndarray:
        """The proxy vertex that stands for each of the user's vertices. [V] int32"""
        best = self.carry_weight.argmax(axis=1)  # [V]
        return np.take_along_axis(self.carry_index, best[:, None], axis=1)[:, 0]  # [V]


def make_proxy(mesh: Mesh, max_vertices: int) -> Proxy:
    """The proxy of a checked mesh with about `max_vertices` vertices, the same for the same mesh.

    Equal positions are welded; the shape is centred and scaled into the unit sphere; degenerate and duplicate faces
    (of either orientation) are dropped. Up to 1.02 max_vertices that is all, and every vertex is carried from its own.
    A larger mesh is decimated (quadric error, Garland and Heckbert 1997) to at most 1.02 max_vertices, and each vertex
    is carried from the point of the proxy's surface closest to it around where it was collapsed to: always in its own
    shell. A shell that has no face, or none that is left, is one proxy vertex without faces; those come on top.
    Errors: SettingsError for max_vertices under 4.
    """
    if max_vertices < FEWEST:
        raise SettingsError(f"A proxy of {max_vertices} vertices is no shape. Ask for {FEWEST} or more.")
    ids = weld(mesh.vertices)  # [V]
    welded = np.empty((int(ids.max()) + 1, 3))  # [W, 3]
    welded[ids] = mesh.vertices
    links = ids[mesh.faces]  # [F, 3] degenerate faces as well: they too say what is connected
    faces = clean_faces(welded, links)  # [F, 3]
    welded = normalise(welded, faces)  # [W, 3]

    moved, faces, root = _decimate(welded, faces, max_vertices)  # [W, 3], [G, 3], [W]
    kept = used_vertices(faces)  # [P]
    rank = np.full(len(welded), -1)  # [W]
    rank[kept] = np.arange(len(kept))
    vertices, faces = moved[kept], rank[faces]  # [P, 3], [G, 3]
    stand_in = _spread(rank[root], links)  # [W] proxy vertex, -1 in shells without faces
    lone = np.flatnonzero(stand_in < 0)  # [L]
    shell = _shells(lone, links)  # [L]
    stand_in[lone] = len(vertices) + shell
    vertices = np.concatenate([vertices, welded[lone[np.unique(shell, return_index=True)[1]]]])  # [P, 3]

    index, weight = _carry(welded, stand_in, vertices, faces)  # [W, 3], [W, 3]
    # Decimation keeps volumes, not hulls: it may push vertices out of the unit sphere by a little.
    vertices /= max(1.0, float(np.linalg.norm(vertices, axis=1).max()))
    return Proxy(vertices, faces.astype(np.int32), index[ids], weight[ids])


def clean_faces(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Faces [F, 3] without those that have no area and without repetitions, whatever their orientation. [G, 3]"""
    faces = faces[has_area(vertices, faces)]  # [G, 3]
    return faces[equal_rows(np.sort(faces, axis=1))[1]]


def used_vertices(faces: np.ndarray) -> np.ndarray:
    """The vertices that faces [F, 3] name, ascending. [U]"""
    return np.flatnonzero(np.bincount(faces.ravel()))


def normalise(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Vertices [W, 3], the mean of those with faces at the origin and the farthest of those at distance 1. [W, 3]

    (Reference implementation's normalisation.) Vertices without faces do not count; those far away are drawn in.
    """
    used = vertices[used_vertices(faces)]  # [U, 3]
    low, high = used.min(axis=0), used.max(axis=0)  # [3], [3]
    size = (high - low).max()
    # Twice, since the mean of coordinates far from the origin, or of huge ones, is not exact.
    used, placed = (used - low) / size, (np.clip(vertices, low, high) - low) / size  # [U, 3], [W, 3]
    centre = used.mean(axis=0)  # [3]
    placed = (placed - centre) / np.linalg.norm(used - centre, axis=1).max()  # [W, 3]
    return placed / np.maximum(1.0, np.linalg.norm(placed, axis=1, keepdims=True))


def _decimate(vertices: np.ndarray, faces: np.ndarray, max_vertices: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices where decimation moved them [W, 3], faces left [G, 3], and what each vertex was collapsed into [W].

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
            break  # a few small shells: rather too many vertices than no shape at all
        moved, faces, root = further, left, merged[root]  # [W, 3], [G, 3], [W]
        if not contracts and len(faces) > face_count:
            remaining = len(np.unique(parent))
            if haste == EAGER and remaining > STUCK * count:
                goal = int(np.sqrt(remaining * max_vertices))
            haste = EAGER
    return moved, faces, root


def _collapse(points: np.ndarray, faces: np.ndarray, face_count: int, haste: float) -> tuple[np.ndarray, np.ndarray]:
    """One run of the decimator: new positions of the vertices [U, 3], and what each was collapsed into [U].

    Its error says nothing about edges inside flat regions, which it would turn into a few huge triangles and needles:
    no border of a part could cross them. Noise on the positions makes every collapse cost something that grows with
    the edge, so triangles stay even; afterwards each vertex' mean noise is taken off again.
    """
    import fast_simplification

    ends = points[faces]  # [G, 3, 3]
    sides = np.linalg.norm(ends - ends[:, [1, 2, 0]], axis=2)  # [G, 3]
    shortest = np.full(len(points), np.inf)  # [U]
    for corner in faces.T:
        np.minimum.at(shortest, corner, sides.min(axis=1))
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
    alive = (corners != corners[:, [1, 2, 0]]).all(axis=1)  # [G] two corners in one place: gone
    left = used_vertices(corners[alive])  # [P] the order of the decimator's own vertices
    merged = np.bincount(parent, minlength=len(points))  # [U] how many each one stands for
    mean = np.stack([np.bincount(parent, noise[:, k], len(points)) for k in range(3)], axis=1)  # [U, 3]
    result = points.copy()  # [U, 3]
    result[left] = placed - mean[left] / merged[left, None]
    untouched = merged == 1  # [U]
    result[untouched] = points[untouched]
    return result, parent


def _contract(points: np.ndarray, faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """As _collapse, for up to `count` edges that are the shortest at both ends, the shortest of all first."""
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


def _spread(stand_in: np.ndarray, links: np.ndarray) -> np.ndarray:
    """Give vertices without a stand-in (-1) that of a neighbour, as far as their shell has any. [W]"""
    stand_in = stand_in.copy()  # [W]
    open_links = links[(stand_in[links] < 0).any(axis=1)]  # [N, 3]
    while len(open_links):
        known = stand_in[open_links]  # [N, 3]
        offer = np.broadcast_to(known.max(axis=1, keepdims=True), known.shape)  # [N, 3]
        taken = (known < 0) & (offer >= 0)  # [N, 3]
        if not taken.any():
            break
        np.maximum.at(stand_in, open_links[taken], offer[taken])
        open_links = open_links[(stand_in[open_links] < 0).any(axis=1)]  # [N, 3]
    return stand_in


def _shells(members: np.ndarray, links: np.ndarray) -> np.ndarray:
    """Connected component of each of the vertices [L], which no link joins to any other vertex. [L]"""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    inside = links[np.isin(links[:, 0], members)]  # [N, 3]
    pairs = np.searchsorted(members, inside[:, [0, 1, 1, 2]].reshape(-1, 2))  # [2N, 2] members ascend
    graph = coo_matrix((np.ones(len(pairs), dtype=np.int8), pairs.T), shape=(len(members),) * 2)
    return connected_components(graph, directed=False)[1]


def _carry(
    points: np.ndarray, stand_in: np.ndarray, vertices: np.ndarray, faces: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The proxy vertices [W, 3] int32 and weights [W, 3] float32 of the surface point nearest to each point [W, 3].

    The search walks over the surface from the vertex that stands in for the point [W]: the closest point on the faces
    around it, then on the faces around the corner nearest to that, as long as this comes closer. So it stays in the
    shell and on its side of a thin part, however near another surface may be.
    """
    index = np.repeat(stand_in[:, None], 3, axis=1).astype(np.int32)  # [W, 3]
    weight = np.zeros((len(points), 3), dtype=np.float32)  # [W, 3]
    weight[:, 0] = 1.0
    fan = _Fans(vertices, faces)
    away = (points != vertices[stand_in]).any(axis=1) & (fan.counts[stand_in] > 0)  # [W]
    todo = np.flatnonzero(away)  # [N]
    for chunk in np.split(todo, range(CHUNK, len(todo), CHUNK)):
        at, best = stand_in[chunk], np.full(len(chunk), np.inf)  # [n], [n]
        walking = np.arange(len(chunk))  # [n]
        for _ in range(WALK):
            distance, corners, bary = fan.closest(points[chunk[walking]], at[walking])  # [m], [m, 3], [m, 3]
            closer = distance < best[walking]  # [m]
            walking, corners, bary = walking[closer], corners[closer], bary[closer]  # [m], [m, 3], [m, 3]
            best[walking] = distance[closer]
            index[chunk[walking]], weight[chunk[walking]] = corners, bary
            nearest = corners[np.arange(len(corners)), bary.argmax(axis=1)]  # [m]
            walking, nearest = walking[nearest != at[walking]], nearest[nearest != at[walking]]  # [m], [m]
            at[walking] = nearest
            if not len(walking):
                break
    return index, weight


class _Fans:
    """The faces around each vertex of a mesh, ready for closest points."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray):
        self.faces = faces  # [G, 3]
        self.counts = np.bincount(faces.ravel(), minlength=len(vertices))  # [P] faces at each vertex
        self.starts = np.cumsum(self.counts) - self.counts  # [P]
        self.members = np.argsort(faces.ravel(), kind="stable") // 3  # [3G] faces, sorted by vertex
        self.origin = vertices[faces[:, 0]]  # [G, 3]
        self.e1, self.e2 = vertices[faces[:, 1]] - self.origin, vertices[faces[:, 2]] - self.origin  # [G, 3] each
        dots = [np.einsum("gk,gk->g", a, b) for a, b in ((self.e1, self.e1), (self.e1, self.e2), (self.e2, self.e2))]
        self.gram = np.stack(dots, axis=1)  # [G, 3] e1.e1, e1.e2, e2.e2

    def closest(self, points: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Squared distance [N], corners [N, 3] and barycentrics [N, 3] of the point closest to each of points [N, 3]
        on the faces around vertex `at` [N], which has at least one."""
        counts = self.counts[at]  # [N]
        begin = np.cumsum(counts) - counts  # [N]
        offset = np.arange(counts.sum()) - np.repeat(begin - self.starts[at], counts)  # [M]
        face = self.members[offset]  # [M]
        distance, second, third = self._project(np.repeat(points, counts, axis=0) - self.origin[face], face)  # [M] each
        least = np.minimum.reduceat(distance, begin) if len(begin) else distance  # [N]
        hits = np.flatnonzero(distance == np.repeat(least, counts))  # [H] more than one where faces share the point
        owner = np.repeat(np.arange(len(at)), counts)[hits]  # [H]
        first = hits[np.unique(owner, return_index=True)[1]]  # [N]
        bary = np.stack([1.0 - second[first] - third[first], second[first], third[first]], axis=1)  # [N, 3]
        return least, self.faces[face[first]], np.maximum(bary, 0.0)

    def _project(self, offset: np.ndarray, face: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Squared distance [M] to a face, and the weights of its second and third corner [M] at the closest point.

        offset [M, 3]: from the face's first corner to the point.
        """
        a, b, c = self.gram.T[:, face]  # [M] each
        e1, e2 = self.e1[face], self.e2[face]  # [M, 3], [M, 3]
        p, q = np.einsum("mk,mk->m", offset, e1), np.einsum("mk,mk->m", offset, e2)  # [M], [M]
        area = np.maximum(a * c - b * b, np.finfo(np.float64).tiny)  # [M]
        u, v = (c * p - b * q) / area, (a * q - b * p) / area  # [M], [M] on the face's plane
        out = np.flatnonzero((u < 0) | (v < 0) | (u + v > 1))  # [N] there the closest point lies on an edge
        a, b, c, p, q = (x[out] for x in (a, b, c, p, q))  # [N] each
        first, last = np.clip(p / a, 0, 1), np.clip(q / c, 0, 1)  # [N], [N] along the edges from the first corner
        across = np.clip((a - b - p + q) / (a + c - 2 * b), 0, 1)  # [N] along the edge between the others
        zero = np.zeros_like(first)  # [N]
        edge = np.array([(first, zero), (zero, last), (1 - across, across)])  # [3, 2, N]
        s, t = edge[:, 0], edge[:, 1]  # [3, N], [3, N]
        distance = s * s * a + 2 * s * t * b + t * t * c - 2 * (s * p + t * q)  # [3, N] squared, less |offset|^2
        pick = distance.argmin(axis=0), np.arange(len(out))  # [N], [N]
        u[out], v[out] = s[pick], t[pick]
        # Taken from the vector: the difference above is exact to the points' size only.
        vector = offset - u[:, None] * e1 - v[:, None] * e2  # [M, 3]
        return np.einsum("mk,mk->m", vector, vector), u, v
