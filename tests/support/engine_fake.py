"""Processes that are not quite iSeg's engine; for tests only. python engine_fake.py MODE"""

import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from iseg_core.engine.protocol import HEADER_LIMIT, MAGIC, PREFIX, PROTOCOL, Message, encode, read

mode = sys.argv[1]
source, sink = open(0, "rb", buffering=0), open(1, "wb", buffering=0)


def send(kind, id, fields):
    for part in encode(Message(kind, id, fields, {})):
        sink.write(part)


if mode == "echo":
    while data := source.read(100):
        sink.write(data)
if mode == "silent":
    time.sleep(600)
if mode == "dies":
    print("first words", file=sys.stderr)
    sys.exit("last words")
if mode == "banner":
    print("Welcome to gpubox", flush=True)
    time.sleep(600)

hello = read(source)
assert hello is not None
about = {"version": "0.0.1", "protocol": 99 if mode == "version" else PROTOCOL}
send("result", hello.id, about)
if mode == "refuses":
    send("error", 0, {"type": "ProtocolError", "sentence": "I did not understand you."})
    sys.exit(2)
if mode == "takes nothing":
    time.sleep(600)
request = read(source)
assert request is not None
for _ in range(1000):
    send("result", request.id + 1000, {})  # nobody asked for that
if mode == "truncated":
    sink.write(bytes(encode(Message("result", request.id, {}, {}))[0])[:-3])
if mode == "killed":
    sink.write(bytes(encode(Message("result", request.id, {}, {}))[0])[:-3])
    os.kill(os.getpid(), signal.SIGKILL)
if mode == "garbage":
    sink.write(b"garbage, garbage, garbage")
    time.sleep(600)
if mode == "oversized":
    sink.write(PREFIX.pack(MAGIC, HEADER_LIMIT + 1, 0))
    time.sleep(600)
if mode == "huge array":
    text = b'{"kind":"result","id":%d,"fields":{},"arrays":[["x","uint8",[99999999999]]]}' % request.id
    sink.write(PREFIX.pack(MAGIC, len(text), 0) + text)
    time.sleep(600)
if mode == "wrong kind":
    send("surprise", request.id, {})
    time.sleep(600)
if mode == "wrong progress":
    send("progress", request.id, {"stage": 7, "fraction": "half"})
    time.sleep(600)
if mode == "wrong error":
    send("error", request.id, {"type": ["x"]})
    time.sleep(600)
if mode == "closes its output":
    sink.close()
    time.sleep(600)
