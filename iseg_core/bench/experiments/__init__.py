"""The paper's experiments, one module each."""

from ..experiment import Experiment
from .counts import COUNTS
from .otsu import OTSU
from .separate import SEPARATE
from .stability import STABILITY

EXPERIMENTS: dict[str, Experiment] = {experiment.name: experiment for experiment in (STABILITY, SEPARATE, COUNTS, OTSU)}
