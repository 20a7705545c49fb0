"""Redrawing of Blender's areas."""

import bpy


def redraw(views: bool = True) -> None:
    """Redraw the areas that show something of iSeg. views: also the 3D views, with the overlay on the mesh."""
    manager = bpy.context.window_manager
    for window in manager.windows if manager else ():
        for area in window.screen.areas:
            if area.type == "PREFERENCES" or (area.type == "VIEW_3D" and views):
                area.tag_redraw()
            elif area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()
