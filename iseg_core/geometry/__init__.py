"""Shapes: meshes, proxies, distances and sparse factors. No pictures."""
