"""Who may watch, with the real server: tokens made by msctl, the paths of sessions, what is taken back, limits."""
import base64
import hashlib
import http.server
import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.parse

import pytest

import h2
import hls
import tools
import ws
from camera import Camera
from server import MediaServer, need_server
from test_tls import pair
from tools import wait_for

SECRET = "correct horse # battery"


@pytest.fixture(scope="module")
def site():
    """A recorded private stream, one with a limit, and a public one."""
    need_server()
    with Camera(dict(group="door", source=["cam.h264", "audio.aac"]), dict(group="cam", source=["small.h264", "audio.aac"], streams=2)) as cam:
        streams = {
            "door": {"stream-url": cam.url("door0"), "stream-access": "private", "dvr-enable": "true"},
            "limited": {"stream-url": cam.url("cam0"), "stream-limit": "1"},
            "open": cam.url("cam1"),
        }
        with MediaServer(streams, record=True, sections={"server/stream": {"auth-secret": f'"{SECRET}"'}}) as server:
            for uid in streams:
                server.wait_state(uid)
            server.wait_recording("door")
            server.cam = cam
            yield server


def token(server, *args):
    return server.rows("token", "create", *args)[0]


def status(server, path, **headers):
    return server.get(path, status=None, headers=headers).status


def test_hls_by_session(site):
    """The token is looked at once; what the playlists name lies below the session's path and needs none."""
    made = token(site, "door", "--user", "anna")
    master = hls.Playlist(site.text(f"door/index.m3u8?token={made['token']}"), site.url("door/index.m3u8"))
    url = master.variants[0][1]
    assert "/s/" in url and made["token"] not in url
    media = wait_for("segments", lambda: (p := hls.Playlist(site.text(url), url)).segments and p)
    assert all("/s/" in s.url and "token" not in s.url for s in media.segments)
    assert hls.samples(site, media.segments[:1]).of("vide")
    segment = urllib.parse.urlsplit(media.segments[-1].url).path
    assert status(site, segment) == 200
    assert site.get(segment, headers={})["Cache-Control"].startswith("private")
    bare = "/" + segment.split("/", 3)[3]
    assert status(site, bare) == 403
    assert status(site, segment.replace("door", "open")) == 403
    direct = hls.Playlist(site.text(f"live/door/video.m3u8?token={made['token']}"), site.url("live/door/video.m3u8"))
    assert hls.samples(site, direct.segments[:1]).of("vide")
    assert status(site, "door/index.m3u8") == 403


def test_archive_by_session(site):
    made = token(site, "door", "--ops", "dvr,copy")
    begin = wait_for("ranges", lambda: json.loads(site.text(f"door/recording_status.json?token={made['token']}"))[0]["ranges"])[0]["from"]
    path = f"dvr/door/playlist.m3u8?timestamp={begin}&duration=20&token={made['token']}"
    archive = wait_for("a piece of it", lambda: (a := site.get(path, status=None)).status == 200 and hls.Playlist(a.body.decode(), site.url(path)))
    assert archive.segments and all("/s/" in s.url for s in archive.segments)
    assert hls.samples(site, archive.segments[:1]).of("vide")
    assert status(site, f"door/index.m3u8?token={made['token']}") == 403
    early = token(site, "door", "--ops", "dvr", "--from", str(begin - 7200), "--to", str(begin - 3600))
    assert status(site, f"dvr/door/playlist.m3u8?timestamp={begin}&duration=20&token={early['token']}") == 403
    # A name that another viewer's playlist has is no way round the window.
    name = urllib.parse.urlsplit(archive.segments[0].url).path.rsplit("/", 1)[1]
    assert status(site, f"door/{name}?token={made['token']}") == 200
    assert status(site, f"door/{name}?token={early['token']}") == 403
    assert json.loads(site.text(f"door/recording_status.json?token={early['token']}"))[0]["ranges"] == []


