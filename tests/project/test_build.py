"""build.py: environments are made once, completely, and every way it fails says what to do."""

import ast
import errno
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import build

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))


# ---- Locks ----


def requirements(*locks: Path) -> list[Requirement]:
    lines = [line.split("#")[0].strip() for lock in locks for line in lock.read_text().splitlines()]
    return [Requirement(line) for line in lines if line]


def pins(*locks: Path) -> dict[str, str]:
    """Versions by canonical name, of what applies to this Python and platform."""
    applicable = [r for r in requirements(*locks) if r.marker is None or r.marker.evaluate()]
    return {canonicalize_name(r.name): str(r.specifier).removeprefix("==") for r in applicable}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_pins_exactly(lock: Path):
    for requirement in requirements(lock):
        assert re.fullmatch(r"==[0-9][0-9a-z.]*", str(requirement.specifier)), f"{lock.name}: {requirement}"


def test_locks_satisfy_what_the_package_declares():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    locked = pins(*build.TEST.locks)
    for line in project["dependencies"] + [line for extra in extras.values() for line in extra]:
        requirement = Requirement(line)
        assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)]), line


def test_the_lock_for_sam_is_the_extra_and_agrees_with_the_tests():
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["sam"]
    locked = pins(ROOT / "requirements" / "sam.lock")
    assert locked == pins() | {r.name: str(r.specifier).removeprefix("==") for r in map(Requirement, extra)}
    assert locked.items() <= pins(*build.TEST.locks).items()


@pytest.mark.skipif(Path(sys.prefix) != build.TEST.folder, reason="runs in the environment that build.py made")
def test_the_environment_holds_the_locks_and_nothing_else():
    places = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}  # not what a package brings inside itself
    distributions = [d for d in importlib.metadata.distributions(path=list(places)) if d.name != "pip"]
    installed = {canonicalize_name(d.name): d.version.split("+")[0] for d in distributions}  # 2.13.0+cpu is 2.13.0
    assert pins(*build.TEST.locks).items() <= installed.items()
    assert installed.items() <= (pins(*build.TEST.locks) | pins(*build.TEST.constraints)).items()


# ---- The right Python ----


def found(*names: str):
    return lambda name: f"/bin/{name}" if name in names else None


@pytest.mark.parametrize(
    "command, version", [("test", (3, 12)), ("test", (3, 13)), ("demo", (3, 11)), ("demo", (3, 13))]
)
def test_supported_python(command: str, version: tuple[int, int]):
    assert build.wrong_python(command, (*version, 0), found()) is None


@pytest.mark.parametrize("command, version", [("test", (3, 8)), ("test", (3, 14)), ("demo", (3, 12)), ("demo", (2, 7))])
def test_wrong_python_names_one_that_works(command: str, version: tuple[int, int]):
    said = build.wrong_python(command, (*version, 0), found())
    assert said and f"this is Python {version[0]}.{version[1]}." in said
    assert "Install Python 3.11" in said
    said = build.wrong_python(command, (*version, 0), found("python3.13"))
    assert said and f"Run: python3.13 build.py {command}" in said


def test_an_old_python_gets_as_far_as_the_sentence():
    """All syntax must parse on Python 3.7, and nothing but sys and shutil may be imported before the check."""
    tree = ast.parse((ROOT / "build.py").read_text(), feature_version=(3, 7))
    check = next(i for i, node in enumerate(tree.body) if isinstance(node, ast.If))
    imported = [name.name for node in tree.body[:check] if isinstance(node, ast.Import) for name in node.names]
    assert imported == ["shutil", "sys"]
    assert not any(isinstance(node, ast.ImportFrom) for node in tree.body[:check])


# ---- Sentences ----


