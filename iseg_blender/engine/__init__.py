"""The engine as Blender sees it: what runs, questions, trainings, environment."""
