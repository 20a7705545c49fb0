"""Overlay in the 3D viewport: choosing the part to show on each object, and drawing it. Only with a window."""

from collections.abc import Callable
from typing import Any

import bpy
import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader
from mathutils import Matrix

from .. import redraw
from ..core import Recent
from ..document import parts
from ..engine import pump, queries, running
from ..mesh import cache, usable
from ..session import Kept
from ..tasks import Conversation, Task, ThreadWork
from . import evaluated, overlay, preview

BLUE, PALE = (0.1, 0.45, 1.0, 0.45), (0.35, 0.65, 1.0, 0.35)  # the part; its preview
GREEN, RED, DARK = (0.2, 0.9, 0.25, 1.0), (1.0, 0.2, 0.15, 1.0), (0.0, 0.0, 0.0, 1.0)
WHITE = (1.0, 1.0, 1.0, 1.0)
DOT, RIM, HALO = 5.0, 6.5, 8.5  # radii in pixels: of a dot, its dark rim, the active click's mark

Colour = tuple[float, float, float, float]

KEPT = 4


class ViewOverlay(Kept):
    """Overlays of the objects, and the draw handler registered with Blender."""

    def __init__(self) -> None:
        self.shown: Recent[int, Shown] = Recent(KEPT)  # by session uid of the object
        self._handle: Any = None

    def start(self) -> None:
        if not bpy.app.background:
            self._handle = bpy.types.SpaceView3D.draw_handler_add(draw, (), "WINDOW", "POST_VIEW")

    def close(self) -> None:
        if self._handle is not None:
            bpy.types.SpaceView3D.draw_handler_remove(self._handle, "WINDOW")


class Shown:
    """Overlay of an object, and what it was made from."""

    def __init__(self) -> None:
        self.wanted: Any = None  # everything that the overlay depends on
        self.belongings: Any = None  # kept alive, so that their ids in `wanted` stay theirs
        self.making: Task | None = None
        self.made: tuple[overlay.Surface, overlay.Overlay] | None = None
        self.batches: Batches | None = None  # of the last overlay made
        self.colour = BLUE


class Batches:
    """Overlay as batches on the GPU."""

    def __init__(self, surface: overlay.Surface, shown: overlay.Overlay, before: "Batches | None" = None):
        """Upload an overlay. before: batches of the same object, reused for the points where the surface is equal."""
        self._shown, self._surface = shown, surface
        self._shader = gpu.shader.from_builtin("UNIFORM_COLOR")
        if before is not None and before._surface is surface:
            self._points = before._points
        else:
            layout = gpu.types.GPUVertFormat()
            layout.attr_add(id="pos", comp_type="F32", len=3, fetch_mode="FLOAT")
            self._points = gpu.types.GPUVertBuf(layout, len(surface.points))
            self._points.attr_fill("pos", surface.points)
        self._region = None
        if len(shown.region):
            order = gpu.types.GPUIndexBuf(type="TRIS", seq=shown.region)
            self._region = gpu.types.GPUBatch(type="TRIS", buf=self._points, elem=order)

    def draw(self, matrix: Matrix, view: Matrix, window: Matrix, pixel: float, through: bool, colour: Colour) -> None:
        """Draw the overlay.

        matrix: from the object's space to the world; view and window: on to the camera and the screen. pixel: size of
        one as a fraction of half the region's height. through: also draw what lies behind the surface.
        """
        test, mask, blend = gpu.state.depth_test_get(), gpu.state.depth_mask_get(), gpu.state.blend_get()
        gpu.state.blend_set("ALPHA")
        gpu.state.depth_mask_set(False)  # a dot must not hide one drawn on top of it
        gpu.state.depth_test_set("NONE" if through else "LESS_EQUAL")
        self._shader.bind()
        if self._region is not None:
            with gpu.matrix.push_pop():
                gpu.matrix.load_matrix(Matrix(overlay.towards_viewer(np.array(window))) @ view @ matrix)
                self._shader.uniform_float("color", colour)
                self._region.draw(self._shader)
        to_world, to_camera, to_screen = (np.array(m, np.float64) for m in (matrix, view, window))  # 3 x [4, 4]
        include, exclude, active = self._shown.include, self._shown.exclude, self._shown.active
        for radius, places, own in (
            (HALO, active, WHITE),
            (RIM, include, DARK),
            (RIM, exclude, DARK),
            (DOT, include, GREEN),
            (DOT, exclude, RED),
        ):
            if len(places):
                discs = overlay.discs(places, to_world, to_camera, to_screen, radius * pixel)  # [N, S, 3, 3]
                self._shader.uniform_float("color", own)
                batch_for_shader(self._shader, "TRIS", {"pos": discs.reshape(-1, 3)}).draw(self._shader)
        gpu.state.depth_test_set(test)
        gpu.state.depth_mask_set(mask)
        gpu.state.blend_set(blend)


