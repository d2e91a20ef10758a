"""Low latency: live over WebSocket and by low-latency HLS, as clients of other people would read it."""
import base64
import datetime
import re
import socket
import time

import pytest

import chromium
import hls
import mp4
import tools
import ws
from camera import Camera
from server import MediaServer, need_server
from test_tls import pair
from tools import wait_for


@pytest.fixture(scope="module")
def site():
    need_server()
    with Camera(dict(group="gate", source=["small.h264", "audio.aac"]), dict(group="hall", source=["small.h264", "audio.alaw"])) as cam:
        with MediaServer({"gate": cam.url("gate0"), "hall": cam.url("hall0")}) as server:
            for uid in ("gate", "hall"):
                server.wait_state(uid)
            yield server, cam


def test_websocket_is_an_mp4_of_each_track(site, tmp_path):
    """Init segments out of the text, then fragments: ffmpeg decodes every frame of both, from the first one on."""
    with ws.Client(site[0], "gate/mse_ld") as c:
        said = c.json()
        assert said["type"] == "mse_init_segment" and [s["track_id"] for s in said["metadata"]["streams"]] == ["v1", "a1"]
        tracks = {t["id"]: [base64.b64decode(t["payload"])] for t in said["tracks"]}
        assert [t["mime"].split(";")[0] for t in said["tracks"]] == ["video/mp4", "audio/mp4"]
        while min(len(t) for t in tracks.values()) < 61:
            f = c.fragment()
            tracks[f[47]].append(f)
            assert f[84:88] == b"futc" and abs(int.from_bytes(f[92:96], "big") - time.time()) < 30 * tools.SLOW
    for i, kind in ((1, "video"), (2, "audio")):
        path = tmp_path / f"{kind}.mp4"
        path.write_bytes(b"".join(tracks[i]))
        found = tools.ffprobe(path, "-count_frames", entries="stream=codec_type,nb_read_frames")["streams"]
        samples = mp4.Mp4(path.read_bytes()).of("vide" if i == 1 else "soun")
        assert [s["codec_type"] for s in found] == [kind] and int(found[0]["nb_read_frames"]) == len(samples) >= 60
        mp4.check_times(samples)


def test_websocket_tells_what_is_left_out(site):
    with ws.Client(site[0], "hall/mse_ld") as c:
        said = c.json()
        assert [t["content"] for t in said["tracks"]] == ["video"]
        assert [s["codec"] != "" for s in said["metadata"]["streams"]] == [True, False]
        assert {c.fragment()[47] for _ in range(30)} == {1}


def test_websocket_commands(site):
    with ws.Client(site[0], "gate/mse_ld?tracks=v1") as c:
        assert [t["id"] for t in c.json()["tracks"]] == [1]
        assert {c.fragment()[47] for _ in range(20)} == {1}
        c.say("pause")
        assert c.json()["event"] == "paused"
        c.say("set_tracks=a1")
        assert c.json()["event"] == "tracks_switched"
        c.say("resume")
        assert [t["id"] for t in c.json()["tracks"]] == [2]
        assert c.json()["event"] == "resumed"
        assert {c.fragment()[47] for _ in range(10)} == {2}
        c.send(ws.CLOSE, b"\x03\xe8")
        with pytest.raises(ws.Closed) as closed:
            c.fragment()
        assert closed.value.args[0] == 1000


def test_websocket_camera_that_comes_back(server, camera):
    """The camera's connection breaks: the socket stays, and its next picture is a key frame."""
    cam = camera()
    s = server({"cam": cam.url()})
    s.wait_state("cam")
    with ws.Client(s, "cam/mse_ld") as c:
        c.json()
        before = int.from_bytes(c.fragment()[72:80], "big")
        cam.do("rst")
        seen = 0
        while not seen:
            f = c.fragment()
            now = int.from_bytes(f[72:80], "big")
            if now - before > 20000:  # footage is missing in between
                assert f[128:132] == b"\x02\0\0\0"  # a sync sample
                seen = now
            before = now
        assert c.fragment()


