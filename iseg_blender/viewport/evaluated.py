"""Evaluated surface that the user sees: the mesh after its modifiers, and the vertex each of its points comes from.

Modifiers interpolate attributes. So a copy of the object with its vertex positions as an attribute, evaluated once in a
scene of its own, gives the rest position in the mesh of every point of the surface. Both are removed at once.
"""

import time
import traceback
from functools import partial
from typing import Any, NamedTuple

import bpy
import numpy as np
from mathutils.bvhtree import BVHTree
from mathutils.kdtree import KDTree

from .. import redraw
from ..core import Recent
from ..engine import pump, running
from ..mesh import arrays, picking
from ..mesh.cache import MeshCache
from ..mesh.geometry import Geometry, polygons_of_triangles, triangles
from ..mesh.points import nearest_weights
from ..mesh.snapshot import MeshSnapshot
from ..session import Kept
from ..tasks import Conversation, Task, ThreadWork
from ..timers import Timers
from .overlay import Base, Surface

LIMIT = 200_000  # points; where the surface has more, the base mesh is shown
QUICK = 0.05  # seconds that modifiers may take: evaluating them once more holds Blender up
SIMULATIONS = {"CLOTH", "COLLISION", "DYNAMIC_PAINT", "EXPLODE", "FLUID", "OCEAN", "PARTICLE_SYSTEM", "SOFT_BODY"}
KEPT = 16

Recipe = tuple[Any, ...]  # what origins depend on: the mesh's topology, the surface's counts, the modifiers


class Origin(NamedTuple):
    """Origin of a surface's points in the base mesh."""

    geometry: Geometry  # the surface in the pose in which it was traced
    triangles: np.ndarray  # [F, 3]
    source: np.ndarray  # [S] int32: the vertex that each point belongs to
    shown: np.ndarray  # [V] int32: the point that shows each vertex
    polygons: np.ndarray  # [P] int32: the base mesh's polygon that each polygon of the surface lies on
    corners: np.ndarray  # [S, 3] int32: vertices of the base mesh's triangle that each point lies on
    weights: np.ndarray  # [S, 3]: its barycentric coordinates there


class SurfaceCache(Kept):
    """Caches of evaluated surfaces and their origins."""

    def __init__(self) -> None:
        self.surfaces: Recent[int, tuple[tuple, Surface]] = Recent(KEPT)  # by the object's uid, with its source
        self.origins: Recent[Recipe, Origin | None] = Recent(KEPT)  # None: the base mesh is shown
        self.tracing: set[Recipe] = set()  # recipes whose origins are being computed
        self.solid: picking.Solid | None = None  # of the surface that the mouse was over last


def surface_of(obj: bpy.types.Object, snapshot: MeshSnapshot) -> Surface:
    """Surface of a mesh object that is shown; the base mesh until the origins of the evaluated one are known.

    Called while Blender draws, so it must be quick.
    """
    plain = obj.data.is_editmode or not (len(obj.modifiers) or obj.data.shape_keys is not None)
    state = (snapshot.hash, -1 if plain else MeshCache.current().versions[obj.data.session_uid])
    surfaces = SurfaceCache.current().surfaces
    known = surfaces.get(obj.session_uid)
    if known is None or known[0] != state:
        surface = _base(snapshot) if plain else _evaluated(obj, snapshot)
        surfaces.put(obj.session_uid, (state, surface))
    return surfaces[obj.session_uid][1]


def through(shading: bpy.types.View3DShading) -> bool:
    """Tell whether a view shows what lies behind surfaces. Each shading mode has an x-ray setting of its own."""
    if shading.type == "WIREFRAME":
        return shading.show_xray_wireframe
    return shading.type == "SOLID" and shading.show_xray


def known(obj: bpy.types.Object, snapshot: MeshSnapshot) -> bool:
    """Tell whether the surface to show is known, or begin to find it."""
    surface_of(obj, snapshot)
    return not SurfaceCache.current().tracing


def _base(snapshot: MeshSnapshot) -> Surface:
    return Surface(snapshot.vertices, snapshot.faces, polygons=snapshot.polygons)


def _evaluated(obj: bpy.types.Object, snapshot: MeshSnapshot) -> Surface:
    base, began = _base(snapshot), time.perf_counter()
    evaluated = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = evaluated.data
    counts = len(mesh.vertices), len(mesh.loops), len(mesh.polygons)
    if counts == (len(snapshot.vertices), len(snapshot.geometry.corners), len(snapshot.geometry.starts)):
        return base._replace(points=arrays.positions(mesh))  # modifiers only move vertices
    if not counts[2] or counts[0] > LIMIT:
        return base
    known = SurfaceCache.current()
    recipe = (snapshot.topology, counts, *((m.type, m.show_viewport) for m in obj.modifiers))
    if recipe not in known.origins:
        geometry = arrays.arrays(mesh)
        took = time.perf_counter() - began + sum(m.execution_time for m in evaluated.modifiers)
        if took > QUICK or any(m.type in SIMULATIONS for m in obj.modifiers):
            known.origins.put(recipe, None)
        elif recipe not in known.tracing:
            known.tracing.add(recipe)
            uid = obj.session_uid
            trace = partial(_trace, uid, snapshot, geometry, recipe)
            Timers.current().begin(trace, persistent=True)  # else opening a file removes the timer
        return base
    origin = known.origins[recipe]
    if origin is None:
        return base
    now = arrays.arrays(mesh)
    same = np.array_equal(now.corners, origin.geometry.corners)
    faces = origin.triangles if same else triangles(now)  # [F, 3]
    own = polygons_of_triangles(now)  # [F] or None
    polygons = origin.polygons if own is None else origin.polygons[own]  # [F]
    rest = np.einsum("sc,scx->sx", origin.weights, snapshot.vertices[origin.corners])  # [S, 3]
    mesh = Base(snapshot.vertices, snapshot.faces, snapshot.polygons, rest)
    return Surface(now.vertices, faces, origin.source, origin.shown, polygons, mesh)


