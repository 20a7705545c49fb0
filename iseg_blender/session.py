"""What this Blender session knows: meshes it has read, models, trainings and answers of the engine.

Nothing here is saved, and nothing waits. Objects do not survive undo, so everything is kept by the mesh's session uid
or by the name of its geometry (`Look.hash`).
"""

from collections import Counter
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Any, NamedTuple

import bpy
import numpy as np

from . import mesh_io, prefs, region, selftest, state
from .core import Cancelled, EngineError, ModelFileError, Recent, State, UnknownMeshError
from .engine import Ask, Conversation, Engine, Reply, Task, Work
from .look import Look

LOOKS_LIMIT, ANSWERS_LIMIT = 8, 256
SMALL = 200_000  # corners of polygons, or triangles: what is done at once; more of them on a thread
EDIT_LIMIT = 100_000  # vertices; of a million, Blender's own hand-over of edit mode takes a third of a second


class Model(NamedTuple):
    """A model of a mesh, as it was trained."""

    teacher: str
    preset: str
    seed: int

    @classmethod
    def of(cls, report: dict) -> "Model":
        """The one that the engine reports on."""
        return cls(report["teacher"], report["preset"], report["seed"])


class Query(NamedTuple):
    """All that an answer depends on."""

    mesh: str  # the geometry's name
    model: Model | None  # None: instant mode
    granularity: str
    clicks: tuple[tuple[int, bool], ...]


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
    clicks: list[tuple[int, bool]]
    iou: float  # of their answer with the part


class Kind(Enum):
    """How an object stands."""

    REFUSED = "refused"
    INSTANT = "instant"  # not trained: the geometric teacher answers
    TRAINING = "training"
    READY = "ready"
    MOVED = "moved"  # trained in another pose
    CHANGED = "changed"  # its topology has changed since it was trained


class Status(NamedTuple):
    kind: Kind
    sentence: str


engine = Engine(prefs.engine_command, prefs.log_path)
looks: Recent[int, Look] = Recent(LOOKS_LIMIT)  # by session uid of the mesh
stale: set[int] = set()  # those that Blender said have changed
versions: Counter[int] = Counter()  # how often Blender said so, of a mesh or of what modifiers make of it
models: dict[str, list[dict]] = {}  # by the geometry's name; the newest first
poses: dict[str, str] = {}  # names of trained geometries, by their topology
trainings: dict[str, Task] = {}  # by the geometry's name
fetches: dict[str, Task] = {}  # weights that are being fetched, by their name
answers: Recent[Query, Answer] = Recent(ANSWERS_LIMIT)
problems: dict[str, str] = {}  # what went wrong last, by the geometry's name, or the mesh's that has none yet
checkup: dict = {}  # the engine's last report on itself


# ---- Meshes ----


def looking(thing: bpy.types.Object, fresh: bool = False) -> Conversation:
    """The mesh of an object as it is now; large ones are worked on by a thread. fresh=False trusts what Blender says
    of changes: not for scripts, which can change a mesh without Blender noticing.
    """
    uid, look = thing.data.session_uid, known_look(thing)
    if fresh or look is None or uid in stale:
        geometry = mesh_io.read(thing)
        stale.discard(uid)
        if look is None or not look.geometry.equals(geometry):
            make = partial(Look, geometry)
            look = make() if len(geometry.corners) <= SMALL else (yield Work(make))
        look.geometry = geometry  # what is hidden may have changed
    looks.put(uid, look)
    return look


def look_at(thing: bpy.types.Object, fresh: bool = True) -> Look:
    """The same at once, for scripts."""
    return at_once(looking(thing, fresh))


def at_once(conversation: Conversation) -> Any:
    """The result of a conversation that needs no engine, its work done here and now."""
    done = None
    try:
        while True:
            work = conversation.send(done)
            assert isinstance(work, Work)
            done = work.compute()
    except StopIteration as end:
        return end.value


def waits(thing: bpy.types.Object) -> bool:
    """Whether what edit mode has changed is not looked at by itself, for that would hold Blender up."""
    large = thing.mode == "EDIT" and len(thing.data.vertices) > EDIT_LIMIT
    return large and (known_look(thing) is None or thing.data.session_uid in stale)


