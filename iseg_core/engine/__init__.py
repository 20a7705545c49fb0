"""Engine as a process of its own, and the client that talks to it.

What runs in Blender too (standard library and numpy only):
    protocol.py    frames: a JSON header of bounded size, then arrays of declared and bounded sizes
    messages.py    the fields of every message
    client.py      what Blender and scripts use: requests out, events in, never a wait
    connection.py  one process and the threads that serve its pipes
    log.py         where its stderr goes
The process itself:
    server.py      reads requests, has them done in lanes, writes answers; ends when its input ends
    lanes.py       threads that do requests, one after the other in each
    jobs.py        a request under way, and what comes of it
    handlers.py    what each request does
    shelf.py       meshes and models, in memory and in the cache
    error_fields.py  errors as they travel
    process.py     its streams, its parent, its log
"""
