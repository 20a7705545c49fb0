"""Sets everything up and does the work, on a machine with nothing but Python.

    python build.py         the extension for Blender, dist/iseg-<version>.zip
    python build.py demo    trains on a small mesh, clicks its parts and shows where to look
    python build.py test    lint, format, types and tests; `test engine`, `test blender`, `test window` or `test lint`
                            for a part of them, `blenders` to print the versions that they are run with

Each command makes the environments it needs in .venv-*/ from the lock files in requirements/ and keeps them until a
lock or the Python changes. Packages come from wherever your pip is set up to find them.
"""

import shutil
import sys

SUPPORTED = {  # Blender's module is built for two only
    "": ((3, 11), (3, 12), (3, 13)),
    "test": ((3, 11), (3, 12), (3, 13)),
    "demo": ((3, 11), (3, 13)),
}


def wrong_python(command, version=sys.version_info, find=shutil.which):
    """What to say when this Python cannot run the command; None when it can. `find` looks a program up on the PATH."""
    supported = SUPPORTED.get(command, SUPPORTED["test"])
    if tuple(version[:2]) in supported:
        return None
    names = ["%d.%d" % pair for pair in supported]
    installed = [f"python{name}" for name in names if find(f"python{name}")]
    if installed:
        remedy = f"Run: {installed[0]} build.py {command}".rstrip()
    else:
        remedy = f"Install Python {names[0]} from python.org, then run build.py with it."
    wanted, found = f"{', '.join(names[:-1])} or {names[-1]}", "%d.%d" % tuple(version[:2])
    called = f"build.py {command}".rstrip()
    return f"`{called}` runs on Python {wanted}, and this is Python {found}. {remedy}"


if sys.version_info < (3, 11):  # before the first line that an older Python could trip over
    sys.exit(wrong_python("test"))

import errno
import hashlib
import importlib.util
import json
import os
import platform
import re
import shlex
import subprocess
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent
STAMP = "build-stamp.txt"  # in every environment made here: what it was made from, or UNFINISHED
UNFINISHED = "unfinished"


class BuildError(Exception):
    """Something the user can mend; the message names the defect and the remedy."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment and the lock files that say what is in it."""

    folder: Path
    locks: tuple[Path, ...]
    gigabytes: float  # measured size with a CPU build of torch; the least free disk that is worth starting with
    constraints: tuple[Path, ...] = ()  # versions of what is installed only where a platform's build asks for it
    version: str = ""  # of Python, as in python3.13, where it is not the one that runs this

    @cached_property
    def base(self) -> str | None:
        """The Python that it is made with; None where there is none of its version at hand."""
        if not self.version or self.version == "%d.%d" % sys.version_info[:2]:
            return sys.executable
        pyenv = Path.home().glob(f".pyenv/versions/{self.version}.*/bin/python{self.version}")
        for candidate in (shutil.which(f"python{self.version}"), *map(str, sorted(pyenv))):
            if candidate and about(candidate).startswith(f"CPython {self.version}."):  # else a shim without a Python
                return candidate
        return None

    @property
    def python(self) -> Path:
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def key(self) -> str:
        """What the environment is made from: the Python and the content of the locks."""
        digest = hashlib.sha256()
        for lock in self.locks + self.constraints:
            digest.update(lock.read_bytes())
        return f"{about(self.base)} {digest.hexdigest()}" if self.base else ""

    @property
    def ready(self) -> bool:
        stamp = self.folder / STAMP
        return self.python.exists() and stamp.is_file() and bool(self.key) and stamp.read_text() == self.key


def about(python: str) -> str:
    """Implementation and version of a Python: CPython 3.11.7. Empty where it does not run."""
    if python == sys.executable:
        return f"{platform.python_implementation()} {platform.python_version()}"
    ask = "import platform; print(platform.python_implementation(), platform.python_version())"
    try:
        return subprocess.run([python, "-c", ask], capture_output=True, text=True, timeout=30).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


LOCKS = ROOT / "requirements"
CUDA = (LOCKS / "cuda.lock",)
ENGINE = Environment(ROOT / ".venv-engine", (LOCKS / "engine.lock",), 1.5, CUDA)
TESTED = ("engine.lock", "test.lock", "cluster.lock")
TEST = Environment(ROOT / ".venv-test", tuple(LOCKS / name for name in TESTED), 2.3, CUDA)
BPY = (LOCKS / "bpy.lock", LOCKS / "bpy-test.lock")
OLDEST = Environment(ROOT / ".venv-bpy", BPY, 1.5, version="3.11")
NEWEST = Environment(ROOT / ".venv-bpy-new", BPY, 1.5, version="3.13")
WINDOWS = {"ISEG_BLENDER": "window", "ISEG_BLENDER_NEWEST": "window-newest"}  # start a Blender; pictures in out/
BLENDER = NEWEST if sys.version_info[:2] == (3, 13) else OLDEST  # the one of this Python


