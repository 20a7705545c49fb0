"""The Python environment that the extension makes for its engine: its folder, its making, its removal.

Nothing here knows Blender, so all of it can be used and tested without one.
    folder.py    what lies where, and how it stands
    job.py       work in a thread, watched and cancelled
    uv.py        uv itself: found or fetched, and run
    uv_errors.py what uv says when it fails, as a sentence with a remedy
    make.py      one environment made, tested and put in place; everything removed
"""
