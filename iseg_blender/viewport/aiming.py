"""Aiming with the cursor in a 3D view: at a point of the active object, or at one of its clicks."""

from typing import Any

import bpy
import numpy as np
from bpy_extras import view3d_utils
from mathutils import Vector

from ..core import Prompt, SurfacePoint
from ..document import parts
from ..engine import choice, reading
from ..mesh import cache, picking, points
from ..mesh import usable as mesh_usable
from ..mesh.snapshot import MeshSnapshot
from . import evaluated

NEAR_CLICK = 15.0  # pixels around a click in which it is picked
RAY_LIMIT = 100_000  # polygons; Blender's scene ray cast builds a BVH of every mesh that it meets
RAYS = 64  # at most so many ray casts, each from behind a hit that does not count
STEP = 1e-6  # start of the next ray behind the last hit, as a fraction of the distance to it

Place = tuple[float, float]  # pixels, in the window or in a region of it


def near(context: bpy.types.Context, region: Any, snapshot: MeshSnapshot, cursor: Place) -> picking.Near:
    """Part of the active object near a cursor (pixels in the region); in edit mode without its hidden faces."""
    obj, matrix = context.object, matrix_of(context, region)
    hidden = snapshot.hidden() if obj.data.is_editmode else None  # [F]
    return picking.near(solid_of(obj, snapshot), matrix, region.width, region.height, cursor, hidden)


def matrix_of(context: bpy.types.Context, region: Any) -> np.ndarray:
    """Matrix from the active object's space to the screen. [4, 4]"""
    return np.array(region.data.perspective_matrix) @ np.array(context.object.matrix_world)


def solid_of(obj: bpy.types.Object, snapshot: MeshSnapshot) -> picking.Solid:
    """Solid that can be clicked. That of the last evaluated surface is cached, for the mouse moves more often."""
    surfaces = evaluated.SurfaceCache.current()
    surface = evaluated.surface_of(obj, snapshot)
    if surface.points is snapshot.vertices:
        return snapshot.solid
    solid = surfaces.solid
    if solid is None or solid.points is not surface.points or solid.faces is not surface.triangles:
        solid = surfaces.solid = picking.solid(surface.points, surface.triangles)
    return solid


def prompt_at(context: bpy.types.Context, region: Any, cursor: Place) -> Prompt | None:
    """Pick the point of the active object's base mesh that is seen under a cursor (pixels in the region); None where
    the cursor is not over the mesh. With x-ray, and close beside the mesh, the nearest vertex.
    """
    obj, through = context.object, evaluated.through(context.space_data.shading)
    snapshot = cache.snapshot_of(obj, fresh=False)
    close = near(context, region, snapshot, cursor)
    meant = picking.meant(close.screen, close.faces, cursor, through)
    if meant is None or (not through and blocked(context, region, cursor, obj, meant.depth)):
        return None
    surface = evaluated.surface_of(obj, snapshot)
    if through or meant.face is None:
        return surface.base_vertex(int(close.points[meant.point]))
    face, matrix = int(close.whole[meant.face]), matrix_of(context, region)
    corners = surface.points[surface.triangles[face]]  # [3, 3]
    weights = picking.weights_at(corners, matrix, region.width, region.height, cursor)
    return surface.base_point(points.surface_point(face, weights))


def click_at(context: bpy.types.Context, region: Any, cursor: Place) -> int | None:
    """Index of the active part's click that is seen under the cursor (pixels in the region); None where there is none.

    With x-ray, also that of a click hidden by the mesh or another object.
    """
    obj, part = context.object, parts.part_of(context.object)
    if part is None or not len(part.clicks):
        return None
    snapshot = cache.snapshot_of(obj, fresh=False)
    surface = evaluated.surface_of(obj, snapshot)
    prompts = [(index, parts.prompt_of(click, snapshot.geometry)) for index, click in enumerate(part.clicks)]
    usable = [(index, prompt) for index, prompt in prompts if prompt is not None]
    places = np.array([surface.place(prompt) for _, prompt in usable]).reshape(-1, 3)  # [C, 3]
    screen = picking.project(places, matrix_of(context, region), region.width, region.height)
    squares = picking.squares(screen, cursor)  # [C]
    for number in np.argsort(squares, kind="stable"):
        if squares[number] > NEAR_CLICK**2:
            return None
        if not screen.seen[number]:
            continue
        place, depth = tuple(screen.points[number].tolist()), float(screen.depth[number])
        index, prompt = usable[number]
        if evaluated.through(context.space_data.shading):
            return index
        close, own = near(context, region, snapshot, place), -1
        if not isinstance(prompt, SurfacePoint):
            own = int((close.points == surface.point_of(prompt)).argmax())
        covered = picking.hidden(close.screen, close.faces, place, depth, own)
        if not (covered or blocked(context, region, place, obj, depth)):
            return index
    return None


