"""Who may watch over RTSP, with the clients that people have: accounts by Digest, tokens, proxies, tunnels through the port of HTTP,
limits, what is taken back; plain and TLS side by side; streams that are captured only while somebody watches."""
import ctypes
import json
import shutil
import socket
import threading
import time

import pytest

import gst
import tools
from camera import Camera
from rtsp import Reader, Rtsp, Tunnel
from rtsp import watch as rtsp_watch
from server import MediaServer, need_server
from test_tls import pair
from test_rtsp_dvr import NTP, at as clock, replay, until_bye
from tools import wait_for

PROXY = b"\r\n\r\n\0\r\nQUIT\n"
LOGIN = "anna:wonder@"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A private stream with an archive, one for listed addresses, one with a limit, one on demand; behind a trusted proxy."""
    need_server()
    cert, key = pair(tmp_path_factory.mktemp("tls"), "both")
    tls = {"rtsp": tools.free_port(), "web": tools.free_port()}
    with Camera(dict(source=["small.h264", "audio.aac"], streams=4)) as cam:
        streams = {
            "door": {"stream-url": cam.url("cam0"), "stream-access": "private", "dvr-enable": "true"},
            "listed": {"stream-url": cam.url("cam1"), "stream-access": "protected", "stream-whitelist": "203.0.113.0/24"},
            "limited": {"stream-url": cam.url("cam2"), "stream-limit": "1", "dvr-enable": "true"},
            "lazy": {"stream-url": cam.url("cam3"), "stream-enable": "on-demand"},
        }
        sections = {
            "server/stream": {
                "auth-secret": '"a # secret"', "trusted-proxies": "127.0.0.0/8", "ssl-cert": cert, "ssl-key": key,
                "rtsp-tls": f"127.0.0.1:{tls['rtsp']}:/", "web-tls": f"127.0.0.1:{tls['web']}:/",
            },
            "server/module/users": {"user": "anna:wonder", "guest": "bert:brick"},
        }
        with MediaServer(streams, sections=sections) as server:
            server.tls = tls
            for uid in ("door", "listed", "limited"):
                server.wait_state(uid)
            server.wait_recording("door", "limited")
            yield server


def url(site, path="door", login="", port=None, scheme="rtsp"):
    return f"{scheme}://{login}127.0.0.1:{port or site.rtsp_port}/{path}"


def token(site, *args):
    return site.rows("token", "create", *args)[0]


def ffmpeg(where, transport="tcp"):
    """What ffmpeg decodes of it in a second: it must have pictures and complain of nothing."""

    def decoded():
        p = tools.run("ffmpeg", "-v", "warning", "-rtsp_transport", transport, "-i", where, "-t", "1", "-f", "framecrc", "-", timeout=30, ok=False)
        assert sum(line.startswith("0,") for line in p.stdout.splitlines()) >= 20 and p.stderr == "", f"{p.stdout[-300:]}{p.stderr}"

    tools.in_one_of(4 if transport == "udp" else 1, decoded)


def refused(where, transport="tcp"):
    p = tools.run("ffmpeg", "-v", "error", "-rtsp_transport", transport, "-i", where, "-t", "1", "-f", "null", "-", timeout=30, ok=False)
    assert p.returncode != 0
    return p.stderr


def need_gst():
    if not shutil.which("gst-launch-1.0"):
        pytest.skip("no gst-launch-1.0")


def from_proxy(address):
    """A header of the PROXY protocol, version 2: the viewer is there."""
    return PROXY + b"\x21\x11\0\x0c" + socket.inet_aton(address) + socket.inet_aton("127.0.0.1") + b"\x12\x67\x02\x2a"


# --- accounts and tokens, with real clients ---


@pytest.mark.parametrize("transport", ["tcp", "udp", "http"])
def test_ffmpeg_signs_in(site, transport):
    """By Digest with MD5, which is all that it knows; with a wrong password it hears 401."""
    ffmpeg(url(site, login=LOGIN), transport)
    if transport == "tcp":
        assert "401" in refused(url(site, login="anna:wander@"))
        assert "401" in refused(url(site))


@pytest.mark.parametrize("scheme, protocols", [("rtsp", "tcp"), ("rtsp", "udp"), ("rtsph", "tcp+http")])
def test_gstreamer_signs_in(site, tmp_path, scheme, protocols):
    need_gst()
    gst.receive(url(site, scheme=scheme), tmp_path / "out", "user-id=anna", "user-pw=wonder", f"protocols={protocols}")


def curl(where, login=None):
    """Status of a DESCRIBE by libcurl: its program knows OPTIONS alone."""
    lib = ctypes.CDLL("libcurl.so.4")
    lib.curl_easy_init.restype = ctypes.c_void_p
    sink = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p)(lambda p, size, n, arg: size * n)
    handle, status = ctypes.c_void_p(lib.curl_easy_init()), ctypes.c_long()
    options = [(10002, where.encode()), (10191, where.encode()), (189, ctypes.c_long(2)), (20011, sink), (13, ctypes.c_long(20))]  # URL, RTSP_STREAM_URI, RTSP_REQUEST, WRITEFUNCTION, TIMEOUT
    if login:
        options += [(10005, login.encode()), (107, ctypes.c_long(2))]  # USERPWD, HTTPAUTH: Digest
    for option, value in options:
        assert lib.curl_easy_setopt(handle, option, value) == 0
    lib.curl_easy_perform(handle)
    assert lib.curl_easy_getinfo(handle, 0x200002, ctypes.byref(status)) == 0  # RESPONSE_CODE
    lib.curl_easy_cleanup(handle)
    return status.value


def test_curl_signs_in(site):
    made = token(site, "door")
    assert curl(url(site)) == 401
    assert curl(url(site, f"door?token={made['token']}")) == 200
    assert curl(url(site), "anna:wonder") == 200
    assert curl(url(site), "anna:wander") == 401


def test_digest_by_sha256(site):
    """Offered first; signed over the whole URL, or its path alone, as odd clients do (O2). A nonce is good once for each count."""
    with Rtsp(url(site, login=LOGIN)) as c:
        c.play(0)
        assert c.challenge[0] == "SHA-256"
        c.packets(20)
        assert c.request("TEARDOWN").status == 200
        signed = c._authorization("DESCRIBE", c.url)
        c.challenge = c.session = None
        assert c.request("DESCRIBE", headers={"Authorization": signed}, login=False).status == 200
    with Rtsp(url(site)) as thief:
        r = thief.request("DESCRIBE", headers={"Authorization": signed}, login=False)
        assert r.status == 401 and any("SHA-256" in v for v in r.all("WWW-Authenticate"))
        thief.user, thief.password, thief.challenge = "anna", "wonder", Rtsp._pick(r.all("WWW-Authenticate"))
        path_only = thief._authorization("DESCRIBE", "/door")
        thief.challenge = None
        assert thief.request("DESCRIBE", headers={"Authorization": path_only}, login=False).status == 200


def test_guests_see_no_archive(site):
    with Rtsp(url(site, "dvr/door/", "bert:brick@")) as c:
        assert c.request("DESCRIBE").status in (401, 403)
    with Rtsp(url(site, "dvr/door/", LOGIN)) as c:
        assert c.request("DESCRIBE").status == 200


@pytest.mark.parametrize("path, transport", [("door", "tcp"), ("door", "udp"), ("live/door/", "http"), ("dvr/door/", "tcp"), ("dvr/door/", "udp")])
def test_ffmpeg_with_a_token(site, path, transport):
    made = token(site, "door")
    ffmpeg(url(site, f"{path}?token={made['token']}"), transport)
    if transport == "tcp":
        assert "403" in refused(url(site, f"{path}?token={made['token']}x"))


def test_gstreamer_with_a_token(site, tmp_path):
    need_gst()
    made = token(site, "door")
    gst.receive(url(site, f"door?token={made['token']}"), tmp_path / "out", "protocols=tcp")
    gst.receive(url(site, f"door?token={made['token']}", scheme="rtsph"), tmp_path / "out2", "protocols=tcp+http")


def test_mpv_with_a_token(site):
    """Live and archive."""
    if not shutil.which("mpv"):
        pytest.skip("no mpv")
    for path in ("door", "dvr/door/"):
        made = token(site, "door")
        p = tools.run("mpv", "--no-config", "--vo=null", "--ao=null", "--frames=20", "--rtsp-transport=tcp", url(site, f"{path}?token={made['token']}"), timeout=40, ok=False)
        assert p.returncode == 0 and "h264" in p.stdout and "(Error" not in p.stdout + p.stderr, p.stdout + p.stderr


# --- proxies and the port of HTTP ---


def test_proxy_protocol(site):
    """Who the proxy says it is; packets that would go past the proxy are not offered."""
    for address, status in (("203.0.113.9", 200), ("198.51.100.9", 403)):
        with Rtsp(url(site, "listed"), before=from_proxy(address)) as c:
            assert c.request("DESCRIBE").status == status
    with Rtsp(url(site, "listed")) as c:
        assert c.request("DESCRIBE").status == 403
    with Rtsp(url(site, "listed"), before=from_proxy("203.0.113.9")) as c:
        c.describe()
        assert c.setup(0, udp=True).status == 461
        assert c.setup(0).status == 200
        assert c.request("PLAY", c.base).status == 200
        c.packets(20)


@pytest.mark.parametrize("port", ["rtsp", "web"])
def test_forwarded_tunnels(site, port):
    """X-Forwarded-For of a tunnel's GET; the POST of another viewer behind the same proxy is not its own."""
    port = site.rtsp_port if port == "rtsp" else site.web_port
    ask = "DESCRIBE rtsp://h/listed"
    with Tunnel(port, "listed", fields="X-Forwarded-For: 203.0.113.9\r\n") as t:
        assert t.ask(ask).startswith(b"RTSP/1.0 200")
    with Tunnel(port, "listed", fields="X-Forwarded-For: 198.51.100.9\r\n") as t:
        assert t.ask(ask).startswith(b"RTSP/1.0 403")
    with Tunnel(port, "listed", fields="X-Forwarded-For: 203.0.113.9\r\n") as t:
        t.fields = "X-Forwarded-For: 203.0.113.10\r\n"
        t.say(f"{ask} RTSP/1.0\r\nCSeq: 1\r\n\r\n")
        t.hear(b"\r\n\r\n")
        t.get.settimeout(1)
        with pytest.raises(TimeoutError):
            t.get.recv(100)


