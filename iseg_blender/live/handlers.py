"""Handlers that Blender calls when its data have changed."""

import bpy
from bpy.app.handlers import persistent

from ..document import parts, undo
from ..mesh import usable
from ..mesh.cache import MeshCache
from ..session import Kept
from ..timers import Timers
from .answers import actives, changed, refresh
from .groups import LiveGroups

CALM = 0.25  # seconds without a change before the mesh is read again


@persistent
def on_update(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
    """Respond to the changes that Blender reports."""
    geometry, meshes = False, MeshCache.current()
    for update in depsgraph.updates:
        if update.is_updated_geometry:
            obj = update.id.original
            mesh = obj.data if isinstance(obj, bpy.types.Object) else obj
            if isinstance(mesh, bpy.types.Mesh):
                meshes.stale.add(mesh.session_uid)
                meshes.versions[mesh.session_uid] += 1
                geometry = True
    for _, obj in actives():
        if not usable.refusal(obj) and obj.data.is_editmode:
            undo.begin(obj)
    if geometry:
        timers = Timers.current()
        timers.end(refresh)
        timers.begin(refresh, after=CALM)


@persistent
def on_everything(*_: object) -> None:
    """Respond to undo, redo and load, after which every mesh may have changed."""
    meshes = MeshCache.current()
    meshes.stale.update(meshes.snapshots)
    LiveGroups.current().written.clear()
    undo.recall()
    changed()


@persistent
def on_arrival(*given: object) -> None:
    """Respond to data from another file, loaded or appended."""
    parts.mend()
    on_everything()


HANDLERS = (
    (bpy.app.handlers.depsgraph_update_post, on_update),
    (bpy.app.handlers.undo_post, on_everything),
    (bpy.app.handlers.redo_post, on_everything),
    (bpy.app.handlers.load_post, on_arrival),
)
if hasattr(bpy.app.handlers, "blend_import_post"):  # from Blender 4.3 on
    HANDLERS += ((bpy.app.handlers.blend_import_post, on_arrival),)


class Handlers(Kept):
    """Handlers registered with Blender."""

    def start(self) -> None:
        if hasattr(bpy.data, "objects"):  # missing while Blender itself starts
            parts.mend()
        for handlers, handler in HANDLERS:
            handlers.append(handler)

    def close(self) -> None:
        for handlers, handler in HANDLERS:
            if handler in handlers:
                handlers.remove(handler)