def open_stream(server, path, buffer=None):
    """A socket whose answer has begun, and its status. buffer: of what is received; little of it lies in between then."""
    u = urllib.parse.urlsplit(server.url(path))
    s = socket.socket()
    if buffer:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    s.settimeout(20 * tools.SLOW)
    s.connect((u.hostname, u.port))
    s.sendall(f"GET {u.path}?{u.query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += s.recv(65536)
    return s, int(head.split()[1])


def ends(sock, seconds):
    """The connection ends within so many seconds."""
    sock.settimeout(seconds)
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            if not sock.recv(1 << 20):
                return True
    except (TimeoutError, ConnectionResetError) as e:
        return isinstance(e, ConnectionResetError)
    return False


@pytest.mark.parametrize("how", ["token", "id", "user", "stream"])
def test_revoked(site, how):
    """What runs on a token ends when it is taken back; a new one works; a new httpd knows it too."""
    made = token(site, "door", "--user", f"bert-{how}")
    film, code = open_stream(site, f"door/live.mp4?token={made['token']}")
    assert code == 200
    url = hls.Playlist(site.text(f"door/index.m3u8?token={made['token']}"), site.url("door/index.m3u8")).variants[0][1]
    assert status(site, url) == 200
    site.msctl("token", "revoke", f"{how}=" + {"token": made["token"], "id": made["id"], "user": f"bert-{how}", "stream": "door"}[how])
    assert ends(film, 10 * tools.SLOW)
    assert status(site, url) == 403
    assert status(site, f"door/index.m3u8?token={made['token']}") == 403
    again = token(site, "door", "--user", f"bert-{how}")
    assert status(site, f"door/index.m3u8?token={again['token']}") == 200
    assert {"token": made["id"], "id": made["id"], "user": f"bert-{how}", "stream": "door"}[how] in [r["name"] for r in site.rows("token", "revoked")]
    if how == "id":
        pid = site.status()["httpd_pid"]
        os.kill(pid, signal.SIGKILL)
        wait_for("another httpd", lambda: site.status()["httpd_pid"] not in (0, pid))
        wait_for("the stream again", lambda: status(site, f"door/index.m3u8?token={again['token']}") == 200)
        assert status(site, f"door/index.m3u8?token={made['token']}") == 403


def blocking_reload(server, path):
    """A socket that waits for a part which does not come, since the camera is silent."""
    low = wait_for("parts", lambda: (t := server.text(path)) and "EXT-X-PART:" in t and t)
    lines = low.splitlines()
    sequence = next(int(line.split(":")[1]) for line in lines if line.startswith("#EXT-X-MEDIA-SEQUENCE"))
    msn = sequence + sum(not line.startswith("#") for line in lines)
    u = urllib.parse.urlsplit(server.url(path))
    s = socket.create_connection((u.hostname, u.port), 20 * tools.SLOW)
    s.sendall(f"GET {u.path}?_HLS_msn={msn + 1} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return s


@pytest.mark.limit(90)
def test_revoked_on_every_road(site):
    """R18: what is running ends, on each road, also what is waited for and what is not being read."""
    made = token(site, "door", "--user", "carl", "--ops", "live,dvr,copy")
    query = f"?token={made['token']}"
    recorded = wait_for("footage", lambda: (r := json.loads(site.text(f"door/recording_status.json{query}"))[0]["ranges"]) and r[-1]["duration"] >= 14 and r[-1], timeout=40)
    low = hls.Playlist(site.text(f"door/index.ll.m3u8{query}"), site.url("door/index.ll.m3u8")).variants[0][1]
    film = f"door/archive-{recorded['from']}-{recorded['duration'] - 4}.mp4{query}"
    whole = int(site.get(film, method="HEAD")["Content-Length"])
    running = {"live.mp4": open_stream(site, f"door/live.mp4{query}"), "mpegts": open_stream(site, f"door/mpegts{query}"), "archive": open_stream(site, film, buffer=2048)}
    assert {name: code for name, (_, code) in running.items()} == dict.fromkeys(running, 200)
    site.cam.set("door0", freeze=1)
    try:
        with ws.Client(site, f"door/mse_ld{query}") as socket_, blocking_reload(site, low) as waiting:
            assert socket_.json()["type"] == "mse_init_segment"
            waiting.setblocking(False)
            with pytest.raises(BlockingIOError):
                waiting.recv(1)
            site.msctl("token", "revoke", "user=carl")
            began = time.monotonic()
            assert ends(waiting, 10 * tools.SLOW)
            with pytest.raises((ws.Closed, ConnectionResetError)):
                while True:
                    socket_.fragment()
            for name in ("live.mp4", "mpegts"):
                assert ends(running[name][0], 10 * tools.SLOW), name
            assert drained(running["archive"][0]) < whole
            print(f"all ended within {time.monotonic() - began:.2f} s")
    finally:
        site.cam.set("door0", freeze=0)
        for s, _ in running.values():
            s.close()


@pytest.mark.limit(60)
def test_revoked_over_http2(server, camera, tmp_path):
    """The request of it ends, its connection goes on."""
    cert, key = pair(tmp_path, "used")
    cam = camera(dict(source="small.h264"))
    s = server({"door": {"stream-url": cam.url(), "stream-access": "private"}},
               sections={"server/stream": {"auth-secret": f'"{SECRET}"', "ssl-enable": "true", "ssl-cert": cert, "ssl-key": key}})
    s.scheme = "https"
    s.wait_state("door")
    made = token(s, "door")
    with h2.Connection(s.web_port, window=1 << 24) as c:
        c.ask(1, f"/door/live.mp4?token={made['token']}")
        c.until(lambda kind, flags, stream, body: kind == h2.DATA and body[4:8] == b"ftyp")
        s.msctl("token", "revoke", f"id={made['id']}")
        c.until(lambda kind, flags, stream, body: stream == 1 and (kind == h2.RST_STREAM or (kind == h2.DATA and flags & h2.END_STREAM)))
        c.ask(3, f"/door/live.mp4?token={made['token']}")
        c.until(lambda kind, flags, stream, body: stream == 3 and b"403" in body)


def drained(sock):
    """So many bytes until the end."""
    n = 0
    try:
        while got := sock.recv(1 << 20):
            n += len(got)
    except ConnectionResetError:
        pass
    return n


def test_player_page(site):
    """Opened with a token its page sets the cookie that all it asks for is let in by: below its stream's path, out of reach of scripts."""
    made = token(site, "door")
    a = site.get(f"door/embed.html?token={made['token']}")
    assert a.headers.get_all("Set-Cookie") == [f"ms_token={made['token']}; Path=/{road}door/; HttpOnly; SameSite=Lax" for road in ("", "live/", "dvr/")]
    assert "frame-ancestors *" in a["Content-Security-Policy"]
    cookie = {"Cookie": a["Set-Cookie"].split(";")[0]}
    for road in ("index.m3u8", "stream.json", "recording_status.json", "preview.jpg", "embed.html"):
        assert status(site, f"door/{road}", **cookie) == 200, road
    assert site.get("door/embed.html", headers=cookie)["Set-Cookie"] is None  # it has it
    assert site.get(f"open/embed.html?token={made['token']}")["Set-Cookie"] is None  # it needs none
    for road in ("live/door/playlist.m3u8", "live/door/preview.jpg"):
        assert status(site, road, **cookie) == 200, road
    assert status(site, "dvr/door/playlist.m3u8?timestamp=1&duration=9", **cookie) == status(site, f"dvr/door/playlist.m3u8?timestamp=1&duration=9&token={made['token']}") != 403
    own = f"Cookie: {cookie['Cookie']}\r\nOrigin: http://127.0.0.1:{site.web_port}\r\n"
    with ws.Client(site, "door/mse_ld", own) as c:
        assert c.json()["type"] == "mse_init_segment"
    ws.Client(site, "door/mse_ld", own.replace("127.0.0.1", "127.0.0.2"), status=403)
    assert status(site, "door/embed.html") == 403


def test_limits(site):
    """One viewer of a stream that takes one; one session of a token that allows one."""
    first, code = open_stream(site, "limited/live.mp4")
    assert code == 200
    second, code = open_stream(site, "limited/live.mp4")
    assert code == 503
    assert status(site, "limited/index.m3u8") == 503
    second.close()
    first.close()
    wait_for("room again", lambda: status(site, "limited/index.m3u8") == 200)
    made = token(site, "door", "--sessions", "1")
    first, code = open_stream(site, f"door/live.mp4?token={made['token']}")
    assert code == 200
    second, code = open_stream(site, f"door/live.mp4?token={made['token']}")
    assert code == 503
    first.close()
    second.close()


def test_rotation(site):
    """A new key signs from the reload on; the old one goes on to count until its time, and viewers play on."""
    old = token(site, "door")
    url = hls.Playlist(site.text(f"door/index.m3u8?token={old['token']}"), site.url("door/index.m3u8")).variants[0][1]
    site.sections["server/stream/keys"] = {"k2": '"another # secret"'}
    site.write_ini()
    site.msctl("reload")
    wait_for("the new key", lambda: token(site, "door")["token"].startswith("v1.k2."))
    new = token(site, "door")
    wait_for("it counts", lambda: status(site, f"door/index.m3u8?token={new['token']}") == 200)
    assert status(site, f"door/index.m3u8?token={old['token']}") == 200
    assert status(site, url) == 200


def test_no_secret_in_the_logs(site):
    made = token(site, "door")
    for path in (f"door/index.m3u8?token={made['token']}", f"door/index.m3u8?token={made['token']}x", "s/" + "0" * 32 + "/door/index.m3u8"):
        status(site, path)
    text = site.log()
    assert made["token"] not in text and SECRET not in text and "0" * 32 not in text


# --- what else lets viewers in, and whom ---


class Backend:
    """A site's own server: says what `rule` says of each request, and keeps what was asked."""

    def __init__(self):
        backend = self
        self.asked, self.status, self.headers = [], 200, {}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                backend.asked.append(dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query, keep_blank_values=True)))
                self.send_response(backend.status)
                for name, value in backend.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/auth?site=1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def served(server, n):
    """How many of n connections that say nothing are kept."""
    socks = [socket.create_connection(("127.0.0.1", server.web_port), 20 * tools.SLOW) for _ in range(n)]
    kept = 0
    for s in socks:
        s.settimeout(1)
        try:
            s.sendall(b"GET /open/stream.json HTTP/1.1\r\nHost: x\r\n\r\n")
            kept += s.recv(100).startswith(b"HTTP/1.1 200")
        except ConnectionError:
            pass
    for s in socks:
        s.close()
    return kept