def known_look(thing: bpy.types.Object) -> Look | None:
    """The mesh of an object as it was when it was read last."""
    return looks.get(thing.data.session_uid)


# ---- What an object's clicks ask ----


def pose_trained(thing: bpy.types.Object, look: Look) -> str:
    """The name of a trained geometry that has this topology; empty where there is none."""
    saved = state.trained_name(thing) if thing.iseg.trained_topology == look.topology else ""
    return saved or poses.get(look.topology, "")


def model_for(thing: bpy.types.Object, look: Look) -> tuple[str, Model | None]:
    """Which geometry and which of its models answer: the newest one trained for this geometry, else one of another
    pose of the same mesh, else none (instant mode).
    """
    return newest(look.hash, pose_trained(thing, look))


def newest(name: str, pose: str) -> tuple[str, Model | None]:
    """The same, of a geometry's name and that of the pose that was trained."""
    for known in (name, pose):
        if models.get(known):
            return known, Model.of(models[known][0])
    return name, None


def query_of(thing: bpy.types.Object, part: state.Part, look: Look) -> Query | None:
    """What the clicks of a part ask; None where there are none, or none that fits this mesh."""
    if thing.iseg.topology != look.topology:
        return None
    made = state.clicks_of(part, len(look.vertices)).made
    if not made:
        return None
    made = region.mirrored(made, look.vertices, tuple(part.mirror), look.images)
    name, model = model_for(thing, look)
    return Query(name, model, part.granularity, made)


def answer_of(thing: bpy.types.Object, part: state.Part) -> Answer | None:
    """The answer to the clicks of a part, where it is at hand."""
    look = known_look(thing)
    query = query_of(thing, part, look) if look is not None else None
    return answers.get(query) if query is not None else None


def inside_of(thing: bpy.types.Object, part: state.Part, answer: Answer) -> np.ndarray:
    """The part: vertices of at least the threshold, and connected to a click if that is asked. [V] bool"""
    look = known_look(thing)
    assert look is not None  # else there was no answer
    return choosing(look, part, answer)()


def weights_of(thing: bpy.types.Object, part: state.Part, answer: Answer, hard: bool = False) -> np.ndarray:
    """The part as weights of a vertex group: probabilities, or hard 0 and 1. [V] float32"""
    if not hard and not part.connected:
        return answer.probability
    inside = inside_of(thing, part, answer).astype(np.float32)  # [V]
    return inside if hard else answer.probability * inside


def choosing(look: Look, part: state.Part, answer: Answer) -> Callable[[], np.ndarray]:
    """What finds the part, on any thread."""
    threshold = answer.threshold if part.automatic else part.threshold
    clicked = [vertex for vertex, positive in state.clicks_of(part, len(look.vertices)).made if positive]
    connected = part.connected

    def choose() -> np.ndarray:
        inside = answer.probability >= threshold  # [V]
        return region.connected_to(inside, look.edges, clicked) if connected else inside

    return choose


def carry(thing: bpy.types.Object, part: state.Part, look: Look, answer: Answer, after: dict[int, int] | None) -> None:
    """Let an answer hold for the mesh as an edit has left it, until the clicks are others.

    look: the mesh as it is now. after: where each vertex is now, {before: after}; None where all are where they were.
    New ones are outside.
    """
    query = query_of(thing, part, look)
    if query is None:
        return
    probability = answer.probability
    if after is not None:
        probability = np.zeros(len(look.vertices), np.float32)  # [V]
        probability[list(after.values())] = answer.probability[list(after)]
    answers.put(query, answer._replace(probability=probability))


# ---- Conversations with the engine ----


def finding_models(thing: bpy.types.Object, look: Look) -> Conversation:
    """Learn which models there are of a mesh, and of the pose that it was trained in."""
    for name in (look.hash, pose_trained(thing, look)):
        if name and name not in models:
            reply = yield Ask("state", {"mesh": name})
            models[name] = reply.fields["models"]


def answering(thing: bpy.types.Object, part: state.Part, look: Look, device: str) -> Conversation:
    """The answer to the clicks of a part; None where there are none."""
    pose = pose_trained(thing, look)
    wanted = query_of(thing, part, look)  # thing and part are not to be touched after the first yield
    if wanted is None:
        return None
    yield from finding_models(thing, look)
    name, model = newest(look.hash, pose)
    return (yield from asking(wanted._replace(mesh=name, model=model), look, device))


