"""Draw the house: the rooms of both packages and who imports whom, read from the code itself.

    python docs/house.py            # docs/images/house.png; needs matplotlib (the extra `bench`)
    python docs/house.py --list     # the same as text: each arrow with the imports behind it; needs nothing

A room is a folder of a package, or a module that stands beside them. A room stands one level below the lowest room that
imports it. An arrow that longer ways say too is not drawn. Look at the picture before it is kept.
"""

import argparse
import ast
import math
import random
import re
import sys
import textwrap
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "house.png"
HOUSES = {"iseg_core": ("#2f5d8a", "#eaf1f8"), "iseg_blender": ("#b0602a", "#fbf0e7")}  # line and wall of each
DOORS = {"iseg_core": "import iseg_core as iseg   |   python -m iseg_core", "iseg_blender": "register(), unregister()"}
BUNDLED = "iseg_blender.iseg_core"  # where the engine's package lies in the installed extension

GREY = "#555555"
INCHES = (1.6, 1.16)  # of a room's width, and of a storey
BOX, GAP, MARGIN, ALLEY = 0.66, 0.06, 0.16, 0.42  # height of a box; gaps between boxes, to a wall, between the houses

Arrows = dict[str, set[str]]  # from a room to the rooms that it imports
Wall = tuple[float, float]  # left and right


class Import(NamedTuple):
    """Import of one module by another."""

    importer: str
    imported: str


def modules(package: str) -> dict[str, Path]:
    """Files of a package by the dotted names of their modules."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports(package: str) -> list[Import]:
    """Imports of one module of the project by another, those inside functions too; none that only types need."""
    known = {name for each in HOUSES for name in modules(each)}
    found = []
    for name, path in modules(package).items():
        package_parts = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
        for node in _run_time_nodes(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                above = package_parts[: len(package_parts) - node.level + 1] if node.level else []
                start = ".".join([*above, *filter(None, [node.module])])
                start = start.removeprefix("iseg_blender.") if start.startswith(BUNDLED) else start
                targets = [f"{start}.{a.name}" if f"{start}.{a.name}" in known else start for a in node.names]
            else:
                continue
            found += [Import(name, target) for target in targets if target in known]
    return found


def _run_time_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes of a module but for those under `if TYPE_CHECKING`."""
    yield node
    children = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        children = iter(node.orelse)
    for child in children:
        yield from _run_time_nodes(child)


def room_of(module: str) -> str:
    """Room of a module, "iseg_core.render" for "iseg_core.render.raster"; of a front door the package itself."""
    package, *rest = module.split(".")
    return package if not rest or rest[0] == "__main__" else f"{package}.{rest[0]}"


def rooms(package: str) -> dict[str, str]:
    """Rooms of a package, each with the first sentence of its own docstring."""
    found = {}
    for name, path in modules(package).items():
        if name == room_of(name) != package:
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            found[name] = " ".join(text.split("\n\n")[0].split()).partition(". ")[0].rstrip(".")
    return found


def arrows_of(package: str) -> tuple[Arrows, Arrows]:
    """Arrows between the rooms of a package, and those to rooms of the other one."""
    inside: Arrows = {room: set() for room in rooms(package)}
    outside: Arrows = defaultdict(set)
    for importer, imported in imports(package):
        start, end = room_of(importer), room_of(imported)
        if start == end or start == package or end in HOUSES:
            continue  # a room's own affair; the front doors import lazily, or everything
        (inside if end.startswith(f"{package}.") else outside)[start].add(end)
    return inside, outside


def levels_of(arrows: Arrows) -> dict[str, int]:
    """Level of each room, 0 at the top: one below the lowest room that imports it. Raises ValueError for a circle."""
    importers: Arrows = {room: {other for other in arrows if room in arrows[other]} for room in arrows}
    levels: dict[str, int] = {}
    while len(levels) < len(arrows):
        ready = [room for room in arrows if room not in levels and importers[room] <= levels.keys()]
        if not ready:
            raise ValueError(f"These rooms import each other in a circle: {', '.join(sorted(arrows - levels.keys()))}.")
        for room in ready:
            levels[room] = 1 + max((levels[other] for other in importers[room]), default=-1)
    return levels


