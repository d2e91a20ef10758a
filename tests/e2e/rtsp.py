"""A small RTSP client of the tests' own, that can do what no real one would: wrong requests, and looking at every packet."""
import base64
import hashlib
import os
import re
import socket
import struct
import threading
import urllib.parse

import tools


def room_for(udp):
    """What comes while this process waits for a processor is kept."""
    try:
        udp.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE: root may have more than net.core.rmem_max
    except PermissionError:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)


class Closed(OSError):
    pass


class Reply:
    def __init__(self, status, reason, headers, body):
        self.status, self.reason, self.headers, self.body = status, reason, headers, body

    def __getitem__(self, name):
        """First header of that name, None without."""
        return next((v for k, v in self.headers if k.lower() == name.lower()), None)

    def all(self, name):
        return [v for k, v in self.headers if k.lower() == name.lower()]


class Packet:
    def __init__(self, channel, data):
        self.channel, self.data = channel, data
        self.marker, self.pt = data[1] >> 7, data[1] & 0x7F
        self.seq, self.ts, self.ssrc = struct.unpack(">HII", data[2:12])
        self.payload = data[12:]


class Rtsp:
    def __init__(self, url, timeout=5.0, before=b""):
        """before: what the connection begins with, as a proxy says it."""
        u = urllib.parse.urlsplit(url)
        self.user, self.password = u.username, u.password
        host, port = u.hostname, u.port or 554
        self.url = f"{u.scheme}://{host}:{port}{u.path}" + (f"?{u.query}" if u.query else "")
        self.sock = socket.create_connection((host, port), timeout * tools.SLOW)
        self.sock.sendall(before)
        self.buffer = b""
        self.cseq = 0
        self.challenge = None
        self.nc = 0
        self.session = None
        self.frames = []  # (channel, data) that came while an answer was waited for
        self.lanes = {}  # track -> Transport of the answer
        self.udp = {}  # track -> (rtp socket, rtcp socket)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()
        for pair in self.udp.values():
            for s in pair:
                s.close()

    def send(self, method, url=None, headers=(), body=b""):
        """Sends a request; returns its CSeq."""
        url = url or self.url
        self.cseq += 1
        lines = [f"{method} {url} RTSP/1.0", f"CSeq: {self.cseq}", "User-Agent: tests"]
        if self.challenge:
            lines.append(f"Authorization: {self._authorization(method, url)}")
        if self.session:
            lines.append(f"Session: {self.session}")
        lines += [f"{k}: {v}" for k, v in dict(headers).items()]
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
        return self.cseq

    def _fill(self):
        data = self.sock.recv(65536)
        if not data:
            raise Closed("closed by the server")
        self.buffer += data

    def _take(self, n):
        while len(self.buffer) < n:
            self._fill()
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def _skip_blank(self):
        while self._peek() in b"\r\n":
            self._take(1)

    def _peek(self):
        while not self.buffer:
            self._fill()
        return self.buffer[:1]

    def frame(self):
        """The next interleaved frame: (channel, data)."""
        if self.frames:
            return self.frames.pop(0)
        self._skip_blank()
        if self._peek() != b"$":
            raise AssertionError(f"no frame here: {self.buffer[:80]!r}")
        return self._frame()

    def _frame(self):
        head = self._take(4)
        return head[1], self._take(struct.unpack(">H", head[2:])[0])

    def packets(self, n, channel=0):
        """The next n RTP packets of a channel."""
        got = []
        while len(got) < n:
            ch, data = self.frame()
            if ch == channel and not 192 <= data[1] <= 223:
                got.append(Packet(ch, data))
        return got

    def reply(self):
        """The next reply; frames before it are kept for frame()."""
        while True:
            self._skip_blank()
            if self._peek() != b"$":
                break
            self.frames.append(self._frame())
        while b"\r\n\r\n" not in self.buffer and b"\n\n" not in self.buffer:
            self._fill()
        end = min(i + n for i, n in ((self.buffer.find(b"\r\n\r\n"), 4), (self.buffer.find(b"\n\n"), 2)) if i >= 0)
        head = self._take(end).decode().splitlines()
        version, status, reason = (head[0].split(" ", 2) + [""])[:3]
        assert version == "RTSP/1.0", head[0]
        headers = [(k.strip(), v.strip()) for k, v in (line.split(":", 1) for line in head[1:] if ":" in line)]
        length = next((int(v) for k, v in headers if k.lower() == "content-length"), 0)
        return Reply(int(status), reason, headers, self._take(length))

    def request(self, method, url=None, headers=(), login=True):
        """Request and reply; answers one challenge."""
        self.send(method, url, headers)
        r = self.reply()
        if r.status == 401 and login and self.user is not None and r["WWW-Authenticate"]:
            self.challenge = self._pick(r.all("WWW-Authenticate"))
            self.nc = 0
            self.send(method, url, headers)
            r = self.reply()
        if r["Session"]:
            self.session = r["Session"].split(";")[0].strip()
        return r

    @staticmethod
    def _pick(offers):
        """The strongest challenge: (hash name or None for Basic, parameters)."""
        best = None
        for offer in offers:
            scheme, _, rest = offer.partition(" ")
            params = {}
            for item in rest.split(","):
                k, _, v = item.strip().partition("=")
                params[k.lower()] = v.strip('"')
            name = None if scheme.lower() == "basic" else params.get("algorithm", "MD5").upper()
            rank = {None: 0, "MD5": 1, "SHA-256": 2}[name]
            if best is None or rank > best[0]:
                best = (rank, name, params)
        return best[1:]

    def _authorization(self, method, url):
        name, p = self.challenge
        if name is None:
            return "Basic " + base64.b64encode(f"{self.user}:{self.password or ''}".encode()).decode()
        digest = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}[name]

        def h(*parts):
            return digest(":".join(parts).encode()).hexdigest()

        ha1, ha2 = h(self.user, p["realm"], self.password or ""), h(method, url)
        fields = {"username": self.user, "realm": p["realm"], "nonce": p["nonce"], "uri": url}
        if "qop" in p:
            self.nc += 1
            nc, cnonce = f"{self.nc:08x}", os.urandom(8).hex()
            fields |= {"response": h(ha1, p["nonce"], nc, cnonce, "auth", ha2), "cnonce": cnonce}
            tail = f", qop=auth, nc={nc}"
        else:
            fields["response"] = h(ha1, p["nonce"], ha2)
            tail = ""
        if "algorithm" in p:
            tail += f", algorithm={p['algorithm']}"
        return "Digest " + ", ".join(f'{k}="{v}"' for k, v in fields.items()) + tail

    # --- whole conversations ---

    def describe(self):
        r = self.request("DESCRIBE", headers={"Accept": "application/sdp"})
        assert r.status == 200, f"DESCRIBE: {r.status} {r.reason}"
        self.sdp = r.body.decode()
        self.base = r["Content-Base"] or self.url
        return self.sdp

    def controls(self):
        """a=control of each m= section."""
        found = []
        for section in self.sdp.split("m=")[1:]:
            found.append(next((line.split(":", 1)[1].strip() for line in section.splitlines() if line.startswith("a=control:")), ""))
        return found

    def track_url(self, control):
        if "://" in control:
            return control
        return self.base if not control else self.base.rstrip("/") + "/" + control

    def setup(self, track=0, udp=False, transport=None):
        if udp:
            pair = self._udp_pair()
            self.udp[track] = pair
            port = pair[0].getsockname()[1]
            transport = f"RTP/AVP;unicast;client_port={port}-{port + 1}"
        transport = transport or f"RTP/AVP/TCP;unicast;interleaved={track * 2}-{track * 2 + 1}"
        r = self.request("SETUP", self.track_url(self.controls()[track]), {"Transport": transport})
        self.lanes[track] = r["Transport"]
        return r

    @staticmethod
    def _udp_pair():
        while True:
            port = tools.free_port(socket.SOCK_DGRAM) & ~1
            pair = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
            try:
                for i, s in enumerate(pair):
                    s.settimeout(5 * tools.SLOW)
                    room_for(s)
                    s.bind(("127.0.0.1", port + i))
                return tuple(pair)
            except OSError:
                for s in pair:
                    s.close()

    def udp_packets(self, n, track=0):
        return [Packet(None, self.udp[track][0].recv(65536)) for _ in range(n)]

    def play(self, *tracks, udp=False):
        """DESCRIBE, SETUP of these tracks (all without), PLAY."""
        self.describe()
        for t in tracks or range(len(self.controls())):
            r = self.setup(t, udp)
            assert r.status == 200, f"SETUP: {r.status} {r.reason}"
        r = self.request("PLAY", self.base, {"Range": "npt=0.000-"})
        assert r.status == 200, f"PLAY: {r.status} {r.reason}"
        return r


