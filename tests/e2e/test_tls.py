"""TLS on the viewers' listener: what is offered, which certificates are taken, their change under running viewers, archive bytes."""
import hashlib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time

import pytest

import gst
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
    with Camera(dict(group="gate", source=["cam.h264", "audio.aac"])) as cam:
        with MediaServer({"gate": cam.url("gate0")}, record=True) as server:
            s = Site(server, folder)
            server.wait_recording("gate")
            wait_for("some archive", lambda: server.ranges("gate") and server.ranges("gate")[0][1] >= 12, timeout=40)
            since = int(server.ranges("gate")[0][0]) + 1
            lines = server.text(f"gate/archive-{since}-8.m3u8").splitlines()
            paths = [f"gate/{line}" for line in lines if line and line[0] != "#"] + [f"gate/archive-{since}-8.mp4"]
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
    assert len(plain) > 2
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
    """A viewer of live.mp4 goes on over two changes; who comes later gets the new one; a broken pair changes nothing."""
    s, _ = site
    first, second = pair(s.folder, "second"), pair(s.folder, "third", kind=("rsa:2048",))
    with s.connect() as viewer:
        viewer.sendall(b"GET /gate/live.mp4 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert viewer.recv(20).startswith(b"HTTP/1.1 200")

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
    good[1].chmod(0o644)
    ini.write_text("\n".join(["[server]", "[[module]]", "ssl-enable = true", f"ssl-cert = {good[0]}", f"ssl-key = {good[1]}"]) + "\n")
    p = tools.run(tools.BUILD / "bin" / "media-server", "-t", "-c", ini)
    assert "server/module/ssl-key" in p.stderr and "chmod 600" in p.stderr


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
    with socket.create_connection(("127.0.0.1", s.server.rtsp_port), 10) as plain:
        plain.sendall(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")
        try:
            assert not plain.recv(100).startswith(b"RTSP")
        except ConnectionResetError:
            pass
