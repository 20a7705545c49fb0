"""Shapes with known parts, for tests."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import trimesh

from iseg_core.clicks.click import VertexClick, VertexClicks
from iseg_core.geometry.mesh import Mesh, check
from iseg_core.training.settings import Settings, get_settings


def sphere(subdivisions: int = 3) -> Mesh:
    """The unit sphere: 642 vertices at 3 subdivisions."""
    shape = trimesh.creation.icosphere(subdivisions=subdivisions)
    return Mesh(np.array(shape.vertices, dtype=np.float64), np.array(shape.faces, dtype=np.int32))


def dumbbell(subdivisions: int = 3) -> Mesh:
    """Two balls joined by a narrow neck at z = 0, one closed surface."""
    mesh = sphere(subdivisions)
    vertices = mesh.vertices.copy()  # [V, 3]
    vertices[:, :2] *= 1 - 0.75 * np.exp(-((vertices[:, 2:] / 0.2) ** 2))
    vertices[:, 2] *= 1.6
    return Mesh(vertices, mesh.faces)


def join(*meshes: Mesh) -> Mesh:
    """Several meshes as one; nothing is welded."""
    starts = np.cumsum([0] + [len(m.vertices) for m in meshes])
    faces = [m.faces + start for m, start in zip(meshes, starts, strict=False)]
    return Mesh(np.concatenate([m.vertices for m in meshes]), np.concatenate(faces).astype(np.int32))


def moved(mesh: Mesh, offset: tuple[float, float, float], scale: float = 1.0) -> Mesh:
    return Mesh(mesh.vertices * scale + np.array(offset), mesh.faces)


def top(mesh: Mesh) -> int:
    """The vertex with the greatest z."""
    return int(mesh.vertices[:, 2].argmax())


def bottom(mesh: Mesh) -> int:
    return int(mesh.vertices[:, 2].argmin())


def write_off(path: Path, mesh: Mesh) -> None:
    """Write an OFF file, in a folder that is made where it is not there."""
    lines = ["OFF", f"{len(mesh.vertices)} {len(mesh.faces)} 0"]
    lines += [" ".join(map(repr, vertex)) for vertex in mesh.vertices.tolist()]
    lines += [f"3 {a} {b} {c}" for a, b, c in mesh.faces.tolist()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def on_vertices(*clicks: tuple[int, bool]) -> VertexClicks:
    """Clicks from pairs of a vertex and whether it is included."""
    return tuple(VertexClick(vertex, include) for vertex, include in clicks)


def tiny_settings(**changes: object) -> Settings:
    """The shortest training that still goes through every stage."""
    short = {
        "views": 6,
        "click_range": (6, 8),
        "second_clicks": 1,
        "hidden_targets": 4,
        "max_clicks": 3,
        "field_width": 32,
        "field_layers": 2,
        "field_steps": 5,
        "decoder_widths": (32, 32),
        "decoder_steps": 8,
    }
    return replace(get_settings("draft"), **(short | changes))  # type: ignore[arg-type]


def box(
    size: tuple[float, float, float] = (1.0, 1.0, 1.0), centre: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> Mesh:
    """A box of 8 vertices, 6 quads and 12 triangles."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])  # [8, 3]
    quads = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    return check(corners * np.array(size) / 2 + np.array(centre), quads)
