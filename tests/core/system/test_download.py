"""Downloads that go wrong in every way we know, against a server on this machine. Nothing here touches the network."""

import hashlib
import http.server
import json
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from iseg_core.errors import Cancelled, WeightsError
from iseg_core.system import download, folders
from iseg_core.teachers import registry, weights
from iseg_core.teachers.registry import TEACHERS, TeacherEntry, WeightsFile

CONTENT = random.Random(0).randbytes(400_000)
FILE = "tiny.pth"
OFFERED = WeightsFile(f"https://h.example/{FILE}", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), "Tiny", "none")
TINY = TeacherEntry("tiny", "Tiny", "A teacher with weights", ".sam:make", weights=OFFERED)


@dataclass
class Server:
    """Plays the answers of `script` one request after the other; the last one again and again."""

    script: list = field(default_factory=list)
    ranges: list = field(default_factory=list)  # the Range header of every request
    paths: list = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)  # ends silences
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


def answer(content=CONTENT, cut=None, silent=False, ranges=True, length=True, status=200, kind="binary/octet-stream"):
    """An answer: `cut` bytes of the body, after which the server hangs up, or keeps silent."""

    def send(handler, server):
        begin = 0
        asked = handler.headers.get("Range")
        if ranges and asked and status == 200:
            begin = int(asked.removeprefix("bytes=").rstrip("-"))
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        else:
            handler.send_response(status)
        body = content[begin:]
        handler.send_header("Content-Type", kind)
        if length:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body if cut is None else body[:cut])
        handler.wfile.flush()
        if silent:
            server.release.wait(30)

    return send


def redirect(target):
    def send(handler, server):
        handler.send_response(302)
        handler.send_header("Location", target.format(port=server.port))
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return send


@pytest.fixture
def server():
    server = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            server.ranges.append(self.headers.get("Range"))
            server.paths.append(self.path)
            script = server.script
            (script.pop(0) if len(script) > 1 else script[0])(self, server)
            self.close_connection = True

        def do_CONNECT(self):
            server.paths.append(self.path)
            self.send_error(403)

        def log_message(self, format, *args):
            pass

    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.daemon_threads = True
    server.port = web.server_address[1]
    thread = threading.Thread(target=web.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.release.set()
    web.shutdown()
    thread.join()
    web.server_close()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A cache of our own, one small file as the only official one, and no pauses."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ISEG_CACHE", str(tmp_path / "cache with späce"))
    monkeypatch.setattr(download, "PAUSE", 0.0)
    few = {name: TEACHERS[name] for name in ("geometric", "sam_vit_b")} | {"tiny": TINY}
    with patch.dict(TEACHERS, few, clear=True):  # which puts them back in their order
        yield weights.weights_folder()


def arrived(folder):
    path = folder / FILE
    return path.exists() and path.read_bytes() == CONTENT


def refused(server, folder, match, **keywords):
    """fetch must refuse, and the file must not be there under its name."""
    with pytest.raises(WeightsError, match=match) as error:
        weights.fetch("tiny", base_url=server.url, **keywords)
    assert not (folder / FILE).exists()
    return str(error.value)


def test_official_files():
    official = registry.weights_files()["sam_vit_b"]
    assert official.url == "https://dl.fbaipublicfiles.com/segment_anything/sam_vit_b_01ec64.pth"
    assert official.host == "dl.fbaipublicfiles.com" and official.file == "sam_vit_b_01ec64.pth"
    assert official.size == "375 MB" and official.licence == "Apache-2.0"
    assert registry.readable_size(2_564_550_879) == "2.6 GB"


def test_whole_file_then_no_second_download(server, folder):
    server.script = [answer()]
    seen = []
    path = weights.fetch("tiny", progress=seen.append, base_url=server.url)
    assert path == folder / FILE and arrived(folder)
    assert not list(folder.glob("*.part"))
    assert {p.stage for p in seen} == {"download", "check"}
    fractions = [p.fraction for p in seen]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert weights.fetch("tiny", base_url=server.url) == path
    assert server.ranges == [None]
    assert weights.locate("tiny") == (TINY, path)
    assert weights.locate(path) == (TINY, path)


@pytest.mark.parametrize("silent", [False, True], ids=["cut", "stalled"])
def test_broken_connection_goes_on(server, folder, monkeypatch, silent):
    monkeypatch.setattr(download, "TIMEOUT", 0.3)
    server.script = [answer(cut=150_000, silent=silent), answer()]
    weights.fetch("tiny", base_url=server.url)
    assert arrived(folder)
    assert server.ranges == [None, "bytes=150000-"]


