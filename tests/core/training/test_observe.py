"""One pass of a teacher over the views: the sums must be exact, and every vote must be one that the rules allow."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.runs import run_on, telling
from support.shapes import dumbbell, tiny_settings

from iseg_core.clicks.training_sequences import farthest_points, simulate
from iseg_core.render.backends import make_rasterizer
from iseg_core.render.camera import sphere_cameras
from iseg_core.render.click_pixels import clicked_pixels
from iseg_core.render.raster import Raster
from iseg_core.teachers.teacher import Embedding, Prediction, RenderedView, SurfaceTeacher, TargetTeacher, Teacher
from iseg_core.training.observations import Observations
from iseg_core.training.observe import clickable_vertices, observe, scene_of
from iseg_core.training.second_clicks import MIN_SCORE, Pairs
from iseg_core.training.settings import get_settings
from iseg_core.training.view_pass import MAX_IOU, Scene

MESH = dumbbell(2)
VERTICES, FACES = MESH.vertices / 1.7, MESH.faces  # [P, 3], [F, 3]
COUNT = len(VERTICES)
SIDE, FIELD_SIDE, DIM = 40, 20, 3
CAMERAS = sphere_cameras(8)
RASTERIZER = make_rasterizer(VERTICES, FACES)
SETTINGS = tiny_settings(click_range=(12, 12), second_clicks=2)
MATRICES = [RASTERIZER.rasterize(camera, SIDE).matrix(FACES, COUNT) for camera in CAMERAS]  # 8 x [p, P]
EVERYWHERE = np.concatenate([matrix.toarray() for matrix in MATRICES]).sum(axis=0)  # [P] votes of all views

z = VERTICES[:, 2]
# Parts at three scales: slices, balls, everything. [3, P]
PARTS = np.stack([np.digitize(z, [-0.5, 0, 0.5]), (z > 0).astype(int), np.zeros(COUNT, dtype=int)])


@dataclass
class Looked:
    raster: Raster
    parts: np.ndarray  # [3, HW], -1 where nothing is
    view: int


class PartTeacher(Teacher):
    """A 2D teacher that knows PARTS: a second click adds its slice to the mask or takes it away.

    Its features differ from view to view, and are smaller than its views, as those of SAM are. It remembers what it was
    asked.
    """

    name = fingerprint = "parts"
    feature_dim, resolution = DIM, SIDE

    def __init__(self, scores: tuple[float, float, float] = (0.9, 0.8, 0.7)):
        self.scores = scores
        self.looked: list[Looked] = []
        self.priors: list[tuple[np.ndarray, np.ndarray | None]] = []  # of each question: first points, and the prior
        self.asked: list[tuple[int, np.ndarray, np.ndarray, Prediction]] = []

    def look(self, view: RenderedView) -> Embedding:
        index = next(i for i, camera in enumerate(CAMERAS) if camera is view.camera)
        features = np.random.default_rng(index).standard_normal((DIM, FIELD_SIDE, FIELD_SIDE))  # [d, h, w]
        flat, weights = view.raster.face_id.ravel(), view.raster.barycentrics.reshape(-1, 3)  # [HW], [HW, 3]
        corner = FACES[flat, weights.argmax(axis=1)]  # [HW]
        self.looked.append(Looked(view.raster, np.where(flat >= 0, PARTS[:, corner], -1), index))
        return Embedding(features.astype(np.float32), self.looked[-1])

    def predict(
        self, embedding: Embedding, points: np.ndarray, labels: np.ndarray, prior: np.ndarray | None = None
    ) -> Prediction:
        looked, masks = embedding.data, np.zeros((len(points), 3, SIDE * SIDE), dtype=bool)  # [Q, 3, HW]
        for q, (prompt, signs) in enumerate(zip(points.astype(int), labels, strict=True)):
            at = prompt[:, 1] * SIDE + prompt[:, 0]  # [n]
            for s in range(3):
                masks[q, s] = looked.parts[s] == looked.parts[s, at[0]]
                if len(at) == 2:
                    slice_ = looked.parts[0] == looked.parts[0, at[1]]  # [HW]
                    masks[q, s] = masks[q, s] | slice_ if signs[1] else masks[q, s] & ~slice_
        answer = Prediction(
            masks.reshape(-1, 3, SIDE, SIDE), np.tile(np.array(self.scores, dtype=np.float32), (len(points), 1))
        )
        self.asked.append((looked.view, points.copy(), labels.copy(), answer))
        return answer


class SolidTeacher(PartTeacher, SurfaceTeacher):
    """Answers in 3D too."""

    def regions(self, clicks: tuple[tuple[int, bool], ...]) -> np.ndarray:
        return PARTS == PARTS[:, clicks[0][0]][:, None]  # [3, P]


class ProposingTeacher(PartTeacher, TargetTeacher):
    """Has regions that a user may want."""

    targets = np.stack(
        [z > 0, z < -0.2, np.abs(z) < 0.5, VERTICES[:, 0] > 0, (z > 0.3) & (VERTICES[:, 1] > 0)]
    )  # [M, P]

    def hidden_targets(self, rng: np.random.Generator, count: int) -> np.ndarray:
        return self.targets[np.arange(count) % len(self.targets)]


def run(teacher: PartTeacher, seed: int = 0, cameras=CAMERAS, keep_views: bool = False, **changes) -> Observations:
    objective = "rendered" if keep_views else "votes"
    chosen = replace(SETTINGS, **changes)
    scene = Scene(VERTICES, FACES, cameras, RASTERIZER)
    return observe(run_on(VERTICES, FACES, teacher, chosen, seed=seed, objective=objective), scene)


def table(observations: Observations) -> dict[tuple, tuple[np.ndarray, np.ndarray]]:
    votes = zip(observations.inside, observations.seen, strict=True)
    return dict(zip(observations.click_sets, votes, strict=True))


@pytest.fixture(scope="module")
def taught() -> tuple[PartTeacher, Observations]:
    teacher = PartTeacher()
    return teacher, run(teacher, keep_views=True)


def rendered_field(f: np.ndarray) -> tuple[float, np.ndarray]:
    """Equation 3 and its gradient by drawing f [P, d] in every view, without a matrix."""
    loss, pixels, gradient = 0.0, 0, np.zeros_like(f)
    for view, camera in enumerate(CAMERAS):
        raster = RASTERIZER.rasterize(camera, FIELD_SIDE)
        target = np.random.default_rng(view).standard_normal((DIM, FIELD_SIDE, FIELD_SIDE)).astype(np.float32)
        hit = raster.face_id >= 0  # [h, w]
        corners, weights = FACES[raster.face_id[hit]], raster.barycentrics[hit].astype(np.float64)  # [p, 3] each
        error = (weights[..., None] * f[corners]).sum(axis=1) - target[:, hit].T  # [p, d]
        loss, pixels = loss + (error**2).sum(), pixels + len(error)
        np.add.at(gradient, corners, 2 * weights[..., None] * error[:, None])
    return loss / (pixels * DIM), gradient / (pixels * DIM)


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.floats(1e-3, 1e3))
def test_the_sums_are_the_loss_of_rendering_every_view(taught, seed, size):
    observations = taught[1]
    f = np.random.default_rng(seed).standard_normal((COUNT, DIM)) * size  # [P, d]
    loss, gradient = rendered_field(f)
    assert np.isclose(observations.field_loss(f), loss, rtol=1e-6)
    found = 2 * (observations.A @ f - observations.b) / (observations.pixels * DIM)  # [P, d]
    assert np.linalg.norm(found - gradient) <= 1e-4 * np.linalg.norm(gradient)


def test_observations_of_two_halves_of_the_views_add_up():
    teachers = [PartTeacher() for _ in range(3)]
    one, two = (run(t, cameras=c, keep_views=True) for t, c in zip(teachers, (CAMERAS[:3], CAMERAS[3:]), strict=False))
    both, whole = one + two, run(teachers[2])
    assert np.allclose((both.A - whole.A).toarray(), 0, atol=1e-9)
    assert np.allclose(both.b, whole.b) and np.isclose(both.c, whole.c) and both.pixels == whole.pixels
    found, first, second, wanted = table(both), table(one), table(two), table(whole)
    assert len(found) == len(both.click_sets)  # no set twice
    assert found.keys() == first.keys() | second.keys()
    assert first.keys() - second.keys() and second.keys() - first.keys()  # pairs differ: they are found in the views
    nothing = (np.zeros((3, COUNT)),) * 2
    for clicks, (inside, seen) in found.items():
        parts = first.get(clicks, nothing), second.get(clicks, nothing)
        assert np.allclose(inside, parts[0][0] + parts[1][0], atol=1e-4)
        assert np.allclose(seen, parts[0][1] + parts[1][1], atol=1e-4)
        if len(clicks) == 1:
            assert np.allclose(inside, wanted[clicks][0], atol=1e-3)
            assert np.allclose(seen, wanted[clicks][1], atol=1e-3)
    replay(both)


def replay(observations: Observations) -> None:
    """The kept views must give the votes."""
    inside, seen = (np.zeros_like(observations.inside) for _ in range(2))
    assert observations.views
    for view in observations.views:
        for (k, scale), mask in zip(view.rows, view.masks, strict=True):
            inside[k, scale] += view.matrix.T @ mask.astype(np.float32)
            seen[k, scale] += np.asarray(view.matrix.sum(axis=0)).ravel()
    assert np.allclose(inside, observations.inside, atol=1e-3)
    assert np.allclose(seen, observations.seen, atol=1e-3)


def test_the_kept_views_hold_the_votes(taught):
    replay(taught[1])
    assert run(PartTeacher()).views is None


@pytest.mark.parametrize("make", [PartTeacher, SolidTeacher, ProposingTeacher])
def test_no_vertex_has_more_votes_inside_than_views_saw_of_it(make):
    observations = run(make())
    assert observations.inside.min() >= 0
    assert (observations.inside <= observations.seen + 1e-4).all()
    assert (observations.seen <= EVERYWHERE + 1e-3).all()
    assert observations.inside.max() > 1 and (observations.seen - observations.inside).max() > 1


def test_single_clicks_vote_in_the_views_that_see_them_and_in_no_other(taught):
    teacher, observations = taught
    singles = {c[0][0]: votes for c, votes in table(observations).items() if len(c) == 1}
    assert len(singles) == 12
    wanted = {vertex: np.zeros((2, 3, COUNT)) for vertex in singles}
    somewhere_hidden = False
    for camera in CAMERAS:
        raster = RASTERIZER.rasterize(camera, SIDE)
        pixels, shown = clicked_pixels(raster, camera, VERTICES, FACES)
        flat = raster.face_id.ravel()[raster.covered]  # [p]
        weights = raster.barycentrics.reshape(-1, 3)[raster.covered]  # [p, 3]
        corners = FACES[flat]  # [p, 3]
        drawn = PARTS[:, corners[np.arange(len(flat)), weights.argmax(axis=1)]]  # [3, p]
        for vertex, votes in wanted.items():
            if not shown[vertex]:
                somewhere_hidden = True
                continue
            column, row = pixels[vertex].astype(int)
            at = np.flatnonzero(raster.covered == row * SIDE + column)[0]
            for scale in range(3):
                mask = drawn[scale] == drawn[scale, at]  # [p]
                np.add.at(votes[0, scale], corners, weights * mask[:, None])
                np.add.at(votes[1, scale], corners, weights)
    assert somewhere_hidden
    for vertex, (inside, seen) in singles.items():
        assert np.allclose(inside, wanted[vertex][0], atol=1e-3)
        assert np.allclose(seen, wanted[vertex][1], atol=1e-3)


def test_a_clicked_pixel_shows_its_vertex():
    for camera in CAMERAS:
        raster = RASTERIZER.rasterize(camera, SIDE)
        pixels, shown = clicked_pixels(raster, camera, VERTICES, FACES)
        assert shown.any() and not shown[~raster.visible].any()
        column, row = pixels[shown].astype(int).T
        assert (raster.face_id[row, column] >= 0).all()
        weights = raster.barycentrics[row, column]  # [n, 3]
        point = (weights[..., None] * VERTICES[FACES[raster.face_id[row, column]]]).sum(axis=1)  # [n, 3]
        assert np.linalg.norm(point - VERTICES[shown], axis=1).max() < 0.25


def test_a_vertex_at_the_border_of_two_pixels_is_clicked_where_the_teacher_is_asked():
    """It is told single precision, which rounds such a place into the next pixel: that one must show the mesh."""
    raster, rounded = RASTERIZER.rasterize(CAMERAS[0], SIDE), 0
    for side in (0, 1):  # of the column, of the row

        class Near(type(CAMERAS[0])):
            def project(self, vertices, size):
                exact = super().project(vertices, size)
                exact[:, side] = np.floor(exact[:, side]) + 1 - 1e-9  # noqa: B023
                return exact

        camera = Near(**vars(CAMERAS[0]))
        pixels, shown = clicked_pixels(raster, camera, VERTICES, FACES)
        column, row = pixels[shown].astype(np.float32).astype(int).T
        assert (raster.face_id[row, column] >= 0).all() and shown.any()
        rounded += (raster.face_id[row, column - 1] < 0).sum() + (raster.face_id[row - 1, column] < 0).sum()
    assert rounded  # some of these pixels lie at the silhouette


def second_answers(teacher: PartTeacher, allow: Callable | None = None) -> dict[tuple, np.ndarray]:
    """The votes [2, 3, P] of every pair that the rules allow, from what the teacher was asked, one by one."""
    votes: dict[tuple, np.ndarray] = {}
    first: dict[tuple[int, int], np.ndarray] = {}
    for view, points, labels, answer in teacher.asked:
        raster = RASTERIZER.rasterize(CAMERAS[view], SIDE)
        pixels, shown = clicked_pixels(raster, CAMERAS[view], VERTICES, FACES)
        number = {tuple(p): v for v, p in enumerate(pixels.astype(np.float32)) if shown[v]}
        matrix = raster.matrix(FACES, COUNT)  # [p, P]
        place = {int(flat): i for i, flat in enumerate(raster.covered)}
        masks = answer.masks.reshape(len(points), 3, -1)[:, :, raster.covered]  # [Q, 3, p]
        for prompt, signs, mask, scores in zip(points, labels, masks, answer.scores, strict=True):
            vertices = [number[tuple(p)] for p in prompt]
            at = [place[int(y) * SIDE + int(x)] for x, y in prompt]
            mask = mask.copy()
            for pixel, sign in zip(at, signs, strict=True):
                mask[:, pixel] = bool(sign)
            if len(vertices) == 1:
                first[view, vertices[0]] = mask
                continue
            assert signs[0] == 1
            before, positive = first[view, vertices[0]], bool(signs[1])
            for scale in range(3):
                old, new = before[scale], mask[scale]
                iou = (old & new).sum() / (old | new).sum()
                right_way = new.sum() > old.sum() if positive else new.sum() < old.sum()
                if scores[scale] >= MIN_SCORE and old[at[1]] != positive and right_way and iou <= MAX_IOU:
                    key = ((vertices[0], True), (vertices[1], positive))
                    votes.setdefault(key, np.zeros((2, 3, COUNT)))
                    votes[key][:, scale] += np.stack([matrix.T @ new.astype(float), matrix.T @ np.ones(len(new))])
    return votes


@pytest.mark.parametrize("scores", [(0.9, 0.8, 0.7), (0.1, 0.8, 0.5), (0.9, 0.2, 0.39)])
def test_second_clicks_vote_by_the_rules_and_by_no_other(scores):
    teacher = PartTeacher(scores)
    found = {c: votes for c, votes in table(run(teacher, click_range=(30, 30))).items() if len(c) == 2}
    wanted = second_answers(teacher)
    assert {c[1][1] for c in found} == {True, False}
    assert found.keys() == wanted.keys()
    for clicks, (inside, seen) in found.items():
        assert np.allclose(inside, wanted[clicks][0], atol=1e-3)
        assert np.allclose(seen, wanted[clicks][1], atol=1e-3)
    bad = [s for s in range(3) if scores[s] < MIN_SCORE]
    assert all((seen[bad] == 0).all() for _, seen in found.values())
    for sign in (True, False):
        firsts = [c[0][0] for c in found if c[1][1] == sign]
        assert max(np.bincount(firsts)) <= SETTINGS.second_clicks


def altered(change: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> PartTeacher:
    """A teacher whose answers to second clicks are changed: (first masks, signs [Q]) -> masks [Q, 3, H, W]."""

    class Altered(PartTeacher):
        def predict(self, embedding, points, labels, prior=None):
            answer = super().predict(embedding, points[:, :1], labels[:, :1])
            masks = answer.masks if points.shape[1] == 1 else change(answer.masks.copy(), labels[:, 1])
            return Prediction(masks, answer.scores)

    return Altered()


def wrong_way(masks: np.ndarray, signs: np.ndarray) -> np.ndarray:
    masks[signs == 1] = False
    masks[signs == 0] = True
    return masks


@pytest.mark.parametrize("teacher", [
    PartTeacher((0.3, 0.2, 0.39)), altered(wrong_way), altered(lambda masks, signs: masks),
], ids=["low scores", "grows for an exclusion", "hardly a change"])  # fmt: skip
def test_no_pair_is_learned_from(teacher):
    assert {len(clicks) for clicks in run(teacher).click_sets} == {1}


def test_a_teacher_that_answers_in_3d_speaks_for_the_views_that_do_not_see_the_clicks():
    flat, solid = table(run(PartTeacher())), table(run(SolidTeacher()))
    assert flat.keys() == solid.keys()
    filled = 0
    for clicks, (inside, seen) in solid.items():
        region = SolidTeacher().regions(clicks)  # [3, P]
        for scale in range(3):
            flat_inside, flat_seen = flat[clicks][0][scale], flat[clicks][1][scale]  # [P] each
            if not flat_seen.any():  # where no view could ask it, the rule was broken: 3D says nothing either
                assert not seen[scale].any() and not inside[scale].any()
                continue
            filled += 1
            assert np.allclose(seen[scale], EVERYWHERE, atol=1e-3)
            assert np.allclose(inside[scale], flat_inside + (EVERYWHERE - flat_seen) * region[scale], atol=1e-3)
    assert filled > 20


def test_sequences_lead_to_hidden_targets_in_all_views_and_scales():
    plain, found = table(run(ProposingTeacher(), hidden_targets=0)), table(run(ProposingTeacher(), hidden_targets=40))
    longer = {clicks: votes for clicks, votes in found.items() if len(clicks) > 2}
    assert {len(clicks) for clicks in plain} == {1, 2} and longer
    assert max(len(clicks) for clicks in longer) <= SETTINGS.max_clicks
    for clicks, (inside, seen) in longer.items():
        assert np.allclose(seen, EVERYWHERE, atol=1e-3)
        match = [t for t in ProposingTeacher.targets if np.allclose(inside, EVERYWHERE * t, atol=1e-3)]
        assert len(match) == 1  # the votes are those of one target, at every scale
        assert clicks[0][1]
        assert all(match[0][vertex] == positive for vertex, positive in clicks)  # each on the right side of it


@given(st.integers(0, 10**6), st.integers(2, 8), st.integers(1, 8))
def test_simulated_clicks_are_on_the_right_side_and_none_is_repeated(seed, count, longest):
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((40, 3))  # [N, 3]
    normals = rng.standard_normal((count, 3))  # [M, 3]
    regions = normals @ points.T > rng.normal(0, 1, (count, 1))  # [M, N]
    sequences, wanted = simulate(regions, points, longest, rng)
    assert len(sequences) == len(wanted)
    for clicks, target in zip(sequences, wanted, strict=True):
        assert 2 <= len(clicks) <= longest
        assert clicks[0][1]
        assert all(regions[target, vertex] == positive for vertex, positive in clicks)
        assert len({vertex for vertex, _ in clicks}) == len(clicks)


@given(st.integers(0, 10**6), st.integers(1, 30))
def test_clicked_vertices_are_spread_evenly(seed, count):
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((30, 3))  # [N, 3]
    chosen = farthest_points(points, count, rng)
    assert len(set(chosen.tolist())) == count
    between = np.linalg.norm(points[chosen][:, None] - points[chosen], axis=2)  # [c, c]
    for i in range(1, count):  # each is the farthest from those before it
        nearest = np.linalg.norm(points[:, None] - points[chosen[:i]], axis=2).min(axis=1)  # [N]
        assert np.isclose(between[i, :i].min(), nearest.max())


def test_a_step_that_raises_stops_the_pass_and_steps_tell_the_fraction():
    fractions: list[float] = []
    scene = Scene(VERTICES, FACES, CAMERAS, RASTERIZER)
    observe(run_on(VERTICES, FACES, PartTeacher(), SETTINGS, reporter=telling("observe", fractions.append)), scene)
    assert np.allclose(fractions, np.arange(9) / 8)

    def stop(fraction: float) -> None:
        if fraction > 0.3:
            raise KeyboardInterrupt

    teacher = PartTeacher()
    with pytest.raises(KeyboardInterrupt):
        observe(run_on(VERTICES, FACES, teacher, SETTINGS, reporter=telling("observe", stop)), scene)
    assert len(teacher.looked) == 3


def test_every_view_is_looked_at_once(taught):
    assert sorted(looked.view for looked in taught[0].looked) == list(range(8))


def test_a_seed_fixes_everything():
    one, two, other = (run(ProposingTeacher(), seed) for seed in (3, 3, 4))
    assert one.click_sets == two.click_sets != other.click_sets
    assert np.array_equal(one.inside, two.inside) and np.array_equal(one.seen, two.seen)
    assert np.array_equal(one.b, two.b) and one.c == two.c and np.array_equal(one.A.toarray(), two.A.toarray())


@settings(max_examples=200)
@given(st.integers(0, 10**6), st.integers(1, 20), st.integers(3, 15), st.floats(0.01, 8))
def test_the_votes_bound_the_rendered_cross_entropy(seed, side, count, spread):
    """By convexity (observe.py): sum over pixels of BCE(B p, m) <= -sum of in log p + out log(1 - p)."""
    rng = np.random.default_rng(seed)
    faces = rng.integers(0, count, (10, 3))  # [F, 3]
    raster = Raster(
        rng.integers(-1, 10, (side, side)).astype(np.int32),
        rng.dirichlet([0.5] * 3, (side, side)).astype(np.float32),
        np.ones(count, dtype=bool),
    )
    matrix = raster.matrix(faces, count).astype(np.float64)  # [P, V]
    p = 1 / (1 + np.exp(-rng.normal(0, spread, count)))  # [V]
    m = rng.random(len(raster.covered)) < rng.random()  # [P]
    rendered = matrix @ p  # [P]
    total = np.asarray(matrix.sum(axis=1)).ravel()  # [P] 1 up to rounding
    loss = -np.where(m, np.log(rendered), np.log(np.maximum(total - rendered, 1e-300))).sum()
    inside, outside = matrix.T @ m, matrix.T @ ~m  # [V] each
    bound = -(inside * np.log(p) + outside * np.log1p(-p)).sum()
    assert loss <= bound + 1e-4 * (1 + abs(bound))


class RememberingTeacher(PartTeacher):
    """Its logits say whose they are: the place of the click, and the granularity. It notes what comes back as prior."""

    def predict(
        self, embedding: Embedding, points: np.ndarray, labels: np.ndarray, prior: np.ndarray | None = None
    ) -> Prediction:
        answer = super().predict(embedding, points, labels, prior)
        self.priors.append((points[:, 0].copy(), prior))
        logits = np.zeros((len(points), 3, 2, 2), dtype=np.float32)  # [Q, 3, h, w]
        logits[:, :, 0] = points[:, 0][:, None]
        logits[:, :, 1] = np.arange(3)[:, None]
        return answer._replace(logits=logits)


def test_a_second_click_brings_the_logits_of_its_first_mask_at_the_best_scale():
    """The rule of the exclude holds at one scale or more; of these the best score is the prior's."""
    teacher = RememberingTeacher(scores=(0.5, 0.9, 0.7))
    run(teacher)
    priors = [(first, prior) for first, prior in teacher.priors if prior is not None and len(prior)]
    assert priors
    scales = np.concatenate([prior[:, 1, 0] for _, prior in priors])
    assert all(np.allclose(prior[:, 0], first) for first, prior in priors)
    assert set(scales.tolist()) <= {0.0, 1.0, 2.0} and (scales == 1).mean() > 0.5  # the balls, which score best


