"""Edits of a part: one operator with an action, one undo step."""

import bpy
import numpy as np
from bpy.props import EnumProperty, FloatProperty
from mathutils import Color

from .. import names
from ..document import parts
from ..engine import queries
from ..live.follow import changed
from ..mesh import arrays, attributes, cache, editing
from ..mesh.geometry import Geometry
from ..tasks import Refusal
from .base import AnswerOperator

ACTIONS = (
    ("SELECT", "Select", "Select the part in edit mode", "RESTRICT_SELECT_OFF"),
    ("DELETE", "Delete", "Delete the part's faces", "TRASH"),
    ("EXTRUDE", "Extrude", "Extrude the part along its normals", "ORIENTATION_NORMAL"),
    ("SHRINK", "Shrink/Enlarge", "Scale the part about its centre", "FULLSCREEN_EXIT"),
    ("SEPARATE", "Separate", "Make the part an object of its own", "MOD_EXPLODE"),
    ("HIDE", "Hide", "Hide the part in edit mode; Alt-H shows it again", "HIDE_ON"),
    ("MATERIAL", "Assign Material", "Give the part a material of its own, named as the part", "MATERIAL"),
    ("FACE_SET", "Face Set", "Make the part a face set for sculpting", "FACE_MAPS"),
)
UNSEEN = {  # ends of the messages for actions whose result Object Mode does not show
    "SELECT": "is selected: Tab shows it.",
    "HIDE": "is hidden: Tab shows it, and Alt-H there brings it back.",
    "FACE_SET": "is a face set: Sculpt Mode shows it.",
}
COLOUR = (0.6, 0.8, 0.8)  # hue, saturation and value of the first new material
GOLDEN = 0.618  # golden ratio: the step of the hue to the next material, which keeps a few hues well apart


class ISEG_OT_edit(AnswerOperator):
    """Do something with the active part"""

    bl_idname = names.EDIT
    bl_label = "Edit Part"
    bl_options = {"REGISTER", "UNDO"}

    action: EnumProperty(
        name="Action", items=[(name, label, text) for name, label, text, _ in ACTIONS], default="SELECT"
    )
    distance: FloatProperty(
        name="Distance", description="How far to extrude, in the object's own units", default=0.1, subtype="DISTANCE"
    )
    factor: FloatProperty(name="Factor", description="How much to scale", default=0.8, min=0.0, soft_max=4.0)

    @classmethod
    def description(cls, context, properties):
        return next(text for name, _, text, _ in ACTIONS if name == properties.action)

    def draw(self, context):
        if self.action == "EXTRUDE":
            self.layout.prop(self, "distance")
        elif self.action == "SHRINK":
            self.layout.prop(self, "factor")

    def apply(self, context, obj, part, answer):
        geometry = cache.snapshot_of(obj, fresh=False).geometry  # the mesh that the answer is for
        inside = queries.inside_of(obj, part, answer)  # [P]
        if not inside.any():
            raise Refusal("No face is in the part: lower its threshold, or add a click.")
        faces = np.flatnonzero(inside)  # [N]
        if obj.mode == "OBJECT" and self.action in UNSEEN:
            self.report({"INFO"}, f"{parts.title(part)} {UNSEEN[self.action]}")
        if self.action == "SELECT":
            attributes.select(obj, geometry, inside)
        elif self.action == "HIDE":
            attributes.hide(obj, geometry, inside)
        elif self.action == "SHRINK":
            shrink(obj, geometry, geometry.touched(inside), self.factor)
            changed(obj, None, part, queries.carried(obj, answer))
        elif self.action == "MATERIAL":
            attributes.assign_material(obj, faces, material_slot(obj, parts.title(part)))
            changed(obj, None, part, queries.carried(obj, answer))  # materials are marks
        elif self.action == "FACE_SET":
            attributes.assign_face_set(obj, faces)
        elif self.action == "EXTRUDE":
            steps = geometry.normals(faces) * self.distance  # [V, 3]
            moved = editing.extrude(obj, faces, steps)
            changed(obj, moved, part, queries.carried(obj, answer, moved.faces))
        else:
            if self.action == "SEPARATE":
                separate(obj, parts.title(part), geometry, faces)
            changed(obj, editing.delete(obj, faces))


def shrink(obj: bpy.types.Object, geometry: Geometry, inside: np.ndarray, factor: float) -> None:
    """Scale the vertices inside [V] bool about their mean by a factor."""
    vertices = np.flatnonzero(inside)  # [N]
    places = geometry.vertices[vertices].astype(np.float64)  # [N, 3]
    centre = places.mean(axis=0)  # [3]
    editing.move(obj, vertices, centre + (places - centre) * factor)


def separate(obj: bpy.types.Object, name: str, geometry: Geometry, faces: np.ndarray) -> bpy.types.Object:
    """Copy faces [N] int into a new object with the groups, materials and modifiers of this one. Raises Refusal."""
    rest = np.setdiff1d(np.arange(len(geometry.starts)), faces)  # [M]
    if not len(rest):
        raise Refusal("The part is the whole mesh: there is nothing to separate it from.")
    arrays.flush(obj)  # a copy lacks what Edit Mode has not yet written into the mesh
    new = obj.copy()
    new.data = obj.data.copy()
    new.name = new.data.name = name
    new.iseg.parts.clear()
    editing.delete(new, rest)
    for collection in obj.users_collection:
        collection.objects.link(new)
    for window in bpy.context.window_manager.windows:
        for space in (area.spaces.active for area in window.screen.areas if area.type == "VIEW_3D"):
            if space.local_view is not None and obj.visible_get(viewport=space):
                new.local_view_set(space, True)  # visible in the local view, as the original
    return new


def material_slot(obj: bpy.types.Object, name: str) -> int:
    """Return the index of the material slot with this name; the slot and the material are made where missing."""
    mesh = obj.data
    for index, slot in enumerate(obj.material_slots):
        if slot.material is not None and slot.material.name == name:
            return index
    if not mesh.materials:
        mesh.materials.append(None)  # the rest of the mesh keeps its look
    material = bpy.data.materials.get(name)
    if material is None:
        hue, saturation, value = COLOUR
        colour = Color()
        colour.hsv = (hue + GOLDEN * len(bpy.data.materials)) % 1.0, saturation, value
        material = bpy.data.materials.new(name)
        material.diffuse_color = (*colour, 1.0)  # for Solid shading, and for materials without nodes
        for node in material.node_tree.nodes if material.node_tree is not None else ():
            if node.type == "BSDF_PRINCIPLED":
                node.inputs["Base Color"].default_value = (*colour, 1.0)
    mesh.materials.append(material)
    return len(mesh.materials) - 1


CLASSES = (ISEG_OT_edit,)
