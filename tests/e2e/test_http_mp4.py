"""MP4 files of the archive: films are what was recorded, play everywhere, in any piece; pictures and strips."""
import hashlib
import http.client
import json
import pathlib
import random
import shutil
import signal
import subprocess
import time

import pytest

import mp4
import test_browser
import tools
from camera import Camera
from server import MediaServer, need_server
from tools import wait_for

BROWSER = pathlib.Path(__file__).resolve().parent / "browser"
LENGTH = 24


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Cameras of some kinds, recorded in segments of ten seconds; a worker killed meanwhile, and a stream sent to another storage:
    (server, first second of all)."""
    need_server()
    groups = [
        dict(group="gate", source=["bframes.h264", "audio.aac"]),
        dict(group="hall", source=["small.h264", "audio.alaw"]),
        dict(group="yard", source="change.h264"),
    ]
    storages = {name: str(tmp_path_factory.mktemp(name)) for name in ("default", "other")}
    with Camera(*groups) as cam:
        streams = {uid: {"stream-url": cam.url(f"{uid}0"), "dvr-chunk": "10s"} for uid in ("gate", "hall", "yard")}
        streams["hall"]["dvr-archive"] = "other"
        with MediaServer(streams, record=True, storages=storages) as server:
            server.wait_recording(*streams)
            wait_for("the first seconds", lambda: server.ranges("gate") and server.ranges("gate")[0][1] >= 8, timeout=30)
            _, again = server.kill("gate", signal.SIGKILL)
            again(15)
            server.write_stream("hall", streams["hall"] | {"dvr-archive": "default*1000, other*1", "dvr-enable": "true"})
            server.reload()
            since = max(int(server.ranges(uid)[0][0]) + 1 for uid in streams)
            wait_for("the rest", lambda: all(sum(r[1] for r in server.ranges(uid)) >= LENGTH + 4 for uid in streams), timeout=90)
            yield server, since


def recorded(server, uid, handler="vide"):
    files = sorted((p for root in server.storages.values() for p in pathlib.Path(root, uid, "records").rglob("*.mp4")), key=lambda p: p.name)
    return [s.sha1 for p in files for s in mp4.Mp4(p.read_bytes(), growing=True).of(handler)]


def packets(path, stream):
    """SHA-1 of each packet as ffmpeg's reader finds it."""
    p = tools.run("ffprobe", "-v", "error", "-select_streams", stream, "-show_packets", "-show_data_hash", "SHA160", "-show_entries", "packet=data_hash", "-of", "json", path)
    return [row["data_hash"].removeprefix("SHA160:") for row in json.loads(p.stdout)["packets"]]


def decode(source, *options):
    """What ffmpeg complains about: "" is good. Exact about times: where a camera was connected again pictures may be less than a frame apart."""
    p = tools.run("ffmpeg", "-nostdin", "-v", "error", "-xerror", "-err_detect", "explode", *options, "-i", source, "-fps_mode", "passthrough", "-enc_time_base:v", "1:90000", "-f", "null", "-", ok=False)
    return p.stderr if p.returncode == 0 else p.stderr + f"\nexit {p.returncode}"


def film(site, uid, name="", **kw):
    server, since = site
    return server.get(f"{uid}/archive-{since}-{LENGTH}.mp4{name}", **kw)


def contained(part, whole):
    """Is `part` found in one piece in `whole`? Where it begins, or -1: loops of footage repeat themselves."""
    return next((i for i in range(len(whole) - len(part) + 1) if whole[i : i + len(part)] == part), -1)


