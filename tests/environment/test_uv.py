"""uv: fetched, checked and run; and what is said about what it says."""

import errno
import hashlib
import http.server
import io
import json
import os
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest
from support.engine import until
from support.environment import REPORT, begin, done, failed


class Index:
    """A package index on this machine that offers a wheel of uv, and misbehaves."""

    def __init__(self, wheel: bytes, file: str):
        self.wheel, self.file, self.asked, self.kind = wheel, file, [], "json"
        self.cut: int | None = None
        self.silent = threading.Event()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                owner.asked.append(self.path)
                owner.answer(self)
                self.close_connection = True

            def log_message(self, format, *args):
                pass

        self.web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.web.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.web.server_address[1]}/simple"
        self.thread = threading.Thread(target=self.web.serve_forever, args=(0.02,))
        self.thread.start()

    def answer(self, handler: Any) -> None:
        kind, body, begin = "application/octet-stream", self.wheel, 0
        if handler.path == "/simple/uv/":
            if self.kind == "silent":
                self.silent.wait(30)
                return None
            if self.kind == "404":
                return handler.send_error(404)
            listed = {"name": "uv", "files": [{"url": f"../../files/{self.file}#sha256=0", "filename": self.file}]}
            pages = {
                "json": ("application/vnd.pypi.simple.v1+json", json.dumps(listed)),
                "html": (
                    "text/html",
                    f'<a href="/other.whl">o</a><a href="/files/{self.file}#sha256=0">{self.file}</a>',
                ),
                "empty": ("text/html", "<html></html>"),
                "junk": ("application/vnd.pypi.simple.v1+json", "{}"),
            }
            kind, text = pages[self.kind]
            body = text.encode()
        elif handler.headers.get("Range"):
            begin = int(handler.headers["Range"].removeprefix("bytes=").rstrip("-"))
        handler.send_response(206 if begin else 200)
        if begin:
            handler.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body) - begin))
        handler.end_headers()
        cut, self.cut = (self.cut, None) if body is self.wheel else (None, self.cut)
        handler.wfile.write(body[begin : begin + cut if cut is not None else None])


