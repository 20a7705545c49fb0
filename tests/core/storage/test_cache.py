"""The folder of models: bounded, shared by processes, and full of whatever may lie there."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.models import assert_equal, make_model

from iseg_core.cli import main
from iseg_core.storage import cache as storage_cache
from iseg_core.storage.cache import Cache
from iseg_core.storage.checkpoint import CheckpointState
from iseg_core.storage.trained_model import Model


def named(preset: str = "draft", seed: int = 0) -> Model:
    """A model of one and the same mesh under another name."""
    model = make_model()
    return replace(model, info=model.info | {"preset": preset, "seed": seed})


def key(model: Model) -> tuple[str, str, str, int]:
    return (model.mesh.hash, model.info["teacher"], model.info["preset"], model.info["seed"])


def put_at(cache: Cache, model: Model, seconds_ago: float) -> Path:
    path = cache.put(model)
    used = time.time() - seconds_ago
    os.utime(path, (used, used))
    return path


def limit_to(monkeypatch: pytest.MonkeyPatch, count: float, path: Path) -> None:
    """Room for so many models of the size of this one."""
    monkeypatch.setenv(storage_cache.LIMIT_VARIABLE, str(count * path.stat().st_size / 1e9))


def test_what_is_put_is_found_and_nothing_else(tmp_path: Path):
    cache, model = Cache(tmp_path / "models"), make_model()
    mesh, teacher, preset, seed = key(model)
    assert cache.find(*key(model)) is None
    assert cache.put(model) == cache.path_for(*key(model))
    found = cache.find(*key(model))
    assert found is not None
    assert_equal(found, model)
    for other in (("0" * 64, teacher, preset, seed), (mesh, "sam_vit_b", preset, seed), (mesh, teacher, "standard", 0)):
        assert cache.find(*other) is None
    assert cache.find(mesh, teacher, preset, 1) is None
    assert cache.path_for(mesh, "../../up", "draft", 0).parent == cache.folder


def test_a_model_under_the_name_of_another_is_not_found(tmp_path: Path):
    cache, model = Cache(tmp_path), named()
    path = cache.put(model)
    for other in (make_model(1), named("standard"), named(seed=1)):  # another mesh, another preset, another seed
        other.save(path)
        assert cache.find(*key(model)) is None
    cache.put(model)
    assert cache.find(*key(model)) is not None


def test_a_file_cut_off_at_any_byte_counts_as_absent(tmp_path: Path):
    cache, model = Cache(tmp_path), make_model()
    path = cache.put(model)
    data = path.read_bytes()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        assert cache.find(*key(model)) is None, size
        assert len(cache.describe(model.mesh.hash)) <= 1
    path.write_bytes(data)
    assert cache.find(*key(model)) is not None


def test_a_file_changed_at_any_byte_is_the_right_model_or_none(tmp_path: Path):
    cache, model = Cache(tmp_path), make_model()
    path = cache.put(model)
    data = path.read_bytes()
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x15]) + data[place + 1 :])
        found = cache.find(*key(model))
        if found is not None:
            assert_equal(found, model)


def test_junk_of_every_kind_counts_as_absent(tmp_path: Path):
    cache, model = Cache(tmp_path), make_model()
    path, random = cache.path_for(*key(model)), np.random.default_rng(0)
    for size in (0, 1, 7, 8, 9, 100, 10_000):
        path.write_bytes(random.bytes(size))
        assert cache.find(*key(model)) is None and cache.describe(model.mesh.hash) == []
    path.unlink()
    path.mkdir()
    assert cache.find(*key(model)) is None and cache.describe(model.mesh.hash) == []
    path.rmdir()
    path.symlink_to(tmp_path / "absent")
    assert cache.find(*key(model)) is None
    assert cache.usage().bytes == 0
    cache.put(model)
    assert cache.find(*key(model)) is not None


WRITER = """
import sys
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from iseg_core.storage.cache import Cache
from support.models import make_model
for turn in range(40):
    Cache(Path(sys.argv[3])).put(make_model())
