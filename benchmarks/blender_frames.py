"""How long the frames of a real window take while iSeg works in it, and how much of that is iSeg's own.

ISEG_BLENDER="<command that starts a Blender with a window>" \\
ISEG_ENGINE="<python with the engine's packages> -m iseg_core engine" python benchmarks/blender_frames.py [SIDE ...]

SIDE: also measure with a wavy sheet of SIDE x SIDE vertices; without one, Suzanne alone. The view is drawn all the
time; a frame is the time from one drawing of it to the next. Own is what iSeg's drawing, timers, panels and operators
take of it on Blender's main thread, and processor is how much of that the thread was computing: the rest it waited,
for another program had the processor or another thread had Python. The longest call is the longest of them.
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
MODULE = "bl_ext.user_default.iseg"
LONG = 50.0  # milliseconds


# ---- In Blender ----


class Clock:
    """Frames, and our own share in them."""

    def __init__(self) -> None:
        self.frames: list[tuple[float, float, float]] = []  # milliseconds: whole, own, own of the processor
        self.longest: dict[str, tuple[float, float]] = {}  # own, of the processor; by the name of the call
        self._last, self._own, self._depth = None, np.zeros(2), 0

    def drawn(self) -> None:
        now = time.perf_counter()
        if self._last is not None:
            self.frames.append(((now - self._last) * 1e3, float(self._own[0]), float(self._own[1])))
        self._last, self._own = now, np.zeros(2)  # [2]

    def start(self) -> None:
        self.frames, self.longest, self._last = [], {}, None

    def watch(self, owner: Any, name: str, label: str) -> None:
        """Note what a function of ours takes; one called by another of them counts within it."""
        inner = getattr(owner, name)

        def outer(*given: Any) -> Any:
            began, self._depth = (time.perf_counter(), time.thread_time()), self._depth + 1
            try:
                return inner(*given)
            finally:
                took = (np.array([time.perf_counter(), time.thread_time()]) - began) * 1e3  # [2]
                self._depth -= 1
                self.longest[label] = max(tuple(took.tolist()), self.longest.get(label, (0.0, 0.0)))
                self._own += 0.0 if self._depth else took

        # Blender counts the arguments that a function takes.
        given = inner.__code__.co_varnames[: inner.__code__.co_argcount]
        text = f"lambda {', '.join(given)}: outer({', '.join(given)})"
        setattr(owner, name, eval(text, {"outer": outer}))

    def report(self, phase: str) -> dict[str, Any]:
        whole, own, processor = np.array(self.frames).reshape(-1, 3).T  # 3 x [N]
        row = {"phase": phase, "frames": len(whole), "longest": self.longest, "late": int((processor > LONG).sum())}
        for name, times in (("frame", whole), ("own", own), ("processor", processor)):
            row[name] = [float(np.percentile(times, p)) for p in (50, 99, 100)] if len(times) else [float("nan")] * 3
        return row


def inside_blender() -> None:
    import bpy  # pyright: ignore[reportMissingImports]

    clock, rows = Clock(), []
    script = phases(clock, rows)
    view = bpy.types.SpaceView3D

    def tick() -> float | None:
        for area in bpy.context.window_manager.windows[0].screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()
        try:
            next(script)
        except StopIteration:
            Path(os.environ["ISEG_SHOTS"], "frames.json").write_text(json.dumps(rows))
            bpy.ops.wm.quit_blender()
        except BaseException:
            import traceback

            traceback.print_exc()
            sys.stdout.flush()
            os._exit(3)
        return 0.001

    bpy.context.preferences.view.show_splash = False
    view.draw_handler_add(clock.drawn, (), "WINDOW", "POST_PIXEL")
    bpy.app.timers.register(tick, first_interval=1.0, persistent=True)


def phases(clock: Clock, rows: list[dict[str, Any]]) -> Iterator[None]:
    import bpy  # pyright: ignore[reportMissingImports]

    window = bpy.context.window_manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
    region = next(region for region in area.regions if region.type == "WINDOW")
    here = bpy.context.temp_override(window=window, area=area, region=region)

    def during(seconds: float, done: Callable[[], bool] = lambda: False) -> Iterator[None]:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end and not done():
            yield

    def phase(name: str, seconds: float, done: Callable[[], bool] = lambda: False) -> Iterator[None]:
        clock.start()
        yield from during(seconds, done)
        note(name)

    def note(name: str) -> None:
        rows.append(clock.report(name))
        print(rows[-1], flush=True)

    yield from during(1.0)
    for other in list(bpy.data.objects):
        bpy.data.objects.remove(other)
    for side in [0, *map(int, os.environ["ISEG_SIDES"].split())]:
        with here:
            add_mesh(side)
            bpy.ops.view3d.view_selected()
        area.spaces[0].show_region_ui = True
        obj, count = window.view_layer.objects.active, f"{len(window.view_layer.objects.active.data.vertices):,}"
        yield from during(2.0)
        if not side:
            yield from phase(f"{count}: without the extension", 5.0)
            with here:
                bpy.ops.extensions.package_install_files(
                    filepath=os.environ["ISEG_ZIP"], repo="user_default", enable_on_install=True
                )
            iseg = watched(clock)
            bpy.context.scene.iseg.preset = "draft"
            sidebar = next(region for region in area.regions if region.type == "UI")
            while sidebar.active_panel_category != "iSeg":
                try:
                    sidebar.active_panel_category = "iSeg"
                except TypeError:
                    pass
                yield from during(0.5)
        yield from during(1.0)
        yield from phase(f"{count}: with its sidebar open", 5.0)
        clock.start()
        with here:
            bpy.ops.iseg.train("INVOKE_DEFAULT")

        def trained(obj: Any = obj, iseg: Any = iseg) -> bool:
            return iseg.engine.status.of(obj).kind.value == "ready"

        def answered(iseg: Any = iseg) -> bool:
            return not iseg.engine.running.engine().busy

        yield from during(900.0, trained)
        note(f"{count}: training")
        assert trained(), iseg.engine.running.problem_of(obj)
        clock.start()
        with here:
            bpy.ops.iseg.click("INVOKE_DEFAULT")
        for number in range(4):
            x, y = int(region.x + region.width * (0.4 + 0.03 * number)), int(region.y + region.height * 0.5)
            for kind, value in (("MOUSEMOVE", "NOTHING"), ("LEFTMOUSE", "PRESS"), ("LEFTMOUSE", "RELEASE")):
                window.event_simulate(type=kind, value=value, x=x, y=y)
                yield
            yield from during(60.0, answered)
            yield from during(1.0)
        made = len(obj.iseg.parts[0].clicks)
        assert made == 4 and iseg.engine.queries.answer_of(obj, obj.iseg.parts[0]) is not None, f"{made} clicks"
        note(f"{count}: four clicks, first overlay")
        for step in range(40):
            window.event_simulate(type="MOUSEMOVE", value="NOTHING", x=x - 5 * step, y=y + 2 * step)
            if step == 1:
                clock.start()
            yield from during(0.1)
        note(f"{count}: the mouse over the part")
        subprocess.run(["import", "-window", "root", str(Path(os.environ["ISEG_SHOTS"], f"{side}.png"))], check=False)
        window.event_simulate(type="RET", value="PRESS", x=x, y=y)
        window.event_simulate(type="RET", value="RELEASE", x=x, y=y)
        yield from during(1.0)


def add_mesh(side: int) -> None:
    import bpy  # pyright: ignore[reportMissingImports]

    if not side:
        bpy.ops.mesh.primitive_monkey_add()
        obj = bpy.context.object
        obj.modifiers.new("Subdivision", "SUBSURF").levels = 2
        bpy.ops.object.modifier_apply(modifier="Subdivision")
        return
    bpy.data.objects.remove(bpy.context.object)
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=side - 1, y_subdivisions=side - 1, size=4)
    mesh = bpy.context.object.data
    places = np.empty((side * side, 3), np.float32)  # [V, 3]
    mesh.attributes["position"].data.foreach_get("vector", places.ravel())
    places[:, 2] = 0.3 * np.sin(4 * places[:, 0]) * np.sin(4 * places[:, 1])
    mesh.attributes["position"].data.foreach_set("vector", places.ravel())
    mesh.update()


def watched(clock: Clock) -> Any:
    """The extension, with everything of it that Blender calls on its main thread being watched."""
    iseg = sys.modules[MODULE]
    known = [iseg.live.handlers.Handlers.current(), iseg.viewport.draw.ViewOverlay.current()]
    for kept in known:
        kept.close()
    clock.watch(iseg.engine.pump, "pump", "pump")
    clock.watch(iseg.live.answers, "refresh", "refresh")
    clock.watch(iseg.viewport.draw, "draw", "drawing the view")
    for panel in iseg.ui.sidebar.CLASSES[:3]:
        clock.watch(panel, "draw", panel.bl_label)
    operators = sys.modules[f"{MODULE}.operators.click_modal"].ISEG_OT_click, sys.modules[f"{MODULE}.operators.base"]
    for owner, label in ((operators[0], "Click"), (operators[1].WaitingOperator, "Train")):
        clock.watch(owner, "invoke", f"{label} pressed")
        clock.watch(owner, "modal", f"{label}, an event")
    for kept in known:
        kept.start()
    return iseg


# ---- Outside ----


def main() -> None:
    sys.path.insert(0, str(ROOT))
    import build

    missing = [name for name in ("ISEG_BLENDER", "ISEG_ENGINE") if name not in os.environ]
    if missing:
        sys.exit(
            f"{' and '.join(missing)} must be set: the commands that start a Blender with a window, and an engine."
        )
    out = ROOT / "out" / "frames"
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=out) as private:
        environment = os.environ | {
            "ISEG_ZIP": str(build.extension(Path(private))),
            "ISEG_SHOTS": str(out),
            "ISEG_SIDES": " ".join(sys.argv[1:]),
            "ISEG_CACHE": str(Path(private, "cache")),
            "BLENDER_USER_RESOURCES": str(Path(private, "blender")),
        }
        command = shlex.split(os.environ["ISEG_BLENDER"]) + ["--factory-startup", "--enable-event-simulate"]
        command += ["-p", "0", "0", "1280", "800", "--python", str(Path(__file__).resolve())]
        subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=3000)
    show(json.loads((out / "frames.json").read_text()))


def show(rows: list[dict[str, Any]]) -> None:
    titles = "".join(f"{name + ': median, p99, most':>28}" for name in ("frame", "own", "processor"))
    print(f"{'milliseconds':<38}{'frames':>7}{titles}  longest call (of it processor)")
    for row in rows:
        times = "".join(f"{m:12.1f}{p:8.1f}{t:8.1f}" for m, p, t in (row[n] for n in ("frame", "own", "processor")))
        name, longest = max(row["longest"].items(), key=lambda item: item[1], default=("none", (0.0, 0.0)))
        print(f"{row['phase']:<38}{row['frames']:>7}{times}  {name} {longest[0]:.1f} ({longest[1]:.1f})")
    print(f"frames that iSeg computed in for more than {LONG:.0f} ms: {sum(row['late'] for row in rows)}")


if __name__ == "__main__":
    if "bpy" in sys.modules or sys.argv[0].endswith("blender"):
        inside_blender()
    else:
        main()
