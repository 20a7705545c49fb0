"""Mesh files as they are: every vertex of the file, in its order, and every polygon."""
