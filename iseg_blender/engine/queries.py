"""What clicks ask of the engine, and its answers.

Nothing here waits: what is asked is yielded (tasks.py). Models and answers are kept by the name of the geometry
(`MeshSnapshot.hash`), which is the same in every file.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import bpy
import numpy as np

from ..core import Click, EngineError, Granularity, ModelFileError, Recent, UnknownMeshError, VertexClicks, messages
from ..document import parts, properties
from ..mesh import cache, region
from ..mesh.geometry import Geometry
from ..mesh.snapshot import MeshSnapshot
from ..session import Kept
from ..tasks import Ask, Conversation, Reply
from .models import ModelLists, model_for, newest, pose_trained

ANSWERS_LIMIT, PREVIEWS_LIMIT = 256, 32  # of small meshes; fewer of large ones, of which an answer is megabytes
PREVIEW = "preview"  # a purpose

# As a part is that the first click will make.
NEW_PART: Any = SimpleNamespace(
    clicks=(), granularity="part", automatic=True, threshold=0.5, connected=False, mirror=(False,) * 3
)


class Query(NamedTuple):
    """All that an answer depends on."""

    mesh: str  # the geometry's name
    model: messages.ModelName | None  # None: instant mode
    granularity: str
    clicks: VertexClicks


class Answer(NamedTuple):
    probability: np.ndarray  # [V] float32
    threshold: float  # Otsu's
    milliseconds: float


class Wish(NamedTuple):
    """How the clicks that are proposed will be asked."""

    granularity: str
    threshold: float | None  # None: Otsu's


class Proposal(NamedTuple):
    """Clicks for a part that is known."""

    topology: str  # of the mesh whose vertices they name
    clicks: VertexClicks
    iou: float  # of their answer with the part


def _weight(answer: Answer) -> float:
    return 1 + answer.probability.nbytes / 1e6


class AnswerCache(Kept):
    """The engine's answers."""

    def __init__(self) -> None:
        self.answers: Recent[Query, Answer] = Recent(ANSWERS_LIMIT, _weight)
        self.previews: Recent[Query, Answer] = Recent(PREVIEWS_LIMIT, _weight)  # they must not push out what is shown


def query_of(obj: bpy.types.Object, part: properties.Part, snapshot: MeshSnapshot) -> Query | None:
    """What the clicks of a part ask; None where there are none, or none that fits this mesh."""
    made = asked(part, snapshot.vertices, snapshot.images) if obj.iseg.topology == snapshot.topology else ()
    if not made:
        return None
    return Query(*model_for(obj, snapshot), part.granularity, made)


def asked(part: properties.Part, vertices: np.ndarray, images: region.Images) -> VertexClicks:
    """The clicks of a part on a mesh [V, 3], with their mirror images; what is found of those is added to images."""
    return region.mirrored(parts.clicks_of(part, len(vertices)).made, vertices, tuple(part.mirror), images)


def answer_of(obj: bpy.types.Object, part: properties.Part) -> Answer | None:
    """The answer to the clicks of a part, where it is at hand."""
    snapshot = cache.known_snapshot(obj)
    query = query_of(obj, part, snapshot) if snapshot is not None else None
    return AnswerCache.current().answers.take(query) if query is not None else None


def inside_of(obj: bpy.types.Object, part: properties.Part, answer: Answer) -> np.ndarray:
    """The part: vertices of at least the threshold, and connected to a click if that is asked. [V] bool"""
    snapshot = cache.known_snapshot(obj)
    assert snapshot is not None  # else there was no answer
    return choosing(snapshot, part)(answer)


def weights_of(obj: bpy.types.Object, part: properties.Part, answer: Answer, hard: bool = False) -> np.ndarray:
    """The part as weights of a vertex group: probabilities, or hard 0 and 1. [V] float32"""
    if not hard and not part.connected:
        return answer.probability
    inside = inside_of(obj, part, answer).astype(np.float32)  # [V]
    return inside if hard else answer.probability * inside


def choosing(
    snapshot: MeshSnapshot, part: properties.Part, clicks: VertexClicks | None = None
) -> Callable[[Answer], np.ndarray]:
    """What finds the part in an answer, on any thread. clicks: those that are answered, where not the part's own."""
    threshold = None if part.automatic else part.threshold
    made = parts.clicks_of(part, len(snapshot.vertices)).made if clicks is None else clicks
    clicked = [vertex for vertex, include in made if include]
    connected = part.connected

    def choose(answer: Answer) -> np.ndarray:
        inside = answer.probability >= (answer.threshold if threshold is None else threshold)  # [V]
        return region.connected_to(inside, snapshot.edges, clicked) if connected else inside

    return choose


