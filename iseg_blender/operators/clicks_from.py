"""Clicks for a given part: the engine places them as a simulated user who sees each answer."""

import bpy

from .. import names
from ..document import parts, properties
from ..document.editing_clicks import add_click, check_topology
from ..document.properties import size_meant
from ..engine import choice, pump, queries, running
from ..mesh import arrays, cache, usable, vertex_groups
from ..tasks import Refusal, Task
from .base import WaitingOperator

WELL = 0.9  # IoU from which on the message asks for no more clicks
HELD = 0.5  # weight from which on a vertex counts as inside a vertex group


class SeedOperator(WaitingOperator):
    """Gives the active part clicks; where that has some already, a new part."""

    bl_options = {"REGISTER", "UNDO"}
    WAITING = "iSeg looks for clicks"

    def chosen(self, obj: bpy.types.Object) -> queries.Chosen:
        """Return the given part. Raises Refusal where there is none."""
        raise NotImplementedError

    def begin(self, context: bpy.types.Context) -> Task:
        obj = context.object
        snapshot = cache.snapshot_of(obj, self.fresh)
        check_topology(obj, snapshot)
        part = empty_part(obj)
        wish = queries.Wish(queries.NEW_PART.size, None, any_size=True)
        if part is not None:
            wish = queries.Wish(size_meant(part), None if part.automatic else part.threshold)
        conversation = queries.proposing(obj, snapshot, self.chosen(obj), wish, context.scene.iseg.device)
        task = running.engine().start(conversation)
        pump.keep_pumping()
        return task

    def run(self, context: bpy.types.Context) -> None:
        task, self._task = self._task or self.begin(context), None
        proposal = self.wait(task)
        obj = context.object
        if cache.snapshot_of(obj, self.fresh).topology != proposal.topology:
            raise Refusal("The mesh's faces have changed meanwhile: try again.")
        part = empty_part(obj)
        if part is None:
            part = parts.add_part(obj)
            if proposal.size != size_meant(part):
                part.size = proposal.size
        part.connected, part.mirror = False, (False, False, False)  # the clicks were found without these options
        for prompt, include in proposal.clicks:
            add_click(obj, prompt, include, fresh=False)
        count = f"{len(proposal.clicks)} clicks give" if len(proposal.clicks) > 1 else "One click gives"
        rest = "" if proposal.iou >= WELL else " Click where it differs."
        self.report({"INFO"}, f"{count} the part back with IoU {proposal.iou:.2f}.{rest}")


class ISEG_OT_clicks_from_selection(SeedOperator):
    """Find a few clicks that give the selected part back"""

    bl_idname = names.CLICKS_FROM_SELECTION
    bl_label = "Clicks from Selection"

    @classmethod
    def refusal(cls, context):
        why = usable.face_refusal(context.object)
        if not why and context.object.mode != "EDIT":
            why = "Select the faces of a part in Edit Mode first."
        elif not why and not context.object.data.total_vert_sel:
            why = "Nothing is selected: select the faces of a part."
        return why or choice.problem()

    def chosen(self, obj):
        faces = arrays.selected_polygons(obj)  # [P]
        return queries.Chosen(arrays.selected(obj), faces if faces.any() else None)


class ISEG_OT_clicks_from_group(SeedOperator):
    """Find a few clicks that give the active vertex group back"""

    bl_idname = names.CLICKS_FROM_GROUP
    bl_label = "Clicks from Vertex Group"

    @classmethod
    def refusal(cls, context):
        why = usable.face_refusal(context.object)
        if not why and context.object.vertex_groups.active is None:
            why = "There is no vertex group: paint or assign one first."
        return why or choice.problem()

    def chosen(self, obj):
        group = obj.vertex_groups.active
        inside = vertex_groups.read_group(obj, group.index) >= HELD  # [V]
        if not inside.any():
            raise Refusal(
                f"No vertex has a weight of {HELD} or more in {usable.name_of(group)}: choose another vertex group."
            )
        return queries.Chosen(inside)


def empty_part(obj: bpy.types.Object) -> properties.Part | None:
    """Return the active part where it has no clicks yet, else None."""
    part = parts.part_of(obj)
    return part if part is not None and not len(part.clicks) else None


CLASSES = (ISEG_OT_clicks_from_selection, ISEG_OT_clicks_from_group)