# ---- Making an environment ----


def ensure(environment: Environment) -> Path:
    """The Python of an environment that holds exactly what its locks say; made or remade where it does not."""
    name = environment.folder.name
    if environment.ready:
        print(f"{name}: up to date")
        return environment.python
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        raise BuildError(missing_venv())
    remove_stale(environment.folder)
    free = shutil.disk_usage(environment.folder.parent).free / 1e9
    if free < environment.gigabytes:
        raise BuildError(full_disk(f"{name} needs {environment.gigabytes} GB and {free:.1f} GB are free"))

    began = time.perf_counter()
    assert environment.base
    print(f"{name}: making it with {about(environment.base)}", flush=True)
    stamp = environment.folder / STAMP
    environment.folder.mkdir(exist_ok=True)
    stamp.write_text(UNFINISHED)
    run_captured([environment.base, "-m", "venv", str(environment.folder)], show=None)
    install(environment)
    stamp.write_text(environment.key)  # last, so that an interrupted install never passes for a whole one
    print(f"{name}: ready after {time.perf_counter() - began:.0f} s", flush=True)
    return environment.python


def remove_stale(folder: Path) -> None:
    """Remove an environment that was interrupted or made from other locks; never a folder that was not made here."""
    stamp = folder / STAMP
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not stamp.is_file():
        raise BuildError(
            f"{folder} exists and was not made by build.py. Move it away or remove it, then run this again."
        )
    unfinished = stamp.read_text() == UNFINISHED
    print(f"{folder.name}: {'interrupted before it was complete' if unfinished else 'the lock or the Python changed'}")
    stamp.write_text(UNFINISHED)
    for entry in folder.iterdir():  # the stamp last: a removal that is interrupted leaves a folder known as made here
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry != stamp:
            entry.unlink()
    stamp.unlink()


def install(environment: Environment) -> None:
    """Install the locks with pip, as the user has set it up. Wheels only: nothing is ever compiled.

    The locks are complete, and pip still resolves dependencies: so it checks that the pins agree with each other, and
    on Linux it adds, in the constraints' versions, the CUDA libraries that PyPI's build of torch needs and a CPU build
    lacks. --no-deps could not serve both.
    """
    command = [str(environment.python), "-m", "pip", "install", "--only-binary", ":all:", "--no-input"]
    for lock in environment.locks:
        command += ["-r", str(lock)]
    for constraint in environment.constraints:
        command += ["-c", str(constraint)]
    run_captured(command, show=re.compile(r"\s*(Downloading|Using cached|Processing|Installing collected) "))


def run_captured(command: list[str], show: re.Pattern[str] | None) -> None:
    """Run a set-up step, echoing the lines that match `show`. BuildError says what went wrong in it."""
    output = []
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=clean_environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            output.append(line.rstrip())
            if show and show.match(line):
                print("  " + output[-1].strip().split(" (from ")[0][:110], flush=True)
    if process.returncode:
        raise BuildError(explain("\n".join(output)))


def clean_environ(**extra: str) -> dict[str, str]:
    """This process's environment, less what would make another Python look for modules in the wrong place."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PYTHONPATH")}
    return {**kept, **extra}


# ---- What went wrong, in a sentence with a remedy ----


def missing_venv() -> str:
    version = "%d.%d" % sys.version_info[:2]
    return (
        "This Python cannot make virtual environments: its venv or ensurepip module is missing. "
        f"On Debian and Ubuntu run `sudo apt install python{version}-venv`; elsewhere install Python from python.org."
    )


def full_disk(detail: str) -> str:
    return (
        f"There is not enough disk space: {detail}. Free some and run this again; "
        "if it is the folder for temporary files that is full, set TMPDIR to a folder with more room."
    )


def no_build(package: str) -> str:
    return (
        f"There is no build of {package} for Python {platform.python_version()} on {platform.system()} "
        f"{platform.machine()} where your pip looks. Use 64-bit Python 3.11 on Linux or Windows (x86-64) or on an "
        "Apple-silicon Mac; where pip is set up for an index of your own, that index has to hold the package."
    )


def explain(output: str) -> str:
    """Turn what pip or venv printed before it failed into a sentence with a remedy, and pip's own words after it."""
    errors = [line.strip() for line in output.splitlines() if re.match(r"\s*(ERROR|error|\w*Error)\b", line)]
    detail = errors[-1][:300] if errors else "\n".join(output.splitlines()[-15:])

    if re.search(r"No space left on device|\[Errno 28\]|WinError 112|Disk quota exceeded", output):
        return full_disk(detail)
    missing = re.search(r"No matching distribution found for ([^\s;]+)", output)
    # pip lists other versions: the index was reached, whatever it had to try again before.
    if missing and re.search(r"\(from versions: (?!none)", output):
        return no_build(missing[1])
    if re.search(r"CERTIFICATE_VERIFY_FAILED|SSLError", output):
        return (
            "The package index's certificate is not trusted, as behind a company's proxy. "
            f"Set PIP_CERT to your company's certificate file and run this again. ({detail})"
        )
    if re.search(r"connection broken by|Failed to establish a new|Max retries exceeded|Read timed out", output):
        return (
            "The package index cannot be reached. Check the network (behind a proxy set HTTPS_PROXY) "
            f"and run this again. ({detail})"
        )
    if "Windows Long Path" in output:
        return (
            "A file's path is too long for this Windows. Turn on long paths (search the web for 'enable long paths "
            f"Windows') or move this folder closer to the drive's root, then run this again. ({detail})"
        )
    if "ensurepip" in output:
        return f"{missing_venv()} ({detail})"
    if missing:
        return no_build(missing[1])
    if re.search(r"Permission denied|\[Errno 13\]|WinError 5\b", output):
        return f"A file could not be written. Close what uses this folder, or make it writable. ({detail})"
    return f"Setting up failed, and the reason is not one that build.py knows. The last lines said:\n{detail}"


