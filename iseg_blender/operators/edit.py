"""What is done with a part: one operator, one undo step."""

import bpy
from bpy.props import EnumProperty, FloatProperty

from .. import mesh_io, names, session, state, surgery
from .common import AnswerOperator, Refusal

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
COLOUR = (0.15, 0.35, 0.8, 1.0)  # of a new material


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

    def apply(self, context, thing, part, answer):
        inside = session.inside_of(thing, part, answer)  # [V]
        if not inside.any():
            raise Refusal("No vertex is in the part: lower its threshold, or add a click.")
        if self.action == "SEPARATE":
            separate(thing, part, inside)
        else:
            with surgery.editing(thing) as work:
                after = self._change(work, thing, part, inside)
            if self.action in ("EXTRUDE", "SHRINK"):
                self._edited.append((after, answer))
        session.stale.add(thing.data.session_uid)

    def _change(self, work, thing, part, inside):
        """Returns where each vertex is after it, {before: after}, where that is not where it was."""
        if self.action == "SELECT":
            surgery.select(work, inside)
        elif self.action == "HIDE":
            surgery.hide(work, inside)
        elif self.action == "SHRINK":
            surgery.scale(work, inside, self.factor)
        else:
            faces = faces_of(work, inside)
            if self.action == "DELETE":
                follow(thing, surgery.following(work, lambda: surgery.delete(work, faces)))
            elif self.action == "EXTRUDE":
                after = surgery.following(work, lambda: surgery.extrude(work, faces, self.distance))
                follow(thing, after)
                return after
            elif self.action == "MATERIAL":
                surgery.assign_material(work, faces, material_slot(thing, state.title(part)))
            else:
                surgery.assign_face_set(work, faces)

    def run(self, context):
        edited: list[tuple[dict[int, int] | None, session.Answer]] = []  # where vertices are now, and what was edited
        self._edited = edited
        super().run(context)
        if self.action not in ("DELETE", "EXTRUDE", "SEPARATE", "SHRINK"):
            return
        thing = context.object
        look = session.look_at(thing)
        if thing.iseg.topology:
            thing.iseg.topology = look.topology  # the clicks have followed their vertices
        for after, answer in edited:
            session.carry(thing, state.part_of(thing), look, answer, after)  # the next edit is of the same part


def faces_of(work, inside):
    faces = surgery.faces_of(work, inside)
    if not faces:
        raise Refusal("No face lies wholly in the part: lower its threshold, or add a click.")
    return faces


def follow(thing: bpy.types.Object, after: dict[int, int]) -> None:
    """Let the clicks follow their vertices {before: after}; those whose vertex has gone go, too."""
    for part in thing.iseg.parts:
        for index in reversed(range(len(part.clicks))):
            click = part.clicks[index]
            if click.vertex in after:
                click.vertex = after[click.vertex]
            else:
                part.clicks.remove(index)
        part.click_index = max(min(part.click_index, len(part.clicks) - 1), 0)


def separate(thing: bpy.types.Object, part: state.Part, inside) -> bpy.types.Object:
    """Move the part's faces into a new object, which keeps groups, materials and modifiers."""
    mesh_io.flush(thing)  # a copy has nothing of what edit mode has not brought into the mesh
    new = thing.copy()
    new.data = thing.data.copy()
    new.name = new.data.name = state.title(part)
    with surgery.editing(new) as work:
        kept = surgery.faces_of(work, inside)
        chosen = set(kept)
        rest = [index for index in range(len(work.faces)) if index not in chosen]
        if kept and rest:
            surgery.delete(work, rest)
    if not kept or not rest:
        data = new.data
        bpy.data.objects.remove(new)
        bpy.data.meshes.remove(data)
        raise Refusal(
            "The part is the whole mesh: there is nothing to separate it from."
            if kept
            else "No face lies wholly in the part: lower its threshold, or add a click."
        )
    new.iseg.parts.clear()
    for collection in thing.users_collection:
        collection.objects.link(new)
    with surgery.editing(thing) as work:
        faces = surgery.faces_of(work, inside)
        follow(thing, surgery.following(work, lambda: surgery.delete(work, faces)))
    return new


def material_slot(thing: bpy.types.Object, name: str) -> int:
    """The slot of the material of this name, made where there is none."""
    mesh = thing.data
    for index, slot in enumerate(thing.material_slots):
        if slot.material is not None and slot.material.name == name:
            return index
    if not mesh.materials:
        mesh.materials.append(None)  # what is not the part keeps looking as it does
    material = bpy.data.materials.get(name) or bpy.data.materials.new(name)
    material.diffuse_color = COLOUR
    mesh.materials.append(material)
    return len(mesh.materials) - 1


CLASSES = (ISEG_OT_edit,)