def _trace(uid: int, snapshot: MeshSnapshot, geometry: Geometry, recipe: Recipe) -> None:
    """Begin to compute the origin of the points of an object's surface. Not allowed while Blender draws."""
    known = SurfaceCache.current()
    obj = next((obj for obj in bpy.data.objects if obj.session_uid == uid), None)
    if obj is None or obj.mode != "OBJECT":
        known.tracing.discard(recipe)
        return

    def ended(task: Task) -> None:
        known.tracing.discard(recipe)
        known.origins.put(recipe, task.result)
        known.surfaces.pop(uid, None)
        redraw.redraw()

    try:
        rest = rest_places(obj)
    except Exception:  # an unknown kind of modifier: a timer that raises would leave the surface pending
        traceback.print_exc()
        rest = np.zeros((0, 3), np.float32)  # [0, 3] unknown
    running.engine().start(tracing(snapshot, geometry, rest), ended)
    pump.keep_pumping()


def tracing(snapshot: MeshSnapshot, geometry: Geometry, rest: np.ndarray | None) -> Conversation:
    """Compute the origin of a surface's points; the result is None where it cannot be known."""
    if rest is None:  # a modifier such as Remesh has made a new surface: it lies where the mesh was
        rest = geometry.vertices  # [S, 3]
    if len(rest) != len(geometry.vertices) or not len(snapshot.vertices):
        return None
    return (yield ThreadWork(partial(origin_of, snapshot, geometry, rest)))


def origin_of(snapshot: MeshSnapshot, geometry: Geometry, rest: np.ndarray) -> Origin:
    """Assign each point to the vertex nearest to its rest position, rest [S, 3], and each polygon to the nearest one.

    A vertex is shown by the nearest of the points assigned to it, the first one of equals. A vertex without any, as
    modifiers can remove it, is shown by the nearest point of all.
    """
    vertices = snapshot.vertices  # [V, 3]
    source = nearest(vertices, rest)  # [S]
    away = ((rest - vertices[source]) ** 2).sum(axis=1)  # [S]
    order = np.lexsort((away, source))  # [S]
    own, first = np.unique(source[order], return_index=True)  # [N], [N] vertices, and start of each in the order
    shown = np.full(len(vertices), -1, np.int32)  # [V]
    shown[own] = order[first]
    bare = np.flatnonzero(shown < 0)  # [M]
    if len(bare):
        shown[bare] = nearest(rest, vertices[bare])
    faces = triangles(geometry)  # [F, 3]
    middles = rest[faces[geometry.first_triangles()]].mean(axis=1)  # [P, 3] of the first triangle of each polygon
    found = nearest_triangle(snapshot, middles)  # [P]
    polygons = found if snapshot.polygons is None else snapshot.polygons[found]  # [P]
    under = snapshot.faces[nearest_triangle(snapshot, rest)]  # [S, 3] corners of the triangle that each point lies on
    weights, _ = nearest_weights(vertices[under], rest)  # [S, 3]
    return Origin(geometry, faces, source, shown, polygons, under, weights)


def nearest_triangle(snapshot: MeshSnapshot, places: np.ndarray) -> np.ndarray:
    """Index of the mesh's triangle that is nearest to each place [M, 3]. [M] int32"""
    tree = BVHTree.FromPolygons(snapshot.vertices.tolist(), snapshot.faces.tolist(), all_triangles=True)
    return np.array([tree.find_nearest(place)[2] or 0 for place in places.tolist()], np.int32)  # [M] None: too far away


def nearest(points: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Index of the nearest of the points [N, 3] to each place [M, 3]. [M] int32"""
    tree = KDTree(len(points))
    for index, point in enumerate(points.tolist()):
        tree.insert(point, index)
    tree.balance()
    return np.array([tree.find(place)[1] for place in places.tolist()], np.int32)  # [M]


def rest_places(obj: bpy.types.Object) -> np.ndarray | None:
    """Rest positions of an object's surface points, before its modifiers. [S, 3] float32, in the object's own space.

    None where the modifiers do not carry the attribute along. Leaves nothing behind in the file.
    """
    copy, scene = obj.copy(), bpy.data.scenes.new("iSeg")
    try:
        copy.add_rest_position_attribute = True
        scene.collection.objects.link(copy)
        scene.frame_current, scene.frame_subframe = bpy.context.scene.frame_current, bpy.context.scene.frame_subframe
        scene.view_layers[0].update()
        mesh = copy.evaluated_get(scene.view_layers[0].depsgraph).data
        if "rest_position" not in mesh.attributes or mesh.attributes["rest_position"].domain != "POINT":
            return None
        places = np.empty(3 * len(mesh.vertices), np.float32)  # [3 S]
        mesh.attributes["rest_position"].data.foreach_get("vector", places)
        return places.reshape(-1, 3)  # [S, 3]
    finally:
        bpy.data.objects.remove(copy)
        bpy.data.scenes.remove(scene)
