"""Resolve clicks as they are made to clicks on vertices of a mesh. No other module interprets a prompt."""

from collections.abc import Iterable

from ..errors import ClickError
from ..geometry.mesh import Mesh
from .click import Prompt, SurfacePoint, VertexClick, VertexClicks, is_index


def resolve(clicks: Iterable[tuple[Prompt, bool]], mesh: Mesh) -> VertexClicks:
    """Resolve clicks to clicks on vertices, in their order, each vertex once.

    Raises ClickError for a vertex or face that the mesh does not have, and for one vertex included and excluded.
    """
    made: dict[int, bool] = {}
    for prompt, include in clicks:
        vertex = vertex_of(prompt, mesh)
        if made.setdefault(vertex, bool(include)) != bool(include):
            raise ClickError(f"Vertex {vertex} is both included and excluded. Remove one of the two clicks.")
    return tuple(VertexClick(vertex, include) for vertex, include in made.items())


def vertex_of(prompt: Prompt, mesh: Mesh) -> int:
    """Find the vertex of a prompt. A point of the surface is rounded to the nearest corner of its face: the one
    with the largest barycentric coordinate.
    """
    if isinstance(prompt, SurfacePoint):
        if not 0 <= prompt.face < len(mesh.faces):
            last = len(mesh.faces) - 1
            raise ClickError(f"There is no face {prompt.face}: this mesh has the faces 0 to {last}. Click one of them.")
        corner = prompt.barycentric.index(max(prompt.barycentric))
        return int(mesh.faces[prompt.face, corner])
    if not is_index(prompt) or not 0 <= prompt < len(mesh.vertices):
        last = len(mesh.vertices) - 1
        raise ClickError(f"There is no vertex {prompt}: this mesh has the vertices 0 to {last}. Click one of them.")
    return int(prompt)