@pytest.mark.parametrize("uid", ["gate", "hall", "yard"])
def test_a_film_is_what_was_recorded(site, tmp_path, uid):
    server, _ = site
    a = film(site, uid)
    out = tmp_path / "film.mp4"
    out.write_bytes(a.body)
    assert len(a.body) == int(a["Content-Length"])
    got = packets(out, "v")
    assert contained(got, recorded(server, uid)) >= 0
    seconds = float(a["X-Archive-To"]) - float(a["X-Archive-From"])
    assert LENGTH - 1 <= seconds <= LENGTH + 3
    # Arrival jitters at the start; a killed worker costs what it takes to be there again.
    assert abs(len(got) - 25 * (seconds - float(a["X-Archive-Gap-Seconds"] or 0))) < (40 if uid == "gate" else 12)
    assert decode(out) == ""
    if uid == "gate":
        assert contained(packets(out, "a"), recorded(server, uid, "soun")) >= 0
        assert a["X-Tracks-Left-Out"] is None
    if uid == "hall":
        assert a["X-Tracks-Left-Out"] == "PCMA"
    if uid == "yard":
        assert int(a["X-Format-Changes"]) >= 1
    assert a["X-Archive-Gaps"] is None or uid == "gate"


def test_the_same_bytes_again_and_in_pieces(site):
    server, since = site
    whole, again = film(site, "gate"), film(site, "gate")
    assert whole["ETag"] == again["ETag"]
    assert hashlib.sha256(whole.body).digest() == hashlib.sha256(again.body).digest()
    rng = random.Random(3)
    n = len(whole.body)
    cuts = sorted({0, n, *(rng.randrange(n) for _ in range(40)), *(rng.randrange(60000) for _ in range(20))})
    joined = b""
    for a, b in zip(cuts, cuts[1:]):
        part = film(site, "gate", headers={"Range": f"bytes={a}-{b - 1}", "If-Range": whole["ETag"]}, status=206)
        assert part["Content-Range"] == f"bytes {a}-{b - 1}/{n}"
        joined += part.body
    assert joined == whole.body
    head = film(site, "gate", method="HEAD")
    assert head["Content-Length"] == str(n) and head["ETag"] == whole["ETag"]


def test_a_download_goes_on(site, tmp_path):
    server, since = site
    url = server.url(f"gate/archive-{since}-{LENGTH}.mp4")
    out = tmp_path / "film.mp4"
    tools.run("curl", "-sS", "-r", "0-299999", "-o", out, url)
    assert out.stat().st_size == 300000
    tools.run("curl", "-sS", "-C", "-", "-o", out, url)
    assert out.read_bytes() == film(site, "gate").body


def test_seeking(site):
    """ffmpeg jumps into it over HTTP, and decodes from there."""
    server, since = site
    url = server.url(f"gate/archive-{since}-{LENGTH}.mp4")
    for at in ("3", "11.5", "20"):
        assert decode(url, "-ss", at, "-t", "2") == ""
    assert decode(url + "?gaps=keep") == ""


def test_gstreamer(site, tmp_path):
    out = tmp_path / "film.mp4"
    out.write_bytes(film(site, "gate").body)
    p = subprocess.run(
        ["gst-launch-1.0", "filesrc", f"location={out}", "!", "qtdemux", "name=d", "d.video_0", "!", "queue", "!", "h264parse", "!", "identity", "silent=false", "!", "fakesink", "sync=false",
         "d.audio_0", "!", "queue", "!", "aacparse", "!", "fakesink", "sync=false", "-v"],
        capture_output=True, text=True, timeout=60 * tools.SLOW,
    )  # fmt: skip
    assert p.returncode == 0, p.stderr
    assert p.stdout.count("last-message = chain") == len(packets(out, "v"))


@pytest.mark.skipif(not (BROWSER / "node_modules" / "mp4box").is_dir(), reason="no mp4box: scripts/deps test")
def test_mp4box(site, tmp_path):
    out = tmp_path / "film.mp4"
    out.write_bytes(film(site, "gate").body)
    info = json.loads(tools.run("node", BROWSER / "mp4info.mjs", out).stdout)
    assert info["progressive"]
    assert abs(info["duration"] - LENGTH) < 3
    video, sound = info["tracks"]
    assert video["codec"].startswith("avc1.") and sound["codec"] == "mp4a.40.2"
    assert video["samples"] == len(packets(out, "v"))
    assert 0 < video["keys"] < video["samples"]


