"""Experiments of the paper, one module each."""

from ..experiment import Experiment
from .counts import COUNTS
from .fidelity import FIDELITY
from .occluded import OCCLUDED
from .otsu import OTSU
from .separate import SEPARATE
from .stability import STABILITY
from .taught import TAUGHT
from .transfer import TRANSFER

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (STABILITY, SEPARATE, COUNTS, OCCLUDED, OTSU, TRANSFER, FIDELITY, TAUGHT)
}
