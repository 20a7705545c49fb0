"""The votes baseline: what the masks say where a view shows the surface, and nothing elsewhere."""

import numpy as np
import pytest
from support.shapes import bottom, dumbbell, join, moved, sphere, top

from iseg_core.bench.votes import Votes
from iseg_core.clicks.click import Granularity
from iseg_core.geometry.mesh import Mesh
from iseg_core.storage.prepare import prepare
from iseg_core.storage.trained_model import Model
from iseg_core.teachers.make import make_teacher
from iseg_core.teachers.teacher import Embedding, Prediction, RenderedView

FEATURES = np.zeros((1, 1, 1), dtype=np.float32)


class Halves:
    """Teacher whose mask is the half (z > 0 or not) of the first point; excluded points take nothing away."""

    name, fingerprint, feature_dim, resolution = "halves", "1", 1, 112

    def __init__(self, model: Model):
        self.points, self.faces = model.proxy.vertices, model.proxy.faces
        self.asked: list[np.ndarray] = []

    def look(self, view: RenderedView) -> Embedding:
        corners = self.points[self.faces[view.raster.face_id], 2]  # [H, W, 3]
        return Embedding(FEATURES, ((view.raster.barycentrics * corners).sum(axis=2), view.raster.face_id >= 0))

    def predict(self, embedding: Embedding, points, labels, prior=None) -> Prediction:
        height, covered = embedding.data  # [H, W] each
        self.asked.extend(labels)
        masks = np.zeros((len(points), 3, *height.shape), dtype=bool)  # [Q, 3, H, W]
        for mask, prompt, signs in zip(masks, points, labels, strict=True):
            column, row = prompt[signs == 1][0].astype(int)
            mask[1] = covered & ((height > 0) == (height[row, column] > 0))
        return Prediction(masks, np.ones((len(points), 3), dtype=np.float32))


def made(mesh: Mesh, views: int = 20, granularity: Granularity = Granularity.PART) -> tuple[Model, Halves, Votes]:
    model = prepare(mesh, 5000)
    teacher = Halves(model)
    return model, teacher, Votes(model, teacher, views, granularity)


def test_exact_masks_give_the_part_where_it_is_seen():
    mesh = dumbbell()
    up = mesh.vertices[:, 2] > 0.1  # a pixel at the border may show the other half
    down = mesh.vertices[:, 2] < -0.1
    _, _, votes = made(mesh)
    answer = votes.answer([(top(mesh), True)])
    seen = votes.shown_with(top(mesh))
    assert answer.dtype == np.float32 and answer.shape == (len(mesh.vertices),)
    assert (seen & up).sum() > 200 and (seen & down).sum() > 100
    assert (answer[up & seen] == 1).all() and not answer[down | ~seen].any()
    assert np.array_equal(votes.singles([bottom(mesh), top(mesh), bottom(mesh)])[1], answer)
    assert (votes.singles([bottom(mesh)])[0][down & votes.shown_with(bottom(mesh))] == 1).all()
    assert votes.singles([]).shape == (0, len(mesh.vertices))
    assert not made(mesh, granularity=Granularity.FINE)[2].answer([(top(mesh), True)]).any()


def test_what_no_view_of_the_click_shows_is_outside():
    mesh = sphere()
    model, _, votes = made(mesh, views=1)  # one camera, below
    shown = votes.shown[0, model.proxy.nearest]  # [V]
    front = int(np.flatnonzero(shown & (mesh.vertices[:, 2] < -0.3))[0])
    answer = votes.answer([(front, True)])
    hidden = ~votes.shown_with(front)
    assert 0.4 < hidden.mean() < 0.8
    assert not answer[hidden].any()
    assert (answer[~hidden & (mesh.vertices[:, 2] < -0.2)] == 1).all()
    behind = int(np.flatnonzero(~shown)[0])
    assert not votes.answer([(behind, True)]).any() and not votes.singles([behind]).any()


def test_nothing_speaks_of_the_inside_of_a_closed_shell():
    inner = moved(sphere(2), (0, 0, 0), 0.5)
    mesh = join(sphere(), inner)
    _, _, votes = made(mesh)
    answer = votes.answer([(top(sphere()), True)])
    assert answer.any() and not answer[-len(inner.vertices) :].any()


def test_each_view_is_asked_with_the_clicks_it_sees():
    mesh = sphere()
    _, teacher, votes = made(mesh, views=30)
    up, down = top(mesh), bottom(mesh)
    votes.answer([(up, True), (down, False)])
    sees_up, sees_down = votes.shown[:, up], votes.shown[:, down]
    assert not (sees_up & sees_down).any()  # opposite ends of a ball
    assert len(teacher.asked) == sees_up.sum() and all(list(labels) == [1, -1] for labels in teacher.asked)
    teacher.asked.clear()
    votes.answer([(up, True), (down, True)])
    assert sorted(map(list, teacher.asked)) == sorted([[1, -1]] * sees_up.sum() + [[-1, 1]] * sees_down.sum())
    teacher.asked.clear()
    assert not votes.answer([(up, False)]).any() and not teacher.asked


@pytest.mark.parametrize("granularity", Granularity)
def test_with_the_geometric_teacher(granularity: Granularity):
    mesh = dumbbell()
    model = prepare(mesh, 5000)
    votes = Votes(model, make_teacher("geometric", model), 20, granularity)
    answer = votes.answer([(top(mesh), True), (bottom(mesh), False)])
    assert answer[top(mesh)] == 1 and answer[bottom(mesh)] == 0


class Fickle(Halves):
    """Says in every second view that nothing belongs to the click."""

    def predict(self, embedding: Embedding, points, labels, prior=None) -> Prediction:
        answer = super().predict(embedding, points, labels, prior)
        height, _ = embedding.data
        silent = int(1e6 * abs(height).sum()) % 2 == 0
        return Prediction(np.zeros_like(answer.masks), answer.scores) if silent else answer


def test_the_answer_is_the_share_of_the_views_that_say_inside():
    model = prepare(dumbbell(), 5000)
    votes = Votes(model, Fickle(model), 20)
    answer = votes.answer([(top(dumbbell()), True)])
    inside = answer[votes.shown_with(top(dumbbell())) & (dumbbell().vertices[:, 2] > 0.1)]
    assert ((inside > 0.05) & (inside < 0.95)).mean() > 0.5 and inside.max() <= 1
