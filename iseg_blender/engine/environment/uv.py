"""uv, which makes Python environments (docs.astral.sh/uv): found on the PATH, or fetched from PyPI; and run.

What is fetched is the pinned wheel of this platform, from the user's package index, and nothing of it is run before
its sha256 is the one below.
"""

import hashlib
import json
import os
import platform
import queue
import re
import shutil
import signal
import subprocess
import threading
import zipfile
from collections.abc import Callable, Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

from ...core import DownloadError, EngineError, atomic_write, clean_environment, download, read_page
from .uv_errors import explain

VERSION = "0.13.9"
PYPI = "https://pypi.org/simple"
PAGE_LIMIT = 64_000_000  # bytes of the index's page about uv; PyPI's has 2.6 million
JSON = "application/vnd.pypi.simple.v1+json"
BY_HAND = "Or install uv yourself (docs.astral.sh/uv): iSeg uses one that it finds on the PATH."
TICK = 0.2  # seconds between two looks at whether to go on

# The user's settings of uv that reach it: where packages come from, and how. Any other could lead it to another place.
PASSED = (
    "UV_INDEX",
    "UV_DEFAULT_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_KEYRING_PROVIDER",
    "UV_INSECURE_HOST",
    "UV_HTTP",
    "UV_OFFLINE",
    "UV_SYSTEM_CERTS",
    "UV_NATIVE_TLS",
    "UV_CONCURRENT",
    "UV_LINK_MODE",
    "UV_TORCH_BACKEND",
    "UV_PYTHON_INSTALL_MIRROR",
    "UV_ASTRAL_MIRROR_URL",
)


class Wheel(NamedTuple):
    """The wheel of uv for a platform."""

    platform: str
    bytes: int
    sha256: str

    @property
    def file(self) -> str:
        return f"uv-{VERSION}-py3-none-{self.platform}.whl"


WHEELS = {
    ("Linux", "x86_64"): Wheel(
        "manylinux_2_17_x86_64.manylinux2014_x86_64",
        17_606_939,
        "d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19",
    ),
    ("Linux", "aarch64"): Wheel(
        "manylinux_2_28_aarch64", 16_864_124, "ecb6028d79dc96fbeafffe5c8af62a7099487ebc05a701e76714eebcffd06375"
    ),
    ("Darwin", "x86_64"): Wheel(
        "macosx_10_12_x86_64", 17_529_974, "c16ed11e013557536b3e60065f1b912f6407bd6518e041b961e23ef9e6b4fbf5"
    ),
    ("Darwin", "arm64"): Wheel(
        "macosx_11_0_arm64", 14_660_755, "66c512266d633bef48384a1f53003f41f2a8e7b36fe6e7fbfd3e0fd52d96fa63"
    ),
    ("Windows", "AMD64"): Wheel(
        "win_amd64", 15_662_317, "6a44b2ed8111d2f60d2b92627c5dccda3f7ed7570b18ce115e569cd68c28246b"
    ),
    ("Windows", "ARM64"): Wheel(
        "win_arm64", 15_841_844, "eeb92051c2123b9730c46b04cc843cfa4bc7d7b0aec56df431a2215ef4cb0273"
    ),
}
PROGRAM = "uv.exe" if os.name == "nt" else "uv"


# ---- Having it ----