class Tunnel:
    """GET and POST of RTSP over HTTP, as bytes. fields: of both heads."""

    def __init__(self, port, path="cam-1", cookie="c1", fields=""):
        self.port, self.path, self.cookie, self.fields = port, path, cookie, fields
        self.get = self.connect("GET", "Accept: application/x-rtsp-tunnelled\r\n")
        self.post = None

    def connect(self, method, fields):
        s = socket.create_connection(("127.0.0.1", self.port), 10 * tools.SLOW)
        s.sendall(f"{method} /{self.path} HTTP/1.0\r\nx-sessioncookie: {self.cookie}\r\n{fields}{self.fields}\r\n".encode())
        return s

    def say(self, text, piece=1000):
        if self.post is None:
            self.post = self.connect("POST", "Content-Type: application/x-rtsp-tunnelled\r\nContent-Length: 32767\r\n")
        coded = base64.b64encode(text.encode())
        for i in range(0, len(coded), piece):
            self.post.sendall(coded[i : i + piece])

    def hear(self, what):
        got = b""
        while what not in got:
            piece = self.get.recv(4096)
            assert piece, got
            got += piece
        return got

    def ask(self, line, fields=""):
        """A request whose CSeq nobody else has; what comes up to the end of the answer's head."""
        cseq = os.urandom(3).hex()
        self.say(f"{line} RTSP/1.0\r\nCSeq: {int(cseq, 16)}\r\n{fields}\r\n")
        got = self.hear(f"CSeq: {int(cseq, 16)}\r\n".encode())
        while b"\r\n\r\n" not in got[got.rindex(b"RTSP/1.0 ") :]:
            got += self.get.recv(4096)
        return got[got.rindex(b"RTSP/1.0 ") :]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for s in (self.get, self.post):
            if s:
                s.close()


