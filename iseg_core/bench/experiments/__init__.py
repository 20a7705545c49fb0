"""The paper's experiments, one module each."""

from ..experiment import Experiment
from .otsu import OTSU
from .stability import STABILITY

EXPERIMENTS: dict[str, Experiment] = {experiment.name: experiment for experiment in (STABILITY, OTSU)}
