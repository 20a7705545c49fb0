"""Proxy: the mesh of bounded size on which everything is computed, and the map that carries answers back."""

from dataclasses import dataclass, field, replace

import numpy as np

from ..errors import SettingsError
from .chunks import in_chunks
from .closest_point import Fans
from .decimate import clean_faces, decimate, used_vertices
from .frame import principal_axes
from .islands import ShellAreas, components, connected_shells, find_islands, measure_shells
from .labels import join_marks, vertex_labels
from .mesh import Mesh, equal_rows, has_area, weld
from .polygon_fans import fan_polygons
from .refine import refine
from .samples import FaceSamples, sample_faces
from .seams import close_seams
from .thin import NONE, thin
from .vectors import cross, dots, norms

FEWEST = 4  # a closed surface has no fewer
EVEN = 0.8  # of the vertices asked for: so many even samples the surface has at least
LONGEST = 1.8  # longest side of a face, against that of the square a sample stands for
MOST_PIECES = 8  # of a shell for each of its samples: needles, which have no area, would be cut without end
LEAST_SHARE = 1 / 32  # of the samples that a shell may ask for so
NEEDLE = np.log2(3)  # a needle n times as long as asked becomes about n to this power: three pieces, each half as long
GRID = 2.0**30  # positions are rounded to so many steps of a shape's size
DENSE = 100_000  # welded vertices from which on a mesh may be thinned before it is decimated,
DENSER = 20  # and of those asked for
SOME = 8  # of so many vertices one tells the axes of a dense mesh
CELL = 1 / 3  # of the distance of a shell's samples: width of the cells that it is thinned with,
SMALL_SHELL = 1 / 6  # and of the root of its area, at most
WALK = 8  # steps of a vertex over the proxy's surface towards its closest point; most need one


@dataclass(frozen=True, eq=False)
class Proxy:
    """Welded, normalised, refined and decimated copy of a mesh. P proxy vertices; V vertices of the user's mesh.

    An answer x [P] is carried to the user's vertices as (carry_weight * x[carry_index]).sum(1)  # [V]
    """

    vertices: np.ndarray  # [P, 3] float64, in the unit sphere
    faces: np.ndarray  # [G, 3] int32, no degenerate and no duplicate faces
    carry_index: np.ndarray  # [V, 3] int32, proxy vertices
    carry_weight: np.ndarray  # [V, 3] float32, >= 0, rows sum to 1
    samples: FaceSamples = field(default_factory=FaceSamples.none)  # of the user's faces that refinement cut
    labels: np.ndarray | None = None  # [P] int32, what no mark parts is equal; None in a mesh without, and from a file

    def carry(self, values: np.ndarray) -> np.ndarray:
        """Carry values [P] to the user's vertices. [V] float32"""
        values, carried = values.astype(np.float32), np.empty(len(self.carry_index), np.float32)  # [P], [V]

        def work(rows: slice) -> None:
            index, weight = self.carry_index[rows].T, self.carry_weight[rows].T  # [3, n] each
            carried[rows] = weight[0] * values[index[0]] + weight[1] * values[index[1]] + weight[2] * values[index[2]]

        in_chunks(work, len(carried))
        return carried

    @property
    def nearest(self) -> np.ndarray:
        """Proxy vertex that stands for each of the user's vertices. [V] int32"""
        best = self.carry_weight.argmax(axis=1)  # [V]
        return np.take_along_axis(self.carry_index, best[:, None], axis=1)[:, 0]  # [V]

    def place(self, vertices: np.ndarray) -> np.ndarray:
        """Place on the proxy of some of the user's vertices [...]. [..., 3]"""
        weight = self.carry_weight[vertices].astype(np.float64)  # [..., 3]
        return np.einsum("...k,...kj->...j", weight, self.vertices[self.carry_index[vertices]])

    def nearest_to(self, vertex: int) -> int:
        """Proxy vertex that stands for one of the user's vertices."""
        return int(self.carry_index[vertex, self.carry_weight[vertex].argmax()])


