"""/api/v3/: cameras tried before they are added, and why a stream is black."""
import threading

import pytest

from api3 import Api3
from camera import Camera
from server import MediaServer, need_server
from test_api3 import SECRET, token_of
from tools import free_port, wait_for


@pytest.fixture(scope="module")
def site():
    need_server()
    with Camera(dict(group="cam", source=["small.h264", "audio.aac"], start="key", auth="digest-md5", user="u", password="secret")) as cam:
        streams = {"cam": {"stream-url": cam.url(), "dvr-enable": "true"}, "none": {"stream-url": cam.url(), "stream-access": "none"},
                   "off": {"stream-url": cam.url(), "stream-enable": "false"}, "lost": {"stream-url": f"rtsp://u:secret@127.0.0.1:{free_port()}/x"}}
        with MediaServer(streams, record=False, sections={**SECRET, "server": {"camera-deny": "192.0.2.0/24"}}) as server:
            server.wait_state("cam")
            yield server, Api3(server, token_of(server)), cam


def steps(found):
    return [s["name"] for s in found["steps"]]


def test_probe(site):
    server, a, cam = site
    found = a.call("probe", "POST", {"url": cam.url(), "seconds": 3})
    assert found["ok"] is True and steps(found)[0] == "connect" and steps(found)[-1] == "PLAY" and "m=video" in found["sdp"] and found["peer"].startswith("tcp ")
    assert [(t["kind"], t["codec"]) for t in found["tracks"]] == [("video", "H264"), ("audio", "AAC")] and found["tracks"][0]["width"] == 640
    assert found["bitrate"] > 10000 and found["frames"] > 10 and found["gop"]["frames"] > 0
    assert {r["uid"] for r in a.call("streams")["items"]} == {"cam", "none", "off", "lost"}
    wait_for("its worker is gone", lambda: list(server.family().values()).count("ms-worker") == 3)


def test_probe_fails(site):
    server, a, cam = site
    wrong = a.call("probe", "POST", {"url": cam.url().replace("secret", "wrong")})
    assert wrong["ok"] is False and any(s["text"].startswith("401") for s in wrong["steps"]) and wrong["reason"]
    nobody = a.call("probe", "POST", {"url": f"rtsp://127.0.0.1:{free_port()}/x"})
    assert steps(nobody) == ["connect"] and not nobody["steps"][0]["ok"] and nobody["sdp"] is None and nobody["tracks"] == []
    lost = a.call("probe", "POST", {"url": "rtsp://no-such-host.invalid/x"})
    assert steps(lost) == ["resolve"], lost["steps"]
    denied = a.call("probe", "POST", {"url": "rtsp://192.0.2.1/x"})
    assert not denied["ok"] and "192.0.2.1" in str(denied["steps"]) + denied["reason"] or denied["reason"]
    for body, field in (({"url": "http://h/x"}, None), ({"url": "rtsp://"}, None), ({}, "url"), ({"url": "rtsp://h/x", "seconds": 60}, "seconds"), ({"url": "rtsp://h/x", "transport": "ip"}, "transport")):
        problem = a.call("probe", "POST", body, 422)
        assert field is None or problem["errors"][0]["field"] == field


def test_probes_are_few(site):
    server, a, cam = site
    answers = []

    def one():
        mine = Api3(server, a.token)
        answers.append(mine.ask("probe", "POST", {"url": cam.url(), "seconds": 5}))

    threads = [threading.Thread(target=one) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(x.status for x in answers) == [200, 200, 429, 429]
    assert [x for x in answers if x.status == 429][0].headers["Retry-After"] == "10"


def results(found):
    return {c["name"]: c["result"] for c in found["checks"]}


def test_why_is_it_black(site):
    server, a, cam = site
    wait_for("a whole group of pictures", lambda: a.call("streams/cam")["gop_frames"] > 0)
    server.wait_recording("cam")
    fine = a.call("streams/cam/diagnosis", "POST")
    assert fine["verdict"] == "ok" and set(results(fine).values()) == {"ok"}, fine
    assert [c["name"] for c in fine["checks"]] == ["dns", "tcp", "rtsp", "rtp", "keyframe", "codec", "disk", "access"]
    assert "secret" not in fine["text"] and "u:***@" in fine["text"] and "disk" in fine["text"]
    none = a.call("streams/none/diagnosis", "POST")
    assert none["verdict"] == "fault" and results(none)["access"] == "fault" and results(none)["rtp"] == "ok"
    off = a.call("streams/off/diagnosis", "POST")
    assert results(off)["access"] == "fault" and results(off)["tcp"] == "unknown"
    lost = a.call("streams/lost/diagnosis", "POST")
    assert lost["verdict"] == "fault" and results(lost)["tcp"] == "fault" and results(lost)["rtsp"] == "unknown" and "secret" not in lost["text"]
    a.call("streams/nobody/diagnosis", "POST", status=404)


def test_a_camera_that_changed_its_password(site):
    server, a, cam = site
    a.call("streams/lost", "PATCH", {"stream-url": cam.url().replace("secret", "other")})
    found = a.call("streams/lost/diagnosis", "POST")
    assert results(found)["tcp"] == "ok" and results(found)["rtsp"] == "fault" and "password" in found["text"] and "other" not in found["text"]
