"""Cameras that push: recorded and watched like any other, and nobody else's footage gets in."""
import os
import shutil
import signal

import pytest

import hls
import mp4
import push
import tools
from server import need_server
from test_lua import HEAD, put_script
from test_tls import pair
from tools import wait_for

PATH = "cam-1"
CANNOT_SAY = """return function(request)
    if not request.token.valid then return { allow = false, status = 403 } end
    ms.log("cannot say")
    return { allow = false, status = 503 }
end
"""


@pytest.fixture(scope="module")
def shared():
    need_server()
    with push.Server({PATH: "publish://u:p@node/cam-1/"}, record=True, stream={"auth-secret": "a secret of this test"}) as s:
        yield s


def until_free(s):
    """Nobody pushes."""
    wait_for("the last one has gone", lambda: s.stream(PATH)["state"] == "down" or s.stream(PATH)["reason"] == "waiting for the camera to push", timeout=20)


def check_live(s):
    p = hls.Playlist(s.text(f"{PATH}/video.m3u8"), s.url(f"{PATH}/video.m3u8"))
    got = hls.samples(s, p.segments[:2])
    assert got.of("vide")[0].key
    mp4.check_times(got.of("vide"))
    return got


def test_waits_for_the_camera(shared):
    wait_for("it says so", lambda: shared.stream(PATH)["reason"] == "waiting for the camera to push")
    assert shared.stream(PATH)["state"] == "connecting"


@pytest.mark.limit(60)
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_ffmpeg_pushes(shared, transport):
    """Live and recorded; when it leaves, the stream is down and says why."""
    until_free(shared)
    before = len(shared.recorded(PATH))
    with push.ffmpeg(shared.push_url(PATH, slash="/" if transport == "tcp" else ""), transport):
        shared.wait_state(PATH)
        got = check_live(shared)
        assert got.of("soun")
        wait_for("footage", lambda: len(shared.recorded(PATH)) >= before + 40)
    row = shared.wait_state(PATH, "down")
    assert row["reason"] == "the camera ended the session"
    wait_for("the segment is closed", lambda: not shared.status()["recording"])
    mp4.check_times(mp4.Mp4(shared.segments(PATH)[-1].read_bytes()).of("vide"))


@pytest.mark.limit(60)
@pytest.mark.parametrize("protocols", ["tcp", "udp"])
def test_gstreamer_pushes(shared, protocols):
    if not shutil.which("gst-inspect-1.0") or tools.run("gst-inspect-1.0", "rtspclientsink", ok=False).returncode:
        pytest.skip("no rtspclientsink")
    until_free(shared)
    with push.gstreamer(shared.push_url(PATH), protocols):
        shared.wait_state(PATH)
        check_live(shared)
        shared.wait_frames(PATH, 25)
    shared.wait_state(PATH, "down")


def test_who_is_not_let_in(shared):
    """No login, a wrong one, another stream, no stream, nothing that is RTSP."""
    url = shared.push_url(PATH, user="")
    until_free(shared)
    with push.Client(shared.push_port) as c:
        status, fields = c.ask("OPTIONS", url)
        assert status == 200 and "RECORD" in fields["public"][0]
        assert c.ask("SETUP", url + "/streamid=0", Transport="RTP/AVP/TCP;interleaved=0-1")[0] == 455
        status, fields = c.announce(url)
        assert status == 401 and not any(v.startswith("Basic") for v in fields["www-authenticate"])
        assert c.ask("RECORD", url)[0] == 455
        assert c.ask("PLAY", url)[0] == 405
        assert c.ask("BREW", url)[0] == 501
        assert c.ask("ANNOUNCE", shared.push_url("other", user=""), push.SDP)[0] == 404
        for _ in range(3):
            assert c.announce(url, "u", "q")[0] in (401, 0)
        assert c.ask("OPTIONS", url)[0] == 0
    with push.Client(shared.push_port) as c:
        assert c.ask("ANNOUNCE", shared.push_url("nobody", user=""), push.SDP)[0] == 404
    with push.Client(shared.push_port) as c:
        c.socket.sendall(b"X" * 9000)
        assert c.answer()[0] == 400
    assert shared.stream(PATH)["state"] != "active"


def token(s, *args):
    return s.rows("token", "create", PATH, "--ops", "publish", *args)[0]


