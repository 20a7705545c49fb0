"""Messages: the fields of all that a client and the engine say to each other, as dataclasses that both sides import.

    QueryRequest(mesh=hash, clicks=(Click(12, True),)).to_fields()  # JSON for the header of a frame (protocol.py)
    QueryResult.from_fields(message.fields).threshold  # MessageError where the fields are not those of this message

A field with a default may be missing, and fields that are not known are skipped. A request is answered by a result of
the same name, or by ErrorFields, after any number of ProgressFields. Standard library and numpy only.

A mesh is named by the hash of its geometry, a trained model by teacher, preset and seed; null in place of a model means
instant mode. A click is [vertex, include], or [[face, b0, b1, b2], include] for a point of the surface.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    ClassVar,
    NamedTuple,
    NewType,
    Self,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from ..clicks.click import Click, Clicks, SurfacePoint, size_of
from ..errors import ClickError, MessageError
from ..geometry.domain import Domain
from ..teachers.registry import DEFAULT_TEACHER
from ..training.settings import DEFAULT_PRESET

NONSENSE = "The engine's answer makes no sense. Use the engine of this iSeg version."
HUGE = 1e300  # numbers of this size and above are refused
OMITTED = {"omitted": True}  # metadata of a field that is not written where it has its default


class Rule(NamedTuple):
    """Condition on a field beside its type: in words, and as a test."""

    words: str
    holds: Callable[[Any], bool]


def _is_hash(text: str) -> bool:
    return re.fullmatch("[0-9a-f]{64}", text) is not None


def _is_seed(number: int) -> bool:
    return 0 <= number < 2**53


MeshHash = Annotated[str, Rule("a hash that open_mesh gave", _is_hash)]
Seed = Annotated[int, Rule("an integer from 0 on", _is_seed)]
Size = NewType("Size", float)  # of a part, in 0..1; a granularity's name stands for its own (clicks/click.py)
PART = Size(size_of("part"))


@dataclass(frozen=True, kw_only=True)
class Fields:
    """Base of the dataclasses: to JSON and back, field by field, as their annotations say."""

    @classmethod
    def from_fields(cls, given: Mapping[str, Any]) -> Self:
        """Make a message from JSON values. Raises MessageError where a field is missing or not what it should be,
        SettingsError for an unknown granularity, size or domain.
        """
        try:
            return _read_fields(cls, given)
        except _Unfit as error:
            raise MessageError(cls._refusal(str(error))) from error

    def to_fields(self) -> dict[str, Any]:
        """Convert the message to JSON values."""
        values = {one: getattr(self, one.name) for one in fields(self)}
        return {
            one.name: _write(value)
            for one, value in values.items()
            if value != one.default or "omitted" not in one.metadata
        }

    @classmethod
    def _refusal(cls, defect: str) -> str:
        return NONSENSE


@dataclass(frozen=True, kw_only=True)
class Request(Fields):
    """Base of the requests. kind: what the frame says."""

    kind: ClassVar[str]

    @classmethod
    def _refusal(cls, defect: str) -> str:
        return f"The request {cls.kind} needs {defect}."


# What several messages carry


@dataclass(frozen=True, kw_only=True)
class ModelName(Fields):
    """Name of a trained model of a mesh."""

    teacher: str = DEFAULT_TEACHER
    preset: str = DEFAULT_PRESET
    seed: Seed = 0


@dataclass(frozen=True, kw_only=True)
class ModelReport(Fields):
    """Facts about a trained model."""

    teacher: str
    preset: str
    seed: int
    created: str  # ISO 8601

    @property
    def name(self) -> ModelName:
        return ModelName(teacher=self.teacher, preset=self.preset, seed=self.seed)


# hello: the first request


@dataclass(frozen=True, kw_only=True)
class HelloRequest(Request):
    kind: ClassVar[str] = "hello"
    cache: str | None = None  # folder of the trained models; None: the engine's own
    protocol: int
    version: str = ""


@dataclass(frozen=True, kw_only=True)
class HelloResult(Fields):
    version: str
    protocol: int
    python: str
    platform: str
    pid: int


# open_mesh: the engine takes a mesh. Arrays vertices [V, 3] and faces [F, K]; where faces are triangles that polygons
# were cut into, also polygons [F] int32: the number of the polygon that each is of. Those of one are answered alike.
# Marks, where the mesh has some: labels [F] and marked_edges [N, 2] int32 (geometry/mesh.py), part of the mesh's hash


@dataclass(frozen=True, kw_only=True)
class OpenMeshRequest(Request):
    kind: ClassVar[str] = "open_mesh"


@dataclass(frozen=True, kw_only=True)
class OpenMeshResult(Fields):
    mesh: MeshHash
    topology: str  # hash of the faces: the same in every pose
    vertices: int
    faces: int
    models: tuple[ModelReport, ...]  # the newest first


# state: what the engine has of a mesh


@dataclass(frozen=True, kw_only=True)
class StateRequest(Request):
    kind: ClassVar[str] = "state"
    mesh: MeshHash


@dataclass(frozen=True, kw_only=True)
class StateResult(Fields):
    open: bool
    models: tuple[ModelReport, ...]  # the newest first


# query: an answer to clicks. Array of the result: probability float32, [V] or with the domain face [F]


@dataclass(frozen=True, kw_only=True)
class QueryRequest(Request):
    kind: ClassVar[str] = "query"
    mesh: MeshHash
    granularity: Size = PART
    plain: bool = field(default=False, metadata=OMITTED)  # the student's own answer, not corrected by geometry
    domain: Domain = field(default=Domain.VERTEX, metadata=OMITTED)
    device: str = "auto"
    supersedes: str | None = field(default=None, metadata=OMITTED)  # a tag: older requests with it are given up
    model: ModelName | None = None
    clicks: Clicks


@dataclass(frozen=True, kw_only=True)
class QueryResult(Fields):
    threshold: float  # Otsu's, of this probability
    milliseconds: float
    sizes: tuple[float, ...] = ()  # those at which the answer changes, ascending


# propose: a few clicks whose answer comes near to the chosen part. Array of the request: chosen [V] uint8, or
# chosen_faces [F] uint8, which two faces may share all vertices of. Where faces are large, points of them are clicked.


@dataclass(frozen=True, kw_only=True)
class ProposeRequest(Request):
    kind: ClassVar[str] = "propose"
    mesh: MeshHash
    granularity: Size = PART
    threshold: float | None = None  # of the answers; None: Otsu's
    device: str = "auto"
    model: ModelName | None = None
    any_size: bool = False  # try fine, part and whole, too, where this size does not give the part


@dataclass(frozen=True, kw_only=True)
class ProposeResult(Fields):
    clicks: Clicks
    iou: float  # of the clicks' answer and the chosen part
    granularity: Size = PART  # at which they give it


# train: a model of a mesh, from the cache where it is there


@dataclass(frozen=True, kw_only=True)
class TrainRequest(Request):
    kind: ClassVar[str] = "train"
    mesh: MeshHash
    teacher: str = DEFAULT_TEACHER
    preset: str = DEFAULT_PRESET
    device: str = "auto"
    seed: Seed = 0

    @property
    def model(self) -> ModelName:
        return ModelName(teacher=self.teacher, preset=self.preset, seed=self.seed)


@dataclass(frozen=True, kw_only=True)
class TrainResult(Fields):
    mesh: MeshHash
    teacher: str
    preset: str
    seed: int
    created: str
    seconds: dict[str, float]  # of each stage
    cached: bool
    unsaved: str | None  # why the model is in memory only, in a sentence

    @property
    def model(self) -> ModelReport:
        return ModelReport(teacher=self.teacher, preset=self.preset, seed=self.seed, created=self.created)


# fetch: download the weights of a teacher


@dataclass(frozen=True, kw_only=True)
class FetchRequest(Request):
    kind: ClassVar[str] = "fetch"
    name: str  # of the teacher


@dataclass(frozen=True, kw_only=True)
class FetchResult(Fields):
    path: str


# doctor: what the machine has and lacks


@dataclass(frozen=True, kw_only=True)
class DoctorRequest(Request):
    kind: ClassVar[str] = "doctor"


@dataclass(frozen=True, kw_only=True)
class Finding(Fields):
    """Line of the report (iseg_core/doctor.py)."""

    topic: str
    value: str
    remedy: str | None
    required: bool


@dataclass(frozen=True, kw_only=True)
class TeacherAtHand(Fields):
    """Teacher, and what it lacks, in words; empty where it can teach."""

    name: str
    missing: str


@dataclass(frozen=True, kw_only=True)
class DoctorResult(Fields):
    findings: tuple[Finding, ...]
    teachers: tuple[TeacherAtHand, ...]


# cache: what the cache holds, before it is cleared where that is asked for


@dataclass(frozen=True, kw_only=True)
class CacheRequest(Request):
    kind: ClassVar[str] = "cache"
    clear: bool = False


@dataclass(frozen=True, kw_only=True)
class CacheResult(Fields):
    folder: str
    limit: int  # bytes
    models: int
    checkpoints: int
    bytes: int


# free: give memory back


@dataclass(frozen=True, kw_only=True)
class FreeRequest(Request):
    kind: ClassVar[str] = "free"


@dataclass(frozen=True, kw_only=True)
class FreeResult(Fields):
    resident: int | None  # bytes of memory afterwards, where that is known
    freed: int | None


# cancel: end a request. shutdown: end the engine


@dataclass(frozen=True, kw_only=True)
class CancelRequest(Request):
    kind: ClassVar[str] = "cancel"
    target: Any = None  # id of the request; anything else cancels nothing


@dataclass(frozen=True, kw_only=True)
class CancelResult(Fields):
    cancelled: bool


@dataclass(frozen=True, kw_only=True)
class ShutdownRequest(Request):
    kind: ClassVar[str] = "shutdown"


@dataclass(frozen=True, kw_only=True)
class ShutdownResult(Fields):
    pass


# Reports on a request that is under way, or on the engine


@dataclass(frozen=True, kw_only=True)
class ProgressFields(Fields):
    stage: str
    fraction: float
    seconds_left: float | None = None


@dataclass(frozen=True, kw_only=True)
class ErrorFields(Fields):
    type: str  # class of the error (errors.py), or a type that error_fields.describe gives
    sentence: str  # with the remedy
    traceback: str | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, kw_only=True)
class StateFields(Fields):
    """State of the engine as the client reports it (client.EngineState)."""

    state: str
    reason: str


# Reading and writing


class _Unfit(Exception):
    """Value that does not fit its field; the message says what it should be."""


@cache
def _annotations(cls: type) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)


def _read_fields(cls: type[Any], given: Mapping[str, Any]) -> Any:
    values: dict[str, Any] = {}
    for one in fields(cls):
        if one.name not in given and one.default is not MISSING:
            continue
        try:
            values[one.name] = _read(_annotations(cls)[one.name], given.get(one.name))
        except _Unfit as error:
            raise _Unfit(f"{one.name}: {error}") from None
    return cls(**values)


def _read(kind: Any, value: Any) -> Any:
    """Convert a JSON value to a value of the type `kind`."""
    arguments = get_args(kind)
    match get_origin(kind):
        case origin if origin is Annotated:
            return _checked(_read(arguments[0], value), arguments[1])
        case origin if origin in (Union, UnionType):  # with None
            return None if value is None else _read(next(one for one in arguments if one is not NoneType), value)
        case origin if origin is tuple:
            items: list[Any] = _of(list, "a list", value)
            return tuple(_read(arguments[0], item) for item in items)
        case origin if origin is dict:
            entries: dict[str, Any] = _of(dict, "named values", value)
            return {name: _read(arguments[1], entry) for name, entry in entries.items()}
        case _:
            return value if kind is Any else READERS[kind](value) if kind in READERS else _read_nested(kind, value)


def _read_nested(cls: type[Fields], value: Any) -> Any:
    return _read_fields(cls, _of(dict, ", ".join(one.name for one in fields(cls)), value))


def _of(kind: type[Any], words: str, value: Any) -> Any:
    if type(value) is not kind:
        raise _Unfit(words)
    return value


def _checked(value: Any, rule: Rule) -> Any:
    if not rule.holds(value):
        raise _Unfit(rule.words)
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not abs(value) < HUGE:
        raise _Unfit("a number")
    return float(value)


def _click(value: Any) -> Click:
    match value:
        case [prompt, bool(include)] if type(prompt) is int:
            return Click(prompt, include)
        case [[face, a, b, c], bool(include)] if type(face) is int:
            try:
                return Click(SurfacePoint(face, (_number(a), _number(b), _number(c))), include)
            except ClickError as error:
                raise _Unfit(str(error).removesuffix(".")) from None
        case _:
            raise _Unfit("pairs of a vertex, or of a face and three weights, and true or false")


READERS: dict[Any, Callable[[Any], Any]] = {
    str: lambda value: _of(str, "a text", value),
    int: lambda value: _of(int, "an integer", value),
    bool: lambda value: _of(bool, "true or false", value),
    float: _number,
    Size: lambda value: size_of(value if type(value) is str else _number(value)),
    Domain: lambda value: Domain(_of(str, f"one of {', '.join(Domain)}", value)),
    Click: _click,
}


def _write(value: Any) -> Any:
    """Convert a value to a JSON value."""
    match value:
        case Fields():
            return value.to_fields()
        case SurfacePoint():
            return [value.face, *value.barycentric]
        case Domain():
            return value.value
        case tuple():
            return [_write(item) for item in cast("tuple[Any, ...]", value)]
        case _:
            return value