@pytest.mark.limit(60)
def test_limits_of_the_server(server, camera):
    """Of an address, of connections, of what is sent: each by a reload; who watches goes on."""
    cam = camera(dict(source="cam.h264"))
    s = server({"open": cam.url()}, sections={"server/stream": {"trusted-proxies": "127.0.0.0/8", "limit-address": "2"}})
    s.wait_state("open")

    def limits(**keys):
        for name in ("limit-address", "limit-connections", "limit-bandwidth"):
            s.sections["server/stream"][name] = keys.get(name.split("-")[1], {"limit-connections": 20000}.get(name, 0))
        s.write_ini()
        s.reload()

    films = [open_stream(s, "open/live.mp4") for _ in range(3)]
    assert [code for _, code in films] == [200, 200, 503]
    assert b"from this address" in s.get("open/live.mp4", status=503).body
    assert status(s, "open/index.m3u8", **through("203.0.113.9")) == 200
    limits(connections=16)
    assert 1 <= wait_for("it is in force", lambda: (n := served(s, 40)) < 40 and n) <= 16
    for film, _ in films:
        film.close()
    limits(bandwidth=1)
    with subprocess.Popen(["curl", "-sN", "-o", "/dev/null", s.url("open/live.mp4")]) as viewer:
        others = iter(range(1, 255))  # another one each time: who watches already goes on
        refused = wait_for("nobody new", lambda: (a := s.get("open/index.m3u8", status=None, headers=through(f"203.0.113.{next(others)}"))).status == 503 and a, timeout=20, every=0.2)
        assert b"as much is being sent" in refused.body and viewer.poll() is None
        viewer.terminate()
    wait_for("less is sent", lambda: status(s, "open/index.m3u8", **through("203.0.113.255")) == 200, timeout=20)