"""


def test_two_processes_write_at_once_and_a_third_always_reads_the_right_model(tmp_path: Path):
    cache, model = Cache(tmp_path), make_model()
    cache.put(model)
    tests = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", WRITER, str(tests.parent), str(tests), str(tmp_path)]
    writers = [subprocess.Popen(command) for _ in range(2)]
    reads = 0
    while any(writer.poll() is None for writer in writers) or reads < 10:
        found = cache.find(*key(model))
        assert found is not None
        assert_equal(found, model)
        reads += 1
    assert [writer.returncode for writer in writers] == [0, 0]
    assert list(tmp_path.iterdir()) == [cache.path_for(*key(model))]


def test_the_least_recently_used_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cache = Cache(tmp_path)
    models = [named(seed=seed) for seed in range(4)]
    paths = [put_at(cache, model, 100 - i) for i, model in enumerate(models[:3])]
    assert cache.find(*key(models[0])) is not None  # used just now
    limit_to(monkeypatch, 3.1, paths[0])
    cache.put(models[3])
    assert [path.exists() for path in paths] == [True, False, True]
    assert cache.usage().models == 3
    limit_to(monkeypatch, 0.5, paths[0])
    put_at(cache, models[1], 0)
    assert [path.name for path in tmp_path.iterdir()] == [paths[1].name]  # too large, and yet the one that is needed


def test_checkpoints_count_and_go_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cache = Cache(tmp_path)
    checkpoint = cache.checkpoint()
    checkpoint.of({"mesh": "m"})
    checkpoint.keep("observe", lambda: CheckpointState({}, {"x": np.zeros(10**5)}), last=True)
    assert cache.usage().checkpoints == 1 and cache.usage().bytes > 8e5
    limit_to(monkeypatch, 1.1, cache.put(named(seed=1)))
    os.utime(next(tmp_path.glob("checkpoints/*/*")), (1, 1))
    cache.put(make_model())
    assert cache.usage()[:2] == (1, 0)
    assert cache.find(*key(make_model())) is not None


def test_trainings_that_never_end_stay_within_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cache, size = Cache(tmp_path), 8 * 10**5
    monkeypatch.setenv(storage_cache.LIMIT_VARIABLE, str(3.5 * size / 1e9))
    for turn in range(6):
        checkpoint = cache.checkpoint()
        assert cache.usage().checkpoints == min(turn, 3)
        checkpoint.of({"turn": turn})
        checkpoint.keep("observe", lambda: CheckpointState({}, {"x": np.zeros(10**5)}), last=True)
        for path in tmp_path.glob("checkpoints/*/*"):
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 10))
    found: list[CheckpointState] = []
    checkpoint.load("observe", found.append)
    assert len(found) == 1  # the last


def test_what_was_never_completed_goes_after_a_day(tmp_path: Path):
    cache = Cache(tmp_path)
    old, new = tmp_path / ".old.iseg.12345678.part", tmp_path / ".new.iseg.12345678.part"
    old.touch()
    new.touch()
    begun = time.time() - storage_cache.STALE - 60
    os.utime(old, (begun, begun))
    cache.put(make_model())
    assert not old.exists() and new.exists()


@pytest.mark.parametrize("value", ["", "much", "-1", "nan", "1e400"])
def test_a_limit_that_is_no_number_is_not_one(monkeypatch: pytest.MonkeyPatch, value: str):
    monkeypatch.setenv(storage_cache.LIMIT_VARIABLE, value)
    assert storage_cache.limit() == storage_cache.LIMIT * 1e9
    monkeypatch.setenv(storage_cache.LIMIT_VARIABLE, "0.25")
    assert storage_cache.limit() == 25e7


def test_the_command_says_what_is_there_and_clears_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("ISEG_CACHE", str(tmp_path))
    monkeypatch.setenv(storage_cache.LIMIT_VARIABLE, "2")
    cache = Cache.of_user()
    cache.put(make_model())
    assert cache.folder == tmp_path / "models"
    weights = tmp_path / "weights" / "sam.pth"
    weights.parent.mkdir()
    weights.touch()
    (cache.folder / ".x.iseg.12345678.part").touch()
    assert main.main(["cache"]) == 0
    assert f"{cache.folder}: 1 model and 0 checkpoints, 0.0 MB of at most 2 GB." in capsys.readouterr().out
    assert main.main(["cache", "--clear"]) == 0
    assert capsys.readouterr().out == "Removed 1 model and 0 checkpoints, 0.0 MB.\n"
    assert list(cache.folder.glob("*")) == [] and weights.exists()
    assert main.main(["cache"]) == 0
    assert "0 models" in capsys.readouterr().out
