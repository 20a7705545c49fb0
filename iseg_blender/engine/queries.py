"""Queries to the engine: clicks and the answers to them.

Nothing here blocks: each request is yielded as an Ask (tasks.py). Models and answers are kept by the hash of the
geometry (`MeshSnapshot.hash`), which is the same in every file.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import bpy
import numpy as np

from ..core import (
    Click,
    Clicks,
    Domain,
    EngineError,
    ModelFileError,
    Recent,
    UnknownMeshError,
    messages,
    size_of,
)
from ..document import parts, properties
from ..document.properties import size_meant
from ..mesh import cache, region
from ..mesh.geometry import Geometry
from ..mesh.points import exact
from ..mesh.snapshot import MeshSnapshot
from ..session import Kept
from ..tasks import Ask, Conversation, Reply
from .models import ModelLists, model_for, newest, pose_trained

ANSWERS_LIMIT, PREVIEWS_LIMIT = 256, 32  # for small meshes; fewer for large ones, whose answers take megabytes
PREVIEW = "preview"  # the purpose of a query for the hover preview

# A part as the first click will make it.
NEW_PART: Any = SimpleNamespace(
    clicks=(),
    size=size_of("part"),
    automatic=True,
    threshold=0.5,
    connected=False,
    mirror=(False,) * 3,
    is_property_set=lambda name: True,
)


class Query(NamedTuple):
    """Key of an answer: everything that the answer depends on."""

    mesh: str  # the geometry's hash
    model: messages.ModelName | None  # None: instant mode
    size: float
    clicks: Clicks
    plain: bool = False  # the student's own answer, not corrected by geometry


class Answer(NamedTuple):
    probability: np.ndarray  # [F] float32, of each triangle
    threshold: float  # by Otsu's method
    milliseconds: float
    sizes: tuple[float, ...] = ()  # of the part, at which the answer changes


class Wish(NamedTuple):
    """Settings of the part that proposed clicks will be used with."""

    size: float
    threshold: float | None  # None: by Otsu's method
    any_size: bool = False  # a new part may get another size, if that one does not do


class Chosen(NamedTuple):
    """Part that clicks are to be found for."""

    vertices: np.ndarray  # [V] bool
    faces: np.ndarray | None = None  # [P] bool, where polygons were chosen, which two may share all vertices of


class Proposal(NamedTuple):
    """Clicks that the engine proposes for a given part."""

    topology: str  # hash of the topology of the mesh that the vertices and triangles belong to
    clicks: Clicks
    iou: float  # intersection over union of the answer to the clicks and the given part
    size: float  # at which they give it


def _weight(answer: Answer) -> float:
    """Return the weight of an answer in an LRU cache: 1, and 1 more for each megabyte."""
    return 1 + answer.probability.nbytes / 1e6


class AnswerCache(Kept):
    """LRU caches of the engine's answers, by query."""

    def __init__(self) -> None:
        self.answers: Recent[Query, Answer] = Recent(ANSWERS_LIMIT, _weight)
        self.previews: Recent[Query, Answer] = Recent(PREVIEWS_LIMIT, _weight)  # apart: they must not evict answers


def query_of(obj: bpy.types.Object, part: properties.Part, snapshot: MeshSnapshot) -> Query | None:
    """Return the query of a part's clicks; None where there are no clicks, or none that fits this mesh."""
    made = asked(part, snapshot) if obj.iseg.topology == snapshot.topology else ()
    if not made:
        return None
    return Query(*model_for(obj, snapshot), size_meant(part), made, is_plain(obj, snapshot))


def is_plain(obj: bpy.types.Object, snapshot: MeshSnapshot) -> bool:
    """Tell whether the decoder's own answer is asked for, and a trained model is there to give it."""
    return obj.iseg.plain and model_for(obj, snapshot)[1] is not None


def asked(part: properties.Part, snapshot: MeshSnapshot) -> Clicks:
    """Return the clicks of a part on a mesh with their mirror images."""
    return region.mirrored(parts.clicks_of(part, snapshot.geometry).made, tuple(part.mirror), snapshot.image)


def answer_of(obj: bpy.types.Object, part: properties.Part) -> Answer | None:
    """Return the cached answer to the clicks of a part; None where it is not in the cache."""
    snapshot = cache.known_snapshot(obj)
    query = query_of(obj, part, snapshot) if snapshot is not None else None
    return AnswerCache.current().answers.take(query) if query is not None else None