def obtain(folder: Path, report: Callable[[float], None]) -> Path:
    """The program uv: one on the PATH that is new enough, the one kept in `folder`, else one that is fetched into it.

    report: hears the fraction done several times a second; what it raises ends the work.
    Raises EngineError, OSError.
    """
    kept = folder / VERSION / PROGRAM
    found = on_path()
    if found is not None:
        return found
    if version_of(kept) is not None:  # else it is damaged, and takes its own place again
        return kept
    if os.environ.get("UV_OFFLINE", "0").lower() not in ("", "0", "false"):
        raise EngineError(f"UV_OFFLINE forbids fetching uv. Set it back, then try again. {BY_HAND}")
    wheel = WHEELS.get((platform.system(), platform.machine()))
    if wheel is None or (platform.system() == "Linux" and platform.libc_ver()[0] != "glibc"):
        raise EngineError(
            f"There is no uv to fetch for {platform.system()} {platform.machine()}. Install uv yourself "
            "(docs.astral.sh/uv), or choose an existing Python or a command in the preferences."
        )
    kept.parent.mkdir(parents=True, exist_ok=True)
    part = kept.parent / (wheel.file + ".part")
    try:
        url = find(wheel.file, lambda: report(0.0))
        for _ in range(2):  # a beginning from an earlier time may be damaged: then once more, all of it
            inherited = part.exists()
            download(url, part, wheel.bytes, report)
            digest = hashlib.sha256(part.read_bytes()).hexdigest()
            if digest == wheel.sha256:
                break
            part.unlink()
            if not inherited:
                raise DownloadError(
                    f"What arrived as {wheel.file} is not the official file (sha256 {digest}) and was deleted. "
                    "Something between here and the server changes downloads: try another network."
                )
        else:
            raise DownloadError(f"{wheel.file} does not arrive whole. Try another network.")
    except DownloadError as error:
        raise EngineError(f"{error} {BY_HAND}") from error
    with zipfile.ZipFile(part) as archive, atomic_write(kept) as file:
        file.write(archive.read(f"uv-{VERSION}.data/scripts/{PROGRAM}"))
        if os.name != "nt":
            os.fchmod(file.fileno(), 0o755)  # before it has its name: there is never one that cannot be run
    part.unlink()
    return kept


def on_path() -> Path | None:
    """A uv on the user's PATH of at least the pinned version."""
    found = shutil.which("uv")
    version = version_of(Path(found)) if found is not None else None
    wanted = tuple(map(int, VERSION.split(".")))
    return Path(found) if found is not None and version is not None and version >= wanted else None


def version_of(program: Path) -> tuple[int, ...] | None:
    """What a uv says of itself; None where it is not there, or does not run."""
    flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=5, creationflags=flags)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    match = re.match(r"uv (\d+)\.(\d+)\.(\d+)", said.stdout)
    return tuple(map(int, match.groups())) if match else None


def index() -> str:
    """The address of the package index: the one the user's uv would use."""
    chosen = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("UV_INDEX_URL") or PYPI
    return re.sub(r"^[\w-]+=", "", chosen.strip()).rstrip("/")  # it may have a name: company=https://...


def find(file: str, report: Callable[[], None]) -> str:
    """The address of a file of uv in the package index (PEP 503 and 691). Raises DownloadError."""
    address = f"{index()}/uv/"
    parts = urlsplit(address)
    if parts.username is not None:
        raise DownloadError(f"The package index {parts.hostname} asks for a password, which iSeg does not send.")
    page = read_page(address, f"{JSON}, text/html;q=0.5", PAGE_LIMIT, report)
    try:
        if page.kind == JSON:
            links = [entry["url"] for entry in json.loads(page.content)["files"]]
        else:
            links = _links(page.content.decode())
    except (ValueError, KeyError, TypeError) as error:
        raise DownloadError(f"{parts.hostname} does not answer as a package index does ({error}).") from error
    for link in links:
        url = urljoin(page.url, str(link)).partition("#")[0]
        if unquote(urlsplit(url).path).rpartition("/")[2] == file:
            return url
    raise DownloadError(f"The package index {parts.hostname} does not offer {file}.")


def _links(page: str) -> list[str]:
    """The targets of an HTML page's links."""
    found = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend(value for name, value in attrs if tag == "a" and name == "href" and value)

    Parser().feed(page)
    return found


# ---- Running it ----