def test_ffmpeg_through_the_port_of_http(site):
    """Where only that is open; requests of HTTP go on beside it."""
    made = token(site, "door")
    ffmpeg(url(site, f"door?token={made['token']}", port=site.web_port), "http")
    assert site.get(f"door/stream.json?token={made['token']}").status == 200
    ffmpeg(url(site, f"door?token={made['token']}", port=site.tls["web"]), "https")


def test_gstreamer_through_the_port_of_http(site, tmp_path):
    need_gst()
    made = token(site, "door")
    gst.receive(url(site, f"door?token={made['token']}", port=site.web_port, scheme="rtsph"), tmp_path / "out", "protocols=tcp+http")


def test_an_http_request_that_is_no_tunnel(site):
    """A cookie alone makes none; nor does a stream that cannot be."""
    assert site.get("limited/stream.json", headers={"x-sessioncookie": "c"}).status == 200
    a = site.get("a/b/c/d", headers={"x-sessioncookie": "c", "Accept": "application/x-rtsp-tunnelled"}, status=None)
    assert a.status == 400


# --- plain and TLS side by side ---


def test_plain_and_tls_side_by_side(site):
    for where in (url(site), url(site, port=site.tls["rtsp"], scheme="rtsps")):
        made = token(site, "door")
        ffmpeg(f"{where}?token={made['token']}")
    made = token(site, "door")
    site.get(f"door/stream.json?token={made['token']}")
    p = tools.run("curl", "-sSk", "-o", "/dev/null", "-w", "%{http_code}", f"https://127.0.0.1:{site.tls['web']}/door/stream.json?token={made['token']}")
    assert p.stdout == "200"


