"""Engine as Blender sees it: its process, queries, trainings, reports and managed environment."""
