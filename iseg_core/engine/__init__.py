"""The engine as a process of its own, and the way to talk to it.

What runs in Blender too (standard library and numpy only):
    protocol.py    frames: a JSON header of bounded size, then arrays of declared and bounded sizes
    client.py      what Blender and scripts use: requests out, events in, never a wait
    connection.py  one process and the threads that serve its pipes
    log.py         where its stderr goes
The process itself:
    server.py      reads requests, has them done in lanes, writes answers; ends when its input ends
    service.py     what each request does
    failure.py     errors as they travel
"""
