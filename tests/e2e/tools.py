"""Things that every end-to-end test needs: waiting for a state, free ports, ffprobe, what /proc knows of a process."""
import hashlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MS_BUILD", ROOT / "build")).resolve()
MEDIA = pathlib.Path(os.environ.get("MS_MEDIA", BUILD / "media")).resolve()
CORPORA = ROOT.parent / "shared" / "corpora"
# Runs that share the tests (shards.py) have ports of their own.
_PART, _PARTS = (int(n) for n in os.environ.get("MS_PART", "1/1").split("/"))
PORTS = range(21600 + (_PART - 1) * (390 // _PARTS), 21600 + _PART * (390 // _PARTS))
SANITIZED = BUILD.name in ("asan", "tsan")
# How much longer than on an idle machine everything may take: others use the processors too, and sanitizers slow it all down.
SLOW = float(os.environ.get("MS_SLOW", "9" if SANITIZED else "3"))


class Late(AssertionError):
    """A state that was waited for did not come in time."""


def wait_for(what, condition, timeout=10.0, every=0.05):
    """Returns the first true value of condition(); what says in words what was waited for."""
    deadline = time.monotonic() + timeout * SLOW
    last = None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = value
        except (OSError, ValueError, KeyError, IndexError) as e:
            last = e
        if time.monotonic() > deadline:
            raise Late(f"not within {timeout * SLOW:.0f} s: {what} (last: {last!r})")
        time.sleep(every)


def in_one_of(n, attempt):
    """What attempt() gives the first time that it does not fail, of n times: for what other programs that fill the processors can spoil, such as packets of UDP."""
    for left in reversed(range(n)):
        try:
            return attempt()
        except AssertionError:
            if not left:
                raise


_next_port = PORTS.start + os.getpid() * 7 % len(PORTS)


def free_port(kind=socket.SOCK_STREAM):
    """A port of our range that nobody listens on; each one is given once in a process."""
    global _next_port
    for _ in PORTS:
        _next_port = PORTS.start + (_next_port + 1 - PORTS.start) % len(PORTS)
        with socket.socket(socket.AF_INET, kind) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", _next_port))
                return _next_port
            except OSError:
                continue
    raise OSError("no free port")


def media(name):
    path = MEDIA / name
    assert path.exists(), f"{path} is missing: scripts/make-media {MEDIA}"
    return str(path)


def run(*cmd, timeout=60, ok=True, **kw):
    """Runs a command to its end; its output stands in the failure."""
    p = subprocess.run([str(c) for c in cmd], capture_output=True, text=True, timeout=timeout * SLOW, **kw)
    if ok:
        assert p.returncode == 0, f"{' '.join(map(str, cmd))}: {p.returncode}\n{p.stdout[-2000:]}\n{p.stderr[-4000:]}"
    return p


def ffprobe(source, *options, entries="stream", timeout=30):
    """ffprobe's JSON."""
    p = run("ffprobe", "-v", "error", *options, "-show_entries", entries, "-of", "json", source, timeout=timeout)
    return json.loads(p.stdout)


# What ffmpeg says about streams that are right: it reads the init segment again with each live playlist.
NOISE = ("Found duplicated MOOV Atom. Skipped it", "Last message repeated")


def decode(source, *options, seconds=None, timeout=60):
    """Decodes everything with ffmpeg and returns what it complained about: "" is good."""
    limit = ["-t", seconds] if seconds else []
    p = run("ffmpeg", "-nostdin", "-v", "warning", "-xerror", *options, "-i", source, *limit, "-f", "null", "-", timeout=timeout, ok=False)
    complaints = "".join(line for line in p.stderr.splitlines(True) if not any(n in line for n in NOISE))
    return complaints if p.returncode == 0 else complaints + f"\nexit {p.returncode}"


def sha1(data):
    return hashlib.sha1(data).hexdigest()


def alive(pid):
    """Is there such a process, not counting what only waits to be reaped?"""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def kill(pid, signo=signal.SIGKILL):
    """Of a process that may be gone already."""
    try:
        os.kill(pid, signo)
    except ProcessLookupError:
        pass


def cpu_seconds(pid):
    """CPU of all threads, user and system, from schedstat."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total / 1e9


def private_kb(pid):
    """Private memory, clean and dirty, and swapped."""
    total = 0
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(("Private_", "Swap:")):
            total += int(line.split()[1])
    return total


def stop(process, timeout=10.0):
    """SIGTERM, then SIGKILL; returns the exit code."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.returncode
