"""The engine as a process of its own, and the way to talk to it.

protocol.py  frames: a JSON header of bounded size, then arrays of declared and bounded sizes
client.py    starts the process and talks to it; for Blender's Python (standard library and numpy only)
server.py    the process: reads requests, runs them in lanes, writes answers
service.py   what each request does
"""