@pytest.mark.parametrize(
    "output, sentence",
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk space"),
        ("OSError: [WinError 112] There is not enough space on the disk", "TMPDIR"),
        (
            "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('Failed to establish "
            "a new connection: [Errno -2] Name or service not known')': /simple/torch/\n"
            "ERROR: Could not find a version that satisfies the requirement torch==2.13.0 (from versions: none)\n"
            "ERROR: No matching distribution found for torch==2.13.0",
            "cannot be reached",
        ),
        ("pip._vendor.urllib3.exceptions.ReadTimeoutError: HTTPSConnectionPool: Read timed out.", "cannot be reached"),
        (
            "WARNING: Retrying after connection broken by 'SSLError(SSLCertVerificationError(1, '[SSL: "
            "CERTIFICATE_VERIFY_FAILED] certificate verify failed')'\nERROR: No matching distribution found for torch",
            "PIP_CERT",
        ),
        (
            "ERROR: Could not find a version that satisfies the requirement torch==2.13.0 (from versions: 2.1, 2.2)\n"
            "ERROR: No matching distribution found for torch==2.13.0",
            "no build of torch==2.13.0 for Python",
        ),
        ("HINT: This error might have occurred since Windows Long Path support is not enabled", "long paths"),
        ("Error: Command '-m ensurepip --upgrade' returned non-zero exit status 1.", "sudo apt install python3."),
        ("ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: 'x'", "writable"),
    ],
)
def test_pip_output_becomes_a_sentence_with_a_remedy(output: str, sentence: str):
    assert sentence in build.explain(output)


def test_unknown_output_is_shown_as_it_is():
    said = build.explain("first line\nsomething nobody foresaw")
    assert "something nobody foresaw" in said and "not one that build.py knows" in said


@pytest.mark.parametrize(
    "warning",
    [
        "WARNING: Location 'file:///some/simple/torch/' is ignored: it is neither a file nor a directory.",
        "WARNING: Retrying (Retry(total=4)) after connection broken by 'ReadTimeoutError(\"Read timed out.\")'",
    ],
)
def test_what_pip_got_over_is_no_cause(warning: str):
    failure = (
        "ERROR: Could not find a version that satisfies the requirement torch==2.13.0 (from versions: 2.1, 2.2)\n"
        "ERROR: No matching distribution found for torch==2.13.0"
    )
    assert "no build of torch" in build.explain(f"{warning}\n{failure}")


def test_os_errors_become_sentences():
    assert "TMPDIR" in build.explain_os_error(OSError(errno.ENOSPC, "No space left on device"))
    assert "writable" in build.explain_os_error(PermissionError(errno.EACCES, "Permission denied"))


# ---- Environments ----


