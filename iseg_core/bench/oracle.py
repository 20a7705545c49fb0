"""Noisy oracle: a 2D teacher whose masks are a person's parts with view-dependent errors.

It stands in for the inconsistency of a 2D model (paper, figures 3 and 9), so that fidelity can be measured where no
weights are at hand: how much better than its teacher the student is (section 4.2).
"""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter

from ..clicks.click import Granularity
from ..render.raster import Raster
from ..storage.trained_model import Model
from ..teachers.teacher import Embedding, Prediction, RenderedView, Teacher

FEATURES = 64
SCORE = 0.9


@dataclass(frozen=True)
class Noise:
    """Noise of an oracle."""

    leak: float = 0.2  # share of the answers that take a neighbouring part as well
    half: float = 0.15  # share of the answers that stop at a line through the part
    warp: float = 2.5  # pixels by which borders are moved, root mean square
    blur: float = 8.0  # pixels over which that movement changes
    features: float = 0.3  # noise of each view's features, in units of their spread


def scaled(level: float) -> Noise:
    """Scale the oracle's standard errors: so many times as many and as large."""
    noise = Noise()
    return replace(
        noise,
        leak=min(noise.leak * level, 1.0),
        half=min(noise.half * level, 1.0),
        warp=noise.warp * level,
        features=noise.features * level,
    )


class NoisyOracle(Teacher):
    """Teacher that knows the parts of the proxy's vertices and errs differently in every view (a seed fixes how)."""

    name = "oracle"
    feature_dim = FEATURES

    def __init__(self, model: Model, labels: np.ndarray, seed: int = 0, noise: Noise | None = None, resolution=112):
        """model: a prepared mesh; labels [P] int: the part of each proxy vertex (see proxy_labels)."""
        self.noise = noise or Noise()
        self.fingerprint = f"oracle-{seed}-{self.noise}"
        self.resolution, self.seed = resolution, seed
        self._features = model.assembly.whole.spectral_features(FEATURES)  # [P, d]
        self._faces = model.proxy.faces  # [G, 3]
        self._labels = np.unique(labels, return_inverse=True)[1]  # [P]
        count = int(self._labels.max()) + 1
        self._neighbours = np.zeros((count, count), dtype=bool)  # [L, L]
        a, b = self._labels[model.assembly.whole.edges].T  # [E] each
        self._neighbours[a[a != b], b[a != b]] = True
        self._neighbours |= self._neighbours.T

    def look(self, view: RenderedView) -> Embedding:
        rng = self._generator(view.camera.position)
        side = view.raster.face_id.shape[0]
        covered = view.raster.covered  # [p]
        matrix = view.raster.matrix(self._faces, len(self._features))  # [p, P]
        features = np.zeros((side * side, FEATURES), dtype=np.float32)  # [HW, d]
        spread = self._features.std(axis=0)  # [d]
        constant = rng.standard_normal(FEATURES) * self.noise.features * spread  # [d] this view's bias
        features[covered] = matrix @ self._features + constant
        shown = np.full((side, side), -1)  # [H, W] part of each pixel
        corner = view.raster.barycentrics.reshape(-1, 3)[covered].argmax(axis=1)  # [p]
        faces = self._faces[view.raster.face_id.ravel()[covered]]  # [p, 3]
        shown.ravel()[covered] = self._labels[faces[np.arange(len(faces)), corner]]
        data = (shown, self._warp(shown, view.raster, rng), rng.integers(1 << 31))
        return Embedding(features.T.reshape(FEATURES, side, side), data)

    def predict(
        self, embedding: Embedding, points: np.ndarray, labels: np.ndarray, prior: np.ndarray | None = None
    ) -> Prediction:
        """Answer with the parts of the included points less those of the excluded ones; a prompt errs always alike."""
        shown, warped, view_seed = embedding.data
        side = shown.shape[0]
        y, x = np.mgrid[:side, :side] + 0.5  # [H, W] each
        masks = np.zeros((len(points), side, side), dtype=bool)  # [Q, H, W]
        for q, (prompt, given) in enumerate(zip(points, labels, strict=True)):
            prompt, given = prompt[given >= 0], given[given >= 0]  # [n, 2], [n]
            cell = np.clip(prompt.astype(int), 0, side - 1)  # [n, 2]
            parts = shown[cell[:, 1], cell[:, 0]]  # [n]
            rng = np.random.default_rng([view_seed, *(parts + 1).tolist(), *given.tolist()])
            mask = np.isin(warped, parts[(given == 1) & (parts >= 0)])  # [H, W]
            neighbours = np.flatnonzero(self._neighbours[parts[0]]) if parts[0] >= 0 else []
            if rng.random() < self.noise.leak and len(neighbours):
                mask |= warped == rng.choice(neighbours)
            if rng.random() < self.noise.half:
                turn = rng.uniform(0, 2 * np.pi)
                mask &= (x - prompt[0, 0]) * np.cos(turn) + (y - prompt[0, 1]) * np.sin(turn) > -2
            for k in np.flatnonzero(given == 0):
                if parts[k] == parts[0]:  # within one part the exclusion takes what is nearer to it
                    mask &= np.hypot(*(np.stack([x, y]) - prompt[0][:, None, None])) < np.hypot(
                        *(np.stack([x, y]) - prompt[k][:, None, None])
                    )
                else:
                    mask &= warped != parts[k]
            masks[q] = mask
        return Prediction(
            np.repeat(masks[:, None], len(Granularity), axis=1),
            np.full((len(points), len(Granularity)), SCORE, np.float32),
        )

    def _warp(self, shown: np.ndarray, raster: Raster, rng: np.random.Generator) -> np.ndarray:
        """Displace the parts [H, W] by a smooth random field."""
        side = shown.shape[0]
        moves = [gaussian_filter(rng.standard_normal((side, side)), self.noise.blur) for _ in range(2)]
        y, x = (m / max(m.std(), 1e-12) * self.noise.warp for m in moves)  # [H, W] each
        row, column = np.mgrid[:side, :side]
        row = np.clip(np.rint(row + y), 0, side - 1).astype(int)
        column = np.clip(np.rint(column + x), 0, side - 1).astype(int)
        return np.where(raster.face_id >= 0, shown[row, column], -1)

    def _generator(self, position: np.ndarray) -> np.random.Generator:
        """Make the generator of a view: it errs always alike, whenever it is shown."""
        return np.random.default_rng([self.seed, *np.abs(np.round(position * 1e6)).astype(np.int64).tolist()])


