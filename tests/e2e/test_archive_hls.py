"""Playlists of the archive that grow and slide, over gaps, changes of the picture and httpd's death; as ffmpeg and GStreamer see them."""
import os
import shutil
import signal
import time

import pytest

import hls
import tools
from tools import wait_for


def playlist(server, path):
    return hls.Playlist(server.text(path), server.url(path))


def media_of(server, path):
    """The path of the media playlist that a form answers with."""
    return playlist(server, path).variants[0][1]


def httpd_dies(server):
    old = server.status()["httpd_pid"]
    os.kill(old, signal.SIGKILL)
    wait_for("another httpd", lambda: server.status()["httpd_pid"] not in (0, old) and server.get("cam/stream.json").json()["state"] == "active", timeout=20)


class Follower:
    """Asks for a playlist again and again, as a player does: a number names the same piece for ever."""

    def __init__(self, server, path):
        self.server, self.path = server, path
        self.seen, self.first, self.discontinuities, self.targets = {}, [], [], set()

    def ask(self):
        p = playlist(self.server, self.path)
        for s in p.segments:
            name = s.url.rsplit("/", 1)[1]
            assert self.seen.setdefault(s.sequence, name) == name, (s.sequence, self.seen, p.text)
        self.first.append(p.segments[0].sequence)
        self.discontinuities.append(int(p.tags.get("#EXT-X-DISCONTINUITY-SEQUENCE", 0)))
        self.targets.add(p.tags["#EXT-X-TARGETDURATION"])
        assert self.first == sorted(self.first) and self.discontinuities == sorted(self.discontinuities)
        assert max(round(s.duration) for s in p.segments) <= int(p.tags["#EXT-X-TARGETDURATION"])
        return p

    def ask_for(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            last = self.ask()
            time.sleep(0.5)  # a player's pace
        return last


@pytest.fixture
def recording(server, camera):
    """A camera that is recorded in segments of ten seconds: (server, camera, first second)."""
    cam = camera(dict(source=["small.h264", "audio.aac"]))
    s = server({"cam": {"stream-url": cam.url(), "dvr-chunk": "10s"}}, record=True)
    s.wait_state("cam")
    wait_for("an archive", lambda: s.ranges("cam") and s.ranges("cam")[0][1] >= 12, timeout=40)
    return s, cam, int(s.ranges("cam")[0][0]) + 1


@pytest.mark.limit(120)
def test_grows_into_the_live_edge_and_ends(recording):
    s, _, start = recording
    f = Follower(s, f"cam/archive-{start}-now.m3u8")
    p = f.ask_for(12)
    assert p.tags["#EXT-X-PLAYLIST-TYPE"] == "EVENT" and not p.ended and p.sequence == 0 and "TIME-OFFSET=0" in p.text
    wait_for("it reaches the live edge", lambda: time.time() - (start + f.ask().duration) < 12)
    assert not any(x.discontinuity for x in p.segments)
    httpd_dies(s)
    before = len(f.seen)
    p = f.ask_for(12)
    assert len(f.seen) > before and f.first == [0] * len(f.first) and len(f.targets) == 1
    s.write_stream("cam", {**s.streams_conf["cam"], "stream-url": s.streams_conf["cam"]["stream-url"].strip('"'), "dvr-enable": "false"})
    s.reload()
    wait_for("its end", lambda: f.ask().ended, timeout=20)
    got = hls.samples(s, f.ask().segments).of("vide")
    assert len(got) > 25 * 25
    assert tools.decode(s.url(f"cam/archive-{start}-now.m3u8")) == ""


@pytest.mark.limit(120)
def test_slides(recording):
    """Late by some seconds; over a gap; a number names a piece, whoever asks, also behind httpd's death."""
    s, cam, _ = recording
    wait_for("so much archive", lambda: s.ranges("cam")[0][1] >= 16, timeout=40)
    late = Follower(s, media_of(s, "cam/timeshift_rel-5.m3u8"))
    back = Follower(s, media_of(s, "cam/rewind-12.m3u8"))
    first = back.ask()
    assert not first.ended and first.duration <= 20
    late.ask()
    cam.set("cam0", freeze=1)
    cam.do("rst", name="cam0")
    for _ in range(8):
        late.ask(), back.ask()
        time.sleep(0.5)  # the outage
    cam.set("cam0", freeze=0)
    wait_for("two stretches", lambda: len(s.ranges("cam")) == 2 and s.ranges("cam")[1][1] >= 6, timeout=40)
    httpd_dies(s)
    until = time.monotonic() + 60 * tools.SLOW
    while back.discontinuities[-1] < 1:  # the gap has left it
        assert time.monotonic() < until, (back.first, back.discontinuities)
        p, q = late.ask(), back.ask()
        time.sleep(0.5)  # a player's pace
    assert back.first[-1] >= 3 and back.discontinuities[-1] == 1, back.first
    assert len(back.targets) == 1 and len(late.targets) == 1
    assert time.time() - [x.date for x in q.segments if x.date][-1] < 3600
    end = [x.date for x in p.segments if x.date][-1]
    assert 4 < time.time() - end


@pytest.mark.limit(120)
def test_timeshift_begins_where_it_was_asked_to(recording):
    s, _, start = recording
    wait_for("so much archive", lambda: s.ranges("cam")[0][1] >= 40, timeout=60)
    p = playlist(s, media_of(s, f"cam/timeshift_abs-{start}.m3u8"))
    assert start - 5 <= p.segments[0].date <= start and "TIME-OFFSET=0" in p.text and not p.ended
    assert 15 < p.duration < 36


@pytest.mark.limit(120)
def test_resolution_changes(server, camera):
    """Another picture: another init segment behind a discontinuity, with its date; players go on."""
    cam = camera(dict(group="a", source="small.h264"), dict(group="b", source="tiny.h264"))
    s = server({"cam": cam.url("a0")}, record=True)
    s.wait_state("cam")
    wait_for("an archive", lambda: s.ranges("cam") and s.ranges("cam")[0][1] >= 12, timeout=40)
    start = int(s.ranges("cam")[0][0])
    s.write_stream("cam", cam.url("b0"))
    s.reload()
    wait_for("more of it", lambda: s.ranges("cam")[-1][0] + s.ranges("cam")[-1][1] - start >= 26, timeout=40)
    wait_for("both pictures", lambda: len({x.map_url for x in playlist(s, f"cam/archive-{start}-600.m3u8").segments}) == 2, timeout=30)
    p = playlist(s, f"cam/archive-{start}-600.m3u8")
    change = next(i for i, x in enumerate(p.segments) if x.map_url != p.segments[0].map_url)
    assert p.segments[change].discontinuity and p.segments[change].date
    assert hls.samples(s, p.segments[:change]).of("vide") and hls.samples(s, p.segments[change:]).of("vide")
    assert tools.run("ffmpeg", "-nostdin", "-v", "error", "-i", s.url(f"cam/archive-{start}-600.m3u8"), "-f", "null", "-", ok=False).returncode == 0


@pytest.mark.limit(120)
def test_players_go_over_a_gap(recording):
    """Also where it is listed: then the playlist's time is the clock's."""
    s, cam, start = recording
    cam.set("cam0", freeze=1)
    cam.do("rst", name="cam0")
    time.sleep(4)  # the length of the outage
    cam.set("cam0", freeze=0)
    wait_for("two stretches", lambda: len(s.ranges("cam")) == 2 and s.ranges("cam")[1][1] >= 10, timeout=40)
    b = s.ranges("cam")[1][0]
    url = s.url(f"cam/archive-{start}-60.m3u8")
    plain, listed = playlist(s, url), playlist(s, f"{url}?gap=1")
    for p in (plain, listed):
        assert [x for x in p.segments if x.discontinuity and abs(x.date - b) < 2]
    assert (plain.text.count("#EXT-X-GAP\n"), listed.text.count("#EXT-X-GAP\n")) == (0, 1)
    at = listed.segments[0].date
    for x in listed.segments:
        assert x.date is None or abs(x.date - at) < 0.5
        at += x.duration
    assert tools.decode(url) == ""
    if not shutil.which("gst-launch-1.0"):
        pytest.skip("no gst-launch-1.0")
    sinks = ("video-sink=fakesink", "audio-sink=fakesink")
    g = tools.run("gst-launch-1.0", "-q", "playbin", f"uri={url}", *sinks, timeout=60, ok=False)
    if "missing" in g.stderr or "no element" in g.stderr or "No URI handler" in g.stderr:
        pytest.skip(f"GStreamer here cannot: {g.stderr.strip()[:200]}")
    assert g.returncode == 0, g.stderr
