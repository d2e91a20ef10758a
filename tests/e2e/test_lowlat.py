"""Low latency: live over WebSocket and by low-latency HLS, as clients of other people would read it."""
import base64
import time

import pytest

import mp4
import tools
import ws
from camera import Camera
from server import MediaServer, need_server
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
        numbers = [int.from_bytes(c.fragment()[20:24], "big") for _ in range(250)]
    assert [b - a for a, b in zip(numbers, numbers[1:])] == [1] * 249
    wait_for("it was recorded", lambda: s.ranges("cam") and s.ranges("cam")[0][1] >= 8, timeout=30)
    assert len(s.ranges("cam")) == 1
    for w in stuck:
        w.socket.close()
    wait_for("they are gone", lambda: s.status()["viewers"] == 0, timeout=40)


def test_websocket_from_pages_of_other_sites(server, camera):
    """An address that may watch is no leave for any page that its browser shows: only ours, those named, and those that bring a token."""
    cam = camera()
    streams = {"listed": {"stream-url": cam.url(), "stream-access": "protected", "stream-whitelist": "127.0.0.0/8"}, "open": cam.url()}
    s = server(streams)
    for uid in streams:
        s.wait_state(uid)
    own = f"Origin: http://127.0.0.1:{s.web_port}\r\n"
    for uid, origin, status in (
        ("open", "Origin: https://elsewhere.example\r\n", 101),
        ("listed", "", 101),
        ("listed", own, 101),
        ("listed", "Origin: https://elsewhere.example\r\n", 403),
        ("listed", "Origin: null\r\n", 403),
    ):
        with ws.Client(s, f"{uid}/mse_ld", headers=origin, status=status):
            pass
