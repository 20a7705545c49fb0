"""Training run: its inputs, its progress callback and its checkpoint."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from ..geometry.proxy import Proxy
from ..progress import Reporter
from ..storage.checkpoint import Checkpoint
from ..teachers.teacher import Teacher
from .observations import Observations
from .settings import Settings

if TYPE_CHECKING:
    import torch

# Stages in order, with the time that each is expected to take. "observe" stands for the geometric teacher.
STAGES = {"surface": 5.0, "observe": 35.0, "field": 15.0, "decoder": 45.0}
SLOW_OBSERVE = 400.0  # the same for any other teacher

Step = Callable[[float], None]  # told the fraction of a stage that is done; raises where the run is to end


@dataclass(frozen=True, eq=False)
class Run:
    """Context of one training run, handed to everything that takes part in it.

    reporter carries the caller's progress and cancel. A reference (objective "rendered", or joint) keeps no checkpoint:
    give it none.
    """

    proxy: Proxy  # of the mesh that is learned: P vertices in the unit sphere, G faces
    teacher: Teacher
    settings: Settings
    seed: int = 0
    device: "torch.device | str" = "cpu"
    objective: str = "votes"  # votes: the bound on equation 7; rendered: equation 7 as published
    joint: bool = False  # field and decoder at once: the ablation of supplementary C
    reporter: Reporter = field(default_factory=lambda: Reporter(STAGES))
    checkpoint: Checkpoint = field(default_factory=Checkpoint)  # by default one that keeps nothing
    observer: "Callable[[Run], Observations] | None" = None  # shows the teacher the views; None: observe.observe

    def step(self, stage: str) -> Step:
        """Function that is to be told the fraction of a stage that is done."""
        return partial(self.reporter.step, stage)
