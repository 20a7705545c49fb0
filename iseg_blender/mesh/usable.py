"""Checks of the objects and meshes that iSeg can work on, with the reasons against it."""

from typing import Any

import bmesh
import bpy

MODES = ("OBJECT", "EDIT")
CONVERTIBLE = ("CURVE", "SURFACE", "META", "FONT")


def name_of(obj: Any) -> str:
    """Name of an object, group or attribute. Files can hold names that are not UTF-8, unreadable to Python."""
    try:
        return obj.name
    except UnicodeDecodeError:
        return "(a name that cannot be read)"


def refusal(obj: bpy.types.Object | None) -> str:
    """Say why iSeg cannot work on an object, and what to do; empty where it can."""
    if obj is None:
        return "There is no active object: select a mesh."
    if obj.type != "MESH":
        remedy = "select one."
        if obj.type in CONVERTIBLE:
            remedy = "select one, or convert it (Object > Convert > Mesh)."
        elif obj.instance_type == "COLLECTION":
            remedy = "select one, or make what it shows real (Object > Apply > Make Instances Real)."
        return f"{name_of(obj)} is not a mesh: {remedy}"
    if obj.library is not None or obj.data.library is not None:
        return f"{name_of(obj)} is linked from another file: make it local first (Object > Relations > Make Local)."
    if obj.override_library is not None or obj.data.override_library is not None:
        menu = "Object > Relations > Make Local > Selected Objects and Data"
        return f"{name_of(obj)} is a library override: make it local first ({menu})."
    if obj.mode not in MODES:
        return "iSeg works in Object Mode and in Edit Mode: change the mode."
    return ""


def face_refusal(obj: bpy.types.Object | None) -> str:
    """Say why the engine cannot work on the mesh of an object, which needs faces; empty where it can."""
    why = refusal(obj)
    if not why and obj is not None:
        mesh = obj.data
        if not len(bmesh.from_edit_mesh(mesh).faces if mesh.is_editmode else mesh.polygons):
            why = f"{name_of(obj)} has no faces: make some, or select another mesh."
    return why


def users(mesh: bpy.types.Mesh) -> list[bpy.types.Object]:
    """Objects of this file that share a mesh."""
    return [obj for obj in bpy.data.objects if obj.data == mesh and obj.library is None]