def carrying(
    obj: bpy.types.Object,
    part: properties.Part,
    geometry: Geometry,
    topology: str,
    answer: Answer,
    after: np.ndarray | None,
) -> Conversation:
    """Let an answer hold for the mesh as an edit has left it, until the clicks are others.

    geometry, topology: of the mesh as it is now. after [V] int: where each vertex is now, -1 for those that have gone;
    None where all are where they were. New ones are outside.
    """
    uid, pose, granularity = obj.data.session_uid, pose_trained(obj, topology), part.granularity
    made = asked(part, geometry.vertices, {})  # the object and its part are not to be touched after the first yield
    snapshot = yield from cache.keeping(uid, geometry)
    probability = answer.probability
    if after is not None:
        kept = after >= 0  # [V]
        probability = np.zeros(len(snapshot.vertices), np.float32)  # [V']
        probability[after[kept]] = answer.probability[kept]
    if made:
        name, model = newest(snapshot.hash, pose)
        query = Query(name, model, granularity, made)
        AnswerCache.current().answers.put(query, answer._replace(probability=probability))


def finding_models(obj: bpy.types.Object, snapshot: MeshSnapshot) -> Conversation:
    """Learn which models there are of a mesh, and of the pose that it was trained in."""
    known, last = ModelLists.current(), parts.trained_model(obj)
    if last is not None:
        name = messages.ModelName(teacher=last[0], preset=last[1], seed=last[2])
        known.chosen.setdefault(parts.trained_name(obj), name)
    for name in (snapshot.hash, pose_trained(obj, snapshot.topology)):
        if name and name not in known.reports:
            reply = yield Ask(messages.StateRequest(mesh=name))
            known.reports[name] = list(messages.StateResult.from_fields(reply.fields).models)


def answering(
    obj: bpy.types.Object, part: properties.Part, snapshot: MeshSnapshot, device: str, purpose: str = ""
) -> Conversation:
    """The answer to the clicks of a part; None where there are none."""
    pose = pose_trained(obj, snapshot.topology)
    wanted = query_of(obj, part, snapshot)  # the object and its part are not to be touched after the first yield
    if wanted is None:
        return None
    yield from finding_models(obj, snapshot)
    name, model = newest(snapshot.hash, pose)
    return (yield from asking(wanted._replace(mesh=name, model=model), snapshot, device, purpose))


def asking(query: Query, snapshot: MeshSnapshot, device: str, purpose: str = "") -> Conversation:
    """The answer to a query: remembered, or the engine's. An older query of the same purpose that waits in the engine
    is given up, with Superseded.
    """
    cache = AnswerCache.current()
    memory = cache.previews if purpose == PREVIEW else cache.answers
    known = cache.answers.take(query) or cache.previews.take(query)
    if known is not None:
        memory.put(query, known)
        return known
    request = messages.QueryRequest(
        mesh=query.mesh,
        granularity=Granularity(query.granularity),
        device=device,
        supersedes=purpose or None,
        model=query.model,
        clicks=tuple(Click(vertex, include) for vertex, include in query.clicks),
    )
    reply = yield from on_mesh(Ask(request), snapshot)
    answer = checked(reply, len(snapshot.vertices))
    memory.put(query, answer)
    return answer


def on_mesh(ask: Ask, snapshot: MeshSnapshot) -> Conversation:
    """A request on a mesh; an engine that does not hold it is given it."""
    assert isinstance(ask.request, messages.QueryRequest | messages.ProposeRequest)
    try:
        return (yield ask)
    except UnknownMeshError:  # a new engine, or one that had to make room
        yield from opening(snapshot)
        return (yield ask)
    except ModelFileError:
        # The file has gone, or is damaged: look again the next time.
        ModelLists.current().reports.pop(ask.request.mesh, None)
        raise


def proposing(
    obj: bpy.types.Object, snapshot: MeshSnapshot, chosen: np.ndarray, wish: Wish, device: str
) -> Conversation:
    """Clicks for the chosen vertices [V] bool of a mesh."""
    pose = pose_trained(obj, snapshot.topology)
    yield from finding_models(obj, snapshot)
    name, model = newest(snapshot.hash, pose)
    request = messages.ProposeRequest(
        mesh=name, granularity=Granularity(wish.granularity), threshold=wish.threshold, device=device, model=model
    )
    reply = yield from on_mesh(Ask(request, {"chosen": chosen.astype(np.uint8)}), snapshot)
    result = messages.ProposeResult.from_fields(reply.fields)
    return Proposal(snapshot.topology, result.clicks, result.iou)


def checked(reply: Reply, vertex_count: int) -> Answer:
    """An answer that fits the mesh. Raises EngineError where it does not."""
    result, probability = messages.QueryResult.from_fields(reply.fields), reply.arrays.get("probability")
    fits = probability is not None and probability.shape == (vertex_count,) and bool(np.isfinite(probability).all())
    if probability is None or not fits:
        raise EngineError("The engine's answer does not fit this mesh. Use the engine of this iSeg version.")
    return Answer(probability.astype(np.float32, copy=False), result.threshold, result.milliseconds)


def opening(snapshot: MeshSnapshot) -> Conversation:
    """Give the engine a mesh."""
    reply = yield Ask(messages.OpenMeshRequest(), {"vertices": snapshot.vertices, "faces": snapshot.faces})
    result = messages.OpenMeshResult.from_fields(reply.fields)
    if result.mesh != snapshot.hash:
        raise EngineError("The engine reads this mesh differently. Use the engine of this iSeg version.")
    ModelLists.current().reports[snapshot.hash] = list(result.models)