def asking(query: Query, look: Look, device: str) -> Conversation:
    """The answer to a query: remembered, or the engine's."""
    known = answers.take(query)
    if known is not None:
        return known
    fields: dict[str, Any] = {"mesh": query.mesh, "granularity": query.granularity, "device": device}
    fields["model"] = query.model._asdict() if query.model is not None else None
    fields["clicks"] = [list(click) for click in query.clicks]
    reply = yield from on_mesh(Ask("query", fields), look)
    answer = checked(reply, len(look.vertices))
    answers.put(query, answer)
    return answer


def on_mesh(ask: Ask, look: Look) -> Conversation:
    """A request on a mesh; an engine that does not hold it is given it."""
    try:
        return (yield ask)
    except UnknownMeshError:  # a new engine, or one that had to make room
        yield from opening(look)
        return (yield ask)
    except ModelFileError:
        models.pop(ask.fields["mesh"], None)  # the file has gone, or is damaged: look again the next time
        raise


def proposing(thing: bpy.types.Object, look: Look, chosen: np.ndarray, wish: Wish, device: str) -> Conversation:
    """Clicks for the chosen vertices [V] bool of a mesh."""
    pose = pose_trained(thing, look)
    yield from finding_models(thing, look)
    name, model = newest(look.hash, pose)
    fields = {"mesh": name, "granularity": wish.granularity, "threshold": wish.threshold, "device": device}
    fields["model"] = model._asdict() if model is not None else None
    reply = yield from on_mesh(Ask("propose", fields, {"chosen": chosen.astype(np.uint8)}), look)
    clicks = [(int(vertex), bool(include)) for vertex, include in reply.fields["clicks"]]
    return Proposal(look.topology, clicks, float(reply.fields["iou"]))


def checked(reply: Reply, vertex_count: int) -> Answer:
    """An answer that fits the mesh. Raises EngineError where it does not."""
    probability, threshold = reply.arrays.get("probability"), reply.fields.get("threshold")
    fits = probability is not None and probability.shape == (vertex_count,) and bool(np.isfinite(probability).all())
    if probability is None or not fits or not isinstance(threshold, float | int):
        raise EngineError("The engine's answer does not fit this mesh. Use the engine of this iSeg version.")
    return Answer(probability.astype(np.float32, copy=False), float(threshold), float(reply.fields["milliseconds"]))


def opening(look: Look) -> Conversation:
    """Give the engine a mesh."""
    reply = yield Ask("open_mesh", {}, {"vertices": look.vertices, "faces": look.faces})
    if reply.fields["mesh"] != look.hash:
        raise EngineError("The engine reads this mesh differently. Use the engine of this iSeg version.")
    models[look.hash] = reply.fields["models"]


def learning(look: Look, teacher: str, preset: str, device: str) -> Conversation:
    """Train a mesh; its model is the newest afterwards."""
    yield from opening(look)
    reply = yield Ask("train", {"mesh": look.hash, "teacher": teacher, "preset": preset, "device": device, "seed": 0})
    others = [model for model in models[look.hash] if Model.of(model) != Model.of(reply.fields)]
    models[look.hash] = [reply.fields, *others]
    poses[look.topology] = look.hash
    return reply.fields


def fetching(name: str) -> Conversation:
    """Have the engine download the weights of a teacher; returns where they lie."""
    reply = yield Ask("fetch", {"name": name})
    return reply.fields["path"]


def checking() -> Conversation:
    """Have the engine report on itself."""
    report = yield from selftest.examining()
    checkup.clear()
    checkup.update(report)


def freeing() -> Conversation:
    """Have the engine give its memory back; returns the bytes that it still holds, None where that is not known."""
    reply = yield Ask("free")
    return reply.fields["resident"]


# ---- Training ----


