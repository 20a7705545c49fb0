"""What the .blend holds: parts, clicks, settings, and their undo."""