def test_connection_that_never_holds(server, folder):
    server.script = [answer(cut=150_000), answer(cut=0)]
    message = refused(server, folder, "the next attempt goes on")
    assert "38%" in message
    assert (folder / "tiny.pth.part").stat().st_size == 150_000
    assert len(server.ranges) == 1 + download.ATTEMPTS
    server.script, server.ranges = [answer()], []
    weights.fetch("tiny", base_url=server.url)
    assert arrived(folder) and server.ranges == ["bytes=150000-"]


def test_nobody_there(folder):
    with socket.socket() as unused:  # bound but not listening: a port where connections are refused
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(WeightsError, match="Check the connection and the proxy"):
            weights.fetch("tiny", base_url=f"http://127.0.0.1:{unused.getsockname()[1]}/")
    assert not (folder / FILE).exists()


@pytest.mark.parametrize("sent", [None, 100_000], ids=["before the answer", "in the middle"])
def test_cancel_while_the_server_is_silent(server, folder, sent):
    reached = threading.Event()

    def silence(handler, server):
        reached.set()
        server.release.wait(30)

    server.script = [silence if sent is None else answer(cut=sent, silent=True)]
    part = folder / "tiny.pth.part"

    def cancel():
        return reached.is_set() if sent is None else part.exists() and part.stat().st_size > 0

    with pytest.raises(Cancelled):
        weights.fetch("tiny", cancel=cancel, base_url=server.url)
    assert not server.release.is_set() and not (folder / FILE).exists()
    server.release.set()
    server.script = [answer()]
    weights.fetch("tiny", base_url=server.url)  # the lock was let go
    assert arrived(folder)


def test_server_without_ranges(server, folder):
    server.script = [answer(cut=250_000, ranges=False), answer(ranges=False)]
    weights.fetch("tiny", base_url=server.url)
    assert arrived(folder) and server.ranges == [None, "bytes=250000-"]


@pytest.mark.parametrize("fault", ["416", "other range"])
def test_server_that_does_not_resume(server, folder, fault):
    def other_range(handler, server):
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 7-{len(CONTENT) - 1}/{len(CONTENT)}")
        handler.end_headers()
        handler.wfile.write(CONTENT[7:])

    server.script = [answer(cut=100), answer(status=416, content=b"") if fault == "416" else other_range, answer()]
    weights.fetch("tiny", base_url=server.url)
    assert arrived(folder) and server.ranges == [None, "bytes=100-", None]


@pytest.mark.parametrize(
    "target", ["http://localhost:{port}/tiny.pth", "https://127.0.0.1:{port}/", "file:///etc/passwd"]
)
def test_redirect_elsewhere_is_refused(server, folder, target):
    server.script = [redirect(target), answer()]
    assert "--weights FILE" in refused(server, folder, "(?i)redirect")
    assert len(server.paths) == 1


def test_redirect_within_the_host_is_followed(server, folder):
    server.script = [redirect("/elsewhere"), answer()]
    weights.fetch("tiny", base_url=server.url)
    assert arrived(folder) and server.paths == ["/tiny.pth", "/elsewhere"]


@pytest.mark.parametrize(
    "reply, match",
    [
        (answer(CONTENT[:-1]), "does not offer the official file of 400,000 bytes but one of 399,999"),
        (answer(CONTENT + b"x"), "one of 400,001"),
        (answer(CONTENT + b"x" * 100, length=False), "one of more"),
        (answer(CONTENT[:-1], length=False, ranges=False), "does not get on"),
        (answer(b"<html>", kind="text/html; charset=utf-8"), "web page"),
        (answer(status=404, content=b""), "404"),
        (answer(status=403, content=b""), "proxy"),
        (answer(status=503, content=b""), "503"),
    ],
    ids=["short", "long", "long, length not told", "short, length not told", "login page", "404", "403", "503"],
)
def test_another_file_is_refused(server, folder, reply, match):
    server.script = [reply]
    refused(server, folder, match)


def test_resumed_file_of_another_length(server, folder):
    server.script = [answer(cut=1000), answer(CONTENT + b"x")]
    refused(server, folder, "one of 400,001")


