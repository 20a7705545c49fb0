"""Error messages of uv as sentences with a remedy; uv's own words follow in brackets."""

import errno
import platform
import re
from urllib.parse import urlsplit

AGAIN = "then try again: what has arrived is kept"
IN_USE = (
    "Another program holds a file of the engine's environment, a virus scanner most often. Wait until it is done, or "
    "tell it to leave that folder alone, and end other Blenders"
)
NO_SPACE = r"No space left on device|os error 28\b|os error 112\b|Disk quota exceeded|os error 122\b"
READ_ONLY = r"Permission denied|os error 13\b|Read-only file system|os error 30\b|os error 5\b|Access is denied"
TOO_LONG = r"File name too long|os error 36\b|os error 206\b|os error 3\b"
CERTIFICATE = r"certificate|UnknownIssuer"
REFUSED = r"status client error \(40[137]|HTTP status client error|401 Unauthorized|403 Forbidden"
UNREACHED = r"error sending request|Failed to fetch|dns error|timed out|Network connectivity is disabled"
SLOW = r"network timeout|UV_HTTP_TIMEOUT"
HELD = r"os error 32\b|os error 33\b|used by another process"
NO_WHEEL = r"Because (\S+?)(?:==\S+)? has no (?:usable )?wheels"
NOT_THERE = r"there is no version of ([^\s=]+)|Because (\S+) was not found in the"


def explain(output: str) -> str:
    """Return the sentence for the output of a uv that failed."""
    detail = _detail(output)
    address = re.search(r"https?://[^\s`)>]+", detail)
    host = (urlsplit(address[0]).hostname if address else None) or "The package index"

    if re.search(NO_SPACE, output):
        return f"The disk is full. Make room, {AGAIN}. ({detail})"
    if re.search(r"[Hh]ash mismatch", output):
        return (
            "A package that arrived is not the one that was asked for, and was not installed. Something between here "
            f"and the server changes downloads: try another network. ({detail})"
        )
    if re.search(SLOW, output):
        return (
            "The connection is too slow: what was asked for did not come in time. Set the environment variable "
            f"UV_HTTP_TIMEOUT to 600 (seconds), start Blender again, {AGAIN}. ({detail})"
        )
    if re.search(HELD, output):
        return f"{IN_USE}, {AGAIN}. ({detail})"
    if re.search(CERTIFICATE, detail):
        return (
            f"The certificate of {host} is not trusted here. Check the computer's clock; where a company's proxy reads "
            f"HTTPS, name its certificate file in the environment variable SSL_CERT_FILE, {AGAIN}. ({detail})"
        )
    if re.search(REFUSED, detail):
        return (
            f"{host} refuses access. Where a proxy stands in between, or the index asks for a password, check that, "
            f"{AGAIN}. ({detail})"
        )
    missing = re.search(NO_WHEEL, output)
    if missing:
        return (
            f"There is no build of {missing[1]} for {platform.system()} {platform.machine()} where uv looks. The "
            "engine runs on 64-bit Linux and Windows (x86-64) and on Apple-silicon Macs; elsewhere choose Command in "
            f"the preferences and let another machine compute. ({detail})"
        )
    missing = re.search(NOT_THERE, output)
    if missing:
        return (
            f"The package index does not offer {missing[1] or missing[2]} as it is needed. Check UV_DEFAULT_INDEX and "
            f"its like where they are set, {AGAIN}. ({detail})"
        )
    if host == "download.pytorch.org":
        return (
            "PyTorch's own index, download.pytorch.org, cannot be reached. Check the connection and the proxy settings "
            "(HTTPS_PROXY), or set the environment variable UV_TORCH_BACKEND to nothing, which takes PyTorch from "
            f"your package index, {AGAIN}. ({detail})"
        )
    if re.search(UNREACHED, detail):
        return (
            f"{host} cannot be reached. Check the connection and the proxy settings (HTTPS_PROXY), {AGAIN}. ({detail})"
        )
    if re.search(READ_ONLY, output):
        return f"A file cannot be written. Give yourself the right to write there, {AGAIN}. ({detail})"
    if re.search(TOO_LONG, output):
        return (
            "A file's path is too long for this system. On Windows turn on long paths (search the web for 'enable long "
            f"paths Windows'), {AGAIN}; or choose an existing Python in the preferences. ({detail})"
        )
    if re.search(r"No interpreter found|No download found", output):
        return (
            "There is no Python that fits: 3.11, 3.12 or 3.13 is needed. Install one from python.org, or choose an "
            f"existing Python in the preferences. ({detail})"
        )
    return f"uv failed for a reason that iSeg does not know; try again. It said: {detail}"


def explain_os_error(error: OSError) -> str:
    """Return the sentence for an error of the operating system."""
    said = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or getattr(error, "winerror", None) == 112:
        return f"The disk is full. Make room, {AGAIN}. ({said})"
    if getattr(error, "winerror", None) in (32, 33):  # EACCES, too
        return f"{IN_USE}, {AGAIN}. ({said})"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            "The folder of the engine's environment cannot be written to. Give yourself the right to write there, and "
            f"end what uses its files, {AGAIN}. ({said})"
        )
    return f"A file cannot be read or written ({said}). End what uses it, {AGAIN}."


def _detail(output: str) -> str:
    """Extract uv's reasons, from the first error on, without passwords in addresses."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    begin = next((n for n, line in enumerate(lines) if line.startswith(("error:", "×"))), max(len(lines) - 6, 0))
    reasons = [re.sub(r"^([×├╰│─▶ ]+|error: |cause: )+", "", line) for line in lines[begin : begin + 8]]
    text = " ".join(line for line in reasons if not line.startswith("hint:"))
    return re.sub(r"//[^/\s@]+@", "//", text)[:600]
