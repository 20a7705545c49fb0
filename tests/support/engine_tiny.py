"""The engine as tests start it: with presets that train in a moment and in a few, and one that never ends.

python engine_tiny.py [noisy] [quick] [ADDRESS]

noisy: training prints as careless libraries do. quick: every preset is the quick one. ADDRESS: of the weights.
"""

import ctypes
import importlib
import os
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from iseg_core.engine import server
from iseg_core.training.settings import PRESETS, Preset, Settings

TINY = Settings(
    preset="tiny",
    proxy_vertices=200,
    views=6,
    click_range=(8, 8),
    second_clicks=1,
    hidden_targets=2,
    field_steps=3,
    decoder_widths=(16, 16),
    decoder_steps=3,
)
SMALL = replace(
    PRESETS["draft"].settings,
    preset="small",
    views=10,
    hidden_targets=4,
    click_range=(8, 8),
    field_steps=20,
    decoder_steps=20,
)  # draft in little: real networks, real sizes
for settings in (TINY, SMALL, replace(TINY, preset="endless", field_steps=10**9)):
    PRESETS[settings.preset] = Preset(settings.preset, "", settings)

if "quick" in sys.argv:
    for name in ("draft", "standard", "paper"):
        PRESETS[name] = replace(PRESETS[name], settings=replace(TINY, preset=name))

if "noisy" in sys.argv:
    module = importlib.import_module("iseg_core.training.train")
    quiet = module.train

    def noisy(*arguments, **settings):
        print("a print", flush=True)
        os.write(1, b"a write to descriptor 1\n")
        ctypes.CDLL(None).puts(b"a line of the C library")
        ctypes.CDLL(None).fflush(None)
        os.system("echo a child process; cat")  # cat would wait for our frames
        return quiet(*arguments, **settings)

    setattr(module, "train", noisy)  # noqa: B010

for argument in sys.argv[1:]:
    if argument.startswith("http"):
        from iseg_core.teachers.registry import TEACHERS, weights_files

        for name, weights in weights_files().items():
            TEACHERS[name] = replace(
                TEACHERS[name], weights=replace(weights, url=argument.rstrip("/") + "/" + weights.file)
            )

server.main()
