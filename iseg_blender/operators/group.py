"""The part as a vertex group."""

from bpy.props import BoolProperty, StringProperty

from .. import mesh_io, names, session
from .common import AnswerOperator, Refusal


class ISEG_OT_to_vertex_group(AnswerOperator):
    """Write the active part into a vertex group: its probability as the weight, or hard 0 and 1"""

    bl_idname = names.TO_VERTEX_GROUP
    bl_label = "To Vertex Group"
    bl_options = {"REGISTER", "UNDO"}

    name: StringProperty(name="Name", description="Of the vertex group; empty: the part's", maxlen=63)
    hard: BoolProperty(name="Hard", description="Weight 1 in the part and none outside", default=False)

    def apply(self, context, thing, part, answer):
        name = self.name or part.name or "Part"
        group = thing.vertex_groups.get(name)
        if group is not None and group.lock_weight:
            raise Refusal(f"The vertex group {name} is locked: unlock it, or choose another name.")
        weights = answer.probability  # [V]
        if self.hard or part.connected:
            inside = session.inside_of(thing, part, answer)  # [V]
            weights = inside.astype("float32") if self.hard else weights * inside  # [V]
        written = mesh_io.write_group(thing, name, weights)
        self.report({"INFO"}, f"Vertex group {written}: {int((weights > 0.5).sum()):,} vertices above 0.5.")


CLASSES = (ISEG_OT_to_vertex_group,)