def make_wheel(folder: Path, name: str, version: str) -> None:
    """The smallest wheel that pip installs: one module that holds its version."""
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{name}-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{name}-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in files) + f"{name}-{version}.dist-info/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in {**files, f"{name}-{version}.dist-info/RECORD": record}.items():
            wheel.writestr(path, text)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> build.Environment:
    """An environment whose lock asks for a wheel beside it; pip looks nowhere else."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    for version in ("1.0", "2.0"):
        make_wheel(tmp_path, "pebble", version)
    lock = tmp_path / "small.lock"
    lock.write_text("# a comment\npebble==1.0\n")
    return build.Environment(tmp_path / ".venv-small", (lock,), 0.001)


def pebble(environment: build.Environment) -> str:
    command = [str(environment.python), "-c", "import pebble; print(pebble.VERSION)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_an_environment_is_made_reused_and_remade(small: build.Environment, monkeypatch, capsys):
    assert not small.ready
    assert build.ensure(small) == small.python
    assert small.ready and pebble(small) == "1.0"

    kept = small.folder / "kept"
    kept.touch()
    build.ensure(small)
    assert kept.exists() and "up to date" in capsys.readouterr().out

    small.locks[0].write_text("pebble==2.0\n")
    assert not small.ready
    build.ensure(small)
    assert not kept.exists() and pebble(small) == "2.0"

    monkeypatch.setattr(build.platform, "python_version", lambda: "3.13.99")
    assert not small.ready


def test_what_pip_cannot_do_is_explained(small: build.Environment, monkeypatch):
    """The sentences fit what the pip of today really prints."""
    build.run_captured([sys.executable, "-m", "venv", str(small.folder)], show=None)
    small.locks[0].write_text("pebble==3.0\n")
    with pytest.raises(build.BuildError, match="no build of pebble==3.0"):
        build.install(small)

    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # the discard port: nothing answers
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(build.BuildError, match="cannot be reached"):
        build.install(small)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), build.BuildError("no network"), OSError(errno.ENOSPC, "full")])
@pytest.mark.parametrize("step", [1, 2], ids=["venv", "pip"])
def test_an_unfinished_environment_is_never_taken_for_a_whole_one(
    small: build.Environment, monkeypatch, capsys, error: BaseException, step: int
):
    """Whatever stops it, at whichever step: the next run starts from nothing."""
    steps = []

    def run_captured(command: list[str], show: object) -> None:
        steps.append(command)
        small.python.parent.mkdir(parents=True, exist_ok=True)
        small.python.touch()
        if len(steps) == step:
            (small.folder / "half").touch()
            raise error

    monkeypatch.setattr(build, "run_captured", run_captured)
    with pytest.raises(type(error)):
        build.ensure(small)
    assert small.python.exists() and not small.ready

    build.ensure(small)
    assert "interrupted before it was complete" in capsys.readouterr().out
    assert small.ready and not (small.folder / "half").exists()
    assert len(steps) == step + 2


def test_a_removal_that_is_interrupted_goes_on_the_next_time(small: build.Environment, monkeypatch):
    def run_captured(command: list[str], show: object) -> None:
        (small.folder / "lib").mkdir(exist_ok=True)

    def interrupt(folder: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "run_captured", run_captured)
    build.ensure(small)
    small.locks[0].write_text("pebble==2.0\n")
    with monkeypatch.context() as patch:
        patch.setattr(build.shutil, "rmtree", interrupt)
        with pytest.raises(KeyboardInterrupt):
            build.ensure(small)
    assert (small.folder / "lib").exists() and not small.ready
    (small.folder / "half").touch()
    build.ensure(small)
    assert not (small.folder / "half").exists()
    assert (small.folder / build.STAMP).read_text() == small.key


def test_a_folder_that_was_not_made_here_is_left_alone(small: build.Environment):
    small.folder.mkdir()
    (small.folder / "work").touch()
    with pytest.raises(build.BuildError, match="not made by build.py"):
        build.ensure(small)
    assert (small.folder / "work").exists()


def test_too_little_disk_is_said_before_anything_is_made(small: build.Environment, monkeypatch):
    monkeypatch.setattr(build.shutil, "disk_usage", lambda path: SimpleNamespace(free=10**5))
    with pytest.raises(build.BuildError, match="0.001 GB and 0.0 GB are free"):
        build.ensure(small)
    assert not small.folder.exists()


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_a_python_without_venv_is_said(small: build.Environment, monkeypatch, module: str):
    find_spec = build.importlib.util.find_spec
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None if name == module else find_spec(name))
    with pytest.raises(build.BuildError, match="sudo apt install python3.*-venv"):
        build.ensure(small)


def test_the_key_depends_on_every_lock(tmp_path: Path):
    *locks, constraints = files = [tmp_path / f"{name}.lock" for name in "abc"]
    for file in files:
        file.write_text("")
    environment = build.Environment(tmp_path / ".venv", tuple(locks), 0, (constraints,))
    keys = {environment.key}
    for file in files:
        file.write_text("x")
        keys.add(environment.key)
    assert len(keys) == 4


def test_an_environment_of_another_python_needs_that_python(tmp_path, monkeypatch):
    """A shim that finds no Python of that version is none."""
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(build.shutil, "which", lambda name: "shim" if name == "python3.99" else None)
    monkeypatch.setattr(build, "about", lambda python: {"shim": ""}.get(python, "CPython 3.99.1"))
    environment = build.Environment(tmp_path / "venv", (), 0.1, version="3.99")
    assert environment.base is None and environment.key == "" and not environment.ready
    real = tmp_path / ".pyenv" / "versions" / "3.99.1" / "bin" / "python3.99"
    real.parent.mkdir(parents=True)
    real.touch()
    environment = build.Environment(tmp_path / "venv", (), 0.1, version="3.99")
    assert environment.base == str(real) and environment.key.startswith("CPython 3.99.1 ")


# ---- Commands ----


def test_without_a_command_it_writes_the_extension(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(build.extension, "__defaults__", (tmp_path,))
    assert build.main([]) == 0
    archive = Path(capsys.readouterr().out.strip())
    assert archive.parent == tmp_path and zipfile.ZipFile(archive).testzip() is None


def test_versions_that_differ_are_an_error(monkeypatch, tmp_path):
    (tmp_path / "iseg_core").mkdir()
    (tmp_path / "iseg_core" / "version.py").write_text('__version__ = "9.9.9"')
    (tmp_path / "blender_manifest.toml").write_text('id = "iseg"\nversion = "0.1.0"\n')
    monkeypatch.setattr(build, "ROOT", tmp_path)
    with pytest.raises(build.BuildError, match="different versions"):
        build.extension(tmp_path)


def test_commands_say_what_is_wrong(capsys):
    assert build.main(["tset"]) == 1
    assert "python build.py test" in capsys.readouterr().err


def test_errors_end_in_one_sentence_and_a_status(monkeypatch, capsys):
    def failing(error: BaseException):
        def command() -> int:
            raise error

        return command

    for error, status, words in [
        (build.BuildError("the reason"), 1, "the reason"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "disk space"),
        (KeyboardInterrupt(), 130, "Interrupted"),
    ]:
        monkeypatch.setitem(build.COMMANDS, "test", failing(error))
        assert build.main(["test"]) == status
        said = capsys.readouterr().err
        assert words in said and "Traceback" not in said


STEPS = {
    "engine": [build.Step("well", ("platform",)), build.Step("ill", ("no_such_module",))],
    "blender": [build.Step("absent", ("no_such_module",), lacking="this Blender needs Python 3.99.")],
}


@pytest.fixture
def three_steps(monkeypatch):
    """Steps of which one fails and one lacks something, run by this Python."""
    monkeypatch.setattr(build, "ensure", lambda environment: Path(sys.executable))
    monkeypatch.setattr(build.Environment, "ready", False)
    monkeypatch.setattr(build, "steps", lambda engine: STEPS)


def test_all_steps_are_run_and_those_that_fail_are_named(three_steps, capsys):
    assert build.main(["test"]) == 1
    said = capsys.readouterr()
    assert f"== well\n{platform.platform()}\n" in said.out and "== ill\n" in said.out
    assert "No module named no_such_module" in said.out and "Not run: this Blender needs Python 3.99." in said.out
    assert said.err == "\nFailed: ill\n"


def test_a_word_asks_for_a_part(three_steps, capsys):
    assert build.main(["test", "blender"]) == 0
    said = capsys.readouterr().out
    assert "Not run" in said and "well" not in said


def test_every_test_is_in_one_step(monkeypatch):
    """What pyproject.toml keeps from one run of pytest runs in another, with each Blender whose module is locked."""
    monkeypatch.setenv("ISEG_BLENDER_NEWEST", "blender-5 --more")
    found = build.steps("python")
    assert [word for word in found if f"test {word}" not in build.COMMANDS] == []
    assert "--ignore=tests/window" in found["engine"][0].arguments
    assert [step.arguments[-1] for step in found["window"]] == ["tests/window"] * 2
    assert ("ISEG_BLENDER", "blender-5 --more") in found["window"][1].variables and not found["window"][1].lacking
    assert [step.environment for step in found["blender"]] == [build.OLDEST, build.NEWEST]


def test_the_blenders_are_those_of_the_manifest_and_the_lock(capsys, monkeypatch, tmp_path):
    assert build.main(["blenders"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [blender["python"] for blender in found] == [build.OLDEST.version, build.NEWEST.version]
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text())
    assert manifest["blender_version_min"].rpartition(".")[0] == found[0]["blender"]
    (tmp_path / "blender_manifest.toml").write_text('blender_version_min = "4.5.0"')
    monkeypatch.setattr(build, "ROOT", tmp_path)
    assert build.main(["blenders"]) == 1 and "4.5.0" in capsys.readouterr().err


# ---- The package ----


def test_the_wheel_holds_the_engine_and_its_version(tmp_path: Path):
    pytest.importorskip("hatchling")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    version = re.search(r'__version__ = "(.+)"', (ROOT / "iseg_core/version.py").read_text())
    assert version and wheel.name.startswith(f"iseg_core-{version[1]}-")
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
        assert {name.split("/")[0] for name in names} == {"iseg_core", f"iseg_core-{version[1]}.dist-info"}
        assert {"iseg_core/errors.py", "iseg_core/teachers/__init__.py", "iseg_core/py.typed"} <= set(names)
        entry_points = content.read(f"iseg_core-{version[1]}.dist-info/entry_points.txt").decode()
        assert "iseg = iseg_core.cli.main:main" in entry_points
