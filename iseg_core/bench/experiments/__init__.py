"""Experiments of the paper, and on answers to several clicks, one module each."""

from ..experiment import Experiment
from .counts import COUNTS
from .fidelity import FIDELITY
from .occluded import OCCLUDED
from .orders import ORDER
from .otsu import OTSU
from .pairs import PAIRS_OF_PARTS
from .separate import SEPARATE
from .sizes import SIZES
from .stability import STABILITY
from .taught import TAUGHT
from .transfer import TRANSFER

OF_THE_PAPER = (STABILITY, SEPARATE, COUNTS, OCCLUDED, OTSU, TRANSFER, FIDELITY)
OF_THE_ANSWERS = (TAUGHT, ORDER, PAIRS_OF_PARTS, SIZES)

EXPERIMENTS: dict[str, Experiment] = {experiment.name: experiment for experiment in (*OF_THE_PAPER, *OF_THE_ANSWERS)}
