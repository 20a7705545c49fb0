"""The overlay in the 3D viewport: which part is shown where, and its drawing. Windows only."""

from typing import Any

import bpy
import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader
from mathutils import Matrix

from . import mesh_io, overlay, session, state

BLUE, PALE = (0.1, 0.45, 1.0, 0.45), (0.35, 0.65, 1.0, 0.35)  # the part; what the part would be
GREEN, RED, DARK = (0.2, 0.9, 0.25, 1.0), (1.0, 0.2, 0.15, 1.0), (0.0, 0.0, 0.0, 1.0)
DOT, RIM = 5.0, 6.5  # radius in pixels, of the dot and of its dark rim

Colour = tuple[float, float, float, float]

preview: tuple[str, np.ndarray] | None = None  # the mesh's name, and what its part would be [V] bool
imagining: Any = None  # what is being asked for the preview

_handle: Any = None
_drawn: tuple[Any, "Batches | None", Any] = (None, None, None)  # a key, its batches, and what its ids belong to


class Batches:
    """An overlay as the GPU has it."""

    def __init__(self, shown: overlay.Overlay):
        self._shown = shown
        self._shader = gpu.shader.from_builtin("UNIFORM_COLOR")
        region = shown.region.reshape(-1, 3)  # [3 T, 3]
        self._region = batch_for_shader(self._shader, "TRIS", {"pos": region}) if len(region) else None

    def draw(self, matrix: Matrix, view: Matrix, window: Matrix, pixel: float, through: bool, colour: Colour) -> None:
        """matrix: from the object's space to the world; view and window: on to the camera and the screen. pixel: its
        size as a fraction of half the region's height. through: also what lies behind the surface.
        """
        before = gpu.state.depth_test_get()
        gpu.state.blend_set("ALPHA")
        gpu.state.depth_mask_set(False)  # a dot must not hide the one that is drawn on it
        gpu.state.depth_test_set("NONE" if through else "LESS_EQUAL")
        self._shader.bind()
        if self._region is not None:
            with gpu.matrix.push_pop():
                gpu.matrix.multiply_matrix(matrix)
                self._shader.uniform_float("color", colour)
                self._region.draw(self._shader)
        to_world, to_camera, to_screen = (np.array(m, np.float64) for m in (matrix, view, window))  # 3 x [4, 4]
        for radius, rim in ((RIM, True), (DOT, False)):
            for places, own in ((self._shown.include, GREEN), (self._shown.exclude, RED)):
                if len(places):
                    discs = overlay.discs(places, to_world, to_camera, to_screen, radius * pixel).reshape(
                        -1, 3
                    )  # [3 N S, 3]
                    self._shader.uniform_float("color", DARK if rim else own)
                    batch_for_shader(self._shader, "TRIS", {"pos": discs.reshape(-1, 3)}).draw(self._shader)
        gpu.state.depth_test_set(before)
        gpu.state.blend_set("NONE")


def shown_vertices(thing: bpy.types.Object, look: mesh_io.Look) -> np.ndarray:
    """Where the base mesh's vertices are seen: moved by modifiers that only deform, else at home. [V, 3] float32"""
    moved = len(thing.modifiers) or thing.data.shape_keys is not None
    if thing.mode == "EDIT" or not moved:
        return look.vertices
    evaluated = thing.evaluated_get(bpy.context.evaluated_depsgraph_get())
    if len(evaluated.data.vertices) != len(look.vertices):
        return look.vertices  # a modifier makes new vertices: nobody knows which is which
    return mesh_io.positions(evaluated)  # [V, 3]


def draw() -> None:
    """Called by Blender for each 3D view that is drawn. Reads what is known; computes only what has changed."""
    global _drawn
    context = bpy.context
    thing, settings = context.object, context.scene.iseg
    if thing is None or not settings.show or not context.space_data.overlay.show_overlays or mesh_io.refusal(thing):
        return
    part, look = state.part_of(thing), session.known_look(thing)
    if part is None or look is None or thing.iseg.topology != look.topology:
        return
    clicks = state.clicks_of(part, len(look.vertices)).made
    answer = session.answer_of(thing, part)
    imagined = preview[1] if preview is not None and preview[0] == look.hash else None  # [V]
    places = shown_vertices(thing, look)  # [V, 3]
    threshold = (part.automatic, part.threshold, part.connected)
    pose = 0 if places is look.vertices else hash(places.tobytes())  # what modifiers make of the mesh
    key = (look.hash, clicks, id(answer), threshold, id(imagined), pose)
    if key != _drawn[0]:
        inside = imagined
        if inside is None and answer is not None:
            inside = session.inside_of(thing, part, answer)  # [V]
        _drawn = key, Batches(overlay.build(places, look.faces, inside, clicks)), (answer, imagined)
    assert _drawn[1] is not None
    rv3d, through = context.region_data, context.space_data.shading.show_xray
    colour = BLUE if imagined is None else PALE
    pixel = context.preferences.system.ui_scale * 2 / context.region.height
    _drawn[1].draw(thing.matrix_world, rv3d.view_matrix, rv3d.window_matrix, pixel, through, colour)


def start() -> None:
    global _handle
    if not bpy.app.background:
        _handle = bpy.types.SpaceView3D.draw_handler_add(draw, (), "WINDOW", "POST_VIEW")


def stop() -> None:
    global _handle, _drawn, preview, imagining
    if _handle is not None:
        bpy.types.SpaceView3D.draw_handler_remove(_handle, "WINDOW")
    _handle, _drawn, preview, imagining = None, (None, None, None), None, None