@pytest.fixture
def index(iseg, fake, monkeypatch, tmp_path) -> Any:
    """No uv on the PATH, and the fake one in a wheel of the index."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"uv-{iseg.uv.VERSION}.data/scripts/uv", fake.program.read_bytes())
        archive.writestr("padding", os.urandom(200_000))
    fake.program.unlink()
    empty = tmp_path / "nothing"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    content = buffer.getvalue()
    wheel = iseg.uv.Wheel("any", len(content), hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(iseg.uv.platform, "system", lambda: "Plan9")
    monkeypatch.setattr(iseg.uv.platform, "machine", lambda: "vax")
    monkeypatch.setitem(iseg.uv.WHEELS, ("Plan9", "vax"), wheel)
    monkeypatch.setattr(sys.modules["iseg_unpacked.iseg_core.system.download"], "PAUSE", 0.0)
    server = Index(content, wheel.file)
    monkeypatch.setenv("UV_DEFAULT_INDEX", server.url)
    monkeypatch.setenv("UV_OFFLINE", "0")  # so that it is restored after a test that sets it
    yield server
    server.silent.set()
    server.web.shutdown()
    server.thread.join()
    server.web.server_close()


@pytest.mark.parametrize("kind", ["json", "html"])
def test_uv_is_fetched_checked_and_kept(iseg, fake, folder, index, kind):
    index.kind = kind
    done(begin(iseg, folder))
    assert index.asked == ["/simple/uv/", f"/files/{index.file}"]
    assert [path.name for path in (folder.path / "uv" / iseg.uv.VERSION).iterdir()] == ["uv"]
    done(begin(iseg, folder))
    assert len(index.asked) == 2


def test_a_kept_uv_that_does_not_run_is_fetched_again(iseg, fake, folder, index, monkeypatch):
    done(begin(iseg, folder))
    kept = folder.path / "uv" / iseg.uv.VERSION / "uv"
    for spoil in (lambda: kept.chmod(0o644), lambda: kept.write_text("#!/nowhere\n")):
        spoil()
        asked = len(index.asked)
        done(begin(iseg, folder))
        assert len(index.asked) == asked + 2 and os.access(kept, os.X_OK)


def test_a_uv_that_is_kept_could_be_run_from_its_first_moment(iseg, fake, folder, index, monkeypatch):
    replace, modes = os.replace, []
    monkeypatch.setattr(
        os, "replace", lambda a, b: (modes.append((Path(b).name, os.access(a, os.X_OK))), replace(a, b))
    )
    done(begin(iseg, folder))
    assert ("uv", True) in modes


def test_an_index_with_a_name(iseg, fake, folder, index, monkeypatch):
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"company={index.url}/")
    done(begin(iseg, folder))


def test_uv_on_a_connection_that_breaks(iseg, fake, folder, index):
    index.cut = 70_000
    done(begin(iseg, folder))
    assert len(index.asked) == 3


@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda index: setattr(index, "wheel", index.wheel[:-1] + b"x"), "is not the official file"),
        (lambda index: setattr(index, "wheel", index.wheel + b"x"), "does not offer the official file"),
        (lambda index: setattr(index, "kind", "404"), "404"),
        (lambda index: setattr(index, "kind", "empty"), "does not offer uv-"),
        (lambda index: setattr(index, "kind", "junk"), "does not answer as a package index does"),
        (lambda index: os.environ.update(UV_DEFAULT_INDEX="http://127.0.0.1:9/simple"), "cannot be reached"),
        (lambda index: os.environ.update(UV_DEFAULT_INDEX="http://example.com/simple"), "over HTTPS only"),
        (lambda index: os.environ.update(UV_OFFLINE="1"), "UV_OFFLINE forbids"),
        (
            lambda index: os.environ.update(UV_DEFAULT_INDEX="https://me:secret@example.com/simple"),
            "asks for a password",
        ),
    ],
    ids=["hash", "length", "404", "not there", "no index", "nobody there", "no HTTPS", "offline", "password"],
)
def test_a_uv_that_is_not_the_right_one_never_runs(iseg, fake, folder, index, spoil, words):
    spoil(index)
    job = begin(iseg, folder)
    failed(job, words, "install uv yourself")
    assert "secret" not in str(job.error)
    assert not fake.calls() and not list(folder.path.glob("uv/*/uv"))
    assert folder.state(("engine",)) is iseg.folder.EnvironmentState.NOT_MADE


def test_a_damaged_beginning_of_uv_is_fetched_again(iseg, fake, folder, index):
    part = folder.path / "uv" / iseg.uv.VERSION / (index.file + ".part")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)
    done(begin(iseg, folder))


def test_cancel_while_the_index_is_silent(iseg, fake, folder, index):
    index.kind = "silent"
    job = begin(iseg, folder)
    until(lambda: index.asked)
    job.close()
    assert job.ended and type(job.error) is iseg.core.Cancelled


def test_no_uv_for_this_platform(iseg, fake, folder, index, monkeypatch):
    monkeypatch.delitem(iseg.uv.WHEELS, ("Plan9", "vax"))
    failed(begin(iseg, folder), "no uv to fetch for Plan9 vax", "choose an existing Python")


@pytest.mark.parametrize(
    "said, used", [("uv 0.13.9", True), ("uv 1.0.0 (abc)", True), ("uv 0.13.8", False), ("", False)]
)
def test_a_uv_on_the_path_is_used_if_it_is_new_enough(iseg, fake, said, used):
    fake.program.write_text(f"#!/bin/sh\necho '{said}'\n")
    assert (iseg.uv.on_path() == fake.program) is used


def test_the_table_of_wheels(iseg):
    assert len({wheel.sha256 for wheel in iseg.uv.WHEELS.values()}) == len(iseg.uv.WHEELS) == 6
    for wheel in iseg.uv.WHEELS.values():
        assert len(wheel.sha256) == 64 and 14e6 < wheel.bytes < 18e6 and wheel.file.startswith(f"uv-{iseg.uv.VERSION}-")


# ---- What is said ----

# What uv 0.13.9 printed when these things were done to it.
DNS = """error: Request failed after 3 retries in 8.8s
  cause: Failed to fetch: https://download.pytorch.org/whl/cpu/torch/
  cause: error sending request for url (https://download.pytorch.org/whl/cpu/torch/)
  cause: client error (Connect)
  cause: dns error"""
SAID = [
    (DNS, "UV_TORCH_BACKEND"),
    (DNS.replace("download.pytorch.org", "pypi.org"), "pypi.org cannot be reached"),
    (DNS.replace("https://", "https://me:secret@").replace("download.pytorch.org", "a.b"), "a.b cannot be reached"),
    (
        "error: Failed to download `scipy==1.17.1`\n  cause: failed to write to file `/tmp/x`: No space left on device "
        "(os error 28)",
        "The disk is full",
    ),
    (
        "error: No solution found when resolving dependencies\n  cause: Because pywin32==306 has no wheels with a "
        "matching platform tag (e.g., `manylinux_2_36_x86_64`) and you require pywin32==306",
        "There is no build of pywin32",
    ),
    (
        "error: No solution found when resolving dependencies\n  cause: Because antlr4-python3-runtime==4.9.3 has no "
        "usable wheels and you require",
        "There is no build of antlr4-python3-runtime",
    ),
    (
        "error: No solution found when resolving dependencies\n  cause: Because there is no version of numpy==99.1 and",
        "does not offer numpy",
    ),
    ("  cause: Because numpy was not found in the package registry and you require", "does not offer numpy"),
    (
        "error: Failed to fetch: https://localhost:8443/simple/numpy/\n  cause: invalid peer certificate: "
        "Other(OtherError(CaUsedAsEndEntity))",
        "certificate of localhost is not trusted",
    ),
    ("error: No interpreter found for Python >=3.11,<3.14 in search path", "Install one from python.org"),
    ("error: Failed to download `x`\n  cause: Hash mismatch for `x`", "was not installed"),
    ("error: failed to create directory `/x`: Permission denied (os error 13)", "right to write"),
    ("error: failed to create file `/x`: Read-only file system (os error 30)", "right to write"),
    ("error: Failed to fetch: https://a.b/c\n  cause: HTTP status client error (403 Forbidden)", "a.b refuses access"),
    ("error: something new", "It said: something new"),
    (
        "Downloading torch (1.7GiB)\n  × Failed to download `torch==2.13.0`\n  ├─▶ I/O operation failed\n  ╰─▶ Failed "
        "to download distribution due to network timeout. Try increasing\n      UV_HTTP_TIMEOUT (current value: 30s).",
        "UV_HTTP_TIMEOUT to 600 (seconds), start Blender again, then try again: what has arrived is kept. (Failed to",
    ),
    (
        "error: Failed to install: x.whl\n  cause: failed to rename file: The process cannot access the file because "
        "it is being used by another process. (os error 32)",
        "a virus scanner most often",
    ),
    ("error: failed to copy file: access is denied, a portion of the file is locked (os error 33)", "a virus scanner"),
    ("", "does not know"),
]


@pytest.mark.parametrize("output, words", SAID)
def test_every_failure_is_a_sentence(iseg, output, words):
    said = iseg.uv_errors.explain(output)
    assert words in said and "secret" not in said
    assert "then try again" in said or any(word in said for word in ("choose", "another network", "try again"))


@pytest.mark.parametrize("number", [32, 33])
def test_a_file_that_a_scanner_holds(iseg, number):
    error: Any = PermissionError(errno.EACCES, "The process cannot access the file")
    error.winerror = number
    assert "a virus scanner most often" in iseg.uv_errors.explain_os_error(error)
    error.winerror = 5
    assert "right to write" in iseg.uv_errors.explain_os_error(error)


def test_how_much_has_arrived(iseg):
    downloads = iseg.uv.Downloads()
    assert downloads.fraction(1000) == 0.0
    for line in ("Resolved 21 packages in 1s", "Downloading torch (200.0MiB)", "Downloading x (100.0MiB)"):
        downloads.hear(line)
    assert downloads.total == 300 * 2**20 and downloads.fraction(0) == 0.0
    assert downloads.fraction(180 * 2**20) == pytest.approx(100 / 300)
    downloads.hear(" Downloaded torch")
    assert downloads.fraction(0) == pytest.approx(200 / 300)
    downloads.hear("Downloading cpython-3.11.18-linux-x86_64-gnu (download) (28.4MiB)")
    assert downloads.total == pytest.approx(328.4 * 2**20)


def test_progress_never_goes_back(iseg, fake, folder):
    fake.plan(
        pip={"says": "Resolved 2 packages\nDownloading torch (200.0MiB)\n Downloaded torch\nDownloading x (9GiB)"}
    )
    seen = []

    def work(job):
        inner, job.report = job.report, lambda stage, fraction: (inner(stage, fraction), seen.append(job.progress))
        order = iseg.make.Order(("engine",), lambda python, job: REPORT)
        return iseg.make.make(folder, order, job)

    done(iseg.job.EnvironmentJob(work))
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions) and "Getting packages (210 MB)" in {progress.stage for progress in seen}
