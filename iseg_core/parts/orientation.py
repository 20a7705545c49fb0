"""Orientation: faces turned so that normals point outwards."""

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import breadth_first_order, connected_components

from ..render.embree import EmbreeRasterizer
from .laplacian import unit

AGREE = 1 << 20  # more than the disagreeing edges that two faces can share


def orient(vertices: np.ndarray, faces: np.ndarray, rasterizer: EmbreeRasterizer) -> np.ndarray:
    """Turn faces so that neighbours agree and normals point outwards, to where there is more room. [G, 3] int32

    vertices [P, 3] in the unit sphere, faces [G, 3], rasterizer of both.
    """
    count = len(faces)
    start = faces.ravel()  # [3G] edge k runs from corner k to corner k + 1
    end = np.roll(faces, -1, axis=1).ravel()  # [3G]
    low, high = np.minimum(start, end), np.maximum(start, end)  # [3G]
    key = low.astype(np.int64) * len(vertices) + high  # [3G]
    order = np.argsort(key, kind="stable")  # [3G]
    same = key[order][1:] == key[order][:-1]  # [3G - 1] consecutive half-edges of one edge
    first, second = order[:-1][same], order[1:][same]  # [A]
    # 1 says disagree, a large number agree, so that faces which share several edges agree only where all of these do.
    data = np.where(start[first] != start[second], AGREE, 1)  # [A] opposite directions: the two faces agree
    pairs = np.stack([first // 3, second // 3])  # [2, A]
    adjacency = sp.coo_matrix((data, pairs), shape=(count + 1, count + 1))
    pieces, label = connected_components(adjacency.tocsr()[:count, :count], directed=False)
    roots = np.unique(label, return_index=True)[1]  # [pieces]
    hub = sp.coo_matrix((np.full(pieces, AGREE), (roots, np.full(pieces, count))), shape=adjacency.shape)
    graph = (adjacency + adjacency.T + hub + hub.T).tocsr()  # one walk from the hub reaches every piece
    walk, parent = breadth_first_order(graph, count, directed=False)
    child, up = walk[1:], parent[walk[1:]]  # [G]
    differs = np.asarray(graph[up, child]).ravel() % AGREE != 0  # [G]
    state = [False] * (count + 1)
    for face, other, differ in zip(child.tolist(), up.tolist(), differs.tolist(), strict=True):
        state[face] = state[other] != differ
    faces = np.where(np.array(state[:count])[:, None], faces[:, ::-1], faces)  # [G, 3]

    corners = vertices[faces]  # [G, 3, 3]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])  # [G, 3]
    double_area = np.linalg.norm(normal, axis=1)  # [G]
    normal = unit(normal)
    centre, far = corners.mean(axis=1), 4.0  # [G, 3]; the shape lies in the unit sphere
    room = np.zeros(count)  # [G]
    for sign in (1.0, -1.0):
        hit = rasterizer.cast(centre + sign * 1e-4 * normal, sign * normal)
        room += sign * np.where(hit["primID"] < 0, far, np.minimum(hit["tfar"], far))
    inward = np.bincount(label, room * double_area, minlength=pieces) < 0  # [pieces]
    return np.where(inward[label][:, None], faces[:, ::-1], faces).astype(np.int32)  # [G, 3]
