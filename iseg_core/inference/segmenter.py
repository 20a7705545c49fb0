"""Segmenter: clicks in, a probability for every vertex or face out. It holds all that queries of one mesh can share."""

import copy
import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..clicks.click import Clicks, Granularity, Prompt, VertexClicks, granularity_of, size_of
from ..clicks.resolve import check_clicks, on_proxy, proxy_vertex_of, vertex_of
from ..errors import ClickError, SettingsError
from ..formats.load import as_mesh
from ..geometry.domain import Domain
from ..geometry.mesh import Mesh
from ..parts.assembly import AssemblyCorrections, AssemblyFinder, propose_assembly
from ..storage.prepare import INSTANT_VERTICES, prepare
from ..storage.trained_model import Model
from .domains import Domains

NO_STUDENT = "A model without training has no plain answer: ask for the refined one, or train the mesh."

if TYPE_CHECKING:
    from .student import Student


def instant(mesh: "Mesh | str | os.PathLike[str] | tuple") -> "Segmenter":
    """Make a segmenter without training, by geometry alone. mesh: a Mesh, a file, or (vertices, faces).

    Raises MeshError where the mesh cannot be used.
    """
    return Segmenter(prepare(as_mesh(mesh), INSTANT_VERTICES))


class Segmenter:
    """Segmenter of a model's mesh: clicks in, a probability for every vertex or face out.

    The student proposes a region for the first click; every later click is a hard condition that corrects it
    (parts/corrections.py), in the order in which the clicks were made. A model without networks answers by geometry
    alone.
    """

    def __init__(self, model: Model, device: str = "auto", refine: bool = True):
        """refine=False gives the student's plain answer (the paper's decoder), which need not honour the clicks.

        Raises SettingsError where the device is not there, or where there is no student to answer plainly.
        """
        self.model, self.refine = model, refine
        self.vertex_count = len(model.mesh.vertices)
        self._finder = AssemblyFinder(model.assembly)
        self._domains = Domains(model.mesh, model.proxy)
        self._student: Student | None = None  # only a trained model needs torch
        if model.networks:
            from .student import Student as Trained

            self._student = Trained(model, device)
        elif not refine:
            raise SettingsError(NO_STUDENT)
        if refine:
            self._finder.make_ready()

    @cached_property
    def plain(self) -> "Segmenter":
        """Same model without correction by geometry: the paper's decoder. It need not honour the clicks.

        Raises SettingsError where there is no student to answer plainly.
        """
        if self._student is None:
            raise SettingsError(NO_STUDENT)
        plain = copy.copy(self)
        plain.refine = False
        return plain

    @cached_property
    def _corrections(self) -> AssemblyCorrections:
        return self._student.corrections(self._finder) if self._student else propose_assembly(self._finder)

    def segment(
        self,
        clicks: Iterable[tuple[Prompt, bool]] | None = None,
        positive: Iterable[Prompt] | None = None,
        negative: Iterable[Prompt] | None = None,
        granularity: str | float = "part",
        features: Sequence[tuple[np.ndarray, bool]] | None = None,
        domain: str = "vertex",
    ) -> np.ndarray:
        """Probability of every vertex or face to belong to the part that the clicks mean. [V] or [F] float32 in 0..1

        clicks: (prompt, True to include or False to exclude) in the order they were made; or positive and negative
        prompts, taken as the positives first. A prompt is a vertex or a SurfacePoint. What is clicked is on its side
        of 0.5: a vertex, a face, and where only one of them has an answer a face at the vertex or the face's corners.
        granularity: fine | part | whole, what the first click means where it could mean several parts; or a number
        from 0, the smallest of these, to 1, the largest, with the names at .25, .5 and .75 (see `sizes`). The answer of
        a smaller size lies within that of `part`, and this within that of a larger one.
        domain: vertex, or face; the triangles of one polygon are answered alike. Where faces are large against the
        part, faces decide, and a vertex belongs where one of its faces does.
        features: in place of vertices, what `features` gave for clicks on this or another mesh (cross-domain
        segmentation, the paper's figure 8). The answer is the student's own, as with refine=False: there is no
        vertex here that could be honoured.
        Raises ClickError for prompts that the mesh does not have and for contradictions, SettingsError for an unknown
        granularity, size or domain, and for features that do not fit or where there is no student.
        """
        size, domain = size_of(granularity), Domain(domain)
        if features is not None:
            if any(given is not None for given in (clicks, positive, negative)):
                raise ClickError("Give either vertices or features, not both.")
            return self._transferred(features, granularity_of(size), domain)
        made = self._checked(clicks, positive, negative)
        if not any(include for _, include in made):
            return self._nothing(domain)
        values = self._on_proxy(on_proxy(made, self.model.mesh, self.model.proxy), size)  # [P]
        return self._domains.values(values, domain, made if self.refine else ())

    def sizes(self, clicks: Iterable[tuple[Prompt, bool]]) -> np.ndarray:
        """Sizes for `segment(granularity=...)` at which the answer to these clicks may change. [n] float64, ascending

        Each stands for one of the regions that the first click may mean, from the smallest to the largest; `part` (.5)
        is always among them. Raises ClickError as `segment` does.
        """
        made = on_proxy(self._checked(clicks), self.model.mesh, self.model.proxy)
        if not self.refine:
            return np.array([size_of(granularity) for granularity in Granularity])
        return self._corrections.sizes(made)

    def faces_decide(self, faces: np.ndarray) -> bool:
        """Tell whether a part of these faces [F] bool is answered by faces: some are so large that vertices are not
        enough to say what belongs to it.
        """
        return self._domains.decide_among(faces)

    def features(self, prompt: Prompt) -> np.ndarray:
        """Look up the field's feature at a prompt; `segment` takes it as a click on any mesh with the same teacher.

        [d] float64, in the teacher's units. Raises ClickError for a prompt that the mesh does not have, SettingsError
        where there is no student.
        """
        vertex_of(prompt, self.model.mesh)
        return self._trained.features(proxy_vertex_of(prompt, self.model.mesh, self.model.proxy))

    def transfer(
        self,
        source: "Segmenter",
        clicks: Iterable[tuple[Prompt, bool]],
        granularity: str | float = "part",
        domain: str = "vertex",
    ) -> np.ndarray:
        """Segment this mesh by clicks on another: features of the other mesh, decoder of this one.

        source: answers for the mesh that was clicked. Returns the probability of this mesh's vertices [V] or faces
        [F] float32.
        Raises ClickError for the clicks, SettingsError where the teachers differ (their features do not mean the same)
        or one of the two has no student.
        """
        vectors = [(source.features(v), include) for v, include in source._checked(clicks)]
        ours, theirs = (
            f"{segmenter.model.info.get('teacher')} ({segmenter.model.info.get('teacher_fingerprint')})"
            for segmenter in (self, source)
        )
        if self._trained and ours != theirs:
            raise SettingsError(
                f"Features of two teachers do not mean the same: this mesh was trained with {ours}, the clicked one "
                f"with {theirs}. Train both with the same."
            )
        return self.segment(features=vectors, granularity=granularity, domain=domain)

    def _transferred(
        self, features: Sequence[tuple[np.ndarray, bool]], granularity: Granularity, domain: Domain
    ) -> np.ndarray:
        """Answer to clicks given as features. [V] or [F] float32"""
        dim = self.model.features.shape[1]
        made = [(np.asarray(feature), bool(include)) for feature, include in features]
        student = self._trained
        for feature, _ in made:
            if feature.shape != (dim,) or not np.isfinite(feature).all():
                raise SettingsError(
                    f"A click's feature has {dim} finite numbers in this model, not an array of shape {feature.shape}. "
                    "Take it from a model that was trained with the same teacher."
                )
        if not any(include for _, include in made):
            return self._nothing(domain)
        return self._domains.values(student.answer(made, granularity), domain)

    def _nothing(self, domain: Domain) -> np.ndarray:
        """Answer where nothing was included. [V] or [F] float32"""
        mesh = self.model.mesh
        return np.zeros(len(mesh.vertices if domain == Domain.VERTEX else mesh.faces), dtype=np.float32)

    @property
    def _trained(self) -> "Student":
        if self._student is None:
            raise SettingsError("A model without training has no features: train the mesh.")
        return self._student

    def _on_proxy(self, clicks: VertexClicks, size: float) -> np.ndarray:
        """Probability of the proxy's vertices. [P] float32"""
        if self._student is None:
            return self._corrections.answer(clicks, size).astype(np.float32)  # [P]
        granularity = granularity_of(size)
        self._student.begin(clicks, granularity)
        region = self._corrections.answer(clicks, size) if self.refine else None  # [P]
        probability = self._student.probability(clicks, granularity)  # [P]
        return probability if region is None else agree(probability, region)

    def _checked(
        self,
        clicks: Iterable[tuple[Prompt, bool]] | None,
        positive: Iterable[Prompt] | None = None,
        negative: Iterable[Prompt] | None = None,
    ) -> Clicks:
        if clicks is None:
            clicks = [(prompt, True) for prompt in (() if positive is None else positive)]
            clicks += [(prompt, False) for prompt in (() if negative is None else negative)]
        elif positive is not None or negative is not None:
            raise ClickError("Give either clicks, or positive and negative vertices, not both.")
        return check_clicks(clicks, self.model.mesh)


def agree(probability: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Probabilities [P] on the side of 0.5 that `region` [P] bool says, with what is left of the student's doubt.

    Student and region together are surer than the student alone: a doubt d becomes d^2, so that little of it is left as
    haze far from the border and its order is kept. With 2 d^2 the student of a draft left so much of it that Otsu's
    threshold took it in. [P] float32
    """
    doubt = np.minimum(probability, 1 - probability) ** 2  # [P] at most 0.25
    return np.where(region, 1 - doubt, doubt).astype(np.float32)  # [P]
