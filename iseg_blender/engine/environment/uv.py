"""uv, the maker of Python environments (docs.astral.sh/uv): found on the PATH or downloaded from PyPI, and run.

The download is the pinned wheel for this platform, from the user's package index; nothing of it is run before its
SHA-256 has been compared with the one below.
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
TICK = 0.2  # seconds between two checks for cancellation

# The user's settings of uv that are passed on: where packages come from, and how. Others could change where uv works.
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
    """Wheel of uv for a platform."""

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


# ---- Finding or downloading uv ----


def obtain(folder: Path, report: Callable[[float], None]) -> Path:
    """Return the path of uv: one on the PATH that is new enough, else the one in `folder`, downloaded if need be.

    report: called with the fraction done several times a second; an exception from it ends the download.
    Raises EngineError, OSError.
    """
    kept = folder / VERSION / PROGRAM
    found = on_path()
    if found is not None:
        return found
    if version_of(kept) is not None:  # else it is missing or damaged, and is downloaded again
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
        for _ in range(2):  # a partial file of an earlier attempt may be damaged: then download all of it again
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
            os.fchmod(file.fileno(), 0o755)  # before the file gets its final name: under that name it can always run
    part.unlink()
    return kept


def on_path() -> Path | None:
    """Find a uv on the user's PATH of at least the pinned version; None where there is none."""
    found = shutil.which("uv")
    version = version_of(Path(found)) if found is not None else None
    wanted = tuple(map(int, VERSION.split(".")))
    return Path(found) if found is not None and version is not None and version >= wanted else None


def version_of(program: Path) -> tuple[int, ...] | None:
    """Ask a uv for its version; None where the program is missing or does not run."""
    flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=5, creationflags=flags)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    match = re.match(r"uv (\d+)\.(\d+)\.(\d+)", said.stdout)
    return tuple(map(int, match.groups())) if match else None


def index() -> str:
    """Return the address of the package index that the user's own uv would use."""
    chosen = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("UV_INDEX_URL") or PYPI
    return re.sub(r"^[\w-]+=", "", chosen.strip()).rstrip("/")  # the setting may give it a name: company=https://...


def find(file: str, report: Callable[[], None]) -> str:
    """Look up the address of a file of uv in the package index (PEP 503 and 691). Raises DownloadError."""
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
    """List the targets of the links of an HTML page."""
    found = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend(value for name, value in attrs if tag == "a" and name == "href" and value)

    Parser().feed(page)
    return found


# ---- Running uv ----


def settings(folder: Path, cache: Path, own_python: Path | None = None) -> dict[str, str]:
    """Return the environment variables that uv runs with.

    folder: for the Pythons that uv downloads. cache: for its packages. own_python: the folder of Blender's own Python,
    which uv must not find.
    """
    kept = {n: v for n, v in clean_environment().items() if not n.startswith("UV_") or n.startswith(PASSED)}
    if own_python is not None:
        entries = kept.get("PATH", "").split(os.pathsep)
        kept["PATH"] = os.pathsep.join(e for e in entries if not e or not Path(e).is_relative_to(own_python))
    if kept.setdefault("UV_TORCH_BACKEND", "auto") == "":
        del kept["UV_TORCH_BACKEND"]  # take torch from the package index
    kept.setdefault("UV_SYSTEM_CERTS", "1")  # the system's certificates, as in the user's browser; a company's, too
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

    folder: the working directory. tick: called with each line that uv prints, and with an empty text several times a
    second; an exception from it kills uv and its child processes at once.
    Raises EngineError with a sentence for the user.
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
                if process.poll() is not None:  # uv has ended, and a child process of it keeps the pipe open
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
    """Kill a process and its children."""
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
    """Progress of uv's downloads, from the lines that it prints and the size of its cache.

    uv prints the name and the size of a package when its download starts, and its name when it is complete. In between,
    the unpacked files grow in a folder of the cache; UNPACKED is the ratio of unpacked to downloaded size.
    """

    UNPACKED = 1.8  # measured with the CUDA build of PyTorch: 2.68 GiB fetched, 4.84 GB on the disk
    LINE = re.compile(r"\s*(Downloading|Downloaded) (\S+)(?: .*?\(?([\d.]+)([KMGT]?)i?B\)$)?")

    def __init__(self) -> None:
        self._coming: dict[str, float] = {}  # bytes of each package that is not complete
        self._here = 0.0  # bytes of the packages that are complete

    def hear(self, line: str) -> None:
        """Take in a line that uv has printed."""
        match = self.LINE.match(line)
        if match and match[1] == "Downloading" and match[3]:
            self._coming[match[2]] = float(match[3]) * 1024 ** " KMGT".index(match[4] or " ")
        elif match and match[1] == "Downloaded":
            self._here += self._coming.pop(match[2], 0.0)

    @property
    def total(self) -> float:
        """Bytes of all downloads known so far, complete or not."""
        return self._here + sum(self._coming.values())

    def fraction(self, unpacked: int) -> float:
        """Return the downloaded fraction; 0 where no size is known. unpacked: bytes of incomplete packages."""
        if not self.total:
            return 0.0
        arriving = min(unpacked / self.UNPACKED, sum(self._coming.values()))
        return (self._here + arriving) / self.total