@dataclass(frozen=True, eq=False)
class OracleRecipe:
    """Recipe of an oracle that knows the parts of a mesh; `train` follows it once it has prepared the mesh."""

    labels: np.ndarray  # [F] int: part of each of the user's faces
    seed: int = 0
    noise: Noise = Noise()

    def __call__(self, model: Model) -> NoisyOracle:
        return NoisyOracle(model, proxy_labels(model, self.labels), self.seed, self.noise)

    @property
    def identity(self) -> str:
        """Name of all that the oracle's answers depend on beside the mesh."""
        parts = np.unique(self.labels, return_inverse=True)[1].astype(np.int32)  # [F]
        return f"oracle-{hashlib.sha256(parts.tobytes()).hexdigest()[:16]}-{self.seed}-{self.noise}"


def proxy_labels(model: Model, face_labels: np.ndarray) -> np.ndarray:
    """Part of each proxy vertex, by the votes of the user's faces [F] around the vertices it stands for. [P] int"""
    nearest = model.proxy.nearest  # [V]
    distinct, labels = np.unique(face_labels, return_inverse=True)
    votes = np.zeros((len(model.proxy.vertices), len(distinct)))  # [P, L]
    for corner in range(3):
        np.add.at(votes, (nearest[model.mesh.faces[:, corner]], labels), 1.0)
    labelled = votes.any(axis=1)  # [P]
    part = votes.argmax(axis=1)  # [P]
    if not labelled.all():  # vertices that decimation made: as their nearest neighbour
        from scipy.spatial import KDTree

        points = model.proxy.vertices
        part[~labelled] = part[labelled][KDTree(points[labelled]).query(points[~labelled])[1]]
    return distinct[part]
