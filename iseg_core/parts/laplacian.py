"""Laplacians of a mesh's edge graph."""

import numpy as np
import scipy.sparse as sp

COTANGENT_RANGE = (0.02, 20.0)  # slivers must neither cut the graph nor glue it


def laplacian(edges: np.ndarray, weights: np.ndarray, count: int) -> sp.csc_matrix:
    """Graph Laplacian of edges [E, 2] with weights [E]. [count, count]"""
    i, j = edges.T
    off = sp.coo_matrix((np.r_[weights, weights], (np.r_[i, j], np.r_[j, i])), shape=(count, count)).tocsc()
    return (sp.diags(np.asarray(off.sum(axis=1)).ravel()) - off).tocsc()


def unit(vectors: np.ndarray) -> np.ndarray:
    """Scale rows [N, 3] to length 1 (rows of zero stay zero). [N, 3]"""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)


def cotangent_graph(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Edge graph of a mesh, vertices [P, 3] and faces [G, 3], with cotangent weights (Pinkall and Polthier 1993).

    Returns edges [E, 2] int32, clipped weights [E], vertex areas [P], face normals times twice the area [G, 3].
    An edge of any number of faces gets half the sum of the cotangents that face it.
    """
    corners = vertices[faces]  # [G, 3, 3]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])  # [G, 3]
    double_area = np.linalg.norm(normals, axis=1)  # [G]
    pairs, cotangents = [], []
    for k in range(3):
        a, b = corners[:, (k + 1) % 3] - corners[:, k], corners[:, (k + 2) % 3] - corners[:, k]  # [G, 3]
        cotangents.append((a * b).sum(axis=1) / np.maximum(double_area, 1e-30))
        pairs.append(faces[:, [(k + 1) % 3, (k + 2) % 3]])
    pair = np.sort(np.concatenate(pairs), axis=1)  # [3G, 2]
    key = pair[:, 0].astype(np.int64) * len(vertices) + pair[:, 1]  # [3G]
    unique, inverse = np.unique(key, return_inverse=True)
    weights = np.bincount(inverse, np.clip(np.concatenate(cotangents), -1e6, 1e6)) / 2  # [E]
    edges = np.stack([unique // len(vertices), unique % len(vertices)], axis=1).astype(np.int32)  # [E, 2]
    vertex_area = np.bincount(faces.ravel(), np.repeat(double_area / 6, 3), minlength=len(vertices))  # [P]
    return edges, np.clip(weights, *COTANGENT_RANGE), vertex_area, normals
