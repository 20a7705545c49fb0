"""Labelled meshes, a part for each face: the Princeton benchmark's layout, or meshes with label files beside them.

Princeton Mesh Segmentation Benchmark: Chen, Golovinskiy and Funkhouser 2009.
"""

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from ..errors import SettingsError
from ..formats.load import READERS, load_mesh, read
from ..geometry.mesh import Mesh, face_areas

LABELLED = "labelled meshes"  # this kind of dataset
LABELS = (".seg", ".txt", ".labels")  # line i is the part of face i
LEAST_AREA = 0.01  # of the mesh: smaller parts are left out
PRINCETON = (  # 20 meshes each, numbered from 1 on
    "Human Cup Glasses Airplane Ant Chair Octopus Table Teddy Hand Plier Fish Bird Spring Armadillo Bust Mech Bearing "
    "Vase FourLeg"
).split()


@dataclass(frozen=True, eq=False)
class LabelledMesh:
    """Mesh with the segmentations that people made of it. F faces."""

    name: str
    category: str
    mesh: Mesh
    people: list[np.ndarray]  # of [F] int, part of each face, one array a person
    central: int  # the person who agrees most with the others

    @property
    def parts(self) -> list[np.ndarray]:
        """Parts that the central person drew, those of at least 1 % of the area. list of [F] bool"""
        return large_parts(self.mesh, self.people[self.central])


def large_parts(mesh: Mesh, labels: np.ndarray) -> list[np.ndarray]:
    """Parts of at least 1 % of the area, by the label of each face [F]. list of [F] bool"""
    area = face_areas(mesh)  # [F]
    parts = [labels == part for part in np.unique(labels)]
    return [part for part in parts if area[part].sum() >= LEAST_AREA * area.sum()]


@dataclass(frozen=True)
class LabelledFile:
    """Files of a labelled mesh; `load` reads them."""

    kind: ClassVar[str] = LABELLED

    name: str
    category: str
    path: Path
    labels: tuple[Path, ...]  # one file a person
    central: str = ""  # name of the central person's file; empty: it is computed

    @cached_property
    def digest(self) -> str:
        """Hash of the content of all files."""
        digest = hashlib.sha256(self.central.encode())
        for path in (self.path, *self.labels):
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()

    def load(self) -> LabelledMesh:
        """Read the mesh and its labels. Raises MeshError for the mesh, SettingsError for labels that do not fit it."""
        mesh = load_mesh(self.path)
        people = [_read_labels(path, self.path, mesh) for path in self.labels]  # [F] each
        names = [path.name for path in self.labels]
        which = names.index(self.central) if self.central in names else central_person(people, face_areas(mesh))
        return LabelledMesh(self.name, self.category, mesh, people, which)


def find_meshes(folder: Path) -> list[LabelledFile]:
    """Find the labelled meshes of a folder.

    Either the Princeton benchmark's layout: off/<id>.off with seg/<id>/<id>_<k>.seg or seg/Benchmark/<id>/<id>_<k>.seg;
    the central person is read from index.csv where there is one, the category from there or from the number. Or meshes
    anywhere below the folder, each with one label file a person beside it: <name>.seg, or <name>_<person>.seg (.txt,
    .labels); the category is the name of the folder that the mesh is in. A label file has a line for each face of the
    mesh's file.

    Raises SettingsError where there is neither.
    """
    folder = Path(folder)
    files = _princeton(folder) if (folder / "off").is_dir() else _beside(folder)
    if not files:
        raise SettingsError(
            f"{folder} has no labelled meshes. Give a folder with the Princeton benchmark's off/ and seg/, or with "
            f"meshes and, beside each, label files of the same name ({', '.join(LABELS)}; line i: the part of face i)."
        )
    return files


def _princeton(folder: Path) -> list[LabelledFile]:
    index = _read_index(folder / "index.csv")
    found = []
    for path in _sorted((folder / "off").glob("*.off")):
        folders = (folder / "seg" / path.stem, folder / "seg" / "Benchmark" / path.stem)
        labels = _sorted(label for parent in folders for label in parent.glob(f"{path.stem}_*.seg"))
        if not labels:
            raise SettingsError(f"{folders[0]} has no .seg file for {path.name}.")
        category, central = index.get(path.stem, (_category(path.stem), ""))
        found.append(LabelledFile(path.stem, category, path, tuple(labels), central))
    return found


def _beside(folder: Path) -> list[LabelledFile]:
    found = []
    for path in _sorted(p for p in folder.rglob("*") if p.suffix.lower() in READERS):
        beside = [p for p in path.parent.iterdir() if p.suffix.lower() in LABELS]
        labels = _sorted(p for p in beside if p.stem == path.stem or p.stem.rpartition("_")[0] == path.stem)
        if labels:
            name = "-".join(path.relative_to(folder).with_suffix("").parts)
            found.append(LabelledFile(name, path.parent.name, path, tuple(labels)))
    return found


def _sorted(paths: Iterable[Path]) -> list[Path]:
    """Sort by length, then by name: 2 comes before 10."""
    return sorted(paths, key=lambda path: (len(path.stem), path.stem, path.suffix))


def _category(name: str) -> str:
    number = int(name) if name.isdigit() else 0
    return PRINCETON[(number - 1) // 20] if 1 <= number <= 20 * len(PRINCETON) else ""


def _read_index(path: Path) -> dict[str, tuple[str, str]]:
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as lines:
        return {row["id"]: (row["category"], row["central_seg"]) for row in csv.DictReader(lines)}


def _read_labels(path: Path, mesh_path: Path, mesh: Mesh) -> np.ndarray:
    """Part of each triangle, from a label for each face of the mesh's file. [F] int32"""
    try:
        labels = np.loadtxt(path, dtype=np.int32, ndmin=1)  # [faces of the file]
    except ValueError as error:
        raise SettingsError(f"{path}: {error}. Give a file with one whole number a line.") from None
    if len(labels) == len(mesh.faces):
        return labels
    counts = read(mesh_path).counts  # corners of each polygon
    if len(labels) != len(counts):
        raise SettingsError(f"{path} labels {len(labels)} faces, but {mesh_path.name} has {len(counts)}.")
    return np.repeat(labels, np.maximum(counts - 2, 0))  # [F] a polygon of n corners gives n - 2 triangles


def central_person(people: list[np.ndarray], area: np.ndarray) -> int:
    """Index of the segmentation with the largest mean Rand index to the others, area-weighted; area [F]."""
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
