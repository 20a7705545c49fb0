"""Names under which the extension is registered in Blender."""

import os

PACKAGE = __package__ or ""  # name of the extension and of its preferences: bl_ext.user_default.iseg
FOLDER = os.path.dirname(os.path.abspath(__file__))  # the extension's folder, with iseg_core and the lock files

# Operators: the public contract, as bpy.ops.iseg.<name>().
TRAIN = "iseg.train"
CANCEL = "iseg.cancel"
CLICK = "iseg.click"
CLICK_AT = "iseg.click_at"
CLICK_REMOVE_AT = "iseg.click_remove_at"
CLICK_RESIZE = "iseg.click_resize"
CLICK_SWAP = "iseg.click_swap"
CLICK_HOVER = "iseg.click_hover"
CLICK_UNHOVER = "iseg.click_unhover"
CLICK_ADD = "iseg.click_add"
CLICK_REMOVE = "iseg.click_remove"
CLICK_CLEAR = "iseg.click_clear"
CLICK_CLEAR_ALL = "iseg.click_clear_all"
CLICK_FLIP = "iseg.click_flip"
CLICKS_FROM_SELECTION = "iseg.clicks_from_selection"
CLICKS_FROM_GROUP = "iseg.clicks_from_group"
PART_ADD = "iseg.part_add"
PART_REMOVE = "iseg.part_remove"
TO_VERTEX_GROUP = "iseg.to_vertex_group"
EDIT = "iseg.edit"
FREE_MEMORY = "iseg.free_memory"
CLEAR_CACHE = "iseg.clear_cache"
COPY_REPORT = "iseg.copy_report"
FETCH_WEIGHTS = "iseg.fetch_weights"
CANCEL_FETCH = "iseg.cancel_fetch"
CHECK_ENGINE = "iseg.check_engine"
ENVIRONMENT_INSTALL = "iseg.environment_install"
ENVIRONMENT_REPAIR = "iseg.environment_repair"
ENVIRONMENT_REMOVE = "iseg.environment_remove"
ENVIRONMENT_CANCEL = "iseg.environment_cancel"

# Properties that are added to Blender's types: object.iseg (saved with the object), scene.iseg (settings).
PROPERTY = "iseg"

TOOL = "iseg.click_tool"  # in the toolbar
CATEGORY = "iSeg"  # the sidebar's tab
PANEL = "ISEG_PT_main"
PANEL_PARTS = "ISEG_PT_parts"
PANEL_ADVANCED = "ISEG_PT_advanced"
PANEL_EDIT = "ISEG_PT_edit"
PARTS_LIST = "ISEG_UL_parts"
CLICKS_LIST = "ISEG_UL_clicks"

ENGINE_VARIABLE = "ISEG_ENGINE"  # a command line; overrides the preference