class Reader(threading.Thread):
    """Reads a socket to its end."""

    def __init__(self, sock):
        super().__init__(daemon=True)
        self.sock, self.over = sock, threading.Event()
        sock.settimeout(None)
        self.start()

    def run(self):
        try:
            while self.sock.recv(1 << 16):
                pass
        except OSError:
            pass
        self.over.set()


def watch(where, transport, web_port):
    """A session that plays, over tcp, udp or a tunnel through the port of HTTP: (what to close, its connection)."""
    if transport != "tunnel":
        c = Rtsp(where, timeout=15)
        c.play(0, udp=transport == "udp")
        c.udp_packets(5) if transport == "udp" else c.packets(5)
        return c, c.sock
    t = Tunnel(web_port, urllib.parse.urlsplit(where).path.strip("/").split("/")[-1])
    described = t.ask(f"DESCRIBE {where}")
    assert described.startswith(b"RTSP/1.0 200")
    length = int(re.search(rb"Content-Length: (\d+)", described).group(1))
    while len(described.split(b"\r\n\r\n", 1)[1]) < length:
        described += t.get.recv(4096)
    control = re.search(rb"m=video[^\0]*?a=control:(\S+)", described).group(1).decode()
    base = re.search(rb"Content-Base: (\S+)", described)
    setup = t.ask(f"SETUP {base.group(1).decode()}{control}", "Transport: RTP/AVP/TCP;interleaved=0-1\r\n")
    session = re.search(rb"Session: (\w+)", setup).group(1).decode()
    assert t.ask(f"PLAY {where}", f"Session: {session}\r\n").startswith(b"RTSP/1.0 200")
    return t, t.get


def h264_units(packets):
    """Joins packets to access units by their marker: lists of NAL units. RFC 6184."""
    unit, fragment = [], b""
    for p in packets:
        kind = p.payload[0] & 0x1F if p.payload else 0
        if kind == 24:
            rest = p.payload[1:]
            while len(rest) > 2:
                n = struct.unpack(">H", rest[:2])[0]
                unit.append(rest[2 : 2 + n])
                rest = rest[2 + n :]
        elif kind == 28:
            if p.payload[1] & 0x80:
                fragment = bytes([p.payload[0] & 0xE0 | p.payload[1] & 0x1F])
            fragment += p.payload[2:]
            if p.payload[1] & 0x40:
                unit.append(fragment)
        elif 0 < kind < 24:
            unit.append(p.payload)
        if p.marker:
            yield unit
            unit = []


def h265_units(packets):
    """The same for RFC 7798."""
    unit, fragment = [], b""
    for p in packets:
        kind = p.payload[0] >> 1 & 0x3F
        if kind == 48:
            rest = p.payload[2:]
            while len(rest) > 2:
                n = struct.unpack(">H", rest[:2])[0]
                unit.append(rest[2 : 2 + n])
                rest = rest[2 + n :]
        elif kind == 49:
            if p.payload[2] & 0x80:
                fragment = bytes([p.payload[0] & 0x81 | (p.payload[2] & 0x3F) << 1, p.payload[1]])
            fragment += p.payload[3:]
            if p.payload[2] & 0x40:
                unit.append(fragment)
        else:
            unit.append(p.payload)
        if p.marker:
            yield unit
            unit = []


def sample_hash(units, h265=False):
    """SHA-1 of the NAL units as a recorder keeps them: with their lengths, without parameter sets, AUD and filler."""
    dropped = range(32, 39) if h265 else (7, 8, 9, 10, 11, 12)
    kept = [u for u in units if ((u[0] >> 1 & 0x3F) if h265 else (u[0] & 0x1F)) not in dropped]
    return tools.sha1(b"".join(struct.pack(">I", len(u)) + u for u in kept))