def reduced(arrows: Arrows) -> Arrows:
    """Arrows without those that longer ways say too."""

    def reach(room: str) -> set[str]:
        return arrows[room].union(*map(reach, arrows[room])) if arrows[room] else set()

    return {room: {end for end in ends if not any(end in reach(o) for o in ends)} for room, ends in arrows.items()}


@dataclass(eq=False)
class Spot:
    """Place on a level: a room, or the point where an arrow passes through."""

    room: str | None
    level: int
    below: list["Spot"] = field(default_factory=list)
    above: list["Spot"] = field(default_factory=list)
    x: float = 0.0

    @property
    def width(self) -> float:
        return 1.0 if self.room else 0.22


def arrange(arrows: Arrows) -> list[list[Spot]]:
    """Spots of the drawn arrows on their levels, ordered so that few arrows cross (Sugiyama et al. 1981)."""
    levels = levels_of(arrows)
    drawn = reduced(arrows)
    spots = {room: Spot(room, level) for room, level in levels.items()}
    floors: list[list[Spot]] = [[] for _ in range(1 + max(levels.values()))]
    for room in sorted(arrows):
        floors[levels[room]].append(spots[room])
    for start, end in sorted((room, end) for room in drawn for end in drawn[room]):
        upper = spots[start]
        for level in range(levels[start] + 1, levels[end] + 1):
            lower = spots[end] if level == levels[end] else Spot(None, level)
            if lower.room is None:
                floors[level].append(lower)
            upper.below.append(lower)
            lower.above.append(upper)
            upper = lower
    return min((_swept(floors, random.Random(seed)) for seed in range(60)), key=_cost)


def _swept(floors: list[list[Spot]], rng: random.Random) -> list[list[Spot]]:
    """Floors, shuffled, then sorted by the middle of their neighbours above and below in turns."""
    floors = [rng.sample(floor, len(floor)) for floor in floors]
    for sweep in range(12):
        for level in range(len(floors))[:: -1 if sweep % 2 else 1]:
            beside = floors[max(level - 1, 0) if sweep % 2 == 0 else min(level + 1, len(floors) - 1)]
            shares = _shares(beside) | _shares(floors[level])

            def middle(spot: Spot, up: bool = sweep % 2 == 0, shares: dict[int, float] = shares) -> float:
                near = (spot.above if up else spot.below) or [spot]
                return sum(shares[id(other)] for other in near) / len(near)

            floors[level].sort(key=middle)
    return floors


def _shares(floor: list[Spot]) -> dict[int, float]:
    """Share of the way from left to right, 0 to 1, at which each spot of a floor is, by its id."""
    return {id(spot): i / max(len(floor) - 1, 1) for i, spot in enumerate(floor)}


def _cost(floors: list[list[Spot]]) -> tuple[int, float]:
    """Crossings, then how far arrows go sideways."""
    crossings, aside = 0, 0.0
    for upper, lower in zip(floors[:-1], floors[1:], strict=True):
        starts, ends = _shares(upper), _shares(lower)
        ways = [(starts[id(spot)], ends[id(end)]) for spot in upper for end in spot.below]
        crossings += sum((a - c) * (b - d) < 0 for (a, b), (c, d) in combinations(ways, 2))
        aside += sum(abs(a - b) for a, b in ways)
    return crossings, aside


def place(floors: list[list[Spot]]) -> None:
    """Set x of all spots: near their neighbours, in their order, apart by their widths."""
    for floor in floors:
        for i, spot in enumerate(floor):
            spot.x = i - (len(floor) - 1) / 2
    for sweep in range(60):
        for floor in floors[:: 1 if sweep % 2 else -1]:
            apart = [0.0]
            for left, right in zip(floor[:-1], floor[1:], strict=True):
                apart.append(apart[-1] + (left.width + right.width) / 2 + GAP)
            wanted = [_middle(spot) for spot in floor]
            rising = _rising([x - offset for x, offset in zip(wanted, apart, strict=True)])
            for spot, x, offset in zip(floor, rising, apart, strict=True):
                spot.x = x + offset


