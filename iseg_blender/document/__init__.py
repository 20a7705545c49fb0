"""Document data in the .blend: parts, clicks, settings, and their undo."""
