"""Download one file over HTTPS into a part file that can be resumed. Standard library only.

The caller knows the file's length and checks its hash; here everything that a network does wrong either heals by
itself or becomes a DownloadError that says what to do.
"""

import errno
import http.client
import os
import queue
import re
import shutil
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, NoReturn
from urllib.parse import urlsplit

from ..errors import DownloadError

TIMEOUT = 30.0  # seconds of silence after which a connection counts as broken
ATTEMPTS = 3  # connections in a row without a new byte after which the download gives up
PAUSE = 1.0  # seconds before the second connection, doubled before the next
CHUNK = 1 << 18  # bytes
LOOPBACK = ("localhost", "127.0.0.1", "::1")
AGAIN = "What has arrived is kept: the next attempt goes on from there."


class _Broken(Exception):
    """Connection that is lost; another one may go on."""


class _NoResume(_Broken):
    """Server that does not resume where the part file ends; another connection may bring all of it."""


def download(url: str, part: Path, length: int, report: Callable[[float], None]) -> None:
    """Bring the file `part` to exactly `length` bytes of `url`, going on from the bytes it already has.

    report: hears the fraction done several times a second, also while the server is silent; what it raises ends the
        download within a fraction of a second.
    Raises DownloadError; OSError where `part` cannot be written or has no room. In both cases what arrived stays in
    `part`, unless it cannot be of the right file.
    """
    _check_address(url)
    host = urlsplit(url).hostname
    best, failures = _size(part), 0
    while True:
        have = _size(part)
        if have > length:
            part.unlink()
            have = 0
        if have == length:
            return
        free = shutil.disk_usage(part.parent).free
        if free < length - have:
            said = f"{free / 1e6:,.0f} MB are left, and {(length - have) / 1e6:,.0f} MB are to come"
            raise OSError(errno.ENOSPC, said, str(part.parent))
        try:
            _receive(url, part, have, length, report)
        except _Broken as error:
            if isinstance(error, _NoResume):
                part.unlink(missing_ok=True)
            have = _size(part)
            failures = 0 if have > best else failures + 1
            best = max(best, have)
            if failures == ATTEMPTS:
                raise DownloadError(
                    f"The download from {host} does not get on ({error}), {have / length:.0%} are here. Check the "
                    f"connection and the proxy settings. {AGAIN}"
                ) from error
            end = time.monotonic() + (PAUSE * 2 ** (failures - 1) if failures else 0.0)
            while time.monotonic() < end:
                report(have / length)
                time.sleep(0.1)


class Page(NamedTuple):
    """Small answer, complete."""

    url: str  # where it came from in the end
    kind: str  # content type
    content: bytes


def read_page(url: str, accept: str, limit: int, report: Callable[[], None]) -> Page:
    """Fetch a small document into memory.

    accept: the content types that are understood. limit: bytes above which it is refused. report: called several times
        a second, also while the server is silent; what it raises ends the download.
    Raises DownloadError.
    """
    _check_address(url)
    request = urllib.request.Request(url, headers={"User-Agent": "iSeg", "Accept": accept})
    content = bytearray()
    try:
        with closing(_converse(request, report)) as stream:
            head = next(stream)
            assert isinstance(head, http.client.HTTPResponse)
            for chunk in stream:
                assert isinstance(chunk, bytes)
                report()
                content += chunk
                if len(content) > limit:
                    raise DownloadError(f"{url} is longer than the {limit:,} bytes that were expected.")
            length = _extent(head)[1]
            if length is not None and len(content) < length:
                raise _Broken("the connection was cut")
            return Page(head.geturl(), head.headers.get_content_type(), bytes(content))
    except _Broken as error:
        raise DownloadError(
            f"{urlsplit(url).hostname} cannot be reached ({error}). Check the connection and the proxy settings."
        ) from error