@pytest.mark.limit(60)
def test_stalled_websocket_delays_nobody(server, camera):
    """Sockets that read nothing: others get every frame, and the recording has no hole."""
    cam = camera(dict(source="cam.h264"))
    s = server({"cam": cam.url()}, record=True)
    s.wait_recording("cam")
    stuck = [ws.Client(s, "cam/mse_ld", buffer=2048) for _ in range(20)]
    with ws.Client(s, "cam/mse_ld") as c:
        c.json()
        numbers = [int.from_bytes(c.fragment()[20:24], "big") for _ in range(150)]
    assert [b - a for a, b in zip(numbers, numbers[1:])] == [1] * 149
    wait_for("it was recorded", lambda: s.ranges("cam") and s.ranges("cam")[0][1] >= 5, timeout=30)
    assert len(s.ranges("cam")) == 1
    for w in stuck:
        w.socket.close()
    wait_for("they are gone", lambda: s.status()["viewers"] == 0, timeout=40)


def test_websocket_from_pages_of_other_sites(server, camera):
    """An address that may watch is no leave for any page that its browser shows: only ours, those named, and those that bring a token."""
    cam = camera()
    streams = {"listed": {"stream-url": cam.url(), "stream-access": "protected", "stream-whitelist": "127.0.0.0/8"}, "open": cam.url(),
               "closed": {"stream-url": cam.url(), "stream-access": "private"}}
    s = server(streams, sections={"server/stream": {"auth-secret": "secret"}})
    for uid in streams:
        s.wait_state(uid)
    own = f"Origin: http://127.0.0.1:{s.web_port}\r\n"
    token = s.rows("token", "create", "closed")[0]["token"]
    for uid, origin, status in (
        ("open", "Origin: https://elsewhere.example\r\n", 101),
        ("listed", "", 101),
        ("listed", own, 101),
        ("listed", "Origin: https://elsewhere.example\r\n", 403),
        ("listed", "Origin: null\r\n", 403),
        ("listed?token=junk", "Origin: https://elsewhere.example\r\n", 403),
        ("closed?token=junk", "Origin: https://elsewhere.example\r\n", 403),
        (f"closed?token={token}", "Origin: https://elsewhere.example\r\n", 101),
    ):
        path, _, query = uid.partition("?")
        with ws.Client(s, f"{path}/mse_ld?{query}", headers=origin, status=status):
            pass


@pytest.mark.limit(60)
def test_cameras_on_demand_are_connected_by_these_roads(server, camera):
    """The upgrade waits for the first picture, and so does the playlist of parts."""
    cam = camera(dict(source="small.h264", streams=2))
    s = server({f"cam{i}": {"stream-url": cam.url(f"cam{i}"), "stream-enable": "on-demand"} for i in range(2)})
    wait_for("they are idle", lambda: all(r["state"] == "idle" for r in s.streams().values()), timeout=20)
    with ws.Client(s, "cam0/mse_ld") as c:
        assert [t["content"] for t in c.json()["tracks"]] == ["video"] and c.fragment()
    assert "video.ll.m3u8" in s.text("cam1/index.ll.m3u8")
    assert "#EXT-X-PART-INF:" in s.text("cam1/video.ll.m3u8")


# --- low-latency HLS ---


def parts_of(text):
    """[(msn, part, seconds, independent)] of all that is listed, and the hint."""
    parts = [(int(m[2]), int(m[3]), float(m[1]), bool(m[4])) for m in re.finditer(r'#EXT-X-PART:DURATION=([\d.]+),URI="live-(\d+)\.(\d+)\.m4s"(,INDEPENDENT=YES)?\n', text)]
    hint = re.findall(r'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="live-(\d+)\.(\d+)\.m4s"\n', text)
    assert len(hint) == 1 and text.endswith('.m4s"\n')
    return parts, tuple(map(int, hint[0]))