def blocked(context: bpy.types.Context, region: Any, cursor: Place, obj: bpy.types.Object, depth: float) -> bool:
    """Tell whether another object occludes what was picked at this depth."""
    rv3d, depsgraph = region.data, context.evaluated_depsgraph_get()
    origin = view3d_utils.region_2d_to_origin_3d(region, rv3d, cursor)
    direction = view3d_utils.region_2d_to_vector_3d(region, rv3d, cursor)
    if len(obj.data.polygons) <= RAY_LIMIT:
        places = first_hit(context, depsgraph, obj, origin, direction)
    else:
        places = hits_on_others(context, depsgraph, obj, origin, direction)
    matrix = np.array(rv3d.perspective_matrix)  # [4, 4]
    depths = picking.project(np.array(places).reshape(-1, 3), matrix, region.width, region.height).depth  # [N]
    return bool((depths < depth - picking.CLOSE).any())


def first_hit(
    context: bpy.types.Context, depsgraph: Any, obj: bpy.types.Object, origin: Vector, direction: Vector
) -> list[Vector]:
    """World position where a ray hits the first visible object; none where that is the object itself."""
    for _ in range(RAYS):
        hit, place, _, _, other, _ = context.scene.ray_cast(depsgraph, origin, direction)
        if not hit or other.original == obj:
            break
        if covers(context, other.original):
            return [place]
        origin = place + direction * (STEP * (1 + (place - origin).length))
    return []


def hits_on_others(
    context: bpy.types.Context, depsgraph: Any, obj: bpy.types.Object, origin: Vector, direction: Vector
) -> list[Vector]:
    """World positions where a ray hits other objects first."""
    places = []
    for instance in depsgraph.object_instances:
        other = instance.object
        if other.type != "MESH" or not instance.show_self:
            continue
        if other.original == obj or not covers(context, other.original):
            continue
        matrix = instance.matrix_world.copy()
        inverse = matrix.inverted_safe()
        hit, place, _, _ = other.ray_cast(inverse @ origin, inverse.to_3x3() @ direction)
        if hit:
            places.append(matrix @ place)
    return places


def covers(context: bpy.types.Context, other: bpy.types.Object) -> bool:
    """Tell whether the view shows an object that a ray has hit, with faces that hide what is behind them."""
    space = context.space_data
    outside = space.local_view is not None and not other.visible_get(viewport=space)
    return other.display_type not in ("WIRE", "BOUNDS") and not outside


def surface_known(obj: bpy.types.Object) -> bool:
    """Tell whether the clickable surface is known, or begin to find it. Raises IsegError for an unreadable mesh."""
    snapshot = reading.snapshot_of(obj)
    return snapshot is not None and evaluated.known(obj, snapshot)


def click_refusal(context: bpy.types.Context) -> str:
    """Say why clicking is not possible; empty where it is."""
    obj, space = context.object, context.space_data
    why = mesh_usable.face_refusal(obj) or choice.problem()
    if not why and (context.area is None or context.area.type != "VIEW_3D"):
        why = "Clicking needs a 3D viewport: scripts use bpy.ops.iseg.click_add(vertex=, positive=)."
    if not why and not obj.visible_get(viewport=space):
        why = f"{mesh_usable.name_of(obj)} is hidden in this view: show it (Alt-H) or leave local view."
    return why


def aimed(area: Any, mouse: Place) -> tuple[Any, Place] | None:
    """Find the region of an area under the mouse (pixels in the window), and the mouse's pixels in it.

    Quad view has four such regions. None where the mouse is over none, or over a sidebar that overlaps it.
    """

    def holds(region: Any) -> bool:
        x, y = mouse[0] - region.x, mouse[1] - region.y
        return 0 <= x < region.width and 0 <= y < region.height

    over = [region for region in area.regions if region.width > 1 and region.height > 1 and holds(region)]
    if not over or any(region.type != "WINDOW" for region in over):
        return None
    return over[0], (mouse[0] - over[0].x, mouse[1] - over[0].y)