@pytest.fixture(scope="module")
def gate():
    """A private and a protected stream behind a trusted proxy, with accounts, secure links and a backend."""
    need_server()
    backend = Backend()
    with Camera(dict(source=["small.h264"], streams=2)) as cam:
        streams = {
            "door": {"stream-url": cam.url("cam0"), "stream-access": "private"},
            "listed": {"stream-url": cam.url("cam1"), "stream-access": "protected", "stream-whitelist": "203.0.113.0/24, 2001:db8::/32"},
        }
        sections = {
            "server/stream": {
                "enable": "web, rtsp",
                "auth-secret": f'"{SECRET}"',
                "trusted-proxies": "127.0.0.0/8",
                "secure-link-key": "linkkey",
                "auth-backend": f'"{backend.url}"',
                "auth-backend-timeout": "2s",
            },
            "server/module/users": {"user": "anna:wonder", "guest": "bert:brick"},
        }
        with MediaServer(streams, sections=sections) as server:
            for uid in streams:
                server.wait_state(uid)
            # Another script forgets what was refused: the first one comes beside the first viewers.
            wait_for("the script", lambda: "script-runs script=auth" in server.log())
            server.backend = backend
            yield server
    backend.close()


def through(address, **fields):
    return {"X-Forwarded-For": address, **fields}