def train(
    thing: bpy.types.Object,
    settings: state.SceneSettings,
    then: Callable[[], None] = lambda: None,
    fresh: bool = True,
) -> Task:
    """Begin the training of an object's mesh; one that is under way already goes on. `then`: when it has ended."""
    look, uid = look_at(thing, fresh), thing.session_uid
    name = look.hash
    if name in trainings:
        return trainings[name]
    problems.pop(name, None)

    def ended(task: Task) -> None:
        trainings.pop(name, None)
        if isinstance(task.error, Cancelled):
            pass  # who cancels knows it
        elif task.error is not None:
            problems[name] = str(task.error)
        else:
            if task.result.get("unsaved"):
                problems[name] = str(task.result["unsaved"])
            record(uid, look)
        then()

    task = engine.start(learning(look, settings.teacher, settings.preset, settings.device), ended)
    if not task.ended:
        trainings[name] = task
    return task


def training_of(thing: bpy.types.Object | None) -> Task | None:
    """The training of an object's mesh that is under way."""
    look = known_look(thing) if thing is not None and thing.type == "MESH" else None
    return trainings.get(look.hash) if look is not None else None


def fetch(name: str, then: Callable[[], None] = lambda: None) -> Task:
    """Begin to fetch the weights of a teacher; a download that is under way goes on."""
    if name in fetches:
        return fetches[name]
    problems.pop(name, None)

    def ended(task: Task) -> None:
        fetches.pop(name, None)
        checkup.clear()  # what it said of this teacher is over
        if task.error is not None and not isinstance(task.error, Cancelled):
            problems[name] = str(task.error)
        then()

    task = engine.start(fetching(name), ended)
    if not task.ended:
        fetches[name] = task
    return task


def record(uid: int, look: Look) -> None:
    """Remember with the object what it was trained as, so that a later pose or another session finds the model."""
    thing = next((thing for thing in bpy.data.objects if thing.session_uid == uid), None)
    if thing is not None and thing.library is None:
        thing.iseg.trained, thing.iseg.trained_topology = look.hash, look.topology


# ---- What the user is told ----


def status(thing: bpy.types.Object | None) -> Status:
    """How an object stands, in a sentence; from what is known already, reads no mesh."""
    why = mesh_io.refusal(thing)
    if why:
        return Status(Kind.REFUSED, why)
    assert thing is not None
    look = known_look(thing)
    if waits(thing):
        return Status(Kind.INSTANT, "A large mesh in Edit Mode: it is looked at when you click or train")
    if look is None:
        return Status(Kind.INSTANT, "Not looked at yet: click or train")
    if look.hash in trainings:
        return Status(Kind.TRAINING, "Training")
    name, model = model_for(thing, look)
    if model is not None and name == look.hash:
        created = str(models[name][0].get("created", ""))[:16].replace("T", " ")
        return Status(Kind.READY, f"Ready: {model.teacher}, {model.preset}, {created}")
    if model is not None:
        return Status(Kind.MOVED, "Ready, but vertices moved since the training: train again to be exact")
    if state.trained_name(thing) and thing.iseg.trained_topology != look.topology:
        return Status(Kind.CHANGED, "The mesh has changed since its training: train it again")
    return Status(Kind.INSTANT, "Not trained: its geometry answers")


def clicks_problem(thing: bpy.types.Object, part: state.Part | None) -> str:
    """Why there is no region, and what to do; empty where the clicks can be used."""
    if part is None or not len(part.clicks):
        return "There are no clicks: add one with the click tool."
    look = known_look(thing) if thing.data.session_uid not in stale else None
    if look is not None and thing.iseg.topology != look.topology:
        return "The mesh's faces have changed since these clicks were made: clear them, or undo the change."
    if look is not None and not any(positive for _, positive in state.clicks_of(part, len(look.vertices)).made):
        return "No click includes anything: add one that does."
    return ""


def problem_of(thing: bpy.types.Object | None) -> str:
    """What went wrong last with an object, or with the engine; empty where nothing did."""
    if thing is not None and thing.type == "MESH":
        look = known_look(thing)
        for name in (look.hash if look is not None else "", f"mesh {thing.data.session_uid}"):
            if name in problems:
                return problems[name]
    return engine.reason if engine.state is State.CRASHED else engine.notice


def close() -> None:
    """End the engine and forget everything."""
    engine.close()
    for memory in (looks, stale, versions, models, poses, trainings, fetches, answers, problems, checkup):
        memory.clear()