def inside_of(obj: bpy.types.Object, part: properties.Part, answer: Answer) -> np.ndarray:
    """Mask of the part's polygons [P] bool: at least the threshold, and connected to a click if the part asks so."""
    snapshot = cache.known_snapshot(obj)
    assert snapshot is not None  # else there was no answer
    return choosing(snapshot, part)(answer)


def weights_of(obj: bpy.types.Object, part: properties.Part, answer: Answer, hard: bool = False) -> np.ndarray:
    """Weights of the part for a vertex group [V] float32: probabilities, or 0 and 1 if hard.

    Each vertex has the greatest of its faces, so that its group is what selecting the part's faces gives.
    """
    snapshot = cache.known_snapshot(obj)
    assert snapshot is not None  # else there was no answer
    weights = snapshot.to_polygons(answer.probability)  # [P]
    if hard or part.connected:
        inside = choosing(snapshot, part)(answer).astype(np.float32)  # [P]
        weights = inside if hard else weights * inside  # [P]
    return snapshot.to_vertices(weights)


def choosing(
    snapshot: MeshSnapshot, part: properties.Part, clicks: Clicks | None = None
) -> Callable[[Answer], np.ndarray]:
    """Return a function that computes the mask of the part's polygons [P] bool from an answer, on any thread.

    clicks: the clicks that were answered, if not those of the part itself.
    """
    threshold = None if part.automatic else part.threshold
    made = parts.clicks_of(part, snapshot.geometry).made if clicks is None else clicks
    clicked = [vertex for prompt, include in made if include for vertex in snapshot.corners(prompt)]
    connected = part.connected

    def choose(answer: Answer) -> np.ndarray:
        least = answer.threshold if threshold is None else threshold
        inside = snapshot.to_polygons(answer.probability >= least)  # [P]
        return region.connected_to(inside, snapshot.geometry, clicked) if connected else inside

    return choose


def carried(obj: bpy.types.Object, answer: Answer, old: np.ndarray | None = None) -> Answer:
    """Transfer an answer to an edited mesh: its probability becomes that of the polygons that there are now. [P']

    old [P'] int: the index that each polygon had before, -1 for new ones, which get 0; None where all keep theirs.
    """
    snapshot = cache.known_snapshot(obj)
    assert snapshot is not None  # else there was no answer
    values = snapshot.to_polygons(answer.probability)  # [P]
    return answer._replace(probability=values if old is None else np.where(old >= 0, values[old], np.float32(0)))


def carrying(
    obj: bpy.types.Object, part: properties.Part, geometry: Geometry, topology: str, answer: Answer
) -> Conversation:
    """Keep an answer that was `carried` to the mesh as an edit has left it; it holds until the clicks change.

    geometry, topology: of the mesh after the edit.
    """
    uid, pose, size, plain = obj.data.session_uid, pose_trained(obj, topology), size_meant(part), obj.iseg.plain
    # Before the first yield: later the object and its part may be gone.
    clicks, axes = parts.clicks_of(part, geometry).made, tuple(part.mirror)
    snapshot = yield from cache.keeping(uid, geometry)
    made = region.mirrored(clicks, axes, snapshot.image)
    if made:
        name, model = newest(snapshot.hash, pose)
        query = Query(name, model, size, made, plain and model is not None)
        AnswerCache.current().answers.put(query, answer._replace(probability=snapshot.to_triangles(answer.probability)))


def finding_models(obj: bpy.types.Object, snapshot: MeshSnapshot) -> Conversation:
    """Ask the engine, where not yet known, which models it has for a mesh and for the pose that was trained."""
    known, last = ModelLists.current(), parts.trained_model(obj)
    if last is not None:
        name = messages.ModelName(teacher=last[0], preset=last[1], seed=last[2])
        known.chosen.setdefault(parts.trained_hash(obj), name)
    for name in (snapshot.hash, pose_trained(obj, snapshot.topology)):
        if name and name not in known.reports:
            reply = yield Ask(messages.StateRequest(mesh=name))
            known.reports[name] = list(messages.StateResult.from_fields(reply.fields).models)


