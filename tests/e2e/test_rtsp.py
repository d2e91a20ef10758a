"""RTSP for viewers: with ffmpeg, GStreamer and curl, and with a client that looks at every packet."""
import shutil
import socket
import struct
import time

import pytest

import gst
import tools
from camera import Camera
from rtsp import Closed, Rtsp, Tunnel, h264_units
from server import MediaServer, need_server


@pytest.fixture(scope="module")
def live():
    """(server, camera): cam-1 with H.264 and AAC, cam-2 with H.265 and G.711."""
    need_server()
    groups = [{"source": ["small.h264", "audio.aac"]}, {"source": ["small.h265", "audio.alaw"]}]
    with Camera(*groups) as cam:
        streams = {"cam-1": cam.url("cam0"), "cam-2": cam.url("camb0")}
        with MediaServer(streams) as server:
            for uid in streams:
                server.wait_state(uid)
            yield server, cam


def url(live, path="cam-1"):
    return f"rtsp://127.0.0.1:{live[0].rtsp_port}/{path}"


def reports(client, channel, n=1):
    """The next n sender reports on a channel: (ssrc, ntp seconds, rtp time)."""
    found = []
    while len(found) < n:
        ch, data = client.frame()
        if ch == channel and data[1] == 200:
            ssrc, ntp, ts = struct.unpack(">IQI", data[4:20])
            found.append((ssrc, ntp / 2**32, ts))
    return found


# --- players ---


@pytest.mark.parametrize("path", ["cam-1", "live/cam-1/", "cam-2"])
def test_ffmpeg_decodes(live, path):
    """Pictures and sound, without a complaint."""
    out = tools.run("ffmpeg", "-v", "warning", "-rtsp_transport", "tcp", "-i", url(live, path), "-t", "2", "-f", "framecrc", "-", timeout=30)
    lines = [line.split(",") for line in out.stdout.splitlines() if not line.startswith("#")]
    assert sum(line[0] == "0" for line in lines) >= 40 and sum(line[0] == "1" for line in lines) >= 20, out.stdout[-500:]
    assert out.stderr == ""


@pytest.mark.parametrize("path, codec", [("cam-1", "h264"), ("cam-2", "h265")])
@pytest.mark.parametrize("protocols", ["tcp", "udp"])
def test_gstreamer_receives(live, tmp_path, path, codec, protocols):
    if not shutil.which("gst-launch-1.0"):
        pytest.skip("no gst-launch-1.0")
    gst.receive(url(live, path), tmp_path / "out", f"protocols={protocols}", codec=codec)


def test_curl_asks(live):
    """Its program knows OPTIONS alone; DESCRIBE by its library: test_rtsp_access.py."""
    if "rtsp" not in tools.run("curl", "--version").stdout:
        pytest.skip("this curl speaks no RTSP")
    p = tools.run("curl", "-sS", "-i", url(live), ok=False)
    assert "RTSP/1.0 200 OK" in p.stdout and "Public: OPTIONS, DESCRIBE, SETUP" in p.stdout


# --- what goes over the wire ---


def test_begins_with_a_key_frame_at_once(live):
    with Rtsp(url(live)) as c:
        begin = time.monotonic()
        r = c.play()
        first = c.packets(1)[0]
        assert time.monotonic() - begin < 2 * tools.SLOW
        info = dict(p.split("=", 1) for p in r["RTP-Info"].split(",")[0].split(";")[1:])
        assert (first.seq, first.ts) == (int(info["seq"]), int(info["rtptime"]))
        assert first.payload[0] & 31 == 7  # parameter sets before the key frame (O7)
        units = list(h264_units([first] + c.packets(60)))
        kinds = [n[0] & 31 for n in units[0]]
        assert kinds[0] == 7 and 8 in kinds and 5 in kinds


def test_viewers_share_their_packets(live):
    """What one gets another gets, byte by byte; on other channels too."""
    with Rtsp(url(live)) as a, Rtsp(url(live)) as b:
        a.play()
        b.describe()
        for track in (1, 0):  # O1: any pair of channels, in any order
            assert b.setup(track, transport=f"RTP/AVP/TCP;unicast;interleaved={168 + 2 * track}-{169 + 2 * track}").status == 200
        b.request("PLAY", b.base)
        for track in range(2):
            ours = {p.seq: (p.ts, p.ssrc, p.payload) for p in a.packets((150, 30)[track], 2 * track)}
            theirs = {p.seq: (p.ts, p.ssrc, p.payload) for p in b.packets((150, 30)[track], 168 + 2 * track)}
            both = ours.keys() & theirs.keys()
            assert len(both) > 10 and all(ours[s] == theirs[s] for s in both)


