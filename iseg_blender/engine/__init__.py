"""The engine as Blender sees it: session, questions, trainings, environment."""