@pytest.fixture(scope="module")
def low(site):
    """The playlist is asked for, so that there are parts: (server, path)."""
    master = hls.Playlist(site[0].text("gate/index.ll.m3u8"), site[0].url("gate/index.ll.m3u8"))
    assert master.variants[0][1].endswith("/gate/video.ll.m3u8")
    wait_for("parts", lambda: "#EXT-X-PART:" in site[0].text("gate/video.ll.m3u8"), timeout=20)
    return site[0], "gate/video.ll.m3u8"


def test_parts_are_followed_by_blocking_reload(low, tmp_path):
    """A player that always asks for the next part: it gets each one once, at the camera's pace, and what it has decodes without a hole."""
    server, path = low
    text = server.text(path)
    target = float(re.search(r"#EXT-X-PART-INF:PART-TARGET=([\d.]+)\n", text)[1])
    hold_back = float(re.search(r"CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=([\d.]+),CAN-SKIP-UNTIL=\d+\.0\n", text)[1])
    assert 0.2 < target < 0.4 and hold_back >= 3 * target
    init = server.get("gate/" + re.findall(r'#EXT-X-MAP:URI="([^"]+)"', text)[-1]).body
    (msn, part), got, began = parts_of(text)[1], [], time.monotonic()
    first, media = (msn, part), 0.0
    while media < 6:
        text = server.text(f"{path}?_HLS_msn={msn}&_HLS_part={part}")
        parts, hint = parts_of(text)
        row = next((p for p in parts if p[:2] == (msn, part)), None)
        if row is None:  # the segment ended before it
            assert hint[0] > msn
            msn, part = msn + 1, 0
            continue
        assert row[2] <= target + 0.001
        got.append(server.get(f"gate/live-{msn}.{part}.m4s").body)
        media += row[2]
        part += 1
    took = time.monotonic() - began
    assert media - 2 < took < (media + 3) * tools.SLOW
    assert len([p for p in parts if p[3]]) >= 1 and first[0] < msn
    movie = mp4.Mp4(init + b"".join(got))
    video = movie.of("vide")
    mp4.check_times(video)
    assert abs(len(video) / 25 - media) < 0.5
    (tmp_path / "parts.mp4").write_bytes(init + b"".join(got))
    found = tools.ffprobe(tmp_path / "parts.mp4", "-count_frames", entries="stream=codec_type,nb_read_frames")["streams"]
    assert {s["codec_type"] for s in found} == {"video", "audio"}
    # The same samples as the segment that the parts are of.
    whole = [p[:2] for p in parts if p[0] == msn - 1]
    if whole and whole[0][1] == 0:
        joined = b"".join(server.get(f"gate/live-{m}.{p}.m4s").body for m, p in whole)
        segment = server.get(f"gate/live-{msn - 1}.m4s").body
        assert [s.sha1 for s in mp4.Mp4(init + joined).of("vide")] == [s.sha1 for s in mp4.Mp4(init + segment).of("vide")]


def test_blocking_requests_have_bounds(low):
    server, path = low
    (msn, part), began = parts_of(server.text(path))[1], time.monotonic()
    for query, status in (
        (f"_HLS_msn={msn + 50}", 400),
        (f"_HLS_msn={msn}&_HLS_part={part + 500}", 400),
        ("_HLS_part=1", 400),
        ("_HLS_msn=", 400),
        ("_HLS_msn=-1", 400),
        ("_HLS_msn=1x", 400),
        ("_HLS_msn=99999999999999999999999999", 400),
        ("_HLS_msn=0", 200),
        ("_HLS_skip=YES", 200),
    ):
        assert server.get(f"{path}?{query}", status=None).status == status, query
    assert time.monotonic() - began < 3 * tools.SLOW
    server.get(f"gate/live-{msn}.{part + 40}.m4s", status=404)
    server.get(f"gate/live-{msn}.x.m4s", status=400)
    (msn, part), began = parts_of(server.text(path))[1], time.monotonic()
    assert server.get(f"gate/live-{msn}.{part}.m4s").body[4:8] == b"moof"  # the hinted one: waits until it is there
    a = server.get(f"{path}?_HLS_msn={msn + 1}")
    assert f"live-{msn + 1}.m4s" in a.text and "no-cache" in a["Cache-Control"]


