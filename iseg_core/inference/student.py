"""Student: a trained field and decoder that answer clicks on the proxy."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from ..clicks.click import Granularity, VertexClick, VertexClicks, first_included
from ..errors import ModelFileError
from ..network import Decoder
from ..parts.assembly import AssemblyCorrections, AssemblyFinder
from ..parts.candidates import PartFinder, region_score
from ..parts.corrections import StudentWord
from ..parts.ladder import Ladder, make_ladder
from ..parts.sequences import Corrections
from ..storage.trained_model import Model
from ..system.device import has_fast_bf16, pick_device, threads_for
from ..teachers.registry import is_geometric


@dataclass(frozen=True)
class OverlapWeights:
    """Weights of a region's overlap with the student's answer, against its score as a candidate.

    Cost of a region = score - weight * log(max(IoU with the probabilities, least)).
    """

    geometric: float = 0.02  # of a geometric teacher's student: the teacher chose by that very score; it breaks ties
    other: float = 32.0  # of any other teacher's: it saw what geometry cannot know
    later: float = 8.0  # the same at every click after the first, times the square of its agreement with its teacher
    least: float = 1e-3  # IoU that is counted for regions that share nothing


WEIGHTS = OverlapWeights()
AGREEMENT = 0.7  # of a student whose model does not say it (training/held_back.py)


class Student:
    """Decoder on the features of one mesh; all that does not depend on clicks is computed once."""

    def __init__(self, model: Model, device: str | torch.device = "auto"):
        """Raises SettingsError where the device is not there, ModelFileError where the networks do not fit."""
        self.device = pick_device(device)
        weights = {
            name.removeprefix("decoder."): torch.from_numpy(array)
            for name, array in model.networks.items()
            if name.startswith("decoder.")
        }
        try:
            widths, dim = tuple(model.settings["decoder_widths"]), model.features.shape[1]
            # A file may ask for anything: what is built is no larger than what it holds.
            asked = 5 * dim**2 + sum(a * b for a, b in pairwise((2 * dim, *widths)))
            held = sum(weight.numel() for weight in weights.values())
            if not (min(widths) > 0 and len(widths) <= len(weights) and asked <= held):
                raise ValueError("a decoder of another size than its weights")
            self._widest = max(widths)
            self._decoder = Decoder(dim, widths)
            self._decoder.load_state_dict(weights)
            self._unit = float(model.networks["field.unit"])  # what 1 of the features is in the teacher's
        except (LookupError, TypeError, ValueError, RuntimeError) as error:
            raise ModelFileError("The networks in this model do not fit its settings. Train the mesh again.") from error
        self._kind = torch.bfloat16 if has_fast_bf16(self.device) else torch.float32
        self._decoder.to(self.device, self._kind).eval()
        self._features = torch.from_numpy(model.features).to(self.device)  # [P, d]
        with torch.inference_mode():
            self._prepared = self._decoder.precompute(self._features.to(self._kind))
        self._geometric = is_geometric(model.info.get("teacher"))
        self._agreement = float(model.info.get("agreement", AGREEMENT))
        self._worker = ThreadPoolExecutor(1, "decoder")
        self._last: tuple[tuple, Future[np.ndarray]] = ((), Future())

    def probability(self, clicks: VertexClicks, granularity: Granularity) -> np.ndarray:
        """Probability of every proxy vertex; the last answer is remembered. [P] float32"""
        self.begin(clicks, granularity)
        try:
            return self._last[1].result()
        except BaseException:
            self._last = ((), Future())  # it may go well the next time
            raise

    def begin(self, clicks: VertexClicks, granularity: Granularity) -> None:
        """Begin to compute this probability in a thread of its own, while the caller does other work."""
        if self._last[0] != (clicks, granularity):
            features = self._features[[v for v, _ in clicks]]  # [n, d]
            include = [include for _, include in clicks]
            self._last = ((clicks, granularity), self._worker.submit(self._decode, features, include, granularity))

    def features(self, vertex: int) -> np.ndarray:
        """Look up the field's feature at a proxy vertex, in the teacher's units. [d] float64: no unit rounds it"""
        return self._features[vertex].cpu().numpy().astype(np.float64) * self._unit

    def answer(self, clicks: Sequence[tuple[np.ndarray, bool]], granularity: Granularity) -> np.ndarray:
        """Probability of every proxy vertex, for clicks given as features [d] in the teacher's units. [P] float32"""
        own = np.array([feature for feature, _ in clicks]) / self._unit  # [n, d]
        features = torch.from_numpy(own.astype(np.float32)).to(self.device)  # [n, d]
        return self._decode(features, [include for _, include in clicks], granularity)

    @torch.inference_mode()
    def _decode(self, features: torch.Tensor, include: list[bool], granularity: Granularity) -> np.ndarray:
        """Probability of every proxy vertex, for the features [n, d] of n clicks. [P] float32"""
        signs = torch.tensor([[1 if included else -1 for included in include]], device=self.device)  # [1, n]
        row = torch.tensor([granularity.row], device=self.device)  # [1]
        with threads_for(len(self._features) * self._widest**2):
            logits = self._decoder.decode(self._prepared, features[None].to(self._kind), signs, row)[0]  # [P]
        return logits.float().sigmoid().cpu().numpy()

    def corrections(self, finder: AssemblyFinder) -> AssemblyCorrections:
        """Answers that start from the student's region and follow the clicks, cluster by cluster."""

        def of_cluster(cluster: int) -> Corrections:
            members, own = finder.assembly.members[cluster], finder.finder(cluster)  # [n]
            mass = own.surface.mass  # [n]

            def probability(clicks: VertexClicks, granularity: Granularity = Granularity.PART) -> np.ndarray:
                """Probability of the cluster's vertices, for clicks on them. [n] float32"""
                on_proxy = tuple(VertexClick(int(members[vertex]), include) for vertex, include in clicks)
                return self.probability(on_proxy, granularity)[members]

            def propose(clicks: VertexClicks) -> np.ndarray:
                own.candidates(first_included(clicks))  # and remembered, while the student is at work
                return snap(own, first_included(clicks), probability(clicks), self._geometric)

            def ladder(clicks: VertexClicks) -> Ladder:
                found, fine, whole = own.candidates(first_included(clicks)), 0.0, 0.0
                if not self._geometric:
                    fine, whole = (
                        WEIGHTS.other * disagreement(found.regions, probability(clicks, granularity), mass)
                        for granularity in (Granularity.FINE, Granularity.WHOLE)
                    )  # [N] each
                return make_ladder(found, propose(clicks), mass, found.scores + fine, found.scores + whole)

            def word(clicks: VertexClicks) -> StudentWord:
                return StudentWord(lambda: probability(clicks) >= 0.5, None if self._geometric else cost(clicks))

            def cost(clicks: VertexClicks) -> Callable[[np.ndarray], np.ndarray]:
                # To several clicks a student answers less surely than to the first.
                first = VertexClick(first_included(clicks), True)
                said = (probability(clicks) + probability((first,))) / 2  # [n]
                weight = WEIGHTS.later * self._agreement**2
                return lambda regions: weight * disagreement(regions, said, mass)

            return Corrections(own, propose, ladder, word)

        return AssemblyCorrections(finder.assembly, of_cluster)


