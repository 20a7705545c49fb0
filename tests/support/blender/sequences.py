"""Random sequences of operators, ours and Blender's, and what must hold after each of them.

A sequence is decided by its seed alone. benchmarks/blender_reliability.py runs as many as one likes.
"""

import contextlib
import io
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import bpy
import numpy as np

from support.blender.extension import answers_of

import bmesh  # isort: skip  (it comes with bpy)

MODULE = "bl_ext.user_default.iseg"
STEPS = 25


class Wrong(Exception):
    """What must hold does not."""


class Shape(NamedTuple):
    """A mesh, to the last bit."""

    places: bytes
    faces: tuple[tuple[int, ...], ...]


class Snapshot(NamedTuple):
    """The objects of a file, by name."""

    shapes: dict[str, Shape]
    clicks: dict[str, tuple]


def objects() -> list[bpy.types.Object]:
    return [obj for obj in bpy.data.objects if obj.type == "MESH"]


def shape(obj: bpy.types.Object) -> Shape:
    mesh = obj.data
    if mesh.is_editmode:
        work = bmesh.from_edit_mesh(mesh)
        work.verts.index_update()
        places = np.array([vertex.co[:] for vertex in work.verts], np.float32)  # [V, 3]
        return Shape(places.tobytes(), tuple(tuple(vertex.index for vertex in face.verts) for face in work.faces))
    places = np.empty(3 * len(mesh.vertices), np.float32)  # [3 V]
    mesh.vertices.foreach_get("co", places)
    return Shape(places.tobytes(), tuple(tuple(polygon.vertices) for polygon in mesh.polygons))


def clicks(obj: bpy.types.Object) -> tuple:
    return tuple(
        (part.name, *((c.vertex, c.positive, c.face, tuple(c.weights)) for c in part.clicks)) for part in obj.iseg.parts
    )


def snapshot() -> Snapshot:
    return Snapshot({t.name: shape(t) for t in objects()}, {t.name: clicks(t) for t in objects()})


