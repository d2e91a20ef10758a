"""The archive over RTSP: places, pace, backwards, gaps, the ONVIF extension, up to what is being recorded."""
import datetime
import shutil
import struct
import time

import pytest

import gst
import tools
from camera import Camera
from rtsp import Packet, Rtsp, h264_units
from server import MediaServer, need_server

NTP = 2208988800
SHORT_S = 9  # of footage before the gap, by ranges of whole seconds around it: more than 7
GROUP_S = 1.1  # its key frames are a second apart


@pytest.fixture(scope="module")
def site():
    """(server, [start, end) of a first stretch and of a second that goes on)."""
    need_server()
    with Camera({"source": ["small.h264", "audio.aac"]}) as cam, MediaServer({"cam-1": cam.url()}, record=True) as server:
        server.wait_recording("cam-1")
        tools.wait_for("a first stretch", lambda: server.ranges("cam-1") and server.ranges("cam-1")[0][1] >= SHORT_S, timeout=40)
        cam.set("cam0", freeze=1)
        cam.do("rst", name="cam0")
        stopped = time.time()
        tools.wait_for("a gap", lambda: time.time() - stopped > 4)
        cam.set("cam0", freeze=0)
        tools.wait_for("a second stretch", lambda: len(server.ranges("cam-1")) == 2 and server.ranges("cam-1")[1][1] >= 4, timeout=40)
        yield server, server.ranges("cam-1")


def url(server, query="", uid="cam-1"):
    return f"rtsp://127.0.0.1:{server.rtsp_port}/dvr/{uid}/{query}"