def _middle(spot: Spot) -> float:
    """Mean x of a spot's neighbours. A room is drawn to the middle of the house as well, a passing arrow is not."""
    near = [other.x for other in spot.above + spot.below] + [0.0] * bool(spot.room)
    return sum(near) / len(near)


def _rising(values: list[float]) -> list[float]:
    """Nearest sequence that never falls, by least squares (pool adjacent violators)."""
    blocks: list[tuple[float, int]] = []
    for value in values:
        blocks.append((value, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, m), (b, n) = blocks[-2:]
            blocks[-2:] = [((a * m + b * n) / (m + n), m + n)]
    return [value for value, count in blocks for _ in range(count)]


def draw(path: Path = PICTURE) -> None:
    """Draw both houses side by side."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    plans = {package: arrange(arrows_of(package)[0]) for package in HOUSES}
    walls: dict[str, Wall] = {}
    left = 0.0
    for package, floors in plans.items():
        place(floors)
        spots = [spot for floor in floors for spot in floor]
        low, high = (f(s.x + side * s.width / 2 for s in spots) for f, side in ((min, -1), (max, 1)))
        for spot in spots:
            spot.x += left + MARGIN - low
        walls[package] = (left, left + high - low + 2 * MARGIN)
        left = walls[package][1] + ALLEY
    storeys = max(map(len, plans.values()))
    (west, east), (low, high) = (-0.3, left - ALLEY + 0.3), (-0.42, storeys + 1.3)
    figure = pyplot.figure(figsize=(INCHES[0] * (east - west), INCHES[1] * (high - low)))
    axes = figure.add_axes((0, 0, 1, 1))
    for package, floors in plans.items():
        _draw_house(axes, package, floors, storeys, walls[package])
        _draw_door(axes, package, floors, storeys, walls)
    axes.plot([west, east], [0, 0], color=GREY, linewidth=2, zorder=4)  # the ground
    axes.set(xlim=(west, east), ylim=(low, high))
    axes.axis("off")
    figure.savefig(path, dpi=120, facecolor="white", pil_kwargs={"optimize": True})
    pyplot.close(figure)


def _height(spot: Spot, floors: list[list[Spot]], storeys: int) -> float:
    """Middle of a spot: the lowest level of every house stands on the ground, the highest under its roof."""
    return 0.5 + (storeys - 1) * (1 - spot.level / max(len(floors) - 1, 1))


def _draw_house(axes: "Axes", package: str, floors: list[list[Spot]], storeys: int, wall: Wall) -> None:
    line, paint = HOUSES[package]
    (left, right), middle = wall, sum(wall) / 2
    axes.fill([left, right, right, left], [0, 0, storeys, storeys], facecolor=paint, edgecolor=line, zorder=0)
    axes.fill([left - 0.12, middle, right + 0.12], [storeys, storeys + 1.15, storeys], color=line, zorder=1)
    axes.text(middle, storeys + 0.42, package, color="white", size=15, weight="bold", ha="center", va="center")
    axes.text(middle, storeys + 0.14, DOORS[package], color="white", size=9, ha="center", va="center")
    told = rooms(package)
    for spot in (spot for floor in floors for spot in floor):
        y = _height(spot, floors, storeys)
        if spot.room:
            _draw_room(axes, spot, y, told[spot.room], line)
        for end in spot.below:
            _draw_arrow(axes, spot, y, end, _height(end, floors, storeys), line)


def _draw_room(axes: "Axes", spot: Spot, y: float, told: str, line: str) -> None:
    from matplotlib.patches import FancyBboxPatch

    assert spot.room
    paint = {"facecolor": "white", "edgecolor": line, "linewidth": 1.2, "zorder": 3}
    corner, style = (spot.x - 0.48, y - BOX / 2), "round,pad=0,rounding_size=0.06"
    axes.add_patch(FancyBboxPatch(corner, 0.96, BOX, boxstyle=style, **paint))
    middle = {"ha": "center", "va": "center", "zorder": 5}
    axes.text(spot.x, y + 0.21, spot.room.partition(".")[2], size=12, weight="bold", color=line, **middle)
    axes.text(spot.x, y - 0.1, _shortened(told), size=8.4, color="#333333", linespacing=1.15, **middle)


def _shortened(told: str, width: int = 22, lines: int = 3) -> str:
    """As many clauses of a sentence as fit a box; without the word before a colon, which is the room's name again."""
    word, colon, rest = told.partition(": ")
    told = rest[0].upper() + rest[1:] if colon and " " not in word else told
    ends = [len(told), *(match.start() for match in re.finditer(r"[,:;]? \(|[,:;] ", told))]
    fitting = [told[:end] for end in ends if len(textwrap.wrap(told[:end], width)) <= lines]
    cut = textwrap.shorten(told, lines * width - 6, placeholder=" ...")
    return textwrap.fill(max(fitting, key=len, default=cut), width)


def _draw_arrow(axes: "Axes", start: Spot, top: float, end: Spot, bottom: float, line: str) -> None:
    """Draw a way down from one storey to the next; between boxes of a storey it goes straight."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Way

    low, high = bottom + BOX / 2, top - BOX / 2
    aside = max(-0.4, min(0.4, 0.3 * (end.x - start.x)))  # arrows of one box begin and end apart
    x = start.x + (aside if start.room else 0)
    to = end.x - (aside if end.room else 0)
    points, bend = [(x, high), (x, (low + high) / 2), (to, (low + high) / 2), (to, low)], Way.CURVE4
    codes = [Way.MOVETO, bend, bend, bend]
    if end.room is None:
        points, codes = [*points, (to, bottom - BOX / 2)], [*codes, Way.LINETO]
    style = {"color": line, "linewidth": 1.3, "alpha": 0.85, "zorder": 2, "shrinkA": 0, "shrinkB": 0}
    head = "-|>" if end.room else "-"
    axes.add_patch(FancyArrowPatch(path=Way(points, codes), arrowstyle=head, mutation_scale=11, **style))


def _draw_door(axes: "Axes", package: str, floors: list[list[Spot]], storeys: int, walls: dict[str, Wall]) -> None:
    """Imports of the other package, as arrows from the rooms that have them to the other house."""
    for floor in floors:
        for spot in floor:
            ends = arrows_of(package)[1].get(spot.room or "", set())
            for other in sorted({end.partition(".")[0] for end in ends}):
                wall = min(walls[other], key=lambda x: abs(x - spot.x))
                y, start = _height(spot, floors, storeys), spot.x + math.copysign(0.48, wall - spot.x)
                style = {"arrowstyle": "-|>", "linestyle": "--", "color": GREY, "linewidth": 1.2}
                axes.annotate("", (wall, y), (start, y), arrowprops=style, zorder=6)
                names = ", ".join(sorted(end.partition(".")[2] for end in ends))
                told = f"The dashed arrow: {spot.room} imports {names} of {other}."
                axes.text(sum(map(sum, walls.values())) / 4, -0.25, told, size=10, color=GREY, ha="center", va="center")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="print the arrows instead")
    if not parser.parse_args().list:
        draw()
        print(f"Drawn: {PICTURE}")
        return
    for package in HOUSES:
        reasons: dict[tuple[str, str], list[Import]] = defaultdict(list)
        for each in dict.fromkeys(imports(package)):
            reasons[room_of(each.importer), room_of(each.imported)].append(each)
        for (start, end), behind in sorted(reasons.items()):
            if start != end:
                print(f"{start} -> {end}: {', '.join(f'{a} imports {b}' for a, b in behind)}")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, ImportError) as error:
        sys.exit(f"The house could not be drawn: {error}")