# --- what is taken back, and limits ---


def watch(site, path, transport, made):
    return rtsp_watch(url(site, f"{path}?token={made['token']}"), transport, site.web_port)


@pytest.mark.parametrize("path", ["door", "dvr/door/"])
@pytest.mark.parametrize("transport", ["tcp", "udp", "tunnel"])
def test_revoked(site, path, transport):
    """A running session ends when its token is taken back, on every road; another one's goes on."""
    made, other = token(site, "door"), token(site, "door")
    session, sock = watch(site, path, transport, made)
    stays, kept = watch(site, path, "tcp", other)
    with session, stays:
        ends, still = Reader(sock), Reader(kept)
        site.msctl("token", "revoke", f"id={made['id']}")
        assert ends.over.wait(10 * tools.SLOW), "it still runs"
        if transport == "udp":
            session.udp[0][0].settimeout(0.5)
            with pytest.raises(TimeoutError):
                for _ in range(1000):  # what was on its way
                    session.udp[0][0].recv(2000)
        assert not still.over.is_set()
    with Rtsp(url(site, f"{path}?token={made['token']}")) as c:
        assert c.request("DESCRIBE").status == 403


@pytest.mark.parametrize("path", ["door", "dvr/door/"])
def test_described_again_while_it_plays(site, path):
    """A session is what was granted: described without its token it goes on, and ends with the token."""
    made, other = token(site, "door"), token(site, "door")
    with Rtsp(url(site, f"{path}?token={made['token']}"), timeout=15) as c:
        c.play(0)
        c.packets(5)
        assert c.request("DESCRIBE", url(site, path)).status == 200
        assert c.request("DESCRIBE", url(site, f"{path}?token={other['token']}")).status == 455
        c.frames.clear()
        c.packets(50)
        ends = Reader(c.sock)
        site.msctl("token", "revoke", f"id={made['id']}")
        assert ends.over.wait(10 * tools.SLOW), "it still runs"


def test_what_is_refused_is_not_open(site):
    """Neither what a connection asked for nor what it was granted before."""
    made = token(site, "door")
    with Rtsp(url(site, f"door?token={made['token']}")) as c:
        c.describe()
        assert c.request("DESCRIBE", url(site)).status == 401
        assert c.request("SETUP", url(site, "door/trackID=0"), {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}).status == 401


