"""Self-test of the engine: a report on what it has and lacks, and a click on a mesh of its own."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..core import TEACHERS, Click, EngineClient, EngineError, extras, is_geometric, messages
from ..tasks import Ask, Conversation, Reply

PATIENCE = 0.2  # seconds between two checks for cancellation


def examining() -> Conversation:
    """Ask the engine for its report. Returns `findings` and `teachers` as in DoctorResult, and `click`, the
    milliseconds that a click took, where nothing that is required is missing.
    """
    reply = yield Ask(messages.DoctorRequest())
    told = messages.DoctorResult.from_fields(reply.fields)
    report: dict[str, Any] = {
        "findings": [finding.to_fields() | {"remedy": finding.remedy or ""} for finding in told.findings],
        "teachers": [teacher.to_fields() for teacher in told.teachers],
    }
    if not lacking(report):
        reply = yield Ask(messages.OpenMeshRequest(), ring())
        mesh = messages.OpenMeshResult.from_fields(reply.fields).mesh
        reply = yield Ask(messages.QueryRequest(mesh=mesh, clicks=(Click(0, True),)))
        report["click"] = messages.QueryResult.from_fields(reply.fields).milliseconds
    return report


def lacking(report: Mapping[str, Any]) -> str:
    """Describe what the engine lacks and cannot work without; empty where it has everything."""
    return next((teacher["missing"] for teacher in report["teachers"] if is_geometric(teacher["name"])), "")


def has_weights(report: Mapping[str, Any], teacher: str) -> bool:
    """Return True where a report says that the weights of a teacher are on the engine's machine."""
    topics = {finding["topic"] for finding in report.get("findings", ()) if not finding["remedy"]}
    return f"weights {teacher}" in topics


def teacher_problem(report: Mapping[str, Any], teacher: str, managed: bool) -> str:
    """Say why a teacher cannot teach, and what to do, where a report says so; empty where none does."""
    extra = TEACHERS[teacher].extra if teacher in TEACHERS else None
    for finding in report.get("findings", ()):
        if not finding["remedy"]:
            continue
        if finding["topic"] == f"weights {teacher}":
            return "The weights of this teacher are not here: press Fetch Weights."
        if extra is not None and finding["topic"] in extra.packages:
            if managed:
                return f"This teacher needs more packages: tick With {extra.title} in the preferences, press Repair."
            return (
                f"{finding['topic']}: {finding['value']} {finding['remedy']} Then press Self-Test in the preferences."
            )
    return ""


class Line(NamedTuple):
    """Line of the report for people."""

    text: str
    good: bool | None  # None: neither good nor bad, the engine runs without it


def words(report: Mapping[str, Any], managed: bool) -> list[Line]:
    """Lines of a report for people: versions, devices, what is missing with its remedy, the click, the teachers.

    managed: True in the managed environment, where the preferences' buttons are the remedy.
    """
    findings = [finding for finding in report.get("findings", ()) if not finding["topic"].startswith("weights ")]
    values = {finding["topic"]: finding["value"] for finding in findings}
    lines = []
    if findings:
        versions = f"iSeg {values.get('iSeg')}, Python {values.get('Python')}, torch {values.get('torch')}"
        devices = "; ".join(
            f"{topic.removeprefix('device ')}: {values[topic].rstrip('.')}"
            for topic in values
            if topic.startswith(("device", "GPU"))
        )
        lines += [Line(versions, True), Line(f"Devices: {devices}", True)]
    extra_of = {package: extra for extra in extras() for package in extra.packages}
    for finding in findings:
        remedy, extra = finding["remedy"], extra_of.get(finding["topic"])
        if remedy and managed and finding["required"] and "vc_redist" not in remedy:
            remedy = "Press Repair."
        elif remedy and managed and extra is not None:
            remedy = f"Only {extra.users} need it: tick With {extra.title} and press Repair."
        if remedy:
            lines.append(
                Line(f"{finding['topic']}: {finding['value']} {remedy}", False if finding["required"] else None)
            )
    if "click" in report:
        lines.append(Line(f"A click was answered in {report['click']:.0f} ms", True))
    teachers = report.get("teachers", ())
    if teachers:
        here = ", ".join(teacher["name"] for teacher in teachers if not teacher["missing"]) or "none"
        others = ", ".join(teacher["name"] for teacher in teachers if teacher["missing"])
        lines.append(Line(f"Teachers at hand: {here}" + (f"; not at hand: {others}" if others else ""), here != "none"))
    return lines


def test(
    command: Sequence[str], environment: Mapping[str, str], log: Path | None, check: Callable[[], None]
) -> dict[str, Any]:
    """Start an engine, ask it for its report and end it.

    check: called several times a second; what it raises ends the test.
    Raises IsegError where the engine does not work.
    """
    client, conversation = EngineClient(command, environment, log), examining()
    reply: Reply | None = None
    try:
        while True:
            ask = conversation.send(reply)
            assert isinstance(ask, Ask)  # `examining` yields nothing else
            request = client.request(ask.request.kind, ask.request.to_fields(), ask.arrays)
            while True:
                check()
                try:
                    answer = client.wait(request, PATIENCE)
                    break
                except TimeoutError:
                    pass
            reply = Reply(answer.fields, answer.arrays)
    except StopIteration as end:
        report = end.value
    finally:
        client.close(PATIENCE)
    if lacking(report):
        raise EngineError(f"The engine's environment does not work. {lacking(report)}")
    return report


def ring(around: int = 24, across: int = 8) -> dict[str, np.ndarray]:
    """Torus to click on, a closed mesh: vertices [V, 3] float32 and faces [F, 3] int32, as open_mesh takes them."""
    u, v = np.meshgrid(np.arange(around), np.arange(across), indexing="ij")  # [around, across] each
    a, b = u * (2 * np.pi / around), v * (2 * np.pi / across)  # [around, across] each
    radius = 1.0 + 0.3 * np.cos(b)  # [around, across]
    points = np.stack([radius * np.cos(a), radius * np.sin(a), 0.3 * np.sin(b)], axis=-1)  # [around, across, 3]
    ahead, up = (u + 1) % around, (v + 1) % across  # [around, across] each
    corners = [u * across + v, ahead * across + v, ahead * across + up, u * across + up]  # 4 of [around, across]
    first, second, third, fourth = (corner.ravel() for corner in corners)  # [around * across] each
    faces = np.concatenate([np.stack([first, second, third], 1), np.stack([first, third, fourth], 1)])  # [F, 3]
    return {"vertices": points.reshape(-1, 3).astype(np.float32), "faces": faces.astype(np.int32)}
