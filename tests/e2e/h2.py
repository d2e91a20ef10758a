"""HTTP/2 by hand, for what no good client does: frames over TLS, heads as literals without Huffman. RFC 9113, 7541."""
import socket
import ssl
import struct
import time

import tools

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, ACK = 1, 4, 1


def text(s):
    """Its length with a prefix of 7 bits (RFC 7541 5.1), then itself."""
    n, head = len(s) - 127, bytes([min(len(s), 127)])
    while n >= 0:
        head += bytes([n % 128 | (0x80 if n > 127 else 0)])
        n = n // 128 if n > 127 else -1
    return head + s.encode()


def literal(name, value):
    return b"\0" + text(name) + text(value)


def get(path, **fields):
    pairs = [(":method", "GET"), (":scheme", "https"), (":authority", "x"), (":path", path), *fields.items()]
    return b"".join(literal(n, v) for n, v in pairs)


class Connection:
    """window: of each stream that we read, before we say more."""

    def __init__(self, port, window=65535):
        context = ssl._create_unverified_context()
        context.set_alpn_protocols(["h2"])
        raw = socket.create_connection(("127.0.0.1", port), timeout=15 * tools.SLOW)
        self.socket = context.wrap_socket(raw)
        assert self.socket.selected_alpn_protocol() == "h2"
        self.buffer = b""
        self.socket.sendall(PREFACE)
        self.send(SETTINGS, 0, 0, struct.pack(">HI", 4, window))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, kind, flags, stream, body=b""):
        self.socket.sendall(len(body).to_bytes(3, "big") + bytes([kind, flags]) + struct.pack(">I", stream) + body)

    def ask(self, stream, path, **fields):
        self.send(HEADERS, END_STREAM | END_HEADERS, stream, get(path, **fields))

    def window(self, stream, n):
        self.send(WINDOW_UPDATE, 0, stream, struct.pack(">I", n))

    def frame(self):
        """The next one: (kind, flags, stream, body); None at the end of the connection."""
        while len(self.buffer) < 9 or len(self.buffer) < 9 + int.from_bytes(self.buffer[:3], "big"):
            try:
                more = self.socket.recv(65536)
            except (ConnectionResetError, ssl.SSLEOFError):
                more = b""
            if not more:
                return None
            self.buffer += more
        n = int.from_bytes(self.buffer[:3], "big")
        kind, flags, stream = self.buffer[3], self.buffer[4], struct.unpack(">I", self.buffer[5:9])[0]
        body, self.buffer = self.buffer[9 : 9 + n], self.buffer[9 + n :]
        if kind == SETTINGS and not flags & ACK:
            self.send(SETTINGS, ACK, 0)
        return kind, flags, stream, body

    def until(self, wanted, timeout=15):
        """The first frame that wanted(kind, flags, stream, body) likes."""
        deadline = time.monotonic() + timeout * tools.SLOW
        while time.monotonic() < deadline:
            f = self.frame()
            assert f is not None, "the connection has ended"
            if wanted(*f):
                return f
        raise tools.Late("no such frame came")

    def goaway(self):
        """Reads to the end; the code of GOAWAY, None if it did not come."""
        code = None
        while True:
            f = self.frame()
            if f is None:
                return code
            if f[0] == GOAWAY:
                code = struct.unpack(">I", f[3][4:8])[0]