class SilentTeacher(PartTeacher):
    """Says that nothing belongs to any click."""

    def predict(self, embedding, points, labels, prior=None) -> Prediction:
        answer = super().predict(embedding, points, labels, prior)
        return answer._replace(masks=np.zeros_like(answer.masks))


def test_a_clicked_pixel_is_inside_whatever_the_teacher_says():
    observations = run(SilentTeacher())
    singles = [k for k, clicks in enumerate(observations.click_sets) if len(clicks) == 1 and observations.seen[k].any()]
    assert singles
    for k in singles:
        vertex = observations.click_sets[k][0].vertex
        assert (observations.inside[k, :, vertex] > 0).all()


def test_second_clicks_are_near_the_first():
    """Within the root of a half of the distance to the farthest that the rule allows."""
    points = np.stack([np.arange(20.0), np.zeros(20), np.zeros(20)], axis=1)  # [T, 3] on a line
    seen, contains = np.arange(20), np.zeros((20, 3, 20), dtype=bool)  # every include is allowed
    for seed in range(20):
        ask = Pairs(points, quota=1).ask(seen, contains, np.ones((20, 3)), np.random.default_rng(seed))
        apart = np.abs(ask.first - ask.second)
        farthest = np.maximum(ask.first, 19 - ask.first)
        assert len(apart) == 20 and (apart <= 0.5**0.5 * farthest + 1e-9).all()


@pytest.mark.parametrize(("vertices", "clicked"), [(1000, 32), (2000, 60), (4000, 120), (9000, 160)])
def test_three_of_a_hundred_vertices_are_clicked(vertices, clicked):
    points = np.random.default_rng(0).standard_normal((vertices, 3))
    chosen = clickable_vertices(points, np.arange(vertices), get_settings("standard"), np.random.default_rng(0))
    assert len(np.unique(chosen)) == clicked


@pytest.mark.parametrize(("preset", "views"), [("paper", 200), ("standard", 100), ("draft", 40)])
def test_a_training_looks_from_as_many_places_as_its_preset_says(preset, views):
    assert len(scene_of(run_on(VERTICES, FACES, PartTeacher(), get_settings(preset))).cameras) == views
