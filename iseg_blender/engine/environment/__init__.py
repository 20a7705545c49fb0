"""Managed Python environment of the engine: its folder, its installation, its removal.

Nothing here uses bpy, so all of it can be used and tested without Blender.
    folder.py    layout of the folder, and the state of the environment
    job.py       background thread with progress and cancellation
    uv.py        uv: found or downloaded, and run
    uv_errors.py uv's error messages as sentences with a remedy
    make.py      making, testing and activating an environment; removing everything
"""
