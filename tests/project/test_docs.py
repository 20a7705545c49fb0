"""Documentation: links lead somewhere, names are in the code, and the picture of the house is that of the code."""

import importlib
import re
from pathlib import Path

import pytest

from docs import house
from iseg_core import network

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """Anchors that GitHub gives the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in LINK.findall(page.read_text()):
        if "://" not in link:
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_are_there(page):
    """`folder/file.py` and the like, from the project's root or from one of its packages."""
    if page.name == "CHANGELOG.md":  # tells of files that are gone
        return
    for name in re.findall(r"`([\w./-]+/[\w.-]*\.(?:py|md|toml|lock|yml))`", page.read_text()):
        assert any((ROOT / folder / name).exists() for folder in ("", "iseg_core", "iseg_blender", "docs")), name


def test_the_equations_are_where_the_network_says():
    rows = re.findall(r"^    \(\d\) .*?(\S+)\.py +(.+)$", network.__doc__ or "", flags=re.M)
    assert len(rows) == 8
    for path, names in rows:
        module = importlib.import_module(f"iseg_core.{path.replace('/', '.')}")
        owner = re.match(r"[\w.]+", names)
        assert owner
        found = module
        for part in owner.group().split("."):
            found = getattr(found, part)
        assert callable(found)


@pytest.mark.parametrize("package", house.HOUSES)
def test_the_house_has_every_room(package):
    folders = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
    beside = {path.stem for path in (ROOT / package).glob("*.py")} - {"__init__", "__main__"}
    floors = house.arrange(house.arrows_of(package)[0])
    shown = [spot.room for floor in floors for spot in floor if spot.room]
    assert sorted(shown) == sorted(f"{package}.{name}" for name in folders | beside)


@pytest.mark.parametrize("package", house.HOUSES)
def test_every_room_has_a_line(package):
    table = (ROOT / "docs" / "architecture.md").read_text().partition("## The rooms")[2].partition("\n## ")[0]
    listed = table.partition("`iseg_blender`, from the top")[:3:2][package == "iseg_blender"]
    named = {name for line in listed.splitlines() for name in re.findall(r"`(\w+)`", line[1:].partition("|")[0])}
    assert named == {room.partition(".")[2] for room in house.rooms(package)}


@pytest.mark.parametrize(
    "entry",
    [
        "iseg_core.teachers.registry.TEACHERS",
        "iseg_core.formats.load.READERS",
        "iseg_core.clicks.click.Prompt",
        "iseg_core.training.settings.PRESETS",
        "iseg_core.render.backends.BACKENDS",
        "iseg_core.teachers.geometric.RECIPE",
        "iseg_core.storage.tensor_file.FORMAT",
    ],
)
def test_what_is_to_be_touched_is_there(entry):
    module, _, name = entry.rpartition(".")
    assert hasattr(importlib.import_module(module), name)
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert re.search(rf"\b{name}\b", page) and module.split(".")[-1] + ".py" in page


def test_rooms_stand_below_their_importers():
    arrows = {"a": {"b", "c", "d"}, "b": {"c"}, "c": {"d"}, "d": set()}
    assert house.levels_of(arrows) == {"a": 0, "b": 1, "c": 2, "d": 3}
    assert house.reduced(arrows) == {"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": set()}


def test_a_circle_of_rooms_is_refused():
    with pytest.raises(ValueError, match="circle: b, c"):
        house.levels_of({"a": {"b"}, "b": {"c"}, "c": {"b"}})


def test_the_house_sees_what_the_code_imports():
    found = set(house.imports("iseg_core"))
    assert ("iseg_core.training.fit", "iseg_core.network") in found  # at its top
    assert ("iseg_core.training.train", "iseg_core.system.device") in found  # in a function
    blender = set(house.imports("iseg_blender"))
    assert ("iseg_blender.core", "iseg_core.engine.client") in blender  # from the copy in the extension


def test_the_house_is_drawn(tmp_path):
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("matplotlib")
    house.draw(tmp_path / "house.png")
    with image.open(tmp_path / "house.png") as picture:
        assert min(picture.size) > 1000 and len(picture.convert("RGB").getcolors(1 << 24)) > 10
