"""msctl archive check, rebuild and vacuum beside a server that records, and an index that is damaged under it."""
import os
import random

import pytest

import hls
import mp4
import tools
from tools import wait_for


def recording(server, camera, *uids, segments=3):
    cam = camera(*[dict(group=uid, source="tiny.h264") for uid in uids])
    s = server({uid: {"stream-url": cam.url(f"{uid}0")} for uid in uids}, record=True)
    s.close_segments(segments, *uids)
    s.wait_recording(*uids)
    return s


def indexed(s, uid):
    """Segments that the index knows: all but the newest, which is open or on its way."""
    return s.segments(uid)[: s.indexed(uid)]


def flip(path, at):
    with open(path, "r+b") as f:
        f.seek(at)
        b = f.read(1)
        f.seek(at)
        f.write(bytes([b[0] ^ 1]))


def found(s, *args):
    """Faults by the segment's file name; the exit code says whether there were any."""
    p = s.msctl("--json", "archive", "check", *args, ok=False, timeout=60)
    rows = tools.json.loads(p.stdout)
    assert p.returncode == (1 if rows else 0), p.stderr
    return {os.path.basename(r["path"]): r["fault"] for r in rows}


def test_check_and_rebuild(server, camera):
    s = recording(server, camera, "cam", segments=5)
    assert found(s, "--sum") == {}
    missing, short, flipped = indexed(s, "cam")[:3]
    missing.unlink()
    os.truncate(short, short.stat().st_size // 2)
    flip(flipped, flipped.stat().st_size // 2)
    assert found(s, "default") == {missing.name: "missing", short.name: "size"}
    assert found(s, "default", "--sum") == {missing.name: "missing", short.name: "size", flipped.name: "checksum"}
    p = s.msctl("archive", "check", "--sum", ok=False, timeout=60)
    assert "missing  default cam/records/" in p.stdout and missing.name in p.stdout
    assert "3 not as they should be" in p.stdout
    # without a server's help
    p = s.msctl("archive", "check", "--path", s.storages["default"], ok=False, timeout=60)
    assert p.returncode == 1 and short.name in p.stdout

    p = s.msctl("archive", "rebuild", "--verify", ok=False, timeout=60)
    assert p.returncode == 1 and "not on the disk" in p.stdout and missing.name in p.stdout
    p = s.msctl("archive", "rebuild", timeout=60)
    assert "mended from the files" in p.stdout
    p = s.msctl("archive", "rebuild", "--verify", timeout=60)
    assert "the index is what its files say" in p.stdout
    assert missing.name not in found(s) and short.name not in found(s)
    assert s.stream("cam")["record"] == "on"
    assert s.msctl("archive", "check", "nowhere", ok=False).returncode == 4
    assert s.msctl("status", "--sum", ok=False).returncode == 2


def zero(path, at, n):
    with open(path, "r+b") as f:
        f.seek(at)
        f.write(bytes(n))


def played(s, start, seconds):
    """Seconds of each closed stretch that HLS, MP4 and RTSP play without a decoder's complaint, and how long the playlist is."""
    hls_url, mp4_url = s.url(f"cam/archive-{start}-{seconds}.m3u8"), s.url(f"cam/archive-{start}-{seconds}.mp4?gaps=keep")
    rtsp_url = f"rtsp://127.0.0.1:{s.rtsp_port}/dvr/cam/?timestamp={start}"
    for url in (hls_url, mp4_url):
        assert tools.decode(url) == "", url
    out = tools.run("ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-i", rtsp_url, "-t", "2", "-f", "null", "-", timeout=40)
    assert out.stderr == ""
    p, _ = hls.open_playlist(s, f"cam/archive-{start}-{seconds}.m3u8")
    frames = len(tools.ffprobe(hls_url, "-select_streams", "v", entries="packet=pts_time")["packets"])
    return p.duration, frames


@pytest.mark.limit(120)
def test_damaged_segments(server, camera):
    """A block of zeros, an end that is gone, a footer, a head: the check names them, what is whole is played, the rest is a gap."""
    cam = camera(source="small.h264")
    s = server({"cam": cam.url()}, record=True)
    s.close_segments(5, "cam", frames=90)
    start = int(s.ranges("cam")[0][0]) + 1
    seconds = int(s.ranges("cam")[-1][0] + s.ranges("cam")[-1][1]) - start - 3
    whole, frames = played(s, start, seconds)
    first, hole, short, footless, headless = s.segments("cam")[:5]
    lasts = {p: (f["end_us"] - f["start_us"]) / 1e6 for p in (hole, short, footless, headless) for f in [mp4.footer(p)]}
    size = hole.stat().st_size
    zero(hole, size // 2, 65536)
    os.truncate(short, short.stat().st_size * 6 // 10)
    zero(footless, footless.stat().st_size - 8192, 8192)
    zero(headless, 0, 4096)
    names = {hole.name: "checksum", short.name: "size", footless.name: "checksum", headless.name: "checksum"}
    assert found(s, "--sum") == names
    for piece in hls.open_playlist(s, f"cam/archive-{start}-{seconds}.m3u8")[0].segments:
        assert s.get(piece.url, status=None).status in (200, 404)  # nobody crashes, nothing hangs
    p = s.msctl("archive", "rebuild", "--sum", timeout=60)
    assert "mended from the files" in p.stdout
    # of the one without a head nobody knows what is in it: its bytes stay as they are
    assert found(s, "--sum") == {headless.name: "checksum"}
    left, good = played(s, start, seconds)
    # What is damaged goes, from some of it to all of it, and nothing else.
    lost, most = whole - left, sum(lasts.values())
    assert lasts[headless] - 1 < lost < most, (whole, left, lasts)
    assert 25 * (lasts[headless] - 1) < frames - good < 25 * (most + 1), (frames, good, lasts)
    assert s.ranges("cam")[0][0] <= start and s.stream("cam")["record"] == "on"


def test_vacuum(server, camera):
    s = recording(server, camera, "stays", "goes")
    foreign = s.segments("goes")[0].parent / "notes.txt"
    foreign.write_text("not ours")
    assert s.rows("archive", "vacuum") == []
    s.remove_stream("goes")
    s.reload()
    wait_for("its last segment is in the index", lambda: s.indexed("goes") == len(s.segments("goes")), timeout=20)
    rows = s.rows("archive", "vacuum")
    assert [(r["uid"], r["deleted"]) for r in rows] == [("goes", 0)] and rows[0]["segments"] > 0
    assert s.segments("goes")
    rows = s.rows("archive", "vacuum", "--yes")
    assert [r["uid"] for r in rows] == ["goes"] and rows[0]["deleted"] == rows[0]["segments"]
    wait_for("its files are gone", lambda: not s.segments("goes"), timeout=20)
    assert foreign.read_text() == "not ours"
    assert s.rows("archive", "vacuum") == []
    assert s.indexed("stays") > 0 and found(s) == {}


def spoil(path):
    """Bytes here and there, in the heads of pages most of all."""
    rng = random.Random(7)
    with open(path, "r+b") as f:
        for page in range(os.path.getsize(path) // 4096):
            for _ in range(40):
                f.seek(page * 4096 + rng.randrange(64 if page > 1 else 4096))
                f.write(bytes([rng.randrange(256)]))


@pytest.mark.parametrize("damage", [spoil, lambda path: os.truncate(path, os.path.getsize(path) // 2), os.unlink], ids=["bytes", "half", "gone"])
def test_damaged_index_under_a_server(server, camera, damage):
    s = recording(server, camera, "cam", segments=2)
    first = s.ranges("cam")[0][0]
    told = s.msctl("event", "cam", "door").stdout
    event = wait_for("the event is in the index", lambda: s.rows("events", "cam"), timeout=20)
    assert told == f"{event[0]['id']}\n"
    before = s.indexed("cam")
    pids = {k: v for k, v in s.status().items() if k in ("httpd_pid", "pid")}
    data = os.path.join(s.storages["default"], ".index", "data.mdb")
    damage(data)

    def rebuilt():
        s.get("cam/recording_status.json?from=0&to=4000000000&request=ranges", status=None)
        rows = s.msctl("--json", "archive", "list", "cam", ok=False)
        return "index-damaged" in s.log() and rows.returncode == 0 and s.indexed("cam") >= before

    wait_for("the index is built anew", rebuilt, timeout=60)
    wait_for("what was recorded is played", lambda: s.ranges("cam")[0][0] == first, timeout=30)
    wait_for("the event is in the new index", lambda: s.rows("events", "cam") == event, timeout=30)
    assert {k: v for k, v in s.status().items() if k in pids} == pids, "nobody who reads has died"
    now = s.indexed("cam")
    s.msctl("restart", "cam")
    wait_for("recording goes on", lambda: s.indexed("cam") > now, timeout=30)
    s.msctl("archive", "rebuild", "--verify", timeout=60)