def make_proxy(mesh: Mesh, max_vertices: int) -> Proxy:
    """Make the proxy of a checked mesh with about `max_vertices` vertices, the same for the same mesh.

    Equal positions are welded, and borders that differ by rounding; the shape is centred and scaled into the unit
    sphere; degenerate and duplicate faces (of either orientation) are dropped. Big faces are cut until their samples
    are as dense as max_vertices allow. Up to 1.02 max_vertices that is all, and every vertex is carried from its own.
    A larger mesh is decimated (quadric error, Garland and Heckbert 1997) to at most 1.02 max_vertices, a dense one
    after it was thinned (thin.py), and each vertex is carried from the point of the proxy's surface closest to it
    around where it was collapsed to: always on its own connected component. A component that has no face, or none that
    is left, is one proxy vertex without faces; those come on top. Raises SettingsError for max_vertices under 4.
    """
    if max_vertices < FEWEST:
        raise SettingsError(f"A proxy of {max_vertices} vertices is no shape. Ask for {FEWEST} or more.")
    ids = weld(mesh.vertices)  # [V]
    welded = _positions(mesh.vertices, ids)  # [W, 3]
    links = ids[mesh.faces]  # [F, 3]
    closed = close_seams(welded, links)  # [W]
    if closed.max() + 1 < len(welded):
        ids, links = closed[ids], closed[links]  # [V], [F, 3]
        welded = _positions(mesh.vertices, ids)  # [W, 3]
    welded = normalise(welded, links[has_area(welded, links)])  # [W, 3]
    groups = np.arange(len(links)) if mesh.polygons is None else mesh.polygons  # [F]
    marked = None if mesh.marked_edges is None else ids[mesh.marked_edges]  # [N, 2]
    labels = join_marks(links, mesh.labels, marked)  # [F]
    shells = measure_shells(welded, links)
    island, counts = find_islands(welded, links, shells, max_vertices)  # [W], [K]
    if len(counts) == 1:
        counts = np.array([max_vertices])  # [1]
    if len(welded) > max(DENSE, DENSER * max_vertices):
        part = _thinned(welded, links, groups, labels, shells, (island, counts))
    else:
        part = _unite(welded, links, groups, labels, island, counts)
    # Decimation keeps volumes, not hulls: it may push vertices out of the unit sphere by a little.
    vertices = part.vertices / max(1.0, float(norms(part.vertices).max()))  # [P, 3]
    return replace(
        part,
        vertices=vertices,
        faces=part.faces.astype(np.int32),
        carry_index=part.carry_index[ids],
        carry_weight=part.carry_weight[ids],
    )


def _thinned(
    welded: np.ndarray,
    links: np.ndarray,
    groups: np.ndarray,
    labels: np.ndarray | None,
    shells: ShellAreas,
    islands: tuple[np.ndarray, np.ndarray],
) -> Proxy:
    """Sample as _unite does, after dense shells were thinned: the proxy of the welded vertices.

    islands: of each vertex [W], and the number of their samples [K].
    """
    island, counts = islands
    cell = _cell_widths(shells, island, np.maximum(counts, FEWEST))  # [S]
    axes = principal_axes(welded[::SOME])  # [3, 3] the grid turns with the shape
    thinned = thin(welded, links, shells, cell, axes)
    of_cluster = np.empty(len(thinned.vertices), dtype=island.dtype)  # [C]
    of_cluster[thinned.cluster] = island
    polygons = np.unique(groups[thinned.rows], return_inverse=True)[1]  # [n]
    thinned_labels = None if labels is None else labels[thinned.rows]  # [n]
    part = _unite(thinned.vertices, thinned.faces, polygons, thinned_labels, of_cluster, counts)
    index, weight = _carry_clusters(welded, thinned.cluster, part)  # [W, 3], [W, 3]
    return replace(part, carry_index=index, carry_weight=weight, samples=part.samples.spread(thinned.rows, groups))


