"""Blender's meshes as arrays, and back."""
