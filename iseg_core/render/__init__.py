"""Rendering: cameras, what their rays hit, and pictures of it."""