def explain_os_error(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or getattr(error, "winerror", None) == 112:
        return full_disk(str(error))
    return f"A file could not be read or written: {error}. Close what uses it, or make this folder writable."


# ---- The commands ----


def extension(folder: Path = ROOT / "dist") -> Path:
    """Write the extension's zip: the manifest, iseg_blender's files beside it, and in folders of their own iseg_core
    and the locks of the environment that the extension makes for its engine.
    """
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text())
    version = re.search(r'__version__ = "(.+)"', (ROOT / "iseg_core" / "version.py").read_text())
    if not version or version[1] != manifest["version"]:
        raise BuildError("blender_manifest.toml and iseg_core/version.py name different versions. Make them equal.")
    files = ("blender_manifest.toml", "LICENSE", "requirements/engine.lock", "requirements/sam.lock")
    contents = {name: ROOT / name for name in files}
    for source, prefix in ((ROOT / "iseg_blender", ""), (ROOT / "iseg_core", "iseg_core/")):
        for path in sorted(source.rglob("*.py")):
            contents[prefix + path.relative_to(source).as_posix()] = path
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{manifest['id']}-{version[1]}.zip"
    partial = target.with_suffix(".part")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in contents.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))  # the same bytes from the same files
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    partial.replace(target)
    return target


def build() -> int:
    """The extension's zip in dist/."""
    print(extension())
    return 0


