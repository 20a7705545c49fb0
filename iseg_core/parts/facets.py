"""Facets: flat pieces of a surface between its creases. On a mesh of few faces a click may mean one, as on a cube."""

import numpy as np

from ..geometry.islands import components, face_normals

FLAT = 0.9998  # cosine of the angle between two faces, from which on they are of one facet: 1.1 degrees
FEWEST = 12  # vertices within a facet; on a curved surface flat pieces of a few faces say nothing


def find_facets(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Find the facet within which each vertex lies; -1 on creases and where there is none. [P] int32

    vertices [P, 3], faces [G, 3].
    """
    facets = np.full(len(vertices), -1, dtype=np.int32)  # [P]
    if len(faces) == 0:
        return facets
    normals = face_normals(vertices, faces)  # [G, 3]
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)
    sides = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)  # [3G, 2]
    key = sides[:, 0].astype(np.int64) * len(vertices) + sides[:, 1]  # [3G]
    order = np.argsort(key, kind="stable")  # [3G]
    same = np.flatnonzero(key[order[1:]] == key[order[:-1]])  # [N]
    pairs = np.stack([order[same], order[same + 1]], axis=1) // 3  # [N, 2] faces that share an edge
    flat = np.abs((normals[pairs[:, 0]] * normals[pairs[:, 1]]).sum(axis=1)) > FLAT  # [N] however they are turned
    piece = components(pairs[flat], len(faces))  # [G]
    least, most = np.full(len(vertices), len(faces)), np.full(len(vertices), -1)  # [P], [P]
    for corner in faces.T:
        np.minimum.at(least, corner, piece)
        np.maximum.at(most, corner, piece)
    within = least == most  # [P]
    size = np.bincount(least[within], minlength=len(faces))  # [G] vertices within each piece
    kept = np.flatnonzero(within)[size[least[within]] >= FEWEST]  # [n]
    facets[kept] = least[kept]
    return facets