def snap(finder: PartFinder, vertex: int, probability: np.ndarray, geometric: bool) -> np.ndarray:
    """Turn the student's probability [P] into a region: a candidate of the click on `vertex`, or its own. [P] bool

    geometric: whether the student's teacher is; its own region then does not count, nor does one without the click. The
    student knows roughly which part, the geometry where parts end: see OverlapWeights.
    """
    surface, found = finder.surface, finder.candidates(vertex)
    regions, scores = found.regions, found.scores  # [N, P], [N]
    own = probability >= 0.5  # [P]
    if not geometric and own[vertex]:
        regions = np.concatenate([regions, own[None]])  # [N + 1, P]
        off = surface.depth.off_middle(own, vertex)[0]
        score = region_score(surface.cut(own), surface.mass[own].sum(), finder.settings)
        scores = np.append(scores, score + finder.settings.off_middle * off)  # [N + 1]
    weight = WEIGHTS.geometric if geometric else WEIGHTS.other
    cost = scores + weight * disagreement(regions, probability, surface.mass)  # [N]
    return regions[int(cost.argmin())].copy()


def disagreement(regions: np.ndarray, probability: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """-log of the IoU of regions [N, P] bool with the student's probability [P]; mass [P]. [N]"""
    overlap = np.minimum(regions, probability) @ mass  # [N]
    union = np.maximum(regions, probability) @ mass  # [N]
    return -np.log(np.maximum(overlap / np.maximum(union, 1e-12), WEIGHTS.least))  # [N]
