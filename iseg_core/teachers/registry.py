"""Registry of teachers: facts known before one is made. A new teacher is one file and one entry in TEACHERS.

Menus, help, doctor, self-test, weights and licences read the entries, Blender's too, so only the standard library is
imported here; the module that makes a teacher is imported when one is made (make.py).
"""

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class WeightsFile:
    """Official file of weights, fetched only when the user asks for it."""

    url: str
    bytes: int
    sha256: str
    family: str  # family of models that the file belongs to, in words: "Segment Anything"
    licence: str
    architecture: str = ""  # which of the family's models it holds, in the words of the code that builds it

    @property
    def file(self) -> str:
        """Name of the file."""
        return self.url.rsplit("/", 1)[1]

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def size(self) -> str:
        """Size as people read it: 375 MB, 2.6 GB."""
        return readable_size(self.bytes)


@dataclass(frozen=True)
class Extra:
    """Packages that a teacher needs beside the engine's own: an extra of pyproject.toml."""

    name: str  # pip install "iseg-core[name]"
    title: str  # as Blender's preferences call it
    users: str  # who needs it: "the SAM teachers"
    packages: tuple[str, ...]  # distributions


@dataclass(frozen=True)
class TeacherEntry:
    """Facts about a teacher that are known before it is made."""

    name: str  # as the user gives it, and as models name it for ever
    label: str
    description: str
    factory: str  # "module:function", the module absolute or, with a dot, in this package; called as make.Factory
    geometric: bool = False  # its parts are geometry's own: corrections know as much, and it costs next to nothing
    weights: WeightsFile | None = None
    extra: Extra | None = None


SAM_EXTRA = Extra("sam", "Segment Anything", "the SAM teachers", ("segment-anything", "torchvision"))
SAM_URL = "https://dl.fbaipublicfiles.com/segment_anything/"


def readable_size(count: int) -> str:
    """Number of bytes in words: 375 MB, 2.6 GB."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _sam(size: str, file: str, bytes: int, sha256: str, gpu: str) -> TeacherEntry:
    """Entry of one of Segment Anything's official models. size: b | l | h. gpu: whether it needs one, in words."""
    weights = WeightsFile(SAM_URL + file, bytes, sha256, "Segment Anything", "Apache-2.0", f"vit_{size}")
    return TeacherEntry(
        f"sam_vit_{size}",
        f"SAM ViT-{size.upper()}",
        f"Learns from Segment Anything, {weights.size} of weights; {gpu}",
        ".sam:make",
        weights=weights,
        extra=SAM_EXTRA,
    )


# Blender's files keep the position of a teacher in its menu: new ones go to the end.
TEACHERS = {
    entry.name: entry
    for entry in (
        TeacherEntry(
            "geometric",
            "Geometric",
            "Learns from the shape alone; nothing to download, no GPU needed",
            ".geometric:make",
            geometric=True,
        ),
        _sam(
            "b",
            "sam_vit_b_01ec64.pth",
            375_042_383,
            "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
            "needs a GPU to be quick",
        ),
        _sam(
            "l",
            "sam_vit_l_0b3195.pth",
            1_249_524_607,
            "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
            "needs a GPU",
        ),
        _sam(
            "h",
            "sam_vit_h_4b8939.pth",
            2_564_550_879,
            "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
            "needs a GPU",
        ),
    )
}
DEFAULT_TEACHER = "geometric"  # needs no download and no packages of its own


def is_geometric(teacher: object) -> bool:
    """Tell by its name whether a teacher's parts are geometry's own. One that is not registered knows more."""
    return isinstance(teacher, str) and teacher in TEACHERS and TEACHERS[teacher].geometric


def weights_files() -> dict[str, WeightsFile]:
    """Weights by the names of the teachers that need some."""
    return {name: entry.weights for name, entry in TEACHERS.items() if entry.weights is not None}


def extras() -> list[Extra]:
    """Extras that teachers need, each once."""
    return list(dict.fromkeys(entry.extra for entry in TEACHERS.values() if entry.extra is not None))