def test_proxies_and_whitelist(gate):
    """The address is the viewer's, as the trusted proxy says."""
    assert status(gate, "listed/stream.json", **through("203.0.113.9")) == 200
    assert status(gate, "listed/stream.json", **through("2001:db8::9")) == 200
    assert status(gate, "listed/stream.json", **through("203.0.113.9, 198.51.100.1")) == 403
    assert status(gate, "listed/stream.json", **through("198.51.100.1")) == 403
    assert status(gate, "listed/stream.json") == 403
    made = token(gate, "door", "--address", "203.0.113.9")
    assert status(gate, f"door/stream.json?token={made['token']}", **through("203.0.113.9")) == 200
    gate.backend.status = 403
    assert status(gate, f"door/index.m3u8?token={made['token']}", **through("203.0.113.8")) == 403


def test_proxy_protocol(gate):
    """Version 2, whole and byte by byte; broken: closed. And plain requests of the same proxy."""
    u = urllib.parse.urlsplit(gate.url("listed/stream.json"))
    ask = f"GET {u.path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    sign = b"\r\n\r\n\0\r\nQUIT\n"

    def answer(*pieces):
        got = b""
        with socket.create_connection((u.hostname, u.port), 20 * tools.SLOW) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                for piece in pieces:
                    s.sendall(piece)
                while more := s.recv(65536):
                    got += more
            except ConnectionError:
                pass
        return got.split(b"\r\n")[0]

    listed = sign + b"\x21\x11\0\x0c" + socket.inet_aton("203.0.113.7") + socket.inet_aton("127.0.0.1") + b"\x12\x67\x01\xbb"
    other = sign + b"\x21\x11\0\x0c" + socket.inet_aton("198.51.100.7") + socket.inet_aton("127.0.0.1") + b"\x12\x67\x01\xbb"
    v6 = sign + b"\x21\x21\0\x24" + socket.inet_pton(socket.AF_INET6, "2001:db8::7") + bytes(15) + b"\1" + b"\x12\x67\x01\xbb"
    assert answer(listed + ask) == b"HTTP/1.1 200 OK"
    assert answer(v6, ask) == b"HTTP/1.1 200 OK"
    assert answer(*[bytes([b]) for b in listed], ask) == b"HTTP/1.1 200 OK"
    assert b"403" in answer(other + ask)
    assert b"403" in answer(sign + b"\x20\0\0\0" + ask)  # the proxy itself
    assert answer(sign + b"\x51\x11\0\x0c" + bytes(12) + ask) == b""
    assert b"403" in answer(ask)


def test_secure_link(gate):
    now = int(time.time())

    def link(ip, start, end):
        return f"{hashlib.sha1(f'door{ip}{start}{end}linkkeysalt'.encode()).hexdigest()}-salt-{end}-{start}"

    assert status(gate, f"door/index.m3u8?token={link('203.0.113.20', now - 5, now + 60)}", **through("203.0.113.20")) == 200
    assert status(gate, f"door/index.m3u8?token={link('no_check_ip', now - 5, now + 60)}", **through("203.0.113.21")) == 200
    gate.backend.status = 403
    assert status(gate, f"door/index.m3u8?token={link('203.0.113.20', now - 5, now + 60)}", **through("203.0.113.22")) == 403
    assert status(gate, f"door/index.m3u8?token={link('no_check_ip', now - 65, now - 5)}", **through("203.0.113.23")) == 403


def test_backend(gate):
    """Asked once for a session, with what it needs; its answer holds as long as it says."""
    b = gate.backend
    b.status, b.headers = 200, {"X-AuthDuration": "100", "X-UserId": "u7", "X-Max-Sessions": "2"}
    before = len(b.asked)
    for _ in range(3):
        assert status(gate, "door/index.m3u8?token=theirs%20own", **through("203.0.113.30")) == 200
    assert len(b.asked) == before + 1
    q = b.asked[-1]
    assert q["site"] == "1" and q["name"] == "door" and q["proto"] == "hls" and q["ip"] == "203.0.113.30" and q["token"] == "theirs own"
    assert q["request_type"] == "new_session" and q["request_number"] == "1" and "stream_clients" in q and "total_clients" in q
    assert q["session_id"] == hashlib.sha1(b"door203.0.113.30hlstheirs own").hexdigest()
    b.status = 403
    assert status(gate, "door/index.m3u8?token=other", **through("203.0.113.31")) == 403
    b.status = 500
    assert status(gate, "door/index.m3u8?token=third", **through("203.0.113.32")) == 503
    assert status(gate, "door/index.m3u8?token=theirs%20own", **through("203.0.113.30")) == 200