def at(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z"


def play(c, headers, tracks=(0,)):
    c.describe()
    for t in tracks:
        assert c.setup(t).status == 200
    return c.request("PLAY", c.base, headers)


def replay(p):
    """The ONVIF extension of a packet: (wall clock, flags, CSeq), None without."""
    if not p.data[0] & 0x10 or p.data[12:14] != b"\xab\xac":
        return None
    ntp, flags, cseq = struct.unpack(">QBB", p.data[16:26])
    return ntp / 2**32 - NTP, flags, cseq


def report(data):
    """(wall clock, RTP timestamp) of a sender report, None of anything else."""
    if data[1] != 200:
        return None
    ntp, ts = struct.unpack(">QI", data[8:20])
    return ntp / 2**32 - NTP, ts


def begun(c):
    """What came first on the picture's channels: (its sender report, its first packet)."""
    said = first = None
    while said is None or first is None:
        ch, data = c.frame()
        if ch == 1:
            said = said or report(data)
        elif ch == 0 and first is None:
            first = Packet(ch, data)
    return said, first


def until_bye(c, channel=0):
    """All packets of a channel up to the BYE."""
    found = []
    while True:
        ch, data = c.frame()
        if ch == channel + 1 and struct.pack(">BBH", 0x81, 203, 1) in data:
            return found
        if ch == channel:
            p = type("P", (), {})()
            p.data, p.marker = data, data[1] >> 7
            p.seq, p.ts, p.ssrc = struct.unpack(">HII", data[2:12])
            n = 12 + (4 + 4 * struct.unpack(">H", data[14:16])[0] if data[0] & 0x10 else 0)
            p.payload = data[n:]
            found.append(p)


def test_description_names_the_start(site):
    server, ranges = site
    begin = int(ranges[0][0]) + 2
    with Rtsp(url(server, f"?timestamp={begin}")) as c:
        sdp = c.describe()
        start = int(sdp.split("t=")[1].split()[0]) - NTP
        assert begin - 3 <= start <= begin
        assert f"a=range:clock={at(start)[:15]}" in sdp and "sprop-parameter-sets=" in sdp and "track=video" in sdp


def test_what_is_played_is_what_was_recorded(site):
    """Frame by frame, without pace: the bytes of the segment's samples."""
    server, ranges = site
    begin, end = ranges[0][0], ranges[0][0] + ranges[0][1]
    with Rtsp(url(server), timeout=15) as c:
        r = play(c, {"Range": f"clock={at(begin)}-{at(end)}", "Rate-Control": "no"})
        assert r.status == 200 and r["Range"].startswith("clock=")
        packets = until_bye(c)
        assert all((b.seq - a.seq) & 0xFFFF == 1 for a, b in zip(packets, packets[1:]))
        got = [tools.sha1(b"".join(struct.pack(">I", len(n)) + n for n in unit if n[0] & 31 not in (7, 8))) for unit in h264_units(packets)]
    kept = [s.sha1 for s in server.recorded("cam-1")]
    assert len(got) > 100 and any(kept[i : i + len(got)] == got for i in range(len(kept)))


def test_ffmpeg_plays_the_archive(site):
    server, ranges = site
    out = tools.run("ffmpeg", "-v", "warning", "-rtsp_transport", "tcp", "-i", url(server, f"?timestamp={int(ranges[0][0]) + 1}"), "-t", "2", "-f", "framecrc", "-", timeout=30)
    lines = [line.split(",") for line in out.stdout.splitlines() if not line.startswith("#")]
    assert sum(line[0] == "0" for line in lines) >= 40 and sum(line[0] == "1" for line in lines) >= 20, out.stdout[-500:]
    assert out.stderr == ""


def test_gstreamer_plays_the_archive(site, tmp_path):
    if not shutil.which("gst-launch-1.0"):
        pytest.skip("no gst-launch-1.0")
    server, ranges = site
    gst.receive(url(server, f"?timestamp={int(ranges[0][0]) + 1}"), tmp_path / "out", "protocols=tcp")


@pytest.mark.parametrize("query, headers, step", [("", {}, 3600), ("&speed=2", {}, 1800), ("", {"Scale": "4.0"}, 900), ("&speed=2", {"Scale": "0.5"}, 7200)])
def test_pace(site, query, headers, step):
    """Timestamps run as fast as it is shown."""
    server, ranges = site
    with Rtsp(url(server, f"?timestamp={int(ranges[0][0]) + 1}{query}")) as c:
        r = play(c, {"Range": "npt=0.000-"} | headers)
        assert r.status == 200 and (r["Scale"] is None or float(r["Scale"]) == 3600 / step)
        stamps = list(dict.fromkeys(p.ts for p in c.packets(60)))
        assert len(stamps) > 5 and all((b - a) % 2**32 == step for a, b in zip(stamps, stamps[1:]))


def test_backwards_by_key_frames(site):
    """Across the gap, down to the first footage."""
    server, ranges = site
    with Rtsp(url(server), timeout=15) as c:
        r = play(c, {"Range": f"clock={at(ranges[1][0] + 3)}-", "Scale": "-8", "Require": "onvif-replay", "Rate-Control": "no"})
        assert r.status == 200 and float(r["Scale"]) == -8
        seen = [e for e in map(replay, until_bye(c)) if e]
    walls = [w for w, _, _ in seen]
    assert len(walls) >= 5 and all(a > b for a, b in zip(walls, walls[1:]))
    assert walls[-1] < ranges[0][0] + 2 and all(flags & 0x80 for _, flags, _ in seen)
    assert any(flags & 0x20 for _, flags, _ in seen[1:])  # the gap


PLACES = {
    "timestamp": (lambda b: (f"?timestamp={int(b) + 3}", "npt=0.000-"), lambda b: int(b) + 3),
    "time": (lambda b: (f"?time={datetime.datetime.fromtimestamp(int(b) + 3, datetime.timezone.utc):%Y-%m-%dT%H:%M:%SZ}", "npt=0.000-"), lambda b: int(b) + 3),
    "clock": (lambda b: ("", f"clock={at(b + 3.4)}-"), lambda b: b + 3.4),
    "npt": (lambda b: ("", "npt=1.5-"), lambda b: None),
    "npt behind a place": (lambda b: (f"?timestamp={int(b) + 2}", "npt=1.5-"), lambda b: None),
}


@pytest.mark.parametrize("scale", ["1", "-1"])
@pytest.mark.parametrize("place", PLACES)
def test_where_it_begins(site, place, scale):
    """The key frame at or before what was asked for, however it is said: by the answer, the extension, the sender report, RTP-Info."""
    server, ranges = site
    query, wanted = PLACES[place][0](ranges[0][0]), PLACES[place][1](ranges[0][0])
    with Rtsp(url(server, query[0]), timeout=15) as c:
        r = play(c, {"Range": query[1], "Scale": scale, "Require": "onvif-replay"})
        assert r.status == 200
        described = next(line for line in c.sdp.splitlines() if line.startswith("a=range:clock="))[14:].rstrip("-")
        start = datetime.datetime.strptime(described, "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=datetime.timezone.utc).timestamp()
        wanted = wanted if wanted is not None else start + 1.5
        said, first = begun(c)
        wall = replay(first)[0]
        assert wanted - GROUP_S <= wall <= wanted + 0.001, (wall - ranges[0][0], wanted - ranges[0][0])
        assert r["Range"].startswith(f"clock={at(wall + 0.0002)}-") or r["Range"].startswith(f"clock={at(wall)}-")
        assert f"seq={first.seq};rtptime={first.ts}" in r["RTP-Info"]
        assert abs(said[0] - wall) < 0.001 and said[1] == first.ts
        if "?" in query[0] and query[1] == "npt=0.000-":
            assert abs(wall - start) < 0.001 and int(c.sdp.split("t=")[1].split()[0]) - NTP == int(start)


@pytest.mark.parametrize("scale", [-1, -2, -8, 8])
def test_key_frames_run_by_the_scale(site, scale):
    """What lies between the captures of two key frames lies between their timestamps, by the scale."""
    server, ranges = site
    first, last = ranges[0][0], ranges[0][0] + ranges[0][1]
    begin, end = (last - 1.5, first + 1.5) if scale < 0 else (first + 1.5, last - 1.5)
    with Rtsp(url(server), timeout=15) as c:
        r = play(c, {"Range": f"clock={at(begin)}-{at(end)}", "Scale": str(scale), "Require": "onvif-replay", "Rate-Control": "no"})
        assert r.status == 200 and float(r["Scale"]) == scale
        seen = [(e[0], p.ts) for p in until_bye(c) if (e := replay(p))]
    assert len(seen) >= 4 and begin - GROUP_S <= seen[0][0] <= begin
    assert all(min(begin, end) - GROUP_S <= w <= max(begin, end) for w, _ in seen)
    for (w1, t1), (w2, t2) in zip(seen, seen[1:]):
        assert abs((w2 - w1) / scale - ((t2 - t1) % 2**32) / 90000) < 0.002 and (w2 - w1) * scale > 0


def test_reports_tell_capture_by_timestamp(site):
    """At PLAY, and five seconds later; both fit every frame before and between them."""
    server, ranges = site
    reports, frames = [], []
    with Rtsp(url(server, f"?timestamp={int(ranges[0][0]) + 1}"), timeout=15) as c:
        assert play(c, {"Range": "npt=0.000-", "Require": "onvif-replay"}).status == 200
        while len(reports) < 2:
            ch, data = c.frame()
            if ch == 1 and report(data):
                reports.append(report(data))
            elif ch == 0:
                frames.append(Packet(ch, data))
    (ntp, ts), (later, later_ts) = reports
    assert 4.9 < later - ntp < 5 + 2 * tools.SLOW
    assert abs((later_ts - ts) % 2**32 / 90000 - (later - ntp)) < 0.002
    shown = [(e[0], p.ts) for p in frames if (e := replay(p))]
    assert len(shown) > 50 and all(abs(w - ntp - ((t - ts + 2**31) % 2**32 - 2**31) / 90000) < 0.002 for w, t in shown)


def test_fast_forward_is_key_frames(site):
    server, ranges = site
    with Rtsp(url(server), timeout=15) as c:
        assert play(c, {"Range": f"clock={at(ranges[0][0])}-{at(ranges[1][0] + 2)}", "Scale": "16", "Rate-Control": "no"}).status == 200
        units = list(h264_units(until_bye(c)))
        assert len(units) >= 5 and all(5 in [n[0] & 31 for n in unit] for unit in units)


def test_gaps_are_passed_over_and_said(site):
    """The extension: every frame's time; C at key frames, E before the gap, D behind it."""
    server, ranges = site
    with Rtsp(url(server), timeout=15) as c:
        r = play(c, {"Range": f"clock={at(ranges[0][0])}-{at(ranges[1][0] + 2)}", "Require": "onvif-replay", "Rate-Control": "no"})
        assert r.status == 200
        seen = [e for e in map(replay, until_bye(c)) if e]
    assert {cseq for _, _, cseq in seen} == {c.cseq & 255}
    behind = next(i for i, (w, _, _) in enumerate(seen) if w > ranges[1][0] - 0.5)
    assert seen[behind][1] & 0xA0 == 0xA0 and seen[behind - 1][1] & 0x40
    assert not any(flags & 0x20 for i, (_, flags, _) in enumerate(seen) if i not in (0, behind))
    assert seen[behind][0] - seen[behind - 1][0] > 2


def test_pause_and_seek(site):
    server, ranges = site
    with Rtsp(url(server, f"?timestamp={int(ranges[0][0]) + 1}"), timeout=15) as c:
        assert play(c, {"Range": "npt=0.000-", "Require": "onvif-replay"}).status == 200
        c.packets(10)
        c.frames.clear()
        r = c.request("PLAY", c.base, {"Range": f"clock={at(ranges[1][0] + 2)}-", "Require": "onvif-replay"})
        assert r.status == 200
        seq = int(r["RTP-Info"].split("seq=")[1].split(";")[0])
        p = next(p for p in iter(lambda: c.packets(1)[0], None) if p.seq == seq)
        assert ranges[1][0] <= replay(p)[0] <= ranges[1][0] + 2.1
        assert c.request("PAUSE").status == 200
        c.frames.clear()
        assert c.request("PLAY", c.base, {"Require": "onvif-replay"}).status == 200  # goes on where it was
        assert ranges[1][0] <= replay(c.packets(1)[0])[0] <= ranges[1][0] + 5


def test_seek_to_nothing_ends_what_plays(site):
    """The session is no longer playing, by its own word: PAUSE is not for this state, PLAY begins anew."""
    server, ranges = site
    with Rtsp(url(server, f"?timestamp={int(ranges[0][0]) + 1}"), timeout=15) as c:
        assert play(c, {"Range": "npt=0.000-"}).status == 200
        c.packets(5)
        assert c.request("PLAY", c.base, {"Range": f"clock={at(time.time() + 3600)}-"}).status == 457
        until_bye(c)
        assert c.request("PAUSE").status == 455
        assert c.request("PLAY", c.base, {"Range": "npt=0.000-"}).status == 200
        c.packets(5)


@pytest.mark.parametrize("where, status", [("gap", 204), ("future", 422), ("before", 204), ("nonsense", 400)])
def test_where_nothing_is(site, where, status):
    server, ranges = site
    moment = {"gap": ranges[0][0] + ranges[0][1] + 1, "future": time.time() + 3600, "before": ranges[0][0] - 3600, "nonsense": "yesterday"}[where]
    with Rtsp(url(server, f"?timestamp={moment if where == 'nonsense' else int(moment + 0.5)}")) as c:
        assert c.request("DESCRIBE").status == status


def test_no_archive(site):
    server, _ = site
    with Rtsp(url(server, uid="nobody")) as c:
        assert c.request("DESCRIBE").status == 404


def test_from_the_archive_into_the_present(site):
    """Played a few seconds late, it goes on with what is being recorded."""
    server, ranges = site
    with Rtsp(url(server, f"?timestamp={int(time.time()) - 1}"), timeout=20) as c:
        assert play(c, {"Range": "npt=0.000-", "Require": "onvif-replay"}).status == 200
        begin = time.time()
        while True:
            e = replay(c.packets(1)[0])
            if e and e[0] > begin + 0.5:
                break


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_our_own_worker_is_a_client(site, transport):
    """A stream whose camera is this server's output: what it records is what the camera's stream recorded, byte by byte."""
    server, _ = site
    uid = f"copy-{transport}"
    server.write_stream(uid, {"stream-url": f"{transport}://127.0.0.1:{server.rtsp_port}/cam-1", "dvr-enable": "true"})
    server.reload()
    server.wait_recording(uid)
    tools.wait_for("some seconds of the copy", lambda: server.ranges(uid) and server.ranges(uid)[0][1] >= 4, timeout=40)
    for handler in ("vide", "soun"):
        copy = [s.sha1 for s in server.recorded(uid, handler)]
        kept = [s.sha1 for s in server.recorded("cam-1", handler)]
        assert len(copy) > 20
        assert any(kept[i : i + len(copy)] == copy[: len(kept) - i] for i in range(len(kept) - 20)), f"{handler}: {len(copy)} of {len(kept)}"
    server.remove_stream(uid)
    server.reload()
