"""Teachers: 2D models that say which pixels of a view belong to a click (paper, sections 3.1 and 3.3)."""