def settings(folder: Path, cache: Path, own_python: Path | None = None) -> dict[str, str]:
    """The environment that uv runs in.

    folder: where Pythons go that it fetches. cache: where it keeps packages. own_python: the folder of Blender's own
    Python, which it must not find.
    """
    kept = {n: v for n, v in clean_environment().items() if not n.startswith("UV_") or n.startswith(PASSED)}
    if own_python is not None:
        entries = kept.get("PATH", "").split(os.pathsep)
        kept["PATH"] = os.pathsep.join(e for e in entries if not e or not Path(e).is_relative_to(own_python))
    if kept.setdefault("UV_TORCH_BACKEND", "auto") == "":
        del kept["UV_TORCH_BACKEND"]  # torch as the package index has it
    kept.setdefault("UV_SYSTEM_CERTS", "1")  # those that the user's browser trusts, a company's, too
    return kept | {
        "UV_CACHE_DIR": str(cache),
        "UV_PYTHON_INSTALL_DIR": str(folder),
        "UV_PYTHON_INSTALL_BIN": "0",
        "UV_PYTHON_INSTALL_REGISTRY": "0",
        "UV_NO_PROGRESS": "1",
        "NO_COLOR": "1",
    }


def run(
    command: Sequence[str | Path], environment: Mapping[str, str], folder: Path, tick: Callable[[str], None]
) -> None:
    """Run uv to its end.

    folder: it works there. tick: hears every line that it prints, and an empty text several times a second; what it
    raises ends uv and everything that uv has started, at once.
    Raises EngineError with the sentence for what went wrong.
    """
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=os.name != "nt",
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    said: list[str] = []

    def listen() -> None:
        assert process.stdout is not None
        with process.stdout as stdout:
            for line in stdout:
                lines.put(line)
        lines.put(None)

    threading.Thread(target=listen, name="iseg uv", daemon=True).start()
    try:
        while True:
            try:
                line = lines.get(timeout=TICK)
            except queue.Empty:
                line = ""
                if process.poll() is not None:  # it has ended, and a child of it holds the pipe
                    break
            if line is None:
                break
            said.extend([line] if line else [])
            tick(line.rstrip())
        code = process.wait(10)
    except BaseException:
        end(process)
        raise
    if code < 0:
        raise EngineError(f"uv was ended by signal {-code}, by someone else or because memory ran out. Try again.")
    if code:
        raise EngineError(explain("".join(said)))


def end(process: subprocess.Popen[str]) -> None:
    """End a process and its children by force."""
    try:
        if os.name == "nt":
            flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)
            command = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
            subprocess.run(command, capture_output=True, creationflags=flags)
        else:
            os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        pass  # it has ended by itself
    process.wait(10)


class Downloads:
    """How much has arrived, from the lines that uv prints and what grows in its cache.

    uv names a package and its size when it begins to fetch it, and again when it has it. In between, what it unpacks
    grows in a folder of the cache; UNPACKED is by how much a package grows when it is unpacked.
    """

    UNPACKED = 1.8  # measured with the CUDA build of PyTorch: 2.68 GiB fetched, 4.84 GB on the disk
    LINE = re.compile(r"\s*(Downloading|Downloaded) (\S+)(?: .*?\(?([\d.]+)([KMGT]?)i?B\)$)?")

    def __init__(self) -> None:
        self._coming: dict[str, float] = {}  # bytes to fetch of a package that is not complete
        self._here = 0.0

    def hear(self, line: str) -> None:
        match = self.LINE.match(line)
        if match and match[1] == "Downloading" and match[3]:
            self._coming[match[2]] = float(match[3]) * 1024 ** " KMGT".index(match[4] or " ")
        elif match and match[1] == "Downloaded":
            self._here += self._coming.pop(match[2], 0.0)

    @property
    def total(self) -> float:
        """Bytes that are known to have to come."""
        return self._here + sum(self._coming.values())

    def fraction(self, unpacked: int) -> float:
        """What of them is here; 0 where nothing is known. unpacked: bytes in the cache of packages not complete."""
        if not self.total:
            return 0.0
        arriving = min(unpacked / self.UNPACKED, sum(self._coming.values()))
        return (self._here + arriving) / self.total