def test_part_by_ranges(low):
    server, path = low
    msn, part, *_ = parts_of(server.text(path))[0][-1]
    whole = server.get(f"gate/live-{msn}.{part}.m4s")
    n = len(whole.body)
    for a, b in ((0, 0), (10, 5000), (n // 2, n - 1)):
        piece = server.get(f"gate/live-{msn}.{part}.m4s", headers={"Range": f"bytes={a}-{b}"}, status=206)
        assert piece.body == whole.body[a : b + 1] and piece["ETag"] == whole["ETag"]
    assert server.get(f"gate/live-{msn}.{part}.m4s", headers={"If-None-Match": whole["ETag"]}, status=304).body == b""


def test_plain_players_see_nothing_of_it(low, tmp_path):
    """The plain playlist has no word of parts, the same segments by the same numbers, and ffmpeg plays both."""
    server, path = low
    plain = server.text("gate/video.m3u8")
    assert "PART" not in plain and "SERVER-CONTROL" not in plain

    def segments(path):
        return {x for x in server.text(path).splitlines() if x.startswith("live-")}

    wait_for("the same segments", lambda: segments("gate/video.m3u8") <= segments(path))  # one may go between both
    for name in ("index.m3u8", "index.ll.m3u8"):
        out = tmp_path / f"{name}.mp4"
        tools.run("ffmpeg", "-v", "error", "-t", "3", "-i", server.url(f"gate/{name}"), "-c", "copy", out)
        found = tools.ffprobe(out, "-count_frames", entries="stream=codec_type,nb_read_frames")["streams"]
        assert {s["codec_type"] for s in found} == {"video", "audio"} and all(int(s["nb_read_frames"]) > 30 for s in found)


@pytest.fixture(scope="module")
def pair_of_streams():
    """Main and sub of one camera, and a stream of another: a server."""
    need_server()
    with Camera(dict(group="main", source=["small.h264", "audio.aac"]), dict(group="sub", source=["tiny.h264", "audio.aac"])) as cam:
        streams = {
            "gate": {"stream-url": cam.url("main0"), "camera-uid": "c-1"},
            "gate-sub": {"stream-url": cam.url("sub0"), "camera-uid": "c-1", "stream-profile": "sub"},
        }
        with MediaServer(streams) as server:
            server.cam = cam
            for uid in streams:
                server.wait_state(uid)
            yield server


def reports_of(text):
    return [hls.attributes(x.partition(":")[2]) for x in text.splitlines() if x.startswith("#EXT-X-RENDITION-REPORT:")]


def test_renditions_of_one_camera(pair_of_streams):
    """The main stream's playlist lists both; each says how far the other is, so that a player who changes asks for what comes next."""
    server = pair_of_streams
    variants = hls.Playlist(server.text("gate/index.ll.m3u8"), server.url("gate/index.ll.m3u8")).variants
    assert [url for _, url in variants] == [server.url("gate/video.ll.m3u8"), server.url("gate-sub/video.ll.m3u8")]
    assert [a["RESOLUTION"] for a, _ in variants][0] == "640x360" and all("avc1." in a["CODECS"] and "mp4a" in a["CODECS"] for a, _ in variants)
    assert len(hls.Playlist(server.text("gate-sub/index.ll.m3u8"), "").variants) == 1
    assert len(hls.Playlist(server.text("gate/index.m3u8"), "").variants) == 1
    for uid, other in (("gate", "gate-sub"), ("gate-sub", "gate")):
        server.text(f"{other}/video.ll.m3u8")
        (report,) = wait_for("a report", lambda u=uid: reports_of(server.text(f"{u}/video.ll.m3u8")))
        assert report["URI"] == f"../{other}/video.ll.m3u8"
        (msn, part), began = (int(report["LAST-MSN"]), int(report["LAST-PART"])), time.monotonic()
        text = server.text(f"{other}/video.ll.m3u8?_HLS_msn={msn}&_HLS_part={part}")
        assert f"live-{msn}.{part}.m4s" in text and time.monotonic() - began < 2 * tools.SLOW


def part_ends(text):
    """{(media sequence, part): unix time of its end}, by EXT-X-PROGRAM-DATE-TIME; the part target."""
    ends, msn, part, at, target = {}, None, 0, None, None
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == "#EXT-X-MEDIA-SEQUENCE":
            msn = int(value)
        elif name == "#EXT-X-PART-INF":
            target = float(hls.attributes(value)["PART-TARGET"])
        elif name == "#EXT-X-PROGRAM-DATE-TIME":
            at = datetime.datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
        elif name == "#EXT-X-PART":
            at += float(hls.attributes(value)["DURATION"])
            ends[msn, part] = at
            part += 1
        elif line and not line.startswith("#"):
            msn, part = msn + 1, 0
    return ends, target


def test_renditions_have_one_clock(pair_of_streams):
    """Both are timed by the clock of this node, whenever their cameras' sessions began: by EXT-X-PROGRAM-DATE-TIME the last part of one and that which it reports of
    the other end within a part of each other."""
    server = pair_of_streams
    server.cam.do("rst", name="sub0")  # another session: its media time begins elsewhere
    wait_for("another session", lambda: server.stream("gate-sub")["reconnects"] > 0, timeout=30)
    server.wait_state("gate-sub")
    wait_for("its playlist", lambda: server.get("gate-sub/video.ll.m3u8", status=None).status == 200, timeout=30)
    assert "gate-sub" in server.text("gate/index.ll.m3u8")

    def apart():
        text = server.text("gate/video.ll.m3u8")
        other = server.text("gate-sub/video.ll.m3u8")
        (mine, target), (theirs, _), reports = part_ends(text), part_ends(other), reports_of(text)
        last = (int(reports[0]["LAST-MSN"]), int(reports[0]["LAST-PART"])) if reports else None
        return last in theirs and abs(max(mine.values()) - theirs[last]) <= target

    wait_for("they agree", apart, timeout=30)


@pytest.mark.heavy
@pytest.mark.skipif(not chromium.usable(), reason="no chromium with playwright-core: scripts/deps test")
def test_the_page_with_two_renditions(pair_of_streams):
    got = chromium.browse(
        pair_of_streams.url("gate/embed.html?proto=ll-hls"), {"playing": 20000}, {"played": 6}, {"eval": "document.querySelector('video').videoWidth"},
        {"eval": "[...new Set(performance.getEntriesByType('resource').map((r) => r.name.match(/\\/(gate[^/]*)\\/live-[0-9]/)?.[1]).filter(Boolean))]"},
    )
    print(f"played {got[1]}, width {got[2]}, of {got[3]}")
    assert got[1]["frames"] > got[1]["seconds"] * 2 and got[1]["stalled"] < 3000 * tools.SLOW


@pytest.mark.limit(60)
def test_a_thousand_waiting_players_are_answered_at_once(low):
    """They wait for the same part on their own connections; the same playlist comes to all of them."""
    server, path = low
    waiting = []
    for _ in range(1000):
        s = socket.create_connection(("127.0.0.1", server.web_port), 20 * tools.SLOW)
        waiting.append(s)
    msn, _ = parts_of(server.text(path))[1]
    ask = f"GET /{path}?_HLS_msn={msn + 1}&_HLS_part=0 HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    for s in waiting:
        s.sendall(ask)
    times = []
    for s in waiting:
        got = s.recv(65536)
        assert got.startswith(b"HTTP/1.1 200 "), got[:100]
        times.append(time.monotonic())
        s.close()
    print(f"from the first to the last of 1000: {(times[-1] - times[0]) * 1000:.0f} ms")
    assert times[-1] - times[0] < 2 * tools.SLOW
    assert server.get(f"{path}").body


def test_delta_updates(low):
    """What is left out is what the player has: the rest is the whole playlist's end."""
    server, path = low
    wait_for("something to leave out", lambda: "#EXT-X-SKIP" in server.text(f"{path}?_HLS_skip=YES"), timeout=60, every=0.5)
    msn, part = parts_of(server.text(path))[1]
    for skip in ("YES", "v2"):

        def both():
            """A segment may end between them."""
            delta = server.text(f"{path}?_HLS_msn={msn}&_HLS_part={part}&_HLS_skip={skip}")
            whole = server.text(path)
            n = int(re.search(r"#EXT-X-SKIP:SKIPPED-SEGMENTS=(\d+)\n", delta)[1])
            return (delta, whole) if delta.count("#EXTINF") + n == whole.count("#EXTINF") else None

        delta, whole = wait_for("the same segments in both", both)
        assert delta.splitlines()[1] == "#EXT-X-VERSION:9"
        behind = delta[delta.index("#EXT-X-SKIP"):].split("\n", 1)[1]
        assert behind.splitlines()[0] in whole.splitlines() and behind.splitlines()[-2] in whole.splitlines()
    assert "#EXT-X-SKIP" not in server.text(f"{path}?_HLS_skip=NO")


# --- over TLS ---


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory):
    cert, key = pair(tmp_path_factory.mktemp("lowlat"), "lowlat")
    tls = {"ssl-enable": "true", "ssl-cert": cert, "ssl-key": key}
    with Camera(dict(source=["small.h264", "audio.aac"])) as cam, MediaServer({"cam": cam.url()}, sections={"server/stream": tls}) as server:
        server.scheme = "https"
        server.wait_state("cam")
        wait_for("TLS answers", lambda: server.get("cam/stream.json", status=None).status == 200, timeout=15)
        yield server


def test_websocket_over_tls(encrypted):
    with ws.Client(encrypted, "cam/mse_ld") as c:
        assert len(c.json()["tracks"]) == 2
        numbers = [int.from_bytes(f[20:24], "big") for f in (c.fragment() for _ in range(150)) if f[47] == 1]
        assert [b - a for a, b in zip(numbers, numbers[1:])] == [1] * (len(numbers) - 1)
        c.say("pause")
        assert c.json()["event"] == "paused"


def test_parts_over_tls(encrypted):
    path = "cam/video.ll.m3u8"
    wait_for("parts", lambda: "#EXT-X-PART:" in encrypted.text(path), timeout=20)
    msn, part = parts_of(encrypted.text(path))[1]
    assert encrypted.get(f"cam/live-{msn}.{part}.m4s").body[4:8] == b"moof"
    assert f"live-{msn}.{part}.m4s" in encrypted.text(f"{path}?_HLS_msn={msn}&_HLS_part={part}")


def test_parts_over_http2(encrypted, tmp_path):
    """As Apple's players do: the hinted part and the playlist behind it are asked for at once on one connection, and wait there."""
    path = "cam/video.ll.m3u8"
    wait_for("parts", lambda: "#EXT-X-PART:" in encrypted.text(path), timeout=20)
    msn, part = parts_of(encrypted.text(path))[1]
    urls = [encrypted.url(f"cam/live-{msn}.{part}.m4s"), encrypted.url(f"{path}?_HLS_msn={msn}&_HLS_part={part}&_HLS_skip=YES")]
    out = [tmp_path / "part", tmp_path / "list"]
    p = tools.run("curl", "-sk", "-m", 20, "--http2", "-Z", "--parallel-immediate", "-w", "%{http_version} %{http_code}\\n", urls[0], "-o", out[0], urls[1], "-o", out[1], timeout=40)
    assert p.stdout.splitlines() == ["2 200", "2 200"]
    assert out[0].read_bytes()[4:8] == b"moof" and f"live-{msn}.{part}.m4s" in out[1].read_text()


@pytest.mark.heavy
@pytest.mark.skipif(not chromium.usable(), reason="no chromium with playwright-core: scripts/deps test")
def test_page_over_tls(encrypted):
    """The page's policy lets it open wss: to its own host."""
    got = chromium.browse(encrypted.url("cam/embed.html"), {"playing": 20000}, {"played": 1.5}, {"until": "document.getElementById('live').title.includes(' by ')"}, {"eval": "document.getElementById('live').title"})
    assert got[1]["frames"] > got[1]["seconds"] * 2 and "by WebSocket" in got[3]
