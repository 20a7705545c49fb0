"""Baseline of the paper (section 4.2): 2D masks of the clicks in many views, averaged on the surface."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..clicks.click import Granularity
from ..render.backends import make_rasterizer
from ..render.camera import sphere_cameras
from ..render.click_pixels import clicked_pixels
from ..render.shading import shade
from ..storage.trained_model import Model
from ..teachers.teacher import Embedding, RenderedView, Teacher

VIEWS = 100  # the paper's number
BATCH = 128  # clicks asked at once: a teacher remembers what it knows of a few hundred


@dataclass(frozen=True, eq=False)
class _View:
    """View that was shown, ready to be asked."""

    embedding: Embedding  # without the features, which only the field needs
    points: np.ndarray  # [P, 2] float32: pixel of each vertex
    vertices: np.ndarray  # [n]: those that the view shows
    cells: np.ndarray  # [n]: their pixels, flat


class Votes:
    """Method that answers clicks by the teacher's masks alone: no field, no decoder, no geometry.

    Every view is rendered and looked at once. Clicks are asked in the views that see at least one including click, with
    those clicks that the view sees. A vertex reads the pixel on which it falls, in the views that show it; its answer
    is the mean of what it reads. A vertex that none of these views shows is outside: nothing spoke of it.
    """

    def __init__(self, model: Model, teacher: Teacher, views: int = VIEWS, granularity: Granularity = Granularity.PART):
        """model: of the mesh; only its proxy is used. granularity: which of the masks counts."""
        vertices, faces = model.proxy.vertices, model.proxy.faces
        self._proxy, self._nearest, self._teacher = model.proxy, model.proxy.nearest, teacher
        self._row = granularity.row
        self.shown = np.zeros((views, len(vertices)), dtype=bool)  # [N, P]: a pixel of the view shows the vertex
        self._views: list[_View] = []
        rasterizer = make_rasterizer(vertices, faces)
        for shown, camera in zip(self.shown, sphere_cameras(views), strict=True):
            raster = rasterizer.rasterize(camera, teacher.resolution)
            embedding = teacher.look(RenderedView(camera, raster, shade(raster, camera, vertices, faces)))
            points, shown[:] = clicked_pixels(raster, camera, vertices, faces)
            seen = np.flatnonzero(shown)  # [n]
            column, row = points[seen].astype(np.int64).T  # [n] each
            cells = row * teacher.resolution + column  # [n]
            embedding = replace(embedding, features=np.zeros((0, 0, 0), dtype=np.float32))
            self._views.append(_View(embedding, points.astype(np.float32), seen, cells))

    def answer(self, clicks: Sequence[tuple[int, bool]]) -> np.ndarray:
        """Answer to clicks (vertex of the user's mesh, True to include). [V] float32 in 0..1"""
        vertices = self._nearest[[v for v, _ in clicks]]  # [n]
        include = np.array([include for _, include in clicks], dtype=bool)  # [n]
        return self._proxy.carry(self._average(vertices[None], include[None])[0])

    def singles(self, vertices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Answers to single including clicks on vertices [n] of the user's mesh. [n, V] float32 in 0..1"""
        clicked, row = np.unique(self._nearest[np.asarray(vertices, dtype=np.int64)], return_inverse=True)
        batches = [clicked[i : i + BATCH, None] for i in range(0, len(clicked), BATCH)]
        answered = [self._average(batch, np.ones_like(batch, dtype=bool)) for batch in batches]
        answers = [self._proxy.carry(answer) for batch in answered for answer in batch]
        return np.array(answers, dtype=np.float32).reshape(len(clicked), len(self._nearest))[row]

    def shown_with(self, vertex: int) -> np.ndarray:
        """Find the vertices of the user's mesh that share with this one a view where it can be clicked. [V] bool"""
        sees = self.shown[:, self._nearest[vertex]]  # [N]
        return np.any(self.shown[sees], axis=0)[self._nearest]

    def _average(self, vertices: np.ndarray, include: np.ndarray) -> np.ndarray:
        """Answers to click sets: proxy vertices [Q, n], included or not [Q, n]. [Q, P] float32"""
        asked = np.any(self.shown[:, vertices] & include, axis=2)  # [N, Q]
        inside = np.zeros((len(vertices), self.shown.shape[1]), dtype=np.float32)  # [Q, P]
        for view, shown, sets in zip(self._views, self.shown, asked, strict=True):
            rows = np.flatnonzero(sets)  # [R]
            if len(rows) == 0:
                continue
            labels = np.where(shown[vertices[rows]], include[rows], -1).astype(np.int8)  # [R, n]
            masks = self._teacher.predict(view.embedding, view.points[vertices[rows]], labels).masks  # [R, 3, H, W]
            read = masks[:, self._row].reshape(len(rows), -1)[:, view.cells]  # [R, n]
            inside[rows[:, None], view.vertices] += read
        seen = asked.T.astype(np.float32) @ self.shown.astype(np.float32)  # [Q, P]
        return inside / np.maximum(seen, 1.0)