def test_sequence_has_no_gaps(live):
    with Rtsp(url(live)) as c:
        c.play()
        for channel, n in ((2, 25), (0, 100)):
            seqs = [p.seq for p in c.packets(n, channel)]
            assert all((b - a) & 0xFFFF == 1 for a, b in zip(seqs, seqs[1:]))


def test_sender_reports(live):
    """At PLAY, and again within some seconds; both tracks on one clock (O4)."""
    with Rtsp(url(live), timeout=15) as c:
        c.play()
        video, sound = reports(c, 1)[0], reports(c, 3)[0]
        first = c.packets(1)[0]
        assert first.ssrc == video[0] and abs(video[1] - 2208988800 - time.time()) < 5 * tools.SLOW
        assert abs(video[1] - sound[1]) < 1
        again = reports(c, 1)[0]
        assert again[1] > video[1]
        assert abs((again[2] - video[2]) % 2**32 / 90000 - (again[1] - video[1])) < 0.5


def test_pause_and_go_on(live):
    with Rtsp(url(live)) as c:
        c.play(0)
        c.packets(20)
        assert c.request("PAUSE").status == 200
        assert c.request("GET_PARAMETER").status == 200
        c.frames.clear()
        assert c.request("PLAY", c.base).status == 200
        assert c.packets(1)[0].payload[0] & 31 == 7
        assert c.request("TEARDOWN").status == 200


def test_a_session_belongs_to_its_connection(live):
    with Rtsp(url(live)) as a, Rtsp(url(live)) as b:
        a.play()
        b.session = a.session
        assert b.request("PAUSE", login=False).status == 454
        assert b.request("TEARDOWN", login=False).status == 454
        a.packets(50)


def test_unknown_streams(live):
    for path in ("nobody", "live/nobody/", "a/b/c", ""):
        with Rtsp(url(live, path)) as c:
            assert c.request("DESCRIBE").status == 404