def _cell_widths(shells: ShellAreas, island: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Width of the cells to thin each shell with: a share of the distance of its samples, however they are shared. [S]

    island [W], and the number of samples of each [K].
    """
    of_shell = np.zeros(len(shells.areas), dtype=np.int64)  # [S]
    of_shell[shells.labels] = island
    root = np.sqrt(shells.areas)  # [S]
    even = root * np.bincount(of_shell, root, len(counts))[of_shell]  # [S] by the roots of areas
    alike = np.bincount(of_shell, shells.areas, len(counts))[of_shell]  # [S] by areas
    spacing = np.sqrt(np.minimum(even, alike) / counts[of_shell])  # [S]
    return np.maximum(np.minimum(CELL * spacing, SMALL_SHELL * root), NONE)


def _unite(
    welded: np.ndarray,
    links: np.ndarray,
    groups: np.ndarray,
    labels: np.ndarray | None,
    island: np.ndarray,
    counts: np.ndarray,
) -> Proxy:
    """Sample each island [W] as if it were alone, with about counts [K] vertices: the proxy of the welded vertices.

    The rest as in _sample.
    """
    if len(counts) == 1:
        return _sample(welded, links, groups, labels, int(counts[0]))
    index, weight = np.empty((len(welded), 3), np.int32), np.empty((len(welded), 3), np.float32)  # [W, 3] each
    rank = np.empty(len(welded), dtype=np.int64)  # [W]
    parts: list[Proxy] = []
    samples: list[FaceSamples] = []
    start = 0
    for k, count in enumerate(counts):
        own, rows = np.flatnonzero(island == k), np.flatnonzero(island[links[:, 0]] == k)  # [w], [f]
        rank[own] = np.arange(len(own))
        polygons = np.unique(groups[rows], return_inverse=True)[1]  # [f]
        own_labels = None if labels is None else labels[rows]  # [f]
        part = _sample(welded[own], rank[links[rows]], polygons, own_labels, max(int(count), FEWEST))
        index[own], weight[own] = part.carry_index + start, part.carry_weight
        samples.append(part.samples.placed(rows, start))
        parts.append(replace(part, faces=part.faces + start))
        start += len(part.vertices)
    vertices, faces = (np.concatenate([getattr(part, name) for part in parts]) for name in ("vertices", "faces"))
    known = [part.labels for part in parts if part.labels is not None]  # [p] each
    return Proxy(vertices, faces, index, weight, FaceSamples.join(samples), np.concatenate(known) if known else None)


def _sample(
    welded: np.ndarray, links: np.ndarray, groups: np.ndarray, labels: np.ndarray | None, max_vertices: int
) -> Proxy:
    """Sample welded vertices [W, 3] and faces [F, 3] of polygons [F], perhaps with labels [F]: a proxy whose V are
    the W, in the same space.

    It is computed in the shape's own axes, so that it turns with the shape.
    """
    shape = welded[used_vertices(links[has_area(welded, links)])]  # [U, 3]
    axes, centre = principal_axes(shape), shape.mean(axis=0)  # [3, 3], [3]
    size = float(norms(shape - centre).max())
    turned = np.round((welded - centre) @ axes.T / size * GRID) / GRID  # [W, 3] the last bits differ as it is turned
    longest = _longest_sides(turned, links, EVEN * max_vertices)  # [W]
    parts = fan_polygons(turned, links, groups, longest[links[:, 0]])
    faces = clean_faces(parts.vertices, parts.faces)  # [G, 3]
    fine, pieces, face = refine(parts.vertices, faces, longest[faces[:, 0]])  # [W', 3], [G', 3], [G']
    # What is connected; degenerate faces too say it.
    joins = links if len(fine) == len(welded) else np.concatenate([links, pieces])  # [., 3]

    moved, left, root = decimate(fine, pieces, max_vertices)  # [W', 3], [H, 3], [W']
    kept = used_vertices(left)  # [P]
    rank = np.full(len(fine), -1)  # [W']
    rank[kept] = np.arange(len(kept))
    vertices, left = moved[kept], rank[left]  # [P, 3], [H, 3]
    stand_in = _spread(rank[root], joins)  # [W'] proxy vertex, -1 in components without faces
    lone = np.flatnonzero(stand_in < 0)  # [L]
    component = _components(lone, joins)  # [L]
    stand_in[lone] = len(vertices) + component
    vertices = np.concatenate([vertices, fine[lone[np.unique(component, return_index=True)[1]]]])  # [P, 3]

    proxy_labels = None
    if labels is not None:
        of_polygon = np.zeros(int(groups.max()) + 1, np.int32)  # [polygons]
        of_polygon[groups] = labels
        same = len(faces) == len(parts.faces)
        owner = parts.polygons if same else parts.polygons[_numbers(parts.faces, faces)]  # [G]
        proxy_labels = vertex_labels(fine, pieces, of_polygon[owner][face], stand_in, len(vertices))  # [P]

    index, weight = _carry(fine, stand_in, vertices, left)  # [W', 3], [W', 3]
    samples = FaceSamples.none()
    if len(fine) > len(welded):
        nearest = index[np.arange(len(index)), weight.argmax(axis=1)]  # [W']
        clean = _numbers(faces, parts.faces)  # [L]
        samples = sample_faces(groups, (parts.polygons, clean), (pieces, face), fine, nearest)
    back = vertices @ axes * size + centre  # [P, 3]
    return Proxy(back, left, index[: len(welded)], weight[: len(welded)], samples, proxy_labels)


def _positions(vertices: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Position of each number among ids [V]: that of one of the vertices [V, 3] with it. [W, 3]"""
    positions = np.empty((int(ids.max()) + 1, 3))  # [W, 3]
    positions[ids] = vertices
    return positions


def _longest_sides(vertices: np.ndarray, faces: np.ndarray, count: float) -> np.ndarray:
    """Longest side that a face at each vertex may have, for a surface of `count` samples that are even on a shell. [W]

    vertices [W, 3], faces [F, 3]. A shell has samples by the root of its area: small ones beside a large one must have
    a middle too. A shell of long needles has longer sides, so that there are no more than MOST_PIECES a sample.
    """
    a, b, c = (vertices[faces[:, k]] for k in range(3))  # [F, 3] each
    shells = connected_shells(faces, len(vertices))  # [W]
    owner = shells[faces[:, 0]]  # [F]
    area = norms(cross(b - a, c - a)) / 2  # [F]
    root = np.sqrt(np.bincount(owner, area, int(shells.max()) + 1))  # [S]
    longest = LONGEST * np.sqrt(root * root.sum() / count)  # [S]
    side = np.maximum(np.maximum(norms(b - a), norms(c - b)), norms(a - c))  # [F]
    ratio = side / np.maximum(longest, NONE)[owner]  # [F]
    pieces = np.where(ratio > 1, ratio, 0.0) ** NEEDLE  # [F]
    most = MOST_PIECES * count * np.maximum(root / max(root.sum(), NONE), LEAST_SHARE)  # [S]
    for shell in np.flatnonzero(np.bincount(owner, pieces, len(root)) > most):
        longest[shell] = _affordable(side[owner == shell] ** NEEDLE, float(most[shell])) ** (1 / NEEDLE)
    return longest[shells]


def _affordable(costs: np.ndarray, most: float) -> float:
    """Find the least cost of which those of the costs [n] that are higher hold no more than `most`, all together."""
    costs = -np.sort(-costs)  # [n] the highest first
    least = np.maximum(np.cumsum(costs) / most, np.append(costs[1:], 0.0))  # [n] where the first k are higher
    return float(min(costs[0], np.where(least < costs, least, np.inf).min()))


def _numbers(faces: np.ndarray, links: np.ndarray) -> np.ndarray:
    """Find which of the faces [G, 3] has the corners of each of the links [F, 3], in any order; -1: none. [F]"""
    numbers, first = equal_rows(np.sort(np.concatenate([faces, links]), axis=1))  # [G + F], [U]
    found = np.full(len(first), -1)  # [U]
    found[numbers[: len(faces)]] = np.arange(len(faces))
    return found[numbers[len(faces) :]]


def normalise(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Move and scale vertices [W, 3]: the mean of those with faces at the origin, the farthest at distance 1. [W, 3]

    (Reference implementation's normalisation.) Vertices without faces do not count; those far away are drawn in.
    """
    used = vertices[used_vertices(faces)]  # [U, 3]
    low, high = (np.array([extreme(column) for column in used.T]) for extreme in (np.min, np.max))  # [3], [3]
    size = (high - low).max()
    # Twice, since the mean of coordinates far from the origin, or of huge ones, is not exact.
    used, moved = (used - low) / size, (np.clip(vertices, low, high) - low) / size  # [U, 3], [W, 3]
    centre = used.mean(axis=0)  # [3]
    moved = (moved - centre) / norms(used - centre).max()  # [W, 3]
    return moved / np.maximum(1.0, norms(moved))[:, None]


def _spread(stand_in: np.ndarray, links: np.ndarray) -> np.ndarray:
    """Give vertices without a stand-in (-1) that of a neighbour, as far as their component has any. [W]"""
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


def _components(members: np.ndarray, links: np.ndarray) -> np.ndarray:
    """Connected component of each of the vertices [L], which no link joins to any other vertex. [L]"""
    inside = links[np.isin(links[:, 0], members)]  # [N, 3]
    pairs = np.searchsorted(members, inside[:, [0, 1, 1, 2]].reshape(-1, 2))  # [2N, 2] members ascend
    return components(pairs, len(members))


def _carry(
    points: np.ndarray, stand_in: np.ndarray, vertices: np.ndarray, faces: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find the closest surface point to each point [W, 3]: proxy vertices [W, 3] int32, barycentrics [W, 3] float32.

    The search walks over the surface from the vertex that stands in for the point [W]: the closest point on the faces
    around it, then on the faces around the corner nearest to that, as long as this comes closer. So it stays on the
    component and on its side of a thin part, however near another surface may be.
    """
    index = np.repeat(stand_in[:, None], 3, axis=1).astype(np.int32)  # [W, 3]
    weight = np.zeros((len(points), 3), dtype=np.float32)  # [W, 3]
    weight[:, 0] = 1.0
    fan = Fans(vertices, faces)
    away = (points != vertices[stand_in]).any(axis=1) & (fan.counts[stand_in] > 0)  # [W]
    todo = np.flatnonzero(away)  # [N]

    def work(rows: slice) -> None:
        chunk = todo[rows]  # [n]
        index[chunk], weight[chunk] = _walk(fan, points[chunk], stand_in[chunk])

    in_chunks(work, len(todo))
    return index, weight


def _walk(fan: Fans, points: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Walk from vertices [n] to the closest surface points of points [n, 3]: corners and barycentrics, [n, 3] each."""
    index, weight = np.empty((len(points), 3), np.int32), np.empty((len(points), 3), np.float32)  # [n, 3] each
    at, best = start.copy(), np.full(len(points), np.inf)  # [n], [n]
    walking = np.arange(len(points))  # [n]
    for _ in range(WALK):
        distance, corners, bary = fan.closest(points[walking], at[walking])  # [m], [m, 3], [m, 3]
        closer = distance < best[walking]  # [m]
        walking, corners, bary = walking[closer], corners[closer], bary[closer]  # [m], [m, 3], [m, 3]
        best[walking] = distance[closer]
        index[walking], weight[walking] = corners, bary
        nearest = corners[np.arange(len(corners)), bary.argmax(axis=1)]  # [m]
        walking, nearest = walking[nearest != at[walking]], nearest[nearest != at[walking]]  # [m], [m]
        at[walking] = nearest
        if not len(walking):
            break
    return index, weight


def _carry_clusters(points: np.ndarray, cluster: np.ndarray, part: Proxy) -> tuple[np.ndarray, np.ndarray]:
    """Find surface points of a proxy for points [W, 3] of clusters [W], whose own it carries; results as of _carry.

    A point above the face that its cluster lies on belongs there; the others walk from the cluster's vertex.
    """
    corners = part.carry_index  # [C, 3]
    origin = part.vertices[corners[:, 0]]  # [C, 3]
    e1, e2 = part.vertices[corners[:, 1]] - origin, part.vertices[corners[:, 2]] - origin  # [C, 3] each
    a, b, c = dots(e1, e1), dots(e1, e2), dots(e2, e2)  # [C] each
    area = np.maximum(a * c - b * b, np.finfo(np.float64).tiny)  # [C]
    # Rows whose products with a point's offset are its coordinates on the face.
    second = (c[:, None] * e1 - b[:, None] * e2) / area[:, None]  # [C, 3]
    third = (a[:, None] * e2 - b[:, None] * e1) / area[:, None]  # [C, 3]
    is_face = (corners[:, 0] != corners[:, 1]) & (corners[:, 1] != corners[:, 2])  # [C]
    stand_in = part.nearest  # [C]
    fan = Fans(part.vertices, part.faces)
    index, weight = np.empty((len(points), 3), np.int32), np.zeros((len(points), 3), np.float32)  # [W, 3] each

    def work(rows: slice) -> None:
        own, at = points[rows], cluster[rows]  # [n, 3], [n]
        offset = own - origin[at]  # [n, 3]
        u, v = dots(offset, second[at]), dots(offset, third[at])  # [n] each
        bary = np.stack([1 - u - v, u, v], axis=1).astype(np.float32)  # [n, 3]
        found = corners[at]  # [n, 3]
        out = np.flatnonzero(~((u >= 0) & (v >= 0) & (u + v <= 1) & is_face[at]))  # [m]
        start = stand_in[at[out]]  # [m]
        found[out], bary[out] = start[:, None], (1, 0, 0)
        meshed = fan.counts[start] > 0  # [m]
        out, start = out[meshed], start[meshed]
        if len(out):
            found[out], bary[out] = _walk(fan, own[out], start)
        index[rows], weight[rows] = found, bary

    in_chunks(work, len(points))
    return index, weight