class Sequence:
    """One sequence; `run` raises Wrong where something does not hold."""

    def __init__(self, seed: int, folder: Path):
        self.seed, self.folder, self.random = seed, folder, random.Random(seed)
        self.done: list[str] = []
        self.steps: list[Snapshot] = []  # those that Blender's undo knows
        self.at = 0  # which of them is now
        self.known_from = 0  # clicks of earlier ones were forgotten, as the extension was disabled since

    # ---- What is done ----

    def ours(self) -> list[tuple[int, str, Callable[[], Any]]]:
        """Weight, name and call of each operator of ours."""
        ops, obj = bpy.ops.iseg, bpy.context.object
        vertex = self.random.randrange(max(len(obj.data.vertices), 1) + 1) if obj else 0
        edits = [
            (1, f"edit {action}", lambda action=action: ops.edit(action=action))
            for action in ("SELECT", "HIDE", "SHRINK", "MATERIAL", "FACE_SET", "DELETE", "EXTRUDE", "SEPARATE")
        ]
        return [
            (8, "click_add", lambda: ops.click_add(vertex=vertex, positive=self.random.random() < 0.7)),
            (8, "click_add a point", lambda: ops.click_add(face=vertex, weights=(0.5, 0.25, 0.25))),
            (1, "click_remove", lambda: ops.click_remove(index=self.random.randrange(-1, 3))),
            (1, "click_flip", lambda: ops.click_flip(index=self.random.randrange(-1, 3))),
            (1, "click_clear", lambda: ops.click_clear()),
            (1, "click_clear_all", lambda: ops.click_clear_all()),
            (2, "part_add", lambda: ops.part_add(name=self.random.choice(["Ear", "Eye", ""]))),
            (1, "part_remove", lambda: ops.part_remove()),
            (2, "setting", self.setting),
            (3, "to_vertex_group", lambda: ops.to_vertex_group(hard=self.random.random() < 0.3)),
            (1, "clicks_from_selection", lambda: ops.clicks_from_selection()),
            (1, "clicks_from_group", lambda: ops.clicks_from_group()),
            *edits,
        ]

    def setting(self) -> None:
        obj = bpy.context.object
        part = self.random.choice(list(obj.iseg.parts) or [None]) if obj is not None else None
        if part is None:
            raise RuntimeError("There are no parts.")
        name, value = self.random.choice(
            [
                ("granularity", self.random.choice(["fine", "part", "whole"])),
                ("threshold", self.random.uniform(0.05, 0.95)),
                ("automatic", self.random.random() < 0.5),
                ("connected", self.random.random() < 0.5),
                ("mirror", (True, False, self.random.random() < 0.5)),
                ("name", self.random.choice(["Nose", "Ear", "", "x" * 80])),
            ]
        )
        setattr(part, name, value)

    def blenders(self) -> list[tuple[int, str, Callable[[], Any]]]:
        """The same of Blender's."""
        ops, mesh = bpy.ops, bpy.ops.mesh
        return [
            (4, "edit mode", lambda: ops.object.mode_set(mode="OBJECT" if editing() else "EDIT")),
            (1, "another mode", lambda: ops.object.mode_set(mode=self.random.choice(["SCULPT", "WEIGHT_PAINT"]))),
            (2, "add", self.add),
            (1, "delete", lambda: ops.object.delete()),
            (1, "rename", lambda: setattr(bpy.context.object, "name", self.random.choice(["A", "B", "Ä ö"]))),
            (1, "join", self.join),
            (1, "copy", self.copy),
            (1, "activate", self.activate),
            (2, "subdivide", lambda: mesh.subdivide()),
            (2, "select", lambda: mesh.select_random(ratio=self.random.random(), seed=self.random.randrange(99))),
            (1, "delete vertices", lambda: mesh.delete(type=self.random.choice(["VERT", "EDGE", "FACE"]))),
            (1, "move", lambda: ops.transform.translate(value=(0.1, 0.0, 0.3))),
            (1, "modifier", lambda: ops.object.modifier_add(type=self.random.choice(["SUBSURF", "MIRROR"]))),
            (1, "apply", lambda: ops.object.modifier_apply(modifier=bpy.context.object.modifiers[0].name)),
            (1, "shape key", lambda: ops.object.shape_key_add()),
            (1, "group", lambda: ops.object.vertex_group_remove(all=True)),
        ]

    def add(self) -> None:
        add, size = bpy.ops.mesh, self.random.uniform(0.5, 2.0)
        self.random.choice(
            [
                lambda: add.primitive_cube_add(size=size),
                lambda: add.primitive_uv_sphere_add(segments=8, ring_count=6, radius=size),
                lambda: add.primitive_grid_add(x_subdivisions=5, y_subdivisions=4, size=size),
                lambda: add.primitive_cone_add(vertices=7, radius1=size),
            ]
        )()

    def join(self) -> None:
        bpy.ops.object.select_all(action="SELECT")
        bpy.ops.object.join()

    def copy(self) -> None:
        bpy.ops.object.duplicate(linked=self.random.random() < 0.5)

    def activate(self) -> None:
        if bpy.context.mode != "OBJECT" or not objects():
            raise RuntimeError("Only in object mode.")
        bpy.context.view_layer.objects.active = self.random.choice(sorted(objects(), key=lambda obj: obj.name))

    # ---- What must hold ----

    def run(self) -> None:
        bpy.ops.wm.read_homefile(use_empty=True)
        answers_of(sys.modules[MODULE]).answers.clear()
        self.add()
        self.push(fresh=True)
        for _ in range(STEPS):
            self.step()

    def step(self) -> None:
        kind = self.random.choices(["ours", "blenders", "undo", "redo", "reload", "disable"], [50, 30, 12, 5, 2, 1])[0]
        if kind in ("ours", "blenders"):
            table = self.ours() if kind == "ours" else self.blenders()
            _, name, call = self.random.choices(table, [weight for weight, *_ in table])[0]
            self.done.append(name)
            before = snapshot()
            said = self.call(call, kind == "ours")
            if kind == "ours":
                self.check_ours(name, before, said)
            self.push()
        elif kind in ("undo", "redo"):
            self.done.append(kind)
            self.travel(-1 if kind == "undo" else 1)
        elif kind == "reload":
            self.done.append(kind)
            self.reload()
        else:
            self.done.append(kind)
            self.disable()
        self.check()

    def call(self, call: Callable[[], Any], ours: bool) -> str:
        """What the operator refused with; empty where it did its work."""
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                call()
        except (RuntimeError, IndexError, AttributeError, TypeError) as error:
            if ours and (not isinstance(error, RuntimeError) or "Traceback" in str(error)):
                raise Wrong(f"a traceback: {error}") from None
            return str(error) or "refused"
        if "Traceback" in printed.getvalue():
            raise Wrong(f"a traceback: {printed.getvalue()}")
        return ""

    def check_ours(self, name: str, before: Snapshot, said: str) -> None:
        """Nothing but what an operator of ours says that it does has been done to the meshes."""
        now = snapshot()
        same_places = now.shapes == before.shapes
        if said and now != before:
            raise Wrong(f"refused ({said}), and yet something has changed")
        if name in ("edit DELETE", "edit EXTRUDE", "edit SEPARATE"):
            return
        if name == "edit SHRINK":
            same_places = {n: (len(s.places), s.faces) for n, s in now.shapes.items()} == {
                n: (len(s.places), s.faces) for n, s in before.shapes.items()
            }
        if not same_places:
            raise Wrong("the shape of a mesh has changed")

    def check(self) -> None:
        iseg = sys.modules[MODULE]
        for obj in objects():
            count = len(shape(obj).places) // 12
            if not obj.data.is_editmode:
                groups = len(obj.vertex_groups)
                for vertex in obj.data.vertices:
                    for member in vertex.groups:
                        if member.group >= groups or not 0 <= member.weight <= 1:
                            raise Wrong(f"vertex {vertex.index} of {obj.name} is in a group that is not there")
                if obj.data.validate(verbose=False):
                    raise Wrong(f"Blender finds {obj.name} invalid")
            if iseg.mesh.usable.refusal(obj) or not any(len(part.clicks) for part in obj.iseg.parts):
                continue
            if obj.iseg.topology == iseg.mesh.geometry.topology(iseg.mesh.arrays.read(obj)):
                for part in obj.iseg.parts:
                    if any(click.vertex >= count for click in part.clicks):
                        raise Wrong(f"a click of {obj.name} is on a vertex that is not there")
        if iseg.engine.running.engine().busy:
            raise Wrong("something is still under way")

    def push(self, fresh: bool = False) -> None:
        """A step of undo, as Blender makes one after each operator that a button has called."""
        bpy.ops.ed.undo_push(message="step")
        if fresh:
            self.steps, self.at, self.known_from = [], -1, 0
        del self.steps[self.at + 1 :]
        self.steps.append(snapshot())
        self.at = len(self.steps) - 1

    def travel(self, by: int) -> None:
        if not 0 <= self.at + by < len(self.steps):
            return
        (bpy.ops.ed.undo if by < 0 else bpy.ops.ed.redo)()
        self.at += by
        now, wanted = snapshot(), self.steps[self.at]
        if now.shapes != wanted.shapes:
            raise Wrong(f"not the shapes that were: {sorted(now.shapes)} and {sorted(wanted.shapes)}")
        if self.at >= self.known_from and now.clicks != wanted.clicks:
            raise Wrong(f"not the clicks that were: {now.clicks} and {wanted.clicks}")

    def reload(self) -> None:
        if bpy.context.mode != "OBJECT":
            bpy.ops.object.mode_set(mode="OBJECT")
        before, path = snapshot(), str(self.folder / "sequence.blend")
        bpy.ops.wm.save_as_mainfile(filepath=path)
        bpy.ops.wm.open_mainfile(filepath=path)
        if snapshot() != before:
            raise Wrong("the file is not what was saved")
        self.push(fresh=True)

    def disable(self) -> None:
        before = snapshot()
        bpy.ops.preferences.addon_disable(module=MODULE)
        bpy.ops.preferences.addon_enable(module=MODULE)
        if snapshot() != before:
            raise Wrong("disabling and enabling has changed something")
        self.known_from = self.at + 1


def editing() -> bool:
    return bpy.context.mode == "EDIT_MESH"


def run(seed: int, folder: Path) -> list[str]:
    """Run a sequence; what was done in it. Raises Wrong with the way there."""
    sequence = Sequence(seed, folder)
    try:
        sequence.run()
    except Exception as error:
        raise Wrong(f"seed {seed}: {type(error).__name__}: {error}\n  after {', '.join(sequence.done)}") from error
    return sequence.done
