"""What the tests in Blender share; these modules import bpy."""
