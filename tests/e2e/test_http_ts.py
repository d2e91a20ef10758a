"""Live as MPEG-TS, as ffmpeg and GStreamer take it (VLC: test_vlc.py), also through a camera that is another one in between."""
import shutil
import socket
import time
import urllib.parse

import pytest

import hls
import tools
from camera import Camera
from server import MediaServer, need_server
from tools import wait_for


@pytest.fixture(scope="module")
def live():
    need_server()
    with Camera(dict(source=["small.h264", "audio.aac"])) as cam, MediaServer({"cam": cam.url()}) as s:
        s.wait_state("cam")
        yield s


def test_ffmpeg_plays_the_playlist(live):
    assert tools.decode(live.url("cam/mpegts.m3u8"), seconds=8, timeout=40) == ""


def test_ffmpeg_plays_without_end(live):
    assert tools.decode(live.url("cam/mpegts"), seconds=4, timeout=30) == ""


@pytest.mark.parametrize("path", ["cam/mpegts", "cam/mpegts.m3u8"])
def test_gstreamer_plays(live, path):
    if not shutil.which("gst-launch-1.0"):
        pytest.skip("no gst-launch-1.0")
    p = tools.run("gst-launch-1.0", "-q", "uridecodebin3", f"uri={live.url(path)}", "!", "fakesink", "num-buffers=60", timeout=40, ok=False)
    if "missing" in p.stderr or "no element" in p.stderr or "No URI handler" in p.stderr:
        pytest.skip(f"GStreamer here cannot: {p.stderr.strip()[:200]}")
    assert p.returncode == 0, p.stderr


def read_to(path, server, name, until):
    """Appends what /<uid>/mpegts gives until until() is true."""
    u = urllib.parse.urlsplit(server.url(name))
    with socket.create_connection((u.hostname, u.port), 10 * tools.SLOW) as s, open(path, "wb") as out:
        s.settimeout(20 * tools.SLOW)
        s.sendall(f"GET {u.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        data = s.recv(65536)
        assert data.startswith(b"HTTP/1.1 200")
        out.write(data.partition(b"\r\n\r\n")[2])
        while not until():
            data = s.recv(65536)
            assert data, "the answer ended"
            out.write(data)


def frames(path):
    """{(width, height): decoded pictures} of a file."""
    out = tools.run("ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "frame=width,height", "-of", "csv=p=0", path, timeout=60).stdout
    sizes = {}
    for line in out.split():
        size = tuple(int(x) for x in line.split(",")[:2])
        sizes[size] = sizes.get(size, 0) + 1
    return sizes


@pytest.mark.limit(90)
def test_through_a_change_of_the_camera(tmp_path, server):
    """The camera goes, and is back with other pictures: players that concatenate have one stream, both sizes decode."""
    path, segments = tmp_path / "all.ts", {}
    first = Camera(dict(source=["small.h264", "audio.aac"]), port=tools.free_port())  # nobody connects from there in between
    s = server({"cam": first.url()})
    s.wait_state("cam")
    second = None

    def take_segments():
        a = s.get("cam/mpegts.m3u8", status=None)
        if a.status == 200:
            for x in hls.Playlist(a.text, s.url("cam/mpegts.m3u8")).segments:
                if x.url not in segments:
                    segments[x.url] = (x.discontinuity, s.get(x.url).body)

    asked = {"next": 0}

    def enough():
        nonlocal second
        if time.monotonic() < asked["next"]:
            return False
        asked["next"] = time.monotonic() + 0.3
        take_segments()
        if not second and len(segments) >= 2:
            first.close()
            second = Camera(dict(source=["cam.h264", "audio.aac"]), port=first.port)
        return bool(second) and sum(d for d, _ in segments.values()) >= 1 and len(segments) >= 5

    read_to(path, s, "cam/mpegts", enough)
    second.close()
    sizes = frames(path)
    assert len(sizes) == 2 and min(sizes.values()) >= 25, sizes
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(body for _, body in segments.values()))
    sizes = frames(joined)
    assert len(sizes) == 2 and min(sizes.values()) >= 25, sizes
    for file in (path, joined):
        check_counters(file.read_bytes())


def check_counters(data):
    """13818-1 2.4.3.3: no counter of a PID jumps but where it is said."""
    last = {}
    for at in range(0, len(data) - 187, 188):
        b = data[at:at + 188]
        pid, payload, jump = (b[1] & 31) << 8 | b[2], b[3] & 0x10, b[3] & 0x20 and b[4] and b[5] & 0x80
        want = (last.get(pid, b[3] - 1) + (1 if payload else 0)) & 15
        assert b[0] == 0x47 and (jump or b[3] & 15 == want), f"packet {at // 188} of PID {pid}"
        last[pid] = b[3] & 15
