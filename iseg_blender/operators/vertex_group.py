"""Operator that writes the part into a vertex group."""

from bpy.props import BoolProperty, StringProperty

from .. import names
from ..document import parts
from ..engine import queries
from ..mesh import vertex_groups
from ..tasks import Refusal
from .base import AnswerOperator


class ISEG_OT_to_vertex_group(AnswerOperator):
    """Write the active part into a vertex group: its probability as the weight, or hard 0 and 1"""

    bl_idname = names.TO_VERTEX_GROUP
    bl_label = "To Vertex Group"
    bl_options = {"REGISTER", "UNDO"}

    name: StringProperty(name="Name", description="Of the vertex group; empty: the part's", maxlen=63)
    hard: BoolProperty(name="Hard", description="Weight 1 in the part and none outside", default=False)

    @classmethod
    def refusal(cls, context):
        why = super().refusal(context)
        if not why and context.area is not None and context.area.type == "VIEW_3D":  # a script may name another group
            why = vertex_groups.group_refusal(context.object, parts.title(parts.part_of(context.object)))
        return why

    def apply(self, context, obj, part, answer):
        name = self.name or parts.title(part)
        why = vertex_groups.group_refusal(obj, name)
        if why:
            raise Refusal(why)
        weights = queries.weights_of(obj, part, answer, self.hard)  # [V]
        written = vertex_groups.write_group(obj, name, weights)
        if written == parts.title(part):
            part.group = written  # from now on the group belongs to the part
        self.report({"INFO"}, f"Vertex group {written}: {int((weights > 0.5).sum()):,} vertices above 0.5.")


CLASSES = (ISEG_OT_to_vertex_group,)