def test_wrong_hash(server, folder):
    server.script = [answer(b"x" + CONTENT[1:])]
    refused(server, folder, "is not the official file")
    assert not list(folder.glob("*.part"))
    assert len(server.ranges) == 1  # it began from nothing, so trying again would bring the same


def test_damaged_beginning_from_an_earlier_run(server, folder):
    folder.mkdir(parents=True)
    for left in (b"x" * 1000, b"x" * len(CONTENT), b"x" * (len(CONTENT) + 1)):
        (folder / "tiny.pth.part").write_bytes(left)
        server.script = [answer()]
        weights.fetch("tiny", base_url=server.url)
        assert arrived(folder)
        (folder / FILE).unlink()


def test_damaged_final_file_is_replaced(server, folder):
    folder.mkdir(parents=True)
    (folder / FILE).write_bytes(b"x" * len(CONTENT))
    with pytest.raises(WeightsError, match="fetch tiny` replaces it"):
        weights.locate("tiny")
    server.script = [answer()]
    weights.fetch("tiny", base_url=server.url)
    assert arrived(folder)


def test_no_space_before_the_download(server, folder, monkeypatch):
    usage = shutil.disk_usage(os.getcwd())
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    server.script = [answer()]
    assert "ISEG_CACHE" in refused(server, folder, "Make room")
    assert server.ranges == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full: the disk that is always full is Linux's")
def test_no_space_during_the_download(server, folder):
    folder.mkdir(parents=True)
    (folder / "tiny.pth.part").symlink_to("/dev/full")
    server.script = [answer()]
    assert "ISEG_CACHE" in refused(server, folder, "No space left on device")


def test_folder_that_cannot_be_made(server, folder):
    folder.parent.write_bytes(b"")  # a file where the cache's folder should be
    server.script = [answer()]
    refused(server, folder, "cannot be written")


@pytest.mark.parametrize(
    "address", ["http://example.com/", "ftp://127.0.0.1/", "file:///tmp/", "127.0.0.1", "https://"]
)
def test_only_https(folder, address):
    with pytest.raises(WeightsError, match="HTTPS"):
        weights.fetch("tiny", base_url=address)


def test_user_proxy_for_http(server, folder, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url)
    server.script = [answer()]
    weights.fetch("tiny", base_url="http://localhost:1/")  # nobody listens there
    assert arrived(folder) and server.paths == ["http://localhost:1/tiny.pth"]


def test_user_proxy_for_the_official_address(server, folder, monkeypatch):
    monkeypatch.setenv("https_proxy", server.url)
    with pytest.raises(WeightsError, match="403"):
        weights.fetch("tiny")
    assert set(server.paths) == {"h.example:443"}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl program makes the certificate of this test")