@pytest.mark.limit(60)
def test_pushed_by_a_token(shared):
    """In the URL, by ffmpeg; taken back, the push ends within two seconds; so it does where httpd has been started anew meanwhile."""
    made = token(shared, "--user", "carl")
    url = shared.push_url(PATH, user="") + f"?token={made['token']}"
    until_free(shared)
    with push.ffmpeg(url, audio=False) as first:
        shared.wait_state(PATH)
        shared.wait_frames(PATH, 25)
        httpd = shared.status()["httpd_pid"]
        os.kill(httpd, signal.SIGKILL)
        wait_for("another httpd", lambda: shared.status()["httpd_pid"] not in (0, httpd))
        wait_for("live again", lambda: shared.get(f"{PATH}/preview.mp4", status=None).status == 200)
        assert first.process.poll() is None and shared.stream(PATH)["state"] == "active"
        assert made["token"] not in shared.log()
        shared.msctl("token", "revoke", f"id={made['id']}")
        row = shared.wait_state(PATH, "down")
        assert row["reason"] == "the token that it pushed by counts no more"
        assert first.said()
    with push.ffmpeg(url, audio=False) as again:
        assert "403" in again.said()


def test_tokens_that_do_not_push(shared):
    """In Authorization too; of another scope, another stream, another address, forged; none of them is a wrong password, which would shut the camera out for a
    minute."""
    url = shared.push_url(PATH, user="")
    until_free(shared)

    def announced(text, **fields):
        with push.Client(shared.push_port) as c:
            return c.ask("ANNOUNCE", url + text, push.SDP, **fields)[0]

    good = token(shared)["token"]
    assert announced(f"?token={good}") == 200
    assert announced("", Authorization=good) == 200
    assert announced("", Authorization=f"Bearer {good}") == 200
    refused = [shared.rows("token", "create", PATH, "--ops", "live,dvr,copy,api")[0]["token"],
               shared.rows("token", "create", "other", "--ops", "publish")[0]["token"], token(shared, "--address", "10.0.0.0/8")["token"], good[:-2]]
    assert [announced(f"?token={t}") for t in refused * 2] == [403] * len(refused) * 2
    with push.Client(shared.push_port) as c:
        assert c.announce(url, "u", "p")[0] == 200


@pytest.mark.limit(60)
def test_asked_again_where_nobody_could_say():
    """The site's script fails when a new httpd asks about a push: it goes on, is asked about again, and ends with its token."""
    need_server()
    module = "modules/site/auth.lua"
    stream = {"auth-secret": "a secret of this test", "auth-module": module}
    with push.Server({PATH: "publish://u:p@node/cam-1/"}, stream=stream, start=False) as s:
        put_script(s, HEAD + "return function(request) return { allow = true } end", module)
        s.start()
        made = token(s)
        with push.ffmpeg(s.push_url(PATH, user="") + f"?token={made['token']}", audio=False) as camera:
            s.wait_state(PATH)
            put_script(s, HEAD + CANNOT_SAY, module)
            os.kill(s.status()["httpd_pid"], signal.SIGKILL)
            wait_for("it is asked again", lambda: s.log().count("cannot say") >= 2, timeout=30)
            assert camera.process.poll() is None and s.stream(PATH)["state"] == "active"
            s.msctl("token", "revoke", f"id={made['id']}")
            assert s.wait_state(PATH, "down")["reason"] == "the token that it pushed by counts no more"


def test_another_one_while_the_first_sends(shared):
    url = shared.push_url(PATH, user="")
    until_free(shared)
    with push.ffmpeg(shared.push_url(PATH), audio=False) as first:
        shared.wait_state(PATH)
        with push.Client(shared.push_port) as c:
            status, fields = c.announce(url, "u", "p")
            assert status == 503 and fields["retry-after"]
        shared.wait_frames(PATH, 25)
        # One that is stuck makes room: a camera that was cut off comes back before its old connection dies.
        first.process.send_signal(signal.SIGSTOP)

        def taken_over():
            with push.Client(shared.push_port) as c:
                return c.announce(url, "u", "p")[0] == 200

        wait_for("the next one is let in", taken_over, timeout=20, every=1)  # more of them are too many for a stream
        first.process.send_signal(signal.SIGCONT)
        assert first.said()


