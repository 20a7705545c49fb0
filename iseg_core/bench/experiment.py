"""Experiment: a measurement of every mesh of a dataset, and a report of all meshes.

run.py measures, each mesh in a process of its own; the records lie as JSON in the report's folder, so that a run that
was stopped goes on where it was. report.py writes what `report` returns.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..teachers.registry import DEFAULT_TEACHER
from ..training.settings import DEFAULT_PRESET, Settings, get_settings
from ..version import __version__
from .dataset import LABELLED, LabelledMesh, find_meshes

if TYPE_CHECKING:
    from ..geometry.mesh import Mesh
    from ..inference.segmenter import Segmenter
    from ..storage.trained_model import Model
    from .oracle import OracleRecipe

Record = dict[str, Any]  # what was measured on one mesh: JSON, without the times, which go under "machine"
MACHINE = "machine"
INSTANT = "instant"  # in place of a teacher: nothing is trained


@dataclass(frozen=True)
class Setup:
    """Setup that the experiments of one run share."""

    folder: Path  # of the report; trained models are kept in it
    teacher: str = DEFAULT_TEACHER
    preset: str = DEFAULT_PRESET
    seed: int = 0
    device: str = "auto"
    dataset: Path = Path()  # folder of the meshes, see run.find_files

    def load(self, name: str) -> LabelledMesh:
        """Read one of the labelled meshes, by its name; for pictures."""
        return next(file for file in find_meshes(self.dataset) if file.name == name).load()

    @property
    def title(self) -> str:
        """What was measured, in words."""
        trained = f"{self.teacher} teacher, preset {self.preset}, seed {self.seed}"
        return "instant mode" if self.teacher == INSTANT else trained

    @property
    def settings(self) -> Settings:
        """Settings of the preset."""
        return get_settings(self.preset)

    def segmenter(self, mesh: "Mesh") -> "Segmenter":
        """Make instant mode where it stands in the teacher's place, else the trained model's segmenter."""
        from ..inference.segmenter import Segmenter, instant

        return instant(mesh) if self.teacher == INSTANT else Segmenter(self.model(mesh), self.device)

    def model(self, mesh: "Mesh", joint: bool = False, oracle: "OracleRecipe | None" = None, **changes: Any) -> "Model":
        """Train the mesh with the run's settings, some of them changed, or read the model where that was done before.

        joint: the ablation of supplementary C. oracle: teaches in place of the run's teacher.
        The file's name says what the training depends on. How clicks are answered is no part of that: after a change
        of the answers alone, the models are read again.
        """
        from ..errors import ModelFileError
        from ..storage.trained_model import Model
        from ..training.train import train

        settings = replace(self.settings, **changes)
        taught = oracle.identity if oracle else self.teacher
        run = json.dumps([taught, asdict(settings), self.seed, joint, __version__], sort_keys=True)
        name = f"{mesh.hash[:16]}-{hashlib.sha256(run.encode()).hexdigest()[:16]}.iseg"
        path = self.folder / "models" / name
        try:
            return Model.load(path)
        except ModelFileError:  # not there, or cut off
            pass
        model = train(mesh, oracle or self.teacher, settings, self.seed, device=self.device, joint=joint)
        path.parent.mkdir(parents=True, exist_ok=True)
        model.save(path)
        return model


@dataclass(frozen=True)
class Table:
    """Rows of equal keys; floats are shown with three decimals. note: one paragraph below it."""

    title: str
    rows: Sequence[dict[str, Any]]
    note: str = ""


class Report(NamedTuple):
    """Tables of an experiment, and the names of the pictures that it wrote into the folder."""

    tables: list[Table]
    pictures: list[str]


@dataclass(frozen=True)
class Experiment:
    """measure(mesh, setup) gives one mesh's record; report(records by mesh, setup) writes pictures and sums up."""

    name: str
    question: str  # one line, for --help and the report's headings
    measure: Callable[[Any, Setup], Record]  # a mesh as `load` of its file gives it
    report: Callable[[dict[str, Record], Setup], Report]
    dataset: str | None = LABELLED  # kind of the files that it measures; None: any
    trains: bool = True  # it cannot do without: instant mode is no teacher for it
