"""TLS on the viewers' listener: what is offered, which certificates are taken, their change under running viewers, archive bytes.
HTTP/2 on it: every road, many cameras on one connection, who is slow, hostile or gone, the end."""
import hashlib
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time

import pytest

import gst
import h2
import test_browser
import tools
from camera import Camera
from server import MediaServer, need_server
from tools import wait_for


def pair(folder, name, days=30, kind=("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), more=()):
    """A certificate and a key for 127.0.0.1: (path, path)."""
    cert, key = folder / f"{name}.crt", folder / f"{name}.key"
    tools.run("openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-keyout", key, "-out", cert, "-days", days, "-subj", f"/CN={name}",
              "-addext", "subjectAltName=IP:127.0.0.1", *more)
    key.chmod(0o600)
    return cert, key


WALL = 32
BROWSER = pathlib.Path(__file__).resolve().parent / "browser"


class Site:
    def __init__(self, server, folder):
        self.server, self.folder = server, folder

    def use(self, cert, key):
        """Puts a pair in the place of the configured one, as a renewal does."""
        shutil.copy(cert, self.folder / "used.crt")
        shutil.copy(key, self.folder / "used.key")

    def connect(self, **kw):
        context = ssl._create_unverified_context()
        for name, value in kw.items():
            setattr(context, name, value)
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.server.web_port), timeout=10 * tools.SLOW))

    def subject(self):
        with self.connect() as s:
            der = s.getpeercert(binary_form=True)
        text = subprocess.run(["openssl", "x509", "-inform", "der", "-noout", "-subject"], input=der, capture_output=True, check=True).stdout
        return re.search(rb"CN = (.*)", text).group(1).decode().strip()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A recorded camera; plain bytes of its archive first, then the same server with TLS: (site, {path: sha1})."""
    need_server()
    folder = tmp_path_factory.mktemp("tls")
    groups = dict(group="gate", source=["cam.h264", "audio.aac"]), dict(group="wall", source="tiny.h264", streams=WALL)
    with Camera(*groups) as cam:
        wall = {f"wall{i}": {"stream-url": cam.url(f"wall{i}"), "dvr-enable": "false"} for i in range(WALL)}
        with MediaServer({"gate": cam.url("gate0")} | wall, record=True) as server:
            s = Site(server, folder)
            server.wait_recording("gate")
            wait_for("some archive", lambda: server.ranges("gate") and server.ranges("gate")[0][1] >= 16, timeout=40)
            since = int(server.ranges("gate")[0][0]) + 1
            lines = server.text(f"gate/archive-{since}-8.m3u8").splitlines()
            # The last piece may reach what is still being written: how long its last picture lasts is not known yet.
            paths = [f"gate/{line}" for line in lines if line and line[0] != "#"][:1] + [f"gate/archive-{since}-8.mp4"]
            plain = {p: hashlib.sha1(server.get(p).body).hexdigest() for p in paths}
            s.use(*pair(folder, "first"))
            server.sections["server/stream"] |= {"ssl-enable": "true", "ssl-cert": folder / "used.crt", "ssl-key": folder / "used.key"}
            server.write_ini()
            server.scheme = "https"
            server.reload()
            wait_for("TLS answers", lambda: server.get("gate/stream.json", status=None).status == 200, timeout=15)
            yield s, plain


def test_archive_bytes_are_those_of_the_plain_road(site):
    s, plain = site
    assert len(plain) == 2
    for path, sha1 in plain.items():
        assert hashlib.sha1(s.server.get(path).body).hexdigest() == sha1, path
        part = s.server.get(path, headers={"Range": "bytes=1000-70000"}, status=206).body
        assert part == s.server.get(path).body[1000:70001]


def test_what_is_offered(site):
    s, _ = site
    where = f"127.0.0.1:{s.server.web_port}"
    for option, good in (("-tls1_3", True), ("-tls1_2", True), ("-tls1_1", False), ("-tls1", False)):
        p = tools.run("openssl", "s_client", "-connect", where, option, "-cipher", "ALL:@SECLEVEL=0", ok=False, stdin=subprocess.DEVNULL)
        assert ("BEGIN CERTIFICATE" in p.stdout) == good, (option, p.stdout, p.stderr)
    p = tools.run("openssl", "s_client", "-connect", where, "-tls1_2", "-cipher", "AES128-SHA:AES128-GCM-SHA256", ok=False, stdin=subprocess.DEVNULL)
    assert "BEGIN CERTIFICATE" not in p.stdout  # no forward secrecy
    p = tools.run("openssl", "s_client", "-connect", where, "-tls1_2", ok=False, input="R\n")
    assert "no renegotiation" in p.stdout + p.stderr
    p = tools.run("openssl", "s_client", "-connect", where, "-tls1_2", "-reconnect", ok=False, stdin=subprocess.DEVNULL)
    assert p.stdout.count("Reused,") == 5


def test_plain_http_on_the_port_of_tls_is_closed(site):
    s, _ = site
    with socket.create_connection(("127.0.0.1", s.server.web_port), timeout=10 * tools.SLOW) as c:
        c.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            assert c.recv(100) == b""
        except ConnectionResetError:
            pass


def test_slow_handshakes_hold_nobody(site):
    s, _ = site
    idle = [socket.create_connection(("127.0.0.1", s.server.web_port)) for _ in range(300)]
    for i, c in enumerate(idle):
        c.sendall((b"", b"\x16", b"\x16\x03\x01\x02\x00half of a hello")[i % 3])
    began = time.monotonic()
    for _ in range(10):
        assert s.server.get("gate/stream.json").status == 200
    assert time.monotonic() - began < 10 * tools.SLOW
    for c in idle:
        c.close()


def test_a_certificate_changes_under_running_viewers(site):
    """Viewers of live.mp4, by HTTP/1.1 and HTTP/2, go on over two changes; who comes later gets the new one; a broken pair changes nothing."""
    s, _ = site
    first, second = pair(s.folder, "second"), pair(s.folder, "third", kind=("rsa:2048",))
    film = s.folder / "h2.mp4"
    with s.connect() as viewer, subprocess.Popen(["curl", "-sk", "-m", "60", "--http2", s.server.url("gate/live.mp4"), "-o", str(film)]) as other:
        viewer.sendall(b"GET /gate/live.mp4 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert viewer.recv(20).startswith(b"HTTP/1.1 200")
        wait_for("a film by HTTP/2", lambda: film.exists() and film.stat().st_size > 100000)

        def more(n=200000):
            while n > 0:
                got = viewer.recv(65536)
                assert got, "the viewer was dropped"
                n -= len(got)

        more()
        pid = [p for p, name in s.server.family().items() if name == "ms-httpd"]
        for one, name in ((first, "second"), (second, "third")):
            s.use(*one)
            s.server.process.send_signal(signal.SIGHUP)
            wait_for("the new one is served", lambda n=name: s.subject() == n)
            more()
            have = film.stat().st_size
            wait_for("the film goes on", lambda have=have: film.stat().st_size > have + 100000)
        assert other.poll() is None
        other.terminate()
        shutil.copy(first[1], s.folder / "used.key")
        p = s.server.msctl("reload", ok=False)
        assert p.returncode != 0 and "ssl-key" in p.stdout + p.stderr
        assert s.subject() == "third"
        more()
        assert pid == [p for p, name in s.server.family().items() if name == "ms-httpd"]
        s.use(*second)


def test_mistakes_have_their_file_line_and_key(site, tmp_path):
    s, _ = site
    good, other = pair(tmp_path, "good"), pair(tmp_path, "other")
    old = pair(tmp_path, "old", days=1)
    weak = pair(tmp_path, "weak", kind=("rsa:1024",))
    (tmp_path / "nothing").write_text("nothing\n")
    locked = tmp_path / "locked.key"
    tools.run("openssl", "ec", "-in", good[1], "-aes256", "-passout", "pass:x", "-out", locked)
    rows = [
        (good[0], good[1], None, None, 0),
        (good[0], other[1], "ssl-key", "is not the certificate's", 78),
        (tmp_path / "away", good[1], "ssl-cert", "cannot be read", 78),
        (good[0], tmp_path / "away", "ssl-key", "cannot be read", 78),
        (tmp_path / "nothing", good[1], "ssl-cert", "no certificate", 78),
        (good[0], tmp_path / "nothing", "ssl-key", "no private key", 78),
        (good[0], locked, "ssl-key", "pass phrase", 78),
        (weak[0], weak[1], "ssl-key", "too weak", 78),
        (good[0], "", "ssl-key", "is missing", 78),
        (old[0], old[1], "ssl-cert", "warning", 0),
    ]
    for cert, key, where, what, code in rows:
        ini = tmp_path / "t.ini"
        lines = ["[server]", "[[stream]]", "ssl-enable = true", f"ssl-cert = {cert}", f"ssl-key = {key}"]
        ini.write_text("\n".join(lines) + "\n")
        p = tools.run(tools.BUILD / "bin" / "media-server", "-t", "-c", ini, ok=False)
        said = p.stdout + p.stderr
        assert p.returncode == code, said
        if where:
            line = 3 if what == "is missing" else 4 + (where == "ssl-key")
            assert re.search(rf"t\.ini:{line}: (warning: )?server/stream/{where}: .*", said) and what in said, said
    if "tls" not in pathlib.Path("/proc/sys/net/ipv4/tcp_available_ulp").read_text().split():
        ini.write_text("\n".join(["[server]", "[[stream]]", "ssl-enable = true", f"ssl-cert = {good[0]}", f"ssl-key = {good[1]}", "tls-kernel = true"]) + "\n")
        said = tools.run(tools.BUILD / "bin" / "media-server", "-t", "-c", ini).stderr
        assert "t.ini:6: warning: server/stream/tls-kernel: " in said and "untested" in said
    good[1].chmod(0o644)
    ini.write_text("\n".join(["[server]", "[[module]]", "ssl-enable = true", f"ssl-cert = {good[0]}", f"ssl-key = {good[1]}"]) + "\n")
    p = tools.run(tools.BUILD / "bin" / "media-server", "-t", "-c", ini)
    assert "server/module/ssl-key" in p.stderr and "chmod 600" in p.stderr


def test_msctl_makes_a_pair(site, tmp_path):
    """Key closed to others at once, names as asked, nothing is replaced unasked; the server takes it, and a client that trusts it too."""
    s, _ = site
    msctl = tools.BUILD / "bin" / "msctl"
    p = tools.run(msctl, "tls", "self-signed", "--out", tmp_path, "cams.test", "127.0.0.1")
    cert, key = tmp_path / "server.crt", tmp_path / "server.key"
    assert key.stat().st_mode & 0o777 == 0o600 and cert.stat().st_mode & 0o777 == 0o644
    assert f"ssl-cert = {cert}" in p.stdout and f"ssl-key = {key}" in p.stdout
    text = tools.run("openssl", "x509", "-in", cert, "-noout", "-text", "-fingerprint", "-sha256").stdout
    assert "DNS:cams.test, IP Address:127.0.0.1" in text and text.strip().rsplit("=", 1)[1] in p.stdout
    before = key.read_bytes()
    assert tools.run(msctl, "tls", "self-signed", "--out", tmp_path, ok=False).returncode == 5
    assert tools.run(msctl, "tls", "self-signed", "--out", tmp_path, "no name", ok=False).returncode == 1
    assert tools.run(msctl, "tls", "self-signed", "--out", tmp_path / "away", ok=False).returncode == 1
    assert key.read_bytes() == before
    tools.run(msctl, "tls", "self-signed", "--out", tmp_path, "--force", "other.test", "127.0.0.1")
    assert key.read_bytes() != before and not list(tmp_path.glob("*.part"))
    s.use(cert, key)
    s.server.reload()
    wait_for("it is served", lambda: s.subject() == "other.test")
    assert tools.run("curl", "-s", "--cacert", cert, s.server.url("gate/stream.json"), "-o", "/dev/null", "-w", "%{http_code}").stdout == "200"


def test_the_key_stays_with_the_master(site):
    """It is open to root alone, and httpd, which is another user, serves with it."""
    s, _ = site
    assert (s.folder / "used.key").stat().st_mode & 0o077 == 0
    pid = next(p for p, name in s.server.family().items() if name == "ms-httpd")
    if os.stat(f"/proc/{pid}").st_uid == os.geteuid():
        pytest.skip("all run as the caller")
    assert s.subject()


def test_players(site):
    """ffmpeg and GStreamer over https: live HLS, live MP4, a film of the archive."""
    s, plain = site
    hls = tools.ffprobe(s.server.url("gate/index.m3u8"), "-tls_verify", "0")
    assert {x["codec_name"] for x in hls["streams"]} == {"h264", "aac"}
    tools.run("ffmpeg", "-v", "error", "-tls_verify", "0", "-i", s.server.url("gate/live.mp4"), "-t", "2", "-f", "null", "-")
    film = next(p for p in plain if p.endswith(".mp4") and "archive" in p)
    p = tools.run("gst-launch-1.0", "-v", "souphttpsrc", f"location={s.server.url(film)}", "ssl-strict=false", "!", "qtdemux", "!", "h264parse", "!",
                  "identity", "silent=false", "!", "fakesink", "sync=false", ok=False)
    assert p.returncode == 0 and p.stdout.count("last-message = chain") >= 150, p.stdout[-2000:] + p.stderr[-2000:]


def test_rtsp_over_tls(site, tmp_path):
    """Live by rtsps: ffmpeg decodes it, GStreamer receives it; who speaks plainly there is refused."""
    s, _ = site
    url = f"rtsps://127.0.0.1:{s.server.rtsp_port}/gate"
    out = tools.run("ffmpeg", "-v", "warning", "-rtsp_transport", "tcp", "-i", url, "-t", "1", "-f", "framecrc", "-", timeout=30)
    assert sum(line.startswith("0,") for line in out.stdout.splitlines()) >= 20 and out.stderr == ""
    if shutil.which("gst-launch-1.0"):
        gst.receive(url, tmp_path / "out", "protocols=tcp+tls", "tls-validation-flags=0")
    with socket.create_connection(("127.0.0.1", s.server.rtsp_port), 10 * tools.SLOW) as plain:
        plain.sendall(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")
        try:
            assert not plain.recv(100).startswith(b"RTSP")
        except ConnectionResetError:
            pass


# --- HTTP/2 ---


def curl(*args, ok=True):
    return tools.run("curl", "-sk", "-m", str(int(20 * tools.SLOW)), *args, ok=ok, timeout=30)


def test_every_road_says_the_same_on_http2(site, tmp_path):
    s, plain = site
    for path, sha1 in plain.items():
        out = tmp_path / "out"
        p = curl("--http2", s.server.url(path), "-o", out, "-w", "%{http_version}")
        assert p.stdout == "2" and hashlib.sha1(out.read_bytes()).hexdigest() == sha1, path
        whole = out.read_bytes()
        curl("--http2", "-r", "1000-70000", s.server.url(path), "-o", out)
        assert out.read_bytes() == whole[1000:70001]
    for path, options in (("gate/index.m3u8", ()), ("nope", ()), ("gate/stream.json", ("-I",)), ("gate/..%2fx", ()), ("gate/stream.json", ("-X", "POST", "-d", "x" * 100)),
                          ("gate/stream.json", ("-X", "POST", "-d", "x" * 100000)), ("gate/stream.json", ("-X", "OPTIONS")), ("gate/stream.json", ("-H", "Host: a", "-H", "host: b"))):
        codes = [curl(v, *options, s.server.url(path), "-o", "/dev/null", "-w", "%{http_code}").stdout for v in ("--http1.1", "--http2")]
        assert codes[0] == codes[1] or "Host: a" in options, (path, options, codes)


def test_a_wall_of_cameras_on_one_connection(site, tmp_path):
    """32 endless viewers; all of them get pictures of their own camera."""
    s, _ = site
    for i in range(WALL):
        s.server.wait_state(f"wall{i}", timeout=30)
    config = tmp_path / "config"
    config.write_text("".join(f'url = "{s.server.url(f"wall{i}/live.mp4")}"\noutput = "{tmp_path}/{i}.mp4"\nmax-time = {int(60 * tools.SLOW)}\n' for i in range(WALL)))
    before = s.server.status()["viewers"]
    began = time.monotonic()
    with open(tmp_path / "said", "w+") as said:
        p = subprocess.Popen(["curl", "-vsk", "--http2", "--parallel", "--parallel-max", str(WALL), "-K", str(config)], stderr=said)
        files = [tmp_path / f"{i}.mp4" for i in range(WALL)]
        try:
            wait_for("pictures of all", lambda: all(f.read_bytes().count(b"moof") > 20 for f in files), timeout=20, every=0.3)
        finally:
            tools.stop(p)
        said.seek(0)
        assert 1 <= said.read().count("* Connected to ") <= 2
    print(f"{WALL} cameras after {time.monotonic() - began:.1f} s")
    wait_for("they are gone", lambda: s.server.status()["viewers"] <= before, timeout=15)


def test_h2load(site):
    s, plain = site
    segment = next(p for p in plain if p.endswith(".m4s"))
    size = len(s.server.get(segment).body)
    p = tools.run("h2load", "-n200", "-c4", "-m20", s.server.url(segment), s.server.url("gate/stream.json"), timeout=60)
    assert "200 succeeded, 0 failed, 0 errored" in p.stdout, p.stdout
    assert int(re.search(r"\((\d+)\) data", p.stdout).group(1)) > 100 * size


def test_one_stream_that_is_not_read_holds_no_other(site):
    s, plain = site
    film = next(p for p in plain if p.endswith(".mp4") and "archive" in p)
    before = s.server.status()["viewers"]
    with h2.Connection(s.server.web_port) as c:
        c.ask(1, f"/{film}")
        got = 0
        while got < 65535:
            got += len(c.until(lambda kind, flags, stream, body: kind == h2.DATA)[3])
        c.window(0, 1 << 20)  # of the connection, not of that stream
        for stream in (3, 5, 7):
            c.ask(stream, "/gate/stream.json")
            c.until(lambda kind, flags, of, body, stream=stream: of == stream and flags & h2.END_STREAM)
        c.ask(9, "/gate/live.mp4")
        for _ in range(5):
            c.window(9, 1 << 20)
            assert c.until(lambda kind, flags, stream, body: kind == h2.DATA)[2] == 9
        # Both are let go: nothing of them is left.
        c.send(h2.RST_STREAM, 0, 1, b"\0\0\0\x08")
        c.send(h2.RST_STREAM, 0, 9, b"\0\0\0\x08")
        c.ask(11, "/gate/stream.json")
        c.until(lambda kind, flags, stream, body: stream == 11 and flags & h2.END_STREAM)
        wait_for("they are gone", lambda: s.server.status()["viewers"] <= before, timeout=15)


def test_hostile_clients_are_sent_away(site):
    """Floods end with GOAWAY or a closed connection, and a viewer beside them is served."""
    s, _ = site
    block = h2.get("/gate/stream.json")

    def resets(c):
        for i in range(2000):
            c.send(h2.HEADERS, h2.END_STREAM | h2.END_HEADERS, 2 * i + 1, block)
            c.send(h2.RST_STREAM, 0, 2 * i + 1, b"\0\0\0\x08")

    def pings(c):
        for _ in range(5000):
            c.send(h2.PING, 0, 0, b"12345678")

    def settings(c):
        for _ in range(5000):
            c.send(h2.SETTINGS, 0, 0)

    def continuations(c):
        c.send(h2.HEADERS, h2.END_STREAM, 1, block)
        for _ in range(5000):
            c.send(h2.CONTINUATION, 0, 1, h2.literal("x", "y" * 100))

    def empty(c):
        c.send(h2.HEADERS, h2.END_HEADERS, 1, block.replace(b"GET", b"PUT"))
        for _ in range(5000):
            c.send(h2.DATA, 0, 1)

    for attack in (resets, pings, settings, continuations, empty):
        with h2.Connection(s.server.web_port) as c:
            try:
                attack(c)
            except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
                pass  # sent away in the middle of it
            assert c.goaway() not in (0,), attack.__name__
        assert s.server.get("gate/stream.json").status == 200


def test_the_page_in_chromium_over_http2(site):
    if not test_browser.CHROMIUM or not shutil.which("node") or not (BROWSER / "node_modules" / "playwright-core").is_dir():
        pytest.skip("no chromium, node or playwright-core")
    s, _ = site
    steps = {"playing": 20000}, {"played": 1}, {"eval": "performance.getEntriesByType('resource').map((r) => [r.name, r.nextHopProtocol])"}
    first, watched, protocols = test_browser.browse(s.server.url("gate/embed.html?proto=hls"), *steps)
    assert watched["frames"] > watched["seconds"] * 2
    assert any(".m4s" in name for name, _ in protocols) and all(p == "h2" for name, p in protocols if name.startswith("https:")), protocols


def test_goodbye_at_the_end(site):
    """The last test: the server stops."""
    s, _ = site
    with h2.Connection(s.server.web_port) as c:
        c.ask(1, "/gate/live.mp4")
        c.until(lambda kind, flags, stream, body: kind == h2.DATA)
        s.server.stop()
        assert c.goaway() == 0
    s.server.start()