def answering(
    obj: bpy.types.Object, part: properties.Part, snapshot: MeshSnapshot, device: str, purpose: str = ""
) -> Conversation:
    """Return the answer to the clicks of a part; None where there are no clicks that fit the mesh."""
    pose, plain = pose_trained(obj, snapshot.topology), obj.iseg.plain
    wanted = query_of(obj, part, snapshot)  # before the first yield: later the object and its part may be gone
    if wanted is None:
        return None
    yield from finding_models(obj, snapshot)
    name, model = newest(snapshot.hash, pose)
    wanted = wanted._replace(mesh=name, model=model, plain=plain and model is not None)
    return (yield from asking(wanted, snapshot, device, purpose))


def asking(query: Query, snapshot: MeshSnapshot, device: str, purpose: str = "") -> Conversation:
    """Return the answer to a query, from the cache or from the engine. An older query of the same purpose that
    still waits in the engine ends with Superseded.
    """
    cache = AnswerCache.current()
    memory = cache.previews if purpose == PREVIEW else cache.answers
    known = cache.answers.take(query) or cache.previews.take(query)
    if known is not None:
        memory.put(query, known)
        return known
    request = messages.QueryRequest(
        mesh=query.mesh,
        granularity=messages.Size(query.size),
        plain=query.plain,
        domain=Domain.FACE,
        device=device,
        supersedes=purpose or None,
        model=query.model,
        clicks=query.clicks,
    )
    reply = yield from on_mesh(Ask(request), snapshot)
    answer = checked(reply, len(snapshot.faces))
    memory.put(query, answer)
    return answer


def on_mesh(ask: Ask, snapshot: MeshSnapshot) -> Conversation:
    """Send a request on a mesh; where the engine does not hold the mesh, send the mesh first and ask again."""
    assert isinstance(ask.request, messages.QueryRequest | messages.ProposeRequest)
    try:
        return (yield ask)
    except UnknownMeshError:  # a new engine, or one that has evicted the mesh from memory
        yield from opening(snapshot)
        return (yield ask)
    except ModelFileError:
        # The model's file is missing or damaged: ask for the models again with the next query.
        ModelLists.current().reports.pop(ask.request.mesh, None)
        raise


def proposing(obj: bpy.types.Object, snapshot: MeshSnapshot, chosen: Chosen, wish: Wish, device: str) -> Conversation:
    """Ask the engine for clicks that reproduce the chosen part; returns a Proposal."""
    pose = pose_trained(obj, snapshot.topology)
    yield from finding_models(obj, snapshot)
    name, model = newest(snapshot.hash, pose)
    request = messages.ProposeRequest(
        mesh=name,
        granularity=messages.Size(wish.size),
        threshold=wish.threshold,
        device=device,
        model=model,
        any_size=wish.any_size,
    )
    arrays = {"chosen": chosen.vertices.astype(np.uint8)}
    if chosen.faces is not None:
        arrays = {"chosen_faces": snapshot.to_triangles(chosen.faces).astype(np.uint8)}
    reply = yield from on_mesh(Ask(request, arrays), snapshot)
    result = messages.ProposeResult.from_fields(reply.fields)
    clicks = tuple(Click(exact(prompt), include) for prompt, include in result.clicks)
    return Proposal(snapshot.topology, clicks, result.iou, result.granularity)


def checked(reply: Reply, triangle_count: int) -> Answer:
    """Turn a reply into an Answer. Raises EngineError where it does not fit the mesh."""
    result, probability = messages.QueryResult.from_fields(reply.fields), reply.arrays.get("probability")
    fits = probability is not None and probability.shape == (triangle_count,) and bool(np.isfinite(probability).all())
    if probability is None or not fits:
        raise EngineError("The engine's answer does not fit this mesh. Use the engine of this iSeg version.")
    return Answer(probability.astype(np.float32, copy=False), result.threshold, result.milliseconds, result.sizes)


def opening(snapshot: MeshSnapshot) -> Conversation:
    """Send a mesh to the engine, and remember the models that it reports for the mesh."""
    arrays = {"vertices": snapshot.vertices, "faces": snapshot.faces}
    given = {"polygons": snapshot.polygons, "labels": snapshot.labels, "marked_edges": snapshot.marked_edges}
    arrays |= {name: array for name, array in given.items() if array is not None}
    reply = yield Ask(messages.OpenMeshRequest(), arrays)
    result = messages.OpenMeshResult.from_fields(reply.fields)
    if result.mesh != snapshot.hash:
        raise EngineError("The engine reads this mesh differently. Use the engine of this iSeg version.")
    ModelLists.current().reports[snapshot.hash] = list(result.models)
