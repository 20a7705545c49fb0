"""Resolve clicks as they are made to what computes with them. No other module interprets a prompt."""

from collections.abc import Iterable

import numpy as np

from ..errors import ClickError
from ..geometry.mesh import Mesh
from ..geometry.proxy import Proxy
from .click import Click, Clicks, Prompt, SurfacePoint, VertexClick, VertexClicks, is_index


def check_clicks(clicks: Iterable[tuple[Prompt, bool]], mesh: Mesh) -> Clicks:
    """Check clicks on a mesh: in their order, each prompt once.

    Raises ClickError for a vertex or face that the mesh does not have, and for one prompt included and excluded.
    """
    made: dict[Prompt, bool] = {}
    for prompt, include in clicks:
        vertex = vertex_of(prompt, mesh)
        known = prompt if isinstance(prompt, SurfacePoint) else vertex
        if made.setdefault(known, bool(include)) != bool(include):
            what = f"The point on face {prompt.face}" if isinstance(prompt, SurfacePoint) else f"Vertex {vertex}"
            raise ClickError(f"{what} is both included and excluded. Remove one of the two clicks.")
    return tuple(Click(prompt, include) for prompt, include in made.items())


def on_proxy(clicks: Clicks, mesh: Mesh, proxy: Proxy) -> VertexClicks:
    """Resolve checked clicks to clicks on the proxy's vertices."""
    return tuple(VertexClick(proxy_vertex_of(prompt, mesh, proxy), include) for prompt, include in clicks)


def proxy_vertex_of(prompt: Prompt, mesh: Mesh, proxy: Proxy) -> int:
    """Find the proxy's vertex of a prompt: the sample of the face nearest to a point, or what stands for a vertex."""
    if isinstance(prompt, SurfacePoint):
        point = np.array(prompt.barycentric) @ proxy.place(mesh.faces[prompt.face])  # [3]
        sample = proxy.samples.nearest(prompt.face, point, proxy.vertices)
        if sample is not None:
            return sample
    return proxy.nearest_to(vertex_of(prompt, mesh))


def vertex_of(prompt: Prompt, mesh: Mesh) -> int:
    """Find the vertex of a prompt. A point of the surface is rounded to the nearest corner of its face: the one
    with the largest barycentric coordinate. Raises ClickError for a vertex or face that the mesh does not have.
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


def position_of(prompt: Prompt, mesh: Mesh) -> np.ndarray:
    """Find where a prompt is, in the units of the mesh. [3] Raises ClickError as `vertex_of` does."""
    vertex = vertex_of(prompt, mesh)
    if isinstance(prompt, SurfacePoint):
        return np.array(prompt.barycentric) @ mesh.vertices[mesh.faces[prompt.face]]  # [3]
    return mesh.vertices[vertex]  # [3]