@pytest.mark.skipif(not test_browser.CHROMIUM or not shutil.which("node"), reason="no chromium")
@pytest.mark.heavy
def test_chromium_seeks(site):
    """A <video> element plays the film from the middle: ranges are asked for, pictures come."""
    server, since = site
    script = f"""new Promise((done, failed) => {{
        const v = document.createElement('video');
        v.muted = true;
        v.onerror = () => failed(new Error(v.error.message));
        v.onloadedmetadata = () => {{ v.currentTime = 15; }};
        v.onseeked = () => {{
            v.requestVideoFrameCallback((now, frame) => done({{ at: frame.mediaTime, length: v.duration, width: v.videoWidth }}));
            v.play();
        }};
        document.body.append(v);
        v.src = '/gate/archive-{since}-{LENGTH}.mp4';
    }})"""
    (seen,) = test_browser.browse(server.url("hall/embed.html"), {"eval": script}, clean=False)
    assert abs(seen["at"] - 15) < 1
    assert abs(seen["length"] - LENGTH) < 3
    assert seen["width"] == 640


def test_pictures_and_strips(site, tmp_path):
    server, since = site
    out = tmp_path / "picture.mp4"
    a = server.get(f"gate/{since + 7}-preview.mp4")
    out.write_bytes(a.body)
    assert since + 7 - 6 < float(a["X-Archive-From"]) <= since + 7
    (only,) = packets(out, "v")
    assert only in recorded(server, "gate")
    assert decode(out) == ""
    strip = server.get(f"gate/strip-{since}-{LENGTH}-6.mp4")
    out.write_bytes(strip.body)
    times = server.get(f"gate/strip-{since}-{LENGTH}-6.json").json()["frames"]
    assert len(packets(out, "v")) == len(times) == 6
    for i, t in enumerate(times):
        assert -6 < t - (since + i * LENGTH / 6) <= 0
    assert decode(out) == ""
    assert float(tools.ffprobe(out, entries="format=duration")["format"]["duration"]) == 6


def test_where_nothing_is(site):
    server, since = site
    for name in (f"archive-{since - 5000}-10.mp4", f"{since - 5000}-preview.mp4", f"strip-{since - 5000}-10-3.mp4"):
        a = server.get(f"gate/{name}", status=404)
        assert abs(int(a["X-Nearest-Recorded"]) - since) <= 3
    a = server.get(f"gate/archive-{since}-90000.mp4", status=413)
    assert "86400" in a.text


def test_a_damaged_segment(site, tmp_path):
    """Without a footer that can be read its fragments are played; where their heads are gone, a gap is left."""
    server, since = site
    before = film(site, "yard")
    path = next(p for p in server.segments("yard") if int(p.stem.split("-")[1], 16) >> 8 > (since + 2) * 1000)
    whole = path.read_bytes()
    try:
        with path.open("r+b") as f:
            f.seek(-60, 2)
            f.write(b"\xff" * 60)
        a = film(site, "yard")
        assert len(a.body) == len(before.body)
        with path.open("r+b") as f:
            gone = whole.index(b"moof", len(whole) // 2) - 4
            f.seek(gone)
            f.write(b"\xff" * (len(whole) - gone))
        # What was laid out a moment ago does not fit the file any more: that answer breaks off, the next is right.
        with pytest.raises(http.client.IncompleteRead):
            film(site, "yard")
        a = film(site, "yard")
        out = tmp_path / "film.mp4"
        out.write_bytes(a.body)
        assert int(a["X-Archive-Gaps"]) == 1
        left = len(packets(out, "v"))
        out.write_bytes(before.body)
        assert 60 < left < len(packets(out, "v")) - 20
        out.write_bytes(a.body)
        assert decode(out) == ""
    finally:
        with path.open("r+b") as f:
            f.write(whole)


def test_slow_readers_hold_nobody_up(site):
    """Many who take nothing, more than the pool has threads: others are served meanwhile."""
    import socket

    server, since = site
    idle = []
    try:
        for _ in range(20):
            s = socket.create_connection(("127.0.0.1", server.web_port), 10 * tools.SLOW)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.sendall(f"GET /gate/archive-{since}-{LENGTH}.mp4 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            idle.append(s)
        began = time.monotonic()
        assert film(site, "gate").body
        assert time.monotonic() - began < 5 * tools.SLOW
    finally:
        for s in idle:
            s.close()
