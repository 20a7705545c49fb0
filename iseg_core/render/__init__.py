"""Rendering: cameras, the hits of their rays, and pictures."""
