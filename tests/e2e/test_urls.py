"""Every URL of the compatibility list that this version owes answers as it must."""
import json
import socket
import time
import urllib.parse

import pytest

import hls
import mp4
import push
import tools
import urls
import ws
from rtsp import Rtsp
from server import MediaServer, need_server
from camera import Camera
from tools import wait_for


RECORDED_S = 24  # more than is listed of a stream that is shown ten seconds late


@pytest.fixture(scope="module")
def recorded():
    """A server with a stream that has been recorded for a while: (server, first second of it)."""
    need_server()
    with Camera({"source": ["small.h264", "audio.aac"]}) as cam, MediaServer({"cam-1": cam.url()}, record=True) as server:
        server.wait_state("cam-1")
        wait_for("so much archive", lambda: server.ranges("cam-1") and server.ranges("cam-1")[0][1] >= RECORDED_S, timeout=60)
        yield server, int(server.ranges("cam-1")[0][0]) + 1


def filled(recorded, path):
    return path.format(uid="cam-1", duration=6, now=int(time.time()), **{"from": recorded[1]})


def check_master(server, path):
    p = hls.Playlist(server.text(path), server.url(path))
    assert p.variants
    attributes, url = p.variants[0]
    assert "avc1." in attributes["CODECS"] and "mp4a.40.2" in attributes["CODECS"]
    assert attributes["RESOLUTION"] == "640x360"
    assert hls.Playlist(server.text(url), url).segments


def check_media(server, path):
    p = hls.Playlist(server.text(path), server.url(path))
    got = hls.samples(server, p.segments[:2])
    assert got.of("vide")[0].key
    mp4.check_times(got.of("vide"))


def endless(server, path):
    u = urllib.parse.urlsplit(server.url(path))
    s = socket.create_connection((u.hostname, u.port), 10 * tools.SLOW)
    s.sendall(f"GET {u.path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    return s


def read_more(s, n):
    data = b""
    while len(data) < n:
        more = s.recv(65536)
        assert more, f"ended after {len(data)} bytes"
        data += more
    return data


def check_live_mp4(server, path):
    with endless(server, path) as s:
        data = read_more(s, 200000)
    assert data.startswith(b"HTTP/1.1 200")
    assert b"ftyp" in data[:2000] and data.count(b"moof") > 2


def check_ts_hls(server, path):
    p = hls.Playlist(server.text(path), server.url(path))
    assert p.segments and not p.segments[0].map_url
    ts = server.get(p.segments[0].url)
    assert ts["Content-Type"] == "video/mp2t" and len(ts.body) % 188 == 0 and set(ts.body[::188]) == {0x47}


def check_ts(server, path):
    with endless(server, path) as s:
        data = read_more(s, 200000)
    assert data.startswith(b"HTTP/1.1 200")
    body = data[data.index(b"\r\n\r\n") + 4:]
    assert set(body[::188]) == {0x47}


def check_mp4(server, path):
    a = server.get(path)
    assert a["Content-Type"] == "video/mp4"
    assert a.body[4:8] == b"ftyp"


def check_json(server, path):
    first = json.loads(server.text(path))[0]
    assert first["stream"] == "cam-1" and first["ranges"][0]["duration"] > 0


def check_strip(server, path):
    strip = json.loads(server.text(path))
    assert strip["show"] == 1 and len(strip["frames"]) >= 1


def check_html(server, path):
    a = server.get(path)
    assert a["Content-Type"].startswith("text/html") and b"<video" in a.body


def check_jpeg(server, path):
    a = server.get(path)
    assert a["Content-Type"] == "image/jpeg" and a["X-Picture-Time"]
    assert a.body[:3] == b"\xff\xd8\xff" and a.body[-2:] == b"\xff\xd9"


def check_rtsp(server, path):
    with Rtsp(f"rtsp://127.0.0.1:{server.rtsp_port}/{path.removeprefix('rtsp:')}") as c:
        c.play()
        assert c.packets(1)[0].payload[0] & 31 == 7


def check_ws(server, path):
    with ws.Client(server, path) as c:
        assert {t["content"] for t in c.json()["tracks"]} == {"video", "audio"}
        fragments = [c.fragment() for _ in range(20)]
    assert {f[47] for f in fragments} == {1, 2} and all(f[4:8] == b"moof" for f in fragments)


def check_push(_, path):
    uid = path.removeprefix("publish:").strip("/")
    with push.Server({uid: f"publish://u:p@node/{uid}/"}) as server:
        wait_for("its worker", lambda: server.stream(uid)["reason"] == "waiting for the camera to push")
        with push.Client(server.push_port) as c:
            assert c.announce(server.push_url(uid, user=""), "u", "p")[0] == 200


CHECKS = {"push": check_push, "rtsp": check_rtsp, "master": check_master, "media": check_media, "ts-hls": check_ts_hls, "ts": check_ts, "live-mp4": check_live_mp4, "mp4": check_mp4, "json": check_json, "strip": check_strip, "jpeg": check_jpeg, "html": check_html, "ws": check_ws}


@pytest.mark.parametrize("row", [u for u in urls.ALL if u.done], ids=lambda u: u.path)
def test_answers(recorded, row):
    CHECKS[row.kind](recorded[0], filled(recorded, row.path))


def test_every_road_knows_unknown_streams(recorded):
    for row in urls.ALL:
        if row.kind not in ("rtsp", "push"):
            path = row.path.format(uid="nobody", duration=6, now=int(time.time()), **{"from": recorded[1]})
            # who asks for a WebSocket plainly is told so, and nothing of the stream
            assert recorded[0].get(path, status=None).status in (404, 426 if row.kind == "ws" else 501), path


def test_head_and_methods(recorded):
    server = recorded[0]
    for row in urls.ALL:
        if not row.done or row.kind in ("live-mp4", "rtsp", "push"):
            continue
        path = filled(recorded, row.path)
        a = server.get(path, method="HEAD", status=426 if row.kind == "ws" else 200)
        assert a.body == b""
        assert server.get(path, method="POST", body=b"x", status=None).status == 405
