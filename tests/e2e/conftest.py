"""Fixtures of the end-to-end tests. A test that takes longer than its limit fails with a stack, and does not hang."""
import faulthandler
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

import pytest

import tools
from camera import Camera
from gst import GstServer
from server import MediaServer, need_server

TEST_LIMIT_S = 120
pytest_plugins = ["shards"]


def pytest_configure(config):
    config.addinivalue_line("markers", "limit(seconds): most time for this test")
    if not (tools.BUILD / "bin" / "ms-camera").exists():
        pytest.exit(f"no {tools.BUILD}/bin/ms-camera: run make first", 2)


@pytest.fixture(autouse=True)
def limit(request):
    """SIGALRM raises in the test, so that its fixtures still clean up."""
    marker = request.node.get_closest_marker("limit")
    seconds = int((marker.args[0] if marker else TEST_LIMIT_S) * tools.SLOW)

    def late(*_):
        faulthandler.dump_traceback(sys.__stderr__)
        raise tools.Late(f"test took longer than {seconds} s")

    old = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, old)


def pytest_terminal_summary(terminalreporter):
    """Each skipped test with its reason, as scripts/check-skips reads it."""
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        terminalreporter.write_line(f"SKIPPED {report.nodeid}: {' '.join(reason.removeprefix('Skipped: ').split())}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Whoever keeps logs shows them in the failure."""
    outcome = yield
    report = outcome.get_result()
    setattr(item, f"report_{report.when}", report)
    if report.failed:
        for shown in getattr(item, "logs", []):
            report.sections.append(shown())


@pytest.fixture
def camera(request):
    """camera(dict(...), ...) starts ms-camera (camera.py), ended with the test."""
    started = []

    def start(*groups, **one):
        c = Camera(*groups, **one) if groups else Camera(one) if one else Camera()
        started.append(c)
        return c

    yield start
    for c in started:
        c.close()


@pytest.fixture
def gst(request):
    """gst(launch, ...) starts gst-rtsp-server, an independent camera (gst.py)."""
    started = []

    def start(*args, **kw):
        s = GstServer(*args, **kw)
        started.append(s)
        return s

    yield start
    for s in started:
        s.close()


@pytest.fixture
def disk_image():
    """disk_image(MB): the folder where a file system of that size is mounted, until the test ends. Skipped where mounting is not possible."""
    mounted = []
    place = tempfile.TemporaryDirectory(prefix="ms-e2e-disk-")  # pytest closes its own to other users whenever it starts
    top = pathlib.Path(place.name)
    top.chmod(0o755)

    def mount(mb):
        image, folder = top / f"image{len(mounted)}", top / f"disk{len(mounted)}"
        folder.mkdir()
        with open(image, "wb") as f:
            f.truncate(mb << 20)
        tools.run("mkfs.ext4", "-q", "-m", "0", image)
        p = subprocess.run(["mount", "-o", "loop", image, folder], capture_output=True, text=True)
        if p.returncode != 0:
            p = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mb}m", "tmpfs", folder], capture_output=True, text=True)
        if p.returncode != 0:
            pytest.skip(f"cannot mount: {p.stderr.strip()}")
        mounted.append(folder)
        folder.chmod(0o755)
        return folder

    yield mount
    for folder in mounted:
        tools.wait_for("unmounted", lambda f=folder: subprocess.run(["umount", f], capture_output=True).returncode == 0 or not os.path.ismount(f), timeout=10)
    place.cleanup()


@pytest.fixture
def server(request):
    """server({uid: url or keys}, record=True, ...) starts the whole server (server.py), ended with the test. start=False: only prepared."""
    need_server()
    started = []
    request.node.logs = getattr(request.node, "logs", [])

    def make(*args, start=True, **kw):
        s = MediaServer(*args, **kw, start=False)
        started.append(s)
        request.node.logs.append(s.shown)
        if start:
            s.start()
        return s

    yield make
    for s in reversed(started):
        s.close()


@pytest.fixture
def corpora():
    """Folder of foreign footage; the test is skipped without it."""
    if not tools.CORPORA.is_dir():
        pytest.skip(f"no corpora at {tools.CORPORA}")
    return tools.CORPORA
