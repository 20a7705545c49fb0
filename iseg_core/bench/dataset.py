"""Meshes with per-face labels: the Princeton benchmark's layout (Chen, Golovinskiy and Funkhouser 2009)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import SettingsError
from ..mesh import Mesh, load_mesh


@dataclass(frozen=True, eq=False)
class LabelledMesh:
    """A mesh and the segmentations that people made of it."""

    name: str
    category: str
    mesh: Mesh
    people: list[np.ndarray]  # of [F] int, part of each face, one array a person
    central: int  # the person who agrees most with the others

    @property
    def parts(self) -> list[np.ndarray]:
        """The central person's parts of at least 1 % of the area. list of [F] bool"""
        area = face_areas(self.mesh)  # [F]
        labels = self.people[self.central]  # [F]
        parts = [labels == part for part in np.unique(labels)]
        return [part for part in parts if area[part].sum() >= 0.01 * area.sum()]


def face_areas(mesh: Mesh) -> np.ndarray:
    """Area of each face, in the mesh's own units. [F] float64"""
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))  # [F, 3] each
    return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2


def read_princeton(folder: Path, names: list[str] | None = None) -> Iterator[LabelledMesh]:
    """Meshes of `folder`/off/<id>.off with `folder`/seg/<id>/<id>_<k>.seg, of all names or of `names`.

    The central person is read from index.csv, or computed where there is none.

    Raises SettingsError where the layout is not the benchmark's.
    """
    folder = Path(folder)
    files = sorted((folder / "off").glob("*.off"), key=lambda f: (len(f.stem), f.stem))
    if not files:
        raise SettingsError(f"{folder} has no off/*.off: give the folder that holds the benchmark's off/ and seg/.")
    index = _read_index(folder / "index.csv")
    for file in files:
        if names is not None and file.stem not in names:
            continue
        segs = sorted((folder / "seg" / file.stem).glob("*.seg"), key=lambda f: (len(f.stem), f.stem))
        if not segs:
            raise SettingsError(f"{folder / 'seg' / file.stem} has no .seg file for {file.name}.")
        mesh = load_mesh(file)
        people = [np.loadtxt(seg, dtype=np.int32, ndmin=1) for seg in segs]  # [F] each
        for seg, labels in zip(segs, people, strict=True):
            if len(labels) != len(mesh.faces):
                raise SettingsError(f"{seg} labels {len(labels)} faces, but {file.name} has {len(mesh.faces)}.")
        category, central = index.get(file.stem, ("", None))
        stems = [seg.name for seg in segs]
        which = stems.index(central) if central in stems else central_person(people, face_areas(mesh))
        yield LabelledMesh(file.stem, category, mesh, people, which)


def _read_index(path: Path) -> dict[str, tuple[str, str]]:
    if not path.exists():
        return {}
    import csv

    with path.open(newline="", encoding="utf-8") as lines:
        return {row["id"]: (row["category"], row["central_seg"]) for row in csv.DictReader(lines)}


def central_person(people: list[np.ndarray], area: np.ndarray) -> int:
    """The segmentation with the largest mean Rand index to the others, area-weighted."""
    weight = area / area.sum()  # [F]

    def agreement(table: np.ndarray) -> float:
        return float((table**2).sum())

    def rand(x: np.ndarray, y: np.ndarray) -> float:
        x, y = np.unique(x, return_inverse=True)[1], np.unique(y, return_inverse=True)[1]  # [F]
        table = np.zeros((x.max() + 1, y.max() + 1))  # [X, Y]
        np.add.at(table, (x, y), weight)
        return 1 + 2 * agreement(table) - agreement(table.sum(0)) - agreement(table.sum(1))

    scores = [np.mean([rand(a, b) for k, b in enumerate(people) if k != i] or [1.0]) for i, a in enumerate(people)]
    return int(np.argmax(scores))
