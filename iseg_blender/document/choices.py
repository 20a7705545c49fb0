"""Menu entries and limits of the document's values. Teachers and presets come from the engine."""

from ..core import PRESETS, TEACHERS, weights_files

CLICKS_LIMIT, PARTS_LIMIT = 1024, 256
NAME_LIMIT = 63  # bytes of a vertex group's name

GRANULARITIES = (
    ("fine", "Fine", "The smallest part that the first click can mean"),
    ("part", "Part", "The part that people mostly mean"),
    ("whole", "Whole", "The largest part that the first click can mean"),
)
DEVICES = (
    ("auto", "Automatic", "The GPU where there is one that works, else the processor"),
    ("cuda", "NVIDIA GPU", "CUDA"),
    ("cpu", "Processor", "Always works"),
)

Items = tuple[tuple[str, str, str], ...]  # identifier, label, description of each entry of a menu


def teachers() -> Items:
    """List the menu entries of the teachers."""
    return tuple((entry.name, entry.label, entry.description) for entry in TEACHERS.values())


def presets() -> Items:
    """List the menu entries of the presets."""
    return tuple((preset.name, preset.label, preset.description) for preset in PRESETS.values())


def weights_heading() -> str:
    """Name the models whose weights can be fetched, and the teachers that need them."""
    files = weights_files()
    families = dict.fromkeys(weights.family for weights in files.values())
    extras = ((TEACHERS[name].label, TEACHERS[name].extra) for name in files)
    users = dict.fromkeys(label if extra is None else extra.users for label, extra in extras)
    return f"Weights of {' and '.join(families)}, for {' and '.join(users)} only"
