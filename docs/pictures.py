"""Make the pictures of README.md and docs/guide.md from the real thing: the demo, and the test in a real window.

    python build.py demo
    ISEG_BLENDER="<command that starts a Blender 4.3>" .venv-test/bin/python -m pytest tests/window/test_window.py
    .venv-test/bin/python docs/pictures.py

The first two leave out/demo/ and out/window/; this makes docs/images/ of them. Look at every picture before it is kept.
"""

import os
import subprocess
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
VIEW = (0, 28, 1056, 720)  # of the window's 1280 x 800 pixels: the 3D viewport with its sidebar
SHOTS = {"2-training": "guide-training", "5-clicked": "guide-clicks", "6-extruded": "guide-extruded"}


def main() -> None:
    images = ROOT / "docs" / "images"
    for shot, name in SHOTS.items():
        with Image.open(ROOT / "out" / "window" / f"{shot}.png") as screen:
            screen.convert("RGB").crop(VIEW).save(images / f"{name}.png", optimize=True)
    hero = [sys.executable, "examples/pictures.py", "out/demo", str(images / "hero.png")]
    subprocess.run(hero, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)


if __name__ == "__main__":
    try:
        main()
    except FileNotFoundError as error:
        sys.exit(f"There is no {error.filename}: run what makes it first.\n\n{__doc__}")