def draw() -> None:
    """Draw the overlay in a 3D view; called by Blender for each view. Computes only what has changed."""
    context = bpy.context
    obj, settings = context.object, context.scene.iseg
    if obj is None or not settings.show or not context.space_data.overlay.show_overlays or usable.refusal(obj):
        return
    if not obj.visible_get(viewport=context.space_data):
        return
    part, snapshot = parts.part_of(obj), cache.known_snapshot(obj)
    if snapshot is None or cache.waits(obj):
        return
    proposed = preview.Hover.current().preview
    imagined = proposed.inside if proposed is not None and proposed.mesh == snapshot.hash else None  # [P]
    if (part is None or obj.iseg.topology != snapshot.topology) and imagined is None:  # previews need no earlier click
        return
    part = part or queries.NEW_PART
    clicks = parts.clicks_of(part, snapshot.geometry).made
    active = None
    if len(part.clicks):
        chosen = part.clicks[parts.clamped(part.click_index, len(part.clicks))]
        active = parts.prompt_of(chosen, snapshot.geometry)
    answer = queries.answer_of(obj, part)
    surface = evaluated.surface_of(obj, snapshot)
    overlays = ViewOverlay.current().shown
    shown = overlays.take(obj.session_uid) or Shown()
    overlays.put(obj.session_uid, shown)
    wanted = (id(surface), clicks, active, id(answer), part.automatic, part.threshold, part.connected, id(imagined))
    if wanted != shown.wanted:
        if shown.making is not None:
            running.engine().cancel(shown.making)
        shown.wanted, shown.belongings = wanted, (surface, answer, imagined)
        choose, colour = queries.choosing(snapshot, part), BLUE if imagined is None else PALE

        def build() -> overlay.Overlay:
            inside = choose(answer) if imagined is None and answer is not None else imagined  # [P]
            return overlay.build(surface, inside, clicks, active)

        make(shown, surface, colour, build)
    if shown.made is not None:
        shown.batches, shown.made = Batches(*shown.made, shown.batches), None
    if shown.batches is None:
        return
    rv3d, through = context.region_data, evaluated.through(context.space_data.shading)
    pixel = context.preferences.system.ui_scale * 2 / context.region.height
    shown.batches.draw(obj.matrix_world, rv3d.view_matrix, rv3d.window_matrix, pixel, through, shown.colour)


def make(shown: Shown, surface: overlay.Surface, colour: Colour, build: Callable[[], overlay.Overlay]) -> None:
    """Make an overlay: a small one now, a large one on a thread, with the previous one drawn until it is done."""

    def making() -> Conversation:
        return build() if len(surface.triangles) <= cache.SMALL else (yield ThreadWork(build))

    def ended(task: Task) -> None:
        shown.making = None
        if task.error is None:
            shown.made, shown.colour = (surface, task.result), colour
            if waited:
                redraw.redraw()

    waited = False
    task = running.engine().start(making(), ended)
    waited = not task.ended
    if waited:
        shown.making = task
        pump.keep_pumping()
