"""What the cursor means in a 3D view: a vertex of the active object, or one of its clicks."""

from typing import Any

import bpy
import numpy as np
from bpy_extras import view3d_utils
from mathutils import Vector

from .. import live, mesh_io, meshes, picking, prefs, seen, state
from ..look import Look

NEAR_CLICK = 15.0  # pixels around a click in which it is meant
RAY_LIMIT = 100_000  # polygons; Blender's ray through the scene makes a search tree of every mesh that it meets


def near(context: bpy.types.Context, region: Any, look: Look, cursor: tuple[float, float]) -> picking.Near:
    """What of the active object is near a cursor (pixels in the region); in edit mode without its hidden faces."""
    thing, matrix = context.object, matrix_of(context)
    hidden = look.hidden() if thing.data.is_editmode else None  # [F]
    return picking.near(solid_of(thing, look), matrix, region.width, region.height, cursor, hidden)


def matrix_of(context: bpy.types.Context) -> np.ndarray:
    """From the active object's space to the screen. [4, 4]"""
    return np.array(context.space_data.region_3d.perspective_matrix) @ np.array(context.object.matrix_world)


def solid_of(thing: bpy.types.Object, look: Look) -> picking.Solid:
    """What can be clicked; the last surface that modifiers have made is kept, for the mouse moves more often."""
    global _solid
    surface = seen.surface_of(thing, look)
    if surface.points is look.vertices:
        return look.solid
    if _solid is None or _solid.points is not surface.points or _solid.faces is not surface.triangles:
        _solid = picking.solid(surface.points, surface.triangles)
    return _solid


_solid: picking.Solid | None = None


def vertex_at(context: bpy.types.Context, region: Any, cursor: tuple[float, float]) -> int | None:
    """The active object's vertex that a cursor (pixels in the region) means; None where it is not over the mesh."""
    thing, through = context.object, context.space_data.shading.show_xray
    look = meshes.look_at(thing, fresh=False)
    close = near(context, region, look, cursor)
    meant = picking.meant(close.screen, close.faces, cursor, through)
    if meant is None or (not through and blocked(context, region, cursor, thing, meant.depth)):
        return None
    return seen.surface_of(thing, look).base_vertex(int(close.points[meant.point]))


def click_at(context: bpy.types.Context, region: Any, cursor: tuple[float, float]) -> int | None:
    """Which click of the active part is seen under the cursor (pixels in the region); None where there is none. With
    x-ray also one that the mesh or another object hides.
    """
    thing, part = context.object, state.part_of(context.object)
    if part is None or not len(part.clicks):
        return None
    look = meshes.look_at(thing, fresh=False)
    surface = seen.surface_of(thing, look)
    usable = [index for index, click in enumerate(part.clicks) if 0 <= click.vertex < len(look.vertices)]
    points = [surface.point_of(part.clicks[index].vertex, look.vertices) for index in usable]
    screen = picking.project(surface.points[points], matrix_of(context), region.width, region.height)
    squares = picking.squares(screen, cursor)  # [C]
    for number in np.argsort(squares, kind="stable"):
        if squares[number] > NEAR_CLICK**2:
            return None
        if not screen.seen[number]:
            continue
        place, depth = tuple(screen.points[number].tolist()), float(screen.depth[number])
        if context.space_data.shading.show_xray:
            return usable[number]
        close = near(context, region, look, place)
        covered = picking.hidden(close.screen, close.faces, int(np.searchsorted(close.points, points[number])))
        if not (covered or blocked(context, region, place, thing, depth)):
            return usable[number]
    return None


def blocked(
    context: bpy.types.Context, region: Any, cursor: tuple[float, float], thing: bpy.types.Object, depth: float
) -> bool:
    """Whether another object lies before what was picked at this depth."""
    rv3d = context.space_data.region_3d
    origin = view3d_utils.region_2d_to_origin_3d(region, rv3d, cursor)
    direction = view3d_utils.region_2d_to_vector_3d(region, rv3d, cursor)
    if len(thing.data.polygons) <= RAY_LIMIT:
        hit, place, _, _, other, _ = context.scene.ray_cast(context.evaluated_depsgraph_get(), origin, direction)
        places = [place] if hit and other.original != thing else []
    else:
        places = hits_on_others(context.evaluated_depsgraph_get(), thing, origin, direction)
    matrix = np.array(rv3d.perspective_matrix)  # [4, 4]
    depths = picking.project(np.array(places).reshape(-1, 3), matrix, region.width, region.height).depth  # [N]
    return bool((depths < depth - picking.CLOSE).any())


def hits_on_others(depsgraph: Any, thing: bpy.types.Object, origin: Vector, direction: Vector) -> list[Vector]:
    """Where a ray of the world meets other objects first."""
    places = []
    for instance in depsgraph.object_instances:
        other = instance.object
        if other.type != "MESH" or other.original == thing or not instance.show_self:
            continue
        matrix = instance.matrix_world.copy()
        inverse = matrix.inverted_safe()
        hit, place, _, _ = other.ray_cast(inverse @ origin, inverse.to_3x3() @ direction)
        if hit:
            places.append(matrix @ place)
    return places


def surface_known(thing: bpy.types.Object) -> bool:
    """Whether it is known what can be clicked; begins to find out. Raises IsegError where the mesh cannot be read."""
    look = live.look_at(thing)
    return look is not None and seen.known(thing, look)


def click_refusal(context: bpy.types.Context) -> str:
    """Why there can be no clicking; empty where there can."""
    why = mesh_io.refusal(context.object) or prefs.chosen()
    if not why and (context.area is None or context.area.type != "VIEW_3D"):
        why = "Clicking needs a 3D viewport: scripts use bpy.ops.iseg.click_add(vertex=, positive=)."
    return why


def window_region(area: Any) -> Any:
    return next(region for region in area.regions if region.type == "WINDOW")


def over_view(area: Any, view_region: Any, event: Any) -> bool:
    """Whether the mouse is over the view itself, and not over a sidebar that lies upon it."""

    def holds(region: Any) -> bool:
        x, y = event.mouse_x - region.x, event.mouse_y - region.y
        return 0 <= x < region.width and 0 <= y < region.height

    if area is None or not holds(view_region):
        return False
    return not any(holds(r) for r in area.regions if r.type != "WINDOW" and r.width > 1 and r.height > 1)