@pytest.mark.limit(60)
def test_a_killed_worker_costs_a_reconnect(shared):
    """The pusher's connection ends with the worker; what was in the ring is recorded, and it may push again."""
    until_free(shared)
    with push.ffmpeg(shared.push_url(PATH), audio=False) as first:
        shared.wait_state(PATH)
        shared.wait_recording(PATH)
        shared.wait_frames(PATH, 75)
        frames = shared.stream(PATH)["frames"]
        _, wait_new = shared.kill(PATH)
        wait_new()
        assert first.said()
    with push.ffmpeg(shared.push_url(PATH), audio=False):
        wait_for("it is active again", lambda: shared.stream(PATH)["state"] == "active", timeout=20)
        shared.wait_frames(PATH, 50)
        assert shared.stream(PATH)["frames"] > frames
    shared.wait_state(PATH, "down")
    for path in shared.segments(PATH):
        mp4.check_times(mp4.Mp4(path.read_bytes(), True).of("vide"))


@pytest.mark.limit(60)
def test_pushed_inside_tls(tmp_path):
    """By ffmpeg and GStreamer, recorded like any other; UDP is not offered there; a new httpd costs a reconnect, and what stands for a viewer's address
    (whitelist-publishers) holds."""
    need_server()
    port = tools.free_port()
    cert, key = pair(tmp_path, "push")
    stream = {"publish-tls": f"*:{port}:/", "ssl-cert": cert, "ssl-key": key}
    with push.Server({PATH: "publish://u:p@node/cam-1/"}, record=True, stream=stream) as s:
        where = f"rtsps://u:p@127.0.0.1:{port}/{PATH}"
        wait_for("it waits", lambda: s.stream(PATH)["reason"] == "waiting for the camera to push")
        with push.ffmpeg(where) as first:
            s.wait_state(PATH)
            assert s.rows("streams", PATH)[0]["source"] == "push tcp 127.0.0.1"
            s.wait_recording(PATH)
            check_live(s)
            s.wait_frames(PATH, 50)
            os.kill(s.status()["httpd_pid"], signal.SIGKILL)
            assert first.said()
        s.wait_state(PATH, "down")
        if shutil.which("gst-inspect-1.0") and not tools.run("gst-inspect-1.0", "rtspclientsink", ok=False).returncode:
            with push.gstreamer(where, "tcp", "tls-validation-flags=0"):
                wait_for("active", lambda: s.stream(PATH)["state"] == "active", timeout=20)
                s.wait_frames(PATH, 25)
            s.wait_state(PATH, "down")
        s.sections["server/stream"]["whitelist-publishers"] = "10.0.0.0/8"
        s.write_ini()
        s.reload()
        with push.ffmpeg(where, audio=False) as other:
            assert other.said()
        assert s.stream(PATH)["state"] != "active"
        for path in s.segments(PATH):
            mp4.check_times(mp4.Mp4(path.read_bytes(), True).of("vide"))


@pytest.mark.limit(60)
def test_reload_ends_and_begins():
    """Switched off and on again, other credentials, another whitelist; without such a stream nobody listens."""
    need_server()
    with push.Server({PATH: "publish://u:p@node/cam-1/"}) as s:
        with push.ffmpeg(s.push_url(PATH), audio=False) as first:
            s.wait_state(PATH)
            s.write_stream(PATH, {"stream-url": "publish://u:p@node/cam-1/", "stream-enable": "false"})
            s.reload()
            s.wait_state(PATH, "disabled")
            assert first.said()
        with pytest.raises(OSError):
            push.Client(s.push_port)
        s.write_stream(PATH, {"stream-url": "publish://u:other@node/cam-1/"})
        s.reload()

        def lets_in(password):
            with push.Client(s.push_port) as c:
                return c.announce(s.push_url(PATH, user=""), "u", password)[0]

        wait_for("its worker is there", lambda: lets_in("p") == 401)
        assert lets_in("other") == 200
        s.sections["server/stream"]["whitelist-publishers"] = "10.0.0.0/8"
        s.write_ini()
        s.reload()

        def shut_out():
            try:
                return lets_in("other") == 0
            except ConnectionError:
                return True

        wait_for("the whitelist holds", shut_out)
        before = s.status()["httpd_pid"]
        assert s.get(f"{PATH}/stream.json").status == 200 and s.status()["httpd_pid"] == before