REFUSED = {
    "line": (b"X" * 8000, b"RTSP/1.0 414"),
    "head": (b"OPTIONS * RTSP/1.0\r\n" + b"A: b\r\n" * 4000, b"RTSP/1.0 400"),
    "tls": (b"\x16\x03\x01\x02\x00\r\n\r\n", b"RTSP/1.0 400"),
    "body": (b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 1000000\r\n\r\n", b"RTSP/1.0 413"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_ends(live, name):
    start, answer = REFUSED[name]
    with socket.create_connection(("127.0.0.1", live[0].rtsp_port), 10 * tools.SLOW) as s:
        s.sendall(start)
        got = b""
        while piece := s.recv(4096):
            got += piece
        assert got.startswith(answer)


def test_a_stalled_viewer_delays_nobody(live):
    """One does not read at all; another keeps getting every frame, and the server lives."""
    with Rtsp(url(live)) as stalled, Rtsp(url(live)) as c:
        stalled.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.play()
        c.play()
        seqs = [p.seq for p in c.packets(200)]
        assert all((b - a) & 0xFFFF == 1 for a, b in zip(seqs, seqs[1:]))


def test_a_camera_that_goes_and_comes(live):
    """Viewers stay, and see the picture again."""
    server, cam = live
    with Rtsp(url(live), timeout=20) as c:
        c.play(0)
        c.packets(20)
        cam.do("rst", name="cam0")
        server.wait_state("cam-1")
        seqs = [p.seq for p in c.packets(200)]
        assert all((b - a) & 0xFFFF == 1 for a, b in zip(seqs, seqs[1:]))


def test_a_stream_that_is_switched_off(live):
    """Its viewers are ended, and who asks is told so."""
    server, cam = live
    server.write_stream("cam-9", cam.url("cam0"))
    server.reload()
    server.wait_state("cam-9")
    with Rtsp(url(live, "cam-9")) as c:
        c.play()
        server.write_stream("cam-9", {"stream-url": cam.url("cam0"), "stream-enable": "false"})
        server.reload()
        seen = []
        with pytest.raises((Closed, ConnectionResetError)):
            while True:
                seen.append(c.frame())
        for channel in (1, 3):  # each track says that it has ended
            assert any(ch == channel and struct.pack(">BBH", 0x81, 203, 1) in data for ch, data in seen[-20:])
    with Rtsp(url(live, "cam-9")) as c:
        assert c.request("DESCRIBE").status in (404, 503)


# --- over UDP ---


@pytest.mark.parametrize("path", ["cam-1", "cam-2"])
def test_ffmpeg_decodes_over_udp(live, path):

    def decoded():
        out = tools.run("ffmpeg", "-v", "warning", "-rtsp_transport", "udp", "-i", url(live, path), "-t", "2", "-f", "framecrc", "-", timeout=30)
        lines = [line.split(",") for line in out.stdout.splitlines() if not line.startswith("#")]
        assert sum(line[0] == "0" for line in lines) >= 40 and sum(line[0] == "1" for line in lines) >= 20, out.stdout[-500:]
        assert out.stderr == ""

    tools.in_one_of(4, decoded)


def test_udp_begins_with_a_key_frame_and_loses_nothing(live):
    with Rtsp(url(live)) as c:
        r = c.play(0, 1, udp=True)
        first = int(r["RTP-Info"].split("seq=")[1].split(";")[0])
        packets = c.udp_packets(150)
        assert packets[0].seq == first and packets[0].payload[0] & 31 == 7
        assert all((b.seq - a.seq) & 0xFFFF == 1 for a, b in zip(packets, packets[1:]))
        report = c.udp[0][1].recv(2000)
        assert report[1] == 200 and report[4:8] == struct.pack(">I", packets[0].ssrc)
        # both directions: a report of ours is taken, a BYE ends what is sent
        server = (c.sock.getpeername()[0], int(c.lanes[0].split("server_port=")[1].split("-")[1].split(";")[0]))
        c.udp[0][1].sendto(struct.pack(">BBHIIIIIII", 0x81, 201, 7, 1, packets[0].ssrc, 0, packets[-1].seq, 0, 0, 0), server)
        c.udp[0][1].sendto(struct.pack(">BBHI", 0x80, 201, 1, 1) + struct.pack(">BBHI", 0x81, 203, 1, 1), server)

        def quiet():
            c.udp[0][0].settimeout(0.5)
            try:
                c.udp[0][0].recv(2000)
            except TimeoutError:
                return True

        tools.wait_for("an end of the packets", quiet)


def test_udp_takes_packets_from_nobody_else(live):
    """RTCP from another port does not keep, nor end, a session."""
    with Rtsp(url(live)) as c, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        c.play(0, udp=True)
        port = int(c.lanes[0].split("server_port=")[1].split("-")[1].split(";")[0])
        other.sendto(struct.pack(">BBHI", 0x81, 203, 1, 1), ("127.0.0.1", port))
        c.udp_packets(60)


# --- over HTTP ---


def test_ffmpeg_decodes_over_http(live):
    out = tools.run("ffmpeg", "-v", "warning", "-rtsp_transport", "http", "-i", url(live), "-t", "2", "-f", "framecrc", "-", timeout=30)
    lines = [line.split(",") for line in out.stdout.splitlines() if not line.startswith("#")]
    assert sum(line[0] == "0" for line in lines) >= 40 and sum(line[0] == "1" for line in lines) >= 20, out.stdout[-500:]
    assert out.stderr == ""


def test_gstreamer_receives_over_http(live, tmp_path):
    if not shutil.which("gst-launch-1.0"):
        pytest.skip("no gst-launch-1.0")
    gst.receive(url(live).replace("rtsp://", "rtsph://"), tmp_path / "out", "protocols=tcp+http")


def test_a_tunnel_in_small_pieces(live):
    """base64 cut anywhere; a POST that ends and is opened anew, also before its end is heard of (N1)."""
    with Tunnel(live[0].rtsp_port) as t:
        assert b"application/x-rtsp-tunnelled" in t.hear(b"\r\n\r\n")
        t.say("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n", piece=3)
        t.hear(b"CSeq: 1\r\n")
        with t.post:
            t.post = None
            t.say(f"DESCRIBE {url(live)} RTSP/1.0\r\nCSeq: 2\r\n\r\n" + f"OPTIONS {url(live)} RTSP/1.0\r\nCSeq: 3\r\n\r\n")
        assert b"m=video" in t.hear(b"CSeq: 3\r\n")


def test_a_tunnel_is_its_clients(live):
    """Another cookie says nothing in it; HTTP that is no tunnel is told so."""
    with Tunnel(live[0].rtsp_port) as t, Tunnel(live[0].rtsp_port, cookie="c2") as other:
        t.hear(b"\r\n\r\n"), other.hear(b"\r\n\r\n")
        other.say("OPTIONS * RTSP/1.0\r\nCSeq: 77\r\n\r\n")
        other.hear(b"CSeq: 77")
        t.say("OPTIONS * RTSP/1.0\r\nCSeq: 78\r\n\r\n")
        assert b"77" not in t.hear(b"CSeq: 78")
    with socket.create_connection(("127.0.0.1", live[0].rtsp_port), 10 * tools.SLOW) as s:
        s.sendall(b"GET /cam-1 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert s.recv(1000).startswith(b"HTTP/1.0 400")
