"""Library of meshes: their files, their models, and the result of each."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..errors import ModelFileError, SettingsError
from ..formats.load import READERS
from ..geometry.mesh import Mesh
from ..storage.trained_model import SUFFIX, Model
from ..teachers.make import find
from ..training.settings import Settings

TRAINED, PRESENT, FAILED = "trained", "there already", "failed"


@dataclass(frozen=True)
class Entry:
    """Mesh of the library."""

    name: str  # path of its model below the output folder, without suffix, parts joined by /
    path: Path

    def model(self, folder: Path) -> Path:
        """Path of its model in the output folder."""
        return folder / (self.name + SUFFIX)


@dataclass
class Result:
    """Result of one mesh."""

    name: str
    status: str  # TRAINED | PRESENT | FAILED
    reason: str = ""  # why it failed
    attempts: int = 0
    seconds: float = 0.0  # of the training that succeeded
    vertices: int = 0
    host: str = ""  # where that was


@dataclass(frozen=True)
class Training:
    """Choice of teacher, settings and seed: with the mesh, all that decides a model."""

    teacher: str  # name, or an official weights file
    settings: Settings
    seed: int

    @cached_property
    def record(self) -> dict[str, str | int]:
        """Info that such a model has. Raises WeightsError where the weights are not there."""
        return {"teacher": find(self.teacher)[0].name, "preset": self.settings.preset, "seed": self.seed}


def find_library(source: Path) -> list[Entry]:
    """Find all meshes below a folder, or those that a text file lists: a path a line, from the list's own folder on.

    A mesh keeps its place below the folder; listed from elsewhere, its model lies at the top. Empty lines and those
    that begin with # are skipped, and a mesh named twice counts once. Raises SettingsError where there is none, and
    where two meshes would become the same model.
    """
    if source.is_dir():
        files = sorted(path for path in source.rglob("*") if path.suffix.lower() in READERS)
        root, paths = source, [path for path in files if path.is_file() and not path.name.startswith(".")]
        nothing = f"There is no mesh in {source}. Give a folder with {', '.join(READERS)} files, or a list."
    else:
        try:
            lines = [line.strip() for line in source.read_text(encoding="utf-8").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            what = error.strerror if isinstance(error, OSError) else "it is no text"
            raise SettingsError(
                f"{source} cannot be read ({what}). Give a folder of meshes, or a text file with a path a line."
            ) from error
        root = source.parent
        paths = [root / line for line in lines if line and not line.startswith("#")]
        nothing = f"{source} lists no mesh. Write a path a line."
    entries: dict[str, Entry] = {}
    for path in paths:
        inside = Path(os.path.relpath(path, root))
        name = (inside if ".." not in inside.parts and not inside.is_absolute() else Path(path.name)).with_suffix("")
        entry = Entry(name.as_posix(), path)
        other = entries.setdefault(entry.name, entry)
        if other.path.resolve() != path.resolve():
            raise SettingsError(
                f"{other.path} and {path} would become the same model, {entry.name}{SUFFIX}. Rename one of them, or "
                "train them into two folders."
            )
    if not entries:
        raise SettingsError(nothing)
    return list(entries.values())


def is_present(path: Path, mesh: Mesh, training: Training) -> bool:
    """Tell whether a usable model of this mesh and training is there: not damaged, not of the mesh before an edit.

    Raises SettingsError for the model of another training: it is not ours to replace.
    """
    try:
        model = Model.load(path)
    except ModelFileError:
        return False
    found = {key: model.info.get(key) for key in training.record}
    if found != training.record:
        said = ", ".join(f"{key} {value}" for key, value in found.items())
        raise SettingsError(f"{path} is of another training ({said}). Name another folder, or move it away.")
    return model.mesh.hash == mesh.hash