def test_a_wall_that_is_closed(gate):
    """Players that try again and again are one question each; tokens that the backend takes are no guesses."""
    b = gate.backend
    b.status, b.headers = 403, {}
    before = len(b.asked)
    for _ in range(10):
        assert status(gate, "door/index.m3u8?token=closed", **through("203.0.113.60")) == 403
    assert len(b.asked) == before + 1
    b.status = 200
    for i in range(8):
        assert status(gate, f"door/index.m3u8?token=open{i}", **through("203.0.113.60")) == 200


def test_cookie_in_a_frame(gate):
    """Over TLS a page of another site may frame the player; its cookie lies in that site's jar."""
    gate.backend.status, gate.backend.headers = 200, {}
    tls = through("203.0.113.70", **{"X-Forwarded-Proto": "https"})
    a = gate.get("door/embed.html?token=theirs", headers=tls)
    assert a.headers.get_all("Set-Cookie") == [f"ms_token=theirs; Path=/{road}door/; HttpOnly; Secure; SameSite=None; Partitioned" for road in ("", "live/", "dvr/")]
    assert gate.get("door/embed.html?token=a%3Bb", headers=tls)["Set-Cookie"] is None  # no cookie can hold that


def test_backend_ends_what_runs(gate):
    """It is asked again about who watches, and may say no."""
    b = gate.backend
    b.status, b.headers = 200, {"X-AuthDuration": "1"}
    u = urllib.parse.urlsplit(gate.url("door/live.mp4?token=short"))
    with socket.create_connection((u.hostname, u.port), 20 * tools.SLOW) as s:
        s.sendall(f"GET {u.path}?{u.query} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.40\r\n\r\n".encode())
        assert b" 200 " in s.recv(65536).split(b"\r\n")[0]
        wait_for("an update", lambda: any(q["request_type"] == "update_session" for q in b.asked[-3:]))
        b.status = 403
        assert ends(s, 15 * tools.SLOW)


def test_accounts(gate):
    """Basic where a proxy speaks TLS; Digest over RTSP, as ffprobe does it."""
    gate.backend.status = 403
    basic = {"Authorization": "Basic " + base64.b64encode(b"anna:wonder").decode()}
    assert status(gate, "door/stream.json", **through("203.0.113.50"), **basic) == 401
    assert status(gate, "door/stream.json", **through("203.0.113.50", **{"X-Forwarded-Proto": "https"}), **basic) == 200
    wrong = {"Authorization": "Basic " + base64.b64encode(b"anna:wander").decode()}
    a = gate.get("door/stream.json", status=None, headers={**through("203.0.113.50", **{"X-Forwarded-Proto": "https"}), **wrong})
    assert a.status == 401 and "Digest" in a["WWW-Authenticate"]
    for login, works in (("anna:wonder", True), ("bert:brick", True), ("anna:wander", False)):
        p = tools.run("ffprobe", "-v", "error", "-rtsp_transport", "tcp", "-show_entries", "stream=codec_name", "-of", "csv=p=0",
                      f"rtsp://{login}@127.0.0.1:{gate.rtsp_port}/door", ok=False, timeout=30)
        assert ("h264" in p.stdout) == works, p.stderr
        if not works:
            assert "401" in p.stderr


def test_guessing(gate):
    """Wrong tokens cost time, by address; others are not hit."""
    gate.backend.status = 403
    made = token(gate, "door")
    for i in range(6):
        assert status(gate, f"door/index.m3u8?token=guess{i}", **through("198.51.100.9")) == 403
    assert status(gate, f"door/index.m3u8?token={made['token']}", **through("198.51.100.9")) == 403
    assert status(gate, f"door/index.m3u8?token={made['token']}", **through("198.51.100.10")) == 200
    assert gate.logged(" guessing address=198.51.100.9 ")
    assert " guessing address=127.0.0.1" not in gate.log()  # the viewer, not the proxy