@dataclass(frozen=True)
class Step:
    """A part of `test`: arguments of `python -m`, the environment and the variables it runs with, and what it lacks."""

    name: str
    arguments: tuple[str, ...]
    environment: Environment = TEST
    variables: tuple[tuple[str, str], ...] = ()
    lacking: str = ""

    def run(self) -> tuple[bool, str]:
        """Run it; whether it went well, and what it said."""
        if self.lacking:
            return True, f"Not run: {self.lacking}"
        python = self.environment.python if self.environment.ready else ensure(self.environment)
        command = [str(python), "-m", *self.arguments]
        # Without the first variable pyright asks the npm registry whether there is a newer version.
        environ = clean_environ(PYRIGHT_PYTHON_IGNORE_WARNINGS="1", PYTHONUTF8="1", **dict(self.variables))
        began = time.perf_counter()
        result = subprocess.run(
            command,
            cwd=ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        return result.returncode == 0, f"{result.stdout}({time.perf_counter() - began:.0f} s)"


def steps(engine: str) -> dict[str, list[Step]]:
    """What `test` consists of, by the word that asks for it alone, the longest first.

    engine: the Python of the engine that the extension's tests use.
    """
    figures = ("--cov=iseg_core", "--cov-report=term:skip-covered") if "CI" in os.environ else ()  # a quarter slower
    halves = ("--numprocesses=2", "--dist=loadfile")  # the longest step; a file's tests share their fixtures
    engine_tests = Step("pytest", ("pytest", "--ignore=tests/window", *halves, *figures))
    found = {"engine": [engine_tests], "window": [], "blender": []}
    asked = (("ISEG_ENGINE", command_line([engine, "-m", "iseg_core", "engine"])),)
    for environment in (OLDEST, NEWEST):
        name, arguments = environment.folder.name, ("pytest", "--confcutdir=tests/blender", "tests/blender")
        lacking = "" if environment.base else f"this Blender needs Python {environment.version}."
        found["blender"].append(Step(f"pytest tests/blender in {name}", arguments, environment, asked, lacking))
    for variable, folder in WINDOWS.items():
        command = os.environ.get(variable, "")
        chosen = (("ISEG_BLENDER", command), ("ISEG_WINDOW", folder))
        lacking = "" if command else f"{variable} names no command that starts a Blender with a window."
        found["window"].append(
            Step(f"pytest tests/window, {folder}", ("pytest", "tests/window"), TEST, chosen, lacking)
        )
    found["lint"] = [
        Step("pyright", ("pyright", "--pythonpath", engine)),
        Step("ruff check", ("ruff", "check", ".")),
        Step("ruff format", ("ruff", "format", "--check", ".")),
    ]
    return found


def test(word: str = "") -> int:
    """Everything that must hold, or what a word asks for: all is run, side by side; 1 where a part fails."""
    parts = steps(str(ensure(TEST)))
    chosen = parts[word] if word else [step for some in parts.values() for step in some]
    failed = []
    pool = ThreadPoolExecutor((os.cpu_count() or 1) + 1)  # one more than cores: tests wait now and then
    try:
        running = {pool.submit(step.run): step.name for step in chosen}
        for future in as_completed(running):
            well, said = future.result()
            print(f"\n== {running[future]}\n{said}", flush=True)
            if not well:
                failed.append(running[future])
    finally:
        pool.shutdown(cancel_futures=True)
    if failed:
        print(f"\nFailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def blenders() -> int:
    """Print the oldest and the newest Blender and their Pythons, as JSON: what the workflow's matrix is made of."""
    pattern = r'^bpy==(\d+\.\d+)\S* ; python_version == "(.+)"$'
    found = re.findall(pattern, (LOCKS / "bpy.lock").read_text(), re.MULTILINE)
    least = tomllib.loads((ROOT / "blender_manifest.toml").read_text())["blender_version_min"]
    if not found or not least.startswith(found[0][0] + "."):
        raise BuildError(
            f"bpy.lock's first Blender is not {least}, which blender_manifest.toml names. Make them equal."
        )
    print(json.dumps([{"blender": blender, "python": python} for blender, python in found]))
    return 0


def demo() -> int:
    """Blender's monkey goes through the extension's operators; out/demo/ gets pictures, the model and a .blend."""
    python, blender_python = ensure(ENGINE), ensure(BLENDER)
    out, began = ROOT / "out" / "demo", time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="iseg-demo-") as private:  # a Blender that nobody has used before
        environ = clean_environ(
            ISEG_ENGINE=command_line([str(python), "-m", "iseg_core", "engine"]),
            ISEG_CACHE=str(Path(private, "cache")),
            BLENDER_USER_RESOURCES=str(Path(private, "blender")),
        )
        story = [str(blender_python), "examples/suzanne.py", str(extension(Path(private))), str(out)]
        failed = subprocess.run(story, cwd=ROOT, env=environ).returncode
        if failed:
            return failed
        for model in Path(private, "cache", "models").glob("*.iseg"):
            shutil.copyfile(model, out / "suzanne.iseg")
    pictures = [str(python), "examples/pictures.py", str(out)]
    failed = subprocess.run(pictures, cwd=ROOT, env=clean_environ(PYTHONPATH=str(ROOT))).returncode
    if failed:
        return failed
    print(
        f"\nDone in {time.perf_counter() - began:.0f} s. Look at\n"
        "  out/demo/steps.png: every step from six sides\n"
        "  out/demo/suzanne.blend: the clicks, their vertex groups, and the ear extruded\n"
        "  out/demo/suzanne.iseg: the model, for iseg_core.load and `python -m iseg_core segment`\n"
        "How it was done: examples/suzanne.py"
    )
    return 0


def command_line(arguments: list[str]) -> str:
    return subprocess.list2cmdline(arguments) if os.name == "nt" else shlex.join(arguments)


COMMANDS: dict[str, Callable[[], int]] = {
    "": build,
    "test": test,
    "test engine": partial(test, "engine"),
    "test blender": partial(test, "blender"),
    "test window": partial(test, "window"),
    "test lint": partial(test, "lint"),
    "blenders": blenders,
    "demo": demo,
}


def main(arguments: list[str]) -> int:
    command = " ".join(arguments)
    try:
        if command not in COMMANDS:
            raise BuildError(f"`build.py {command}` is not a command.\n\n{__doc__}")
        problem = wrong_python(command)
        if problem:
            raise BuildError(problem)
        return COMMANDS[command]()
    except BuildError as error:
        print(f"\n{error}", file=sys.stderr)
    except OSError as error:
        print(f"\n{explain_os_error(error)}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nInterrupted. What is unfinished is made anew the next time.", file=sys.stderr)
        return 130
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