def test_a_window_of_the_archive(site):
    """A token for a stretch of time shows that, to the frame, and a range beside it is refused, on one connection."""
    status = f"door/recording_status.json?token={token(site, 'door')['token']}"
    begin = wait_for("footage", lambda: (r := json.loads(site.text(status))[0]["ranges"]) and r[0]["duration"] >= 8 and r[0], timeout=40)["from"]
    start, end = int(begin) + 3, int(begin) + 6
    made = token(site, "door", "--ops", "dvr", "--from", str(start), "--to", str(end))
    with Rtsp(url(site, f"dvr/door/?token={made['token']}"), timeout=15) as c:
        assert start <= int(c.describe().split("t=")[1].split()[0]) - NTP < end
        assert c.setup(0).status == 200
        for since, until, status in ((begin, "", 200), (end, "", 403), (begin, start, 403), (begin, end + 60, 200), (end + 3600, "", 403), (end - 1, "", 200)):
            headers = {"Range": f"clock={clock(since)}-{until and clock(until)}", "Rate-Control": "no", "Require": "onvif-replay"}
            r = c.request("PLAY", c.base, headers)
            assert r.status == status, (since - begin, until)
            if status == 200:
                assert r["Range"].endswith(f"-{clock(end)}")
                walls = [e[0] for p in until_bye(c) if (e := replay(p))]
                assert len(walls) > 10 and start <= walls[0] < end and all(start <= w < end for w in walls) and walls[-1] > end - 0.3
            c.frames.clear()
    for moment in (start - 1, end, end + 1):
        with Rtsp(url(site, f"dvr/door/?token={made['token']}&timestamp={moment}")) as c:
            assert c.request("DESCRIBE").status == 403


def test_from_the_archive_to_live(site):
    """On one connection, with and without a session before; what was open is given back on the way to another hub, too."""
    made = token(site, "door")
    archive, live = url(site, f"dvr/door/?token={made['token']}"), url(site, "limited")
    wait_for("nobody watches", lambda: describe(site, "limited") == 200)
    with Rtsp(archive, timeout=15) as c:
        for teardown in (False, True):
            c.url, c.session = archive, None
            if teardown:
                assert c.play(0)["Range"].startswith("clock=")
                c.packets(5)
                assert c.request("TEARDOWN").status == 200
                c.session = None
            else:
                c.describe()
            c.frames.clear()
            c.url = live
            assert c.play(0)["Range"] == "npt=now-"
            c.packets(5)
            assert c.request("TEARDOWN").status == 200
        c.session = None
        for i in range(4):
            wait_for("room", lambda: c.request("DESCRIBE", live).status == 200)
            assert describe(site, "limited") == 503
            assert c.request("DESCRIBE", url(site, f"nobody{i}")).status == 404
            wait_for("room for others", lambda: describe(site, "limited") == 200)


def describe(site, path):
    with Rtsp(url(site, path)) as c:
        return c.request("DESCRIBE").status


@pytest.mark.parametrize("path", ["limited", "dvr/limited/"])
def test_stream_limit(site, path):
    """One viewer at a time, live or of the archive; the next when that one has gone."""
    wait_for("nobody watches", lambda: describe(site, "limited") == 200)
    with Rtsp(url(site, path), timeout=15) as c:
        wait_for("room", lambda: c.request("DESCRIBE").status == 200)
        c.play(0)
        c.packets(5)
        assert describe(site, "limited") == 503 and describe(site, "dvr/limited/") == 503
    wait_for("room again", lambda: describe(site, "limited") == 200)


def test_viewers_of_the_archive_are_counted(site):
    made = token(site, "door")

    def watching():
        return site.status()["viewers"]

    wait_for("nobody watches", lambda: watching() == 0, timeout=20)
    with Rtsp(url(site, f"dvr/door/?token={made['token']}"), timeout=15) as c:
        c.play(0)
        wait_for("one viewer", lambda: watching() == 1)
        assert c.request("PAUSE").status == 200
        wait_for("none, it pauses", lambda: watching() == 0)
    wait_for("none", lambda: watching() == 0)


# --- on demand ---


@pytest.mark.limit(60)
def test_on_demand(site):
    """The camera is called when the first viewer comes, who waits for the picture."""
    assert site.stream("lazy")["state"] == "idle"
    with Rtsp(url(site, "lazy"), timeout=15) as c:
        begin = time.monotonic()
        c.play()
        assert c.packets(1)[0].payload[0] & 31 == 7
        assert time.monotonic() - begin < 15 * tools.SLOW
        c.packets(30)
        assert site.stream("lazy")["state"] == "active"
