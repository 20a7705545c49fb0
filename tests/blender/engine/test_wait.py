"""What comes between a question to the engine and its answer: nonsense, defects, and a user who goes on working."""

from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import bpy
import numpy as np
import pytest
from support.blender.extension import models_of, running_of
from support.blender.meshes import monkey


class Client:
    """An engine whose answers are written by the test."""

    def __init__(self):
        self.asked, self.events, self.state, self.notice = 0, [], None, ""

    def request(self, kind, fields, arrays) -> int:
        self.asked += 1
        return self.asked

    def answer(self, id: int, **fields: Any) -> None:
        self.events.append(SimpleNamespace(kind="result", id=id, fields=fields, arrays={}))

    def cancel(self, id: int) -> None:
        fields = {"type": "Cancelled", "sentence": "Cancelled."}
        self.events.append(SimpleNamespace(kind="error", id=id, fields=fields))

    def pump(self):
        events, self.events = self.events, []
        return events

    def close(self):
        pass


def opened(snapshot: Any, *models: dict[str, Any]) -> dict[str, Any]:
    """The fields of an answer to open_mesh."""
    counts = {"vertices": len(snapshot.vertices), "faces": len(snapshot.faces)}
    return {"mesh": snapshot.hash, "topology": snapshot.topology, **counts, "models": list(models)}


@pytest.fixture
def client(empty, monkeypatch) -> Client:
    made = Client()
    monkeypatch.setenv("ISEG_ENGINE", "an engine that is not there")
    for kind in (empty.engine.models.ModelLists, empty.engine.queries.AnswerCache):
        empty.session.SESSION.kept[kind] = kind()
    monkeypatch.setattr(empty.engine.running.engine(), "_client", made)
    monkeypatch.setattr(empty.engine.running.engine(), "_started", empty.engine.choice.engine_command())
    return made


def test_an_answer_that_makes_no_sense_ends_the_task_and_no_other(empty, client, capfd):
    ask, engine = empty.tasks.Ask(empty.core.messages.FreeRequest()), empty.engine.running.engine()

    def conversation():
        return (yield ask).fields["models"]

    def broken(task):
        raise KeyError("a defect of ours")

    first, second, third = (engine.start(conversation(), then) for then in (None, broken, None))
    client.answer(1)
    client.answer(2, models=[])
    client.answer(3, models=["newest"])
    engine.pump()
    assert first.ended and "makes no sense. Use the engine of this iSeg version" in str(first.error)
    assert second.ended and third.ended and third.result == ["newest"] and not engine.busy
    assert "KeyError: 'models'" in (said := capfd.readouterr().err) and "a defect of ours" in said


def test_a_training_whose_answer_makes_no_sense_is_over(empty, client):
    obj = monkey()
    empty.engine.training.train(obj, bpy.context.scene.iseg)
    client.answer(1, **opened(empty.mesh.cache.known_snapshot(obj)))
    empty.engine.running.engine().pump()
    assert empty.engine.status.of(obj).kind.name == "TRAINING"
    client.answer(2)
    empty.engine.running.engine().pump()
    assert empty.engine.status.of(obj).kind.name == "INSTANT" and "makes no sense" in empty.engine.running.problem_of(
        obj
    )


def test_the_model_that_was_asked_for_last_answers(empty, client, monkeypatch, tmp_path):
    """It was in the cache already, and the engine lists a newer one first; also after reload."""
    old, new = ({"teacher": "geometric", "preset": preset, "seed": 0} for preset in ("draft", "standard"))
    old["created"], new["created"] = "2026-01-01T00:00", "2026-02-02T00:00"
    obj = monkey()
    bpy.ops.iseg.click_add(vertex=100)
    snapshot = empty.mesh.cache.known_snapshot(obj)
    empty.engine.training.train(obj, bpy.context.scene.iseg)
    client.answer(1, **opened(snapshot, new, old))
    empty.engine.running.engine().pump()
    client.answer(2, mesh=snapshot.hash, **old, seconds={}, cached=True, unsaved=None)
    empty.engine.running.engine().pump()

    def known() -> str:
        obj = bpy.context.object
        assert empty.engine.status.of(obj).sentence.endswith("draft, 2026-01-01 00:00")
        return empty.engine.models.model_for(obj, snapshot)[1].preset

    assert known() == "draft"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "trained.blend"))
    for kind in (empty.engine.models.ModelLists, empty.engine.queries.AnswerCache):
        empty.session.SESSION.kept[kind] = kind()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "trained.blend"))
    obj = bpy.context.object
    empty.engine.running.engine().start(empty.engine.queries.finding_models(obj, empty.mesh.cache.snapshot_of(obj)))
    client.answer(3, open=False, models=[new, old])
    empty.engine.running.engine().pump()
    assert known() == "draft"
    obj.iseg.trained_model = "../../x y z"
    assert empty.document.parts.trained_model(obj) is None