def test_certificate_that_nobody_signed(folder, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -keyout {key} -out {certificate}"
    subprocess.run(command.split(), check=True, capture_output=True)
    web = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    web.socket = context.wrap_socket(web.socket, server_side=True)
    thread = threading.Thread(target=web.serve_forever, args=(0.02,))
    thread.start()
    try:
        with pytest.raises(WeightsError, match="SSL_CERT_FILE"):
            weights.fetch("tiny", base_url=f"https://127.0.0.1:{web.server_address[1]}/")
    finally:
        web.shutdown()
        thread.join()
        web.server_close()


@given(
    cuts=st.lists(st.tuples(st.integers(0, len(CONTENT)), st.booleans(), st.booleans()), max_size=6),
    healed=st.booleans(),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_sequence_of_cuts_ends_well(server, folder, cuts, healed):
    """Either the right file, or a sentence and no file; and once the server is well, always the right file."""
    server.script = [answer(cut=cut, ranges=ranges, length=length) for cut, ranges, length in cuts]
    server.script.append(answer() if healed else answer(cut=0))
    try:
        weights.fetch("tiny", base_url=server.url)
    except WeightsError as error:
        assert "the next attempt goes on" in str(error) and not (folder / FILE).exists()
        server.script = [answer()]
        weights.fetch("tiny", base_url=server.url)
    assert arrived(folder)
    (folder / FILE).unlink()


FETCH = f"""
import sys
from iseg_core.teachers import weights
from iseg_core.teachers.registry import TEACHERS, TeacherEntry, WeightsFile
TEACHERS["tiny"] = {TINY!r}
print(weights.fetch("tiny", base_url=sys.argv[1]))
assert "torch" not in sys.modules
"""


def start(server):
    return subprocess.Popen([sys.executable, "-c", FETCH, server.url], stdout=subprocess.PIPE, text=True)


def test_two_processes_share_one_download(server, folder):
    server.script = [answer(cut=100_000, silent=True), answer()]
    first, second = start(server), start(server)
    while not server.ranges:
        time.sleep(0.01)
    time.sleep(0.3)  # time enough for the other one to come as far, if it could
    assert server.ranges == [None]
    server.release.set()
    assert first.communicate()[0] == second.communicate()[0] == f"{folder / FILE}\n"
    assert (first.returncode, second.returncode) == (0, 0)
    assert arrived(folder) and server.ranges == [None, "bytes=100000-"]


def test_killed_process_leaves_what_arrived(server, folder):
    server.script = [answer(cut=200_000, silent=True), answer()]
    process, part = start(server), folder / "tiny.pth.part"
    while not (part.exists() and part.stat().st_size > 100_000):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    process.communicate()
    assert not (folder / FILE).exists()
    have = part.stat().st_size
    weights.fetch("tiny", base_url=server.url)
    assert arrived(folder) and server.ranges == [None, f"bytes={have}-"]


@pytest.fixture
def hashed(monkeypatch):
    """The paths that were hashed."""
    paths, real = [], weights._sha256
    monkeypatch.setattr(weights, "_sha256", lambda path, report: paths.append(path) or real(path, report))
    return paths


def test_a_checked_file_is_not_hashed_again(tmp_path, hashed):
    path = tmp_path / "mine.pth"
    path.write_bytes(CONTENT)
    for _ in range(3):
        assert weights.verify(path) == TINY
    assert hashed == [path]
    os.utime(path, ns=(0, 12345))
    assert weights.verify(path) == TINY
    assert hashed == [path] * 2
    path.write_bytes(b"x" + CONTENT[1:])
    with pytest.raises(WeightsError, match="none of the official files"):
        weights.verify(path)
    with pytest.raises(WeightsError):  # a refusal is not noted either
        weights.verify(path)
    assert hashed == [path] * 4


def test_a_note_about_another_file_is_worth_nothing(tmp_path, folder, hashed):
    path = tmp_path / "mine.pth"
    path.write_bytes(CONTENT)
    weights.verify(path)
    (note,) = (folder / "checked").iterdir()
    good = json.loads(note.read_bytes())
    for junk in (b"", b"\xff", b"[]", b"null", b"12", json.dumps(good | {"path": "/else"}).encode()):
        hashed.clear()
        note.write_bytes(junk)
        assert weights.verify(path) == TINY
        assert hashed == [path]


def test_cache_that_cannot_be_written_only_costs_time(tmp_path, monkeypatch, hashed):
    path, blocked = tmp_path / "mine.pth", tmp_path / "a file"
    path.write_bytes(CONTENT)
    blocked.write_bytes(b"")
    monkeypatch.setenv("ISEG_CACHE", str(blocked))
    assert weights.verify(path) == weights.verify(path) == TINY
    assert hashed == [path] * 2


def test_check_can_be_cancelled(tmp_path):
    path = tmp_path / "mine.pth"
    path.write_bytes(CONTENT)
    with pytest.raises(Cancelled):
        weights.verify(path, cancel=lambda: True)


def test_missing_weights_say_how_to_get_them(folder):
    with pytest.raises(WeightsError) as error:
        weights.locate("sam_vit_b")
    for words in ("python -m iseg_core fetch sam_vit_b", "375 MB", "Apache-2.0", "--teacher geometric"):
        assert words in str(error.value)


def test_unknown_names_and_foreign_files(tmp_path):
    with pytest.raises(WeightsError, match="sam_vit_b, tiny"):
        weights.locate("sam_vit_x")
    with pytest.raises(WeightsError, match="sam_vit_b, tiny"):
        weights.fetch("sam_vit_x")
    with pytest.raises(WeightsError, match="cannot be read"):
        weights.verify(tmp_path / "missing")
    for content in (b"", b"x", b"x" * len(CONTENT)):
        path = tmp_path / "foreign.pth"
        path.write_bytes(content)
        with pytest.raises(WeightsError, match="not opened"):
            weights.locate(str(path))


def test_cache_folder(monkeypatch, tmp_path):
    assert folders.cache_folder() == tmp_path / "cache with späce"
    monkeypatch.delenv("ISEG_CACHE")
    assert folders.cache_folder().name.lower() in ("iseg", "cache")