def _receive(url: str, part: Path, have: int, length: int, report: Callable[[float], None]) -> None:
    """Append to `part` what one connection brings, beginning at byte `have`. Raises _Broken when it ends early."""
    headers = {"User-Agent": "iSeg", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with closing(_converse(urllib.request.Request(url, headers=headers), lambda: report(have / length))) as stream:
        head = next(stream)
        assert isinstance(head, http.client.HTTPResponse)
        if head.headers.get_content_type() == "text/html":
            raise DownloadError(
                f"{urlsplit(url).hostname} answered with a web page instead of the file: probably the login page of "
                "this network. Open a browser, sign in, and try again."
            )
        begin, total = _extent(head)
        if begin not in (0, have):
            raise _NoResume("the server sent another part than it was asked for")
        if total is not None and total != length:
            raise _wrong_length(url, f"{total:,}", length)
        have = begin  # 0 where the server cannot resume: then all of it comes again
        with open(part, "ab" if have else "wb") as file:
            for chunk in stream:
                assert isinstance(chunk, bytes)
                if have + len(chunk) > length:
                    file.truncate(0)
                    raise _wrong_length(url, "more", length)
                file.write(chunk)
                have += len(chunk)
                report(have / length)
            file.flush()
            os.fsync(file.fileno())  # it is renamed next: after a power cut, no new name without the bytes
    if have < length:
        raise _Broken("the connection was cut")


def _converse(
    request: urllib.request.Request, idle: Callable[[], None]
) -> Generator[http.client.HTTPResponse | bytes, None, None]:
    """Yield the answer's head, then its bytes; calls `idle` several times a second while nothing comes.

    The talking is done by a thread of its own, for a read from a silent server blocks and cannot be called off.
    Raises _Broken where the connection is lost and DownloadError where trying again is of no use.
    """
    box: queue.Queue = queue.Queue(maxsize=16)
    stop = threading.Event()

    def put(item) -> None:
        while not stop.is_set():
            try:
                return box.put(item, timeout=0.2)
            except queue.Full:
                pass

    def talk() -> None:
        try:
            opener = urllib.request.build_opener(_SameHost)  # its other handlers bring the user's proxy settings
            with opener.open(request, timeout=TIMEOUT) as response:
                put(response)
                while not stop.is_set() and (chunk := response.read1(CHUNK)):
                    put(chunk)
            put(None)
        except Exception as error:
            put(error)

    threading.Thread(target=talk, name="iseg-download", daemon=True).start()
    try:
        while True:
            try:
                item = box.get(timeout=0.1)
            except queue.Empty:
                idle()
                continue
            if item is None:
                return
            if isinstance(item, Exception):
                _raise(item, request.full_url)
            yield item
    finally:
        stop.set()


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Handler that follows a redirect only within the host that was asked, and never from HTTPS to HTTP."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if (old.scheme, old.hostname) != (new.scheme, new.hostname):
            raise DownloadError(
                f"{old.hostname} redirects the download to {new.scheme}://{new.hostname}, which is not followed. If "
                "this network has a login page, open a browser, sign in, and try again."
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_address(url: str) -> None:
    parts = urlsplit(url)
    if not (parts.scheme == "https" and parts.hostname or parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise DownloadError(f"Downloads are made over HTTPS only, and {url} is not such an address.")


def _extent(head: http.client.HTTPResponse) -> tuple[int, int | None]:
    """Read from the answer's head the first byte's offset, and the whole file's length where the server tells it."""
    if head.status == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", head.headers.get("Content-Range", "").strip())
        if not found:
            return -1, None
        return int(found[1]), None if found[2] == "*" else int(found[2])
    length = head.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _raise(error: Exception, url: str) -> NoReturn:
    """Translate an exception of urllib to the download's own, and raise that."""
    host = urlsplit(url).hostname
    reason = getattr(error, "reason", error)  # URLError wraps what went wrong
    if isinstance(error, urllib.error.HTTPError):
        if error.code == 416:
            raise _NoResume("the server says that its file is shorter") from error
        if error.code >= 500 or error.code in (408, 429):
            raise _Broken(f"the server answers {error.code} {error.reason}") from error
        raise DownloadError(
            f"{host} refuses {url} ({error.code} {error.reason}). If a proxy stands in between, ask for access."
        ) from error
    if isinstance(reason, ssl.SSLCertVerificationError):
        raise DownloadError(
            f"The certificate of {host} is not trusted here ({reason.verify_message}). Check the computer's clock; "
            "where a company's proxy reads HTTPS, name its certificate file in the environment variable SSL_CERT_FILE."
        ) from error
    if isinstance(reason, TimeoutError):
        raise _Broken(f"{host} was silent for {TIMEOUT:.0f} s") from error
    if isinstance(error, (OSError, http.client.HTTPException)):  # URLError is an OSError
        raise _Broken(str(reason) or type(reason).__name__) from error
    raise error


def _wrong_length(url: str, found: str, expected: int) -> DownloadError:
    return DownloadError(
        f"{urlsplit(url).hostname} does not offer the official file of {expected:,} bytes but one of {found}, which "
        "was not kept. Try again from another network."
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
