"""C10: clients that are slow on purpose cost themselves their connection, and others nothing."""
import http.client
import socket
import time

import pytest

import tools
from tools import wait_for

SLOW_HEADS = 300
ZERO_WINDOWS = 40


def connect(server, buffer=None, port=None):
    s = socket.socket()
    if buffer:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    s.settimeout(60 * tools.SLOW)
    s.connect(("127.0.0.1", port or server.web_port))
    return s


def served(server, path, n=200):
    """Nearly all of n requests on one connection are answered within 0.1 s. In one of some tries: other programs are in the way, too."""

    def quick():
        c = http.client.HTTPConnection("127.0.0.1", server.web_port, timeout=20 * tools.SLOW)
        times = []
        for _ in range(n):
            began = time.monotonic()
            c.request("GET", path)
            r = c.getresponse()
            r.read()
            assert r.status == 200
            times.append(time.monotonic() - began)
        c.close()
        return sorted(times)[-3] < 0.1

    wait_for("others are served as ever", quick)


@pytest.fixture
def watched(server, camera):
    cam = camera(dict(source="cam.h264"))
    s = server({"cam": cam.url()}, record=True)
    s.wait_state("cam")
    return s


@pytest.mark.limit(90)
@pytest.mark.slow
def test_slow_heads(watched):
    """Bytes that drip do not keep a connection: 15 s after the first one it is answered with 408 and closed. So are bodies."""
    slow = [connect(watched) for _ in range(SLOW_HEADS)]
    for s in slow:
        s.sendall(b"GET /cam/index.m3u8 HTTP/1.1\r\n")
    began = time.monotonic()
    bodies = [connect(watched, port=watched.module_port) for _ in range(10)]
    for s in bodies:
        s.sendall(b"POST /api/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
    served(watched, "/cam/video.m3u8")
    silent, dripping, late = slow[20:], slow[:20] + bodies, []
    asked = time.monotonic()
    while time.monotonic() - asked < 9:  # what drips later might come behind the answer
        for s in dripping:
            s.sendall(b"X")
        time.sleep(1)  # the pace of the dripping
        if not late and time.monotonic() - asked > 2:
            late = [connect(watched)]
            late[0].sendall(b"GET /cam/index.m3u8 HTTP/1.1\r\n")
    assert all(s.recv(100).startswith(b"HTTP/1.1 408 ") for s in silent)
    assert time.monotonic() - began > 12
    # Before one that began two seconds later: had they been kept by what dripped, it would be six seconds behind it.
    assert late[0].recv(100).startswith(b"HTTP/1.1 408 ")
    for s in dripping:
        s.settimeout(0)
        assert s.recv(100).startswith(b"HTTP/1.1 408 ")
    for s in slow + bodies + late:
        s.close()


@pytest.mark.limit(150)
@pytest.mark.slow
def test_readers_that_do_not_read(watched):
    """Live and archive viewers with a closed window: others are served as ever, and they are gone after 30 s."""
    wait_for("an archive", lambda: watched.ranges("cam") and watched.ranges("cam")[0][1] >= 10, timeout=30)
    start = watched.ranges("cam")[0][0]
    piece = next(x for x in watched.text(f"cam/archive-{start}-60.m3u8").splitlines() if x.endswith(".m4s"))
    stuck = []
    for i in range(ZERO_WINDOWS):
        s = connect(watched, buffer=2048)
        path = "live.mp4" if i % 2 else piece
        s.sendall(f"GET /cam/{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        stuck.append(s)
    wait_for("they are counted", lambda: watched.status()["viewers"] >= ZERO_WINDOWS // 2)
    served(watched, "/cam/video.m3u8")
    assert watched.get(f"cam/{piece}").body
    wait_for("they are sent away", lambda: watched.status()["viewers"] <= 1, timeout=60)
    for s in stuck:
        s.close()


def test_idle_connections_are_no_burden(watched):
    idle = [connect(watched) for _ in range(500)]
    served(watched, "/cam/video.m3u8")
    for s in idle:
        s.close()