@pytest.mark.parametrize("change", ["deleted", "moved", "another", "loaded"])
def test_a_training_is_seen_and_cancelled_whatever_is_active(empty, client, change, tmp_path):
    obj = monkey()
    obj.name = "Head"
    if change == "loaded":
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "other.blend"))
    task = empty.engine.training.train(obj, bpy.context.scene.iseg)
    (name,) = running_of(empty).trainings
    if change == "deleted":
        bpy.ops.object.delete()
    elif change == "moved":
        obj.data.vertices[0].co.x += 1.0
        empty.mesh.cache.snapshot_of(obj)
    elif change == "loaded":
        bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "other.blend"))
    else:
        bpy.ops.mesh.primitive_cube_add()
    context = SimpleNamespace(
        object=bpy.context.object,
        scene=bpy.context.scene,
        preferences=bpy.context.preferences,
        region=SimpleNamespace(width=300),
    )
    layout = MagicMock()
    empty.ui.sidebar.ISEG_PT_main.draw(SimpleNamespace(layout=layout), context)
    bars = [call for call in layout.mock_calls if call[0].endswith("progress")]
    assert len(bars) == 1 and bars[0][2]["text"] == "Head: Starting"
    crosses = [call for call in layout.mock_calls if call[0].endswith("operator") and call[1] == (empty.names.CANCEL,)]
    assert len(crosses) == 1
    with pytest.raises(RuntimeError, match="This mesh is not being trained"):
        bpy.ops.iseg.cancel()
    assert bpy.ops.iseg.cancel(name=name) == {"FINISHED"}
    assert task.ended and not running_of(empty).trainings and not running_of(empty).problems


class Hand:
    """An operator as Blender runs it in a window: invoked by a button, then given events."""

    def __init__(self, iseg: Any, name: str, **properties: Any):
        self.done, self.said = 0, []
        module, _, kind = name.partition(".")
        body: dict[str, Any] = {}
        for base in reversed(getattr(getattr(iseg.operators, module), kind).__mro__):
            if base.__module__.startswith(iseg.__name__):
                body |= {key: value for key, value in vars(base).items() if not key.startswith("__")}
        body |= {"execute": lambda _, context: self.execute(), "report": lambda _, kinds, text: self.said.append(text)}
        self.operator: Any = type("Operator", (), body | properties)()
        self.event = SimpleNamespace(type="TIMER", value="NOTHING")
        quiet = SimpleNamespace(
            event_timer_add=lambda *_, **__: None, event_timer_remove=lambda _: None, modal_handler_add=lambda _: None
        )
        self.window = {"window_manager": quiet, "workspace": SimpleNamespace(status_text_set=lambda _: None)}

    @property
    def context(self) -> Any:
        return SimpleNamespace(object=bpy.context.object, scene=bpy.context.scene, window=None, **self.window)

    def execute(self) -> set[str]:
        self.done += 1
        return {"FINISHED"}

    def press(self) -> set[str]:
        return self.operator.invoke(self.context, self.event)

    def tick(self) -> set[str]:
        return self.operator.modal(self.context, self.event)


def object_changes(obj):
    monkey()


def part_changes(obj):
    bpy.ops.iseg.part_add()
    bpy.ops.iseg.click_add(vertex=200)


def mode_changes(obj):
    bpy.ops.object.mode_set(mode="EDIT")


def click_comes(obj):
    bpy.ops.iseg.click_add(vertex=300)


def nothing_is_active(obj):
    bpy.context.view_layer.objects.active = None


@pytest.mark.parametrize(
    "change", [object_changes, part_changes, mode_changes, click_comes, nothing_is_active], ids=lambda f: f.__name__
)
def test_what_was_meant_is_edited_or_nothing(empty, client, change):
    obj = monkey()
    bpy.ops.iseg.click_add(vertex=100)
    hand = Hand(empty, "edit.ISEG_OT_edit", action="DELETE")
    assert hand.press() == {"RUNNING_MODAL"} and hand.tick() == {"PASS_THROUGH"}
    change(obj)
    assert hand.tick() == {"CANCELLED"} and hand.done == 0
    assert "nothing was done" in hand.said[0]


def test_what_is_still_meant_is_edited(empty, client):
    obj = monkey()
    bpy.ops.iseg.click_add(vertex=100)
    hand = Hand(empty, "edit.ISEG_OT_edit", action="DELETE")
    assert hand.press() == {"RUNNING_MODAL"}
    name = empty.mesh.cache.known_snapshot(obj).hash
    client.answer(1, open=False, models=[])
    empty.engine.running.engine().pump()
    answer = {"threshold": 0.5, "milliseconds": 1.0}
    values = np.ones(968, np.float32)
    client.events.append(SimpleNamespace(kind="result", id=2, fields=answer, arrays={"probability": values}))
    assert hand.tick() == {"FINISHED"} and hand.done == 1 and models_of(empty).reports[name] == []


def test_another_object_is_not_trained(empty, client, monkeypatch):
    monkey()
    monkeypatch.setattr(empty.engine.reading, "snapshot_of", lambda obj: None)  # a large one is being read
    hand = Hand(empty, "train.ISEG_OT_train")
    assert hand.press() == {"RUNNING_MODAL"}
    bpy.ops.iseg.part_add()  # does not matter to a training
    assert hand.tick() == {"PASS_THROUGH"}
    monkey()
    assert hand.tick() == {"CANCELLED"} and hand.done == 0 and "nothing was done" in hand.said[0]
