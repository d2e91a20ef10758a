"""A WebSocket client on a plain socket, by RFC 6455: it checks what a server may send, and can send what no client may."""
import base64
import hashlib
import json
import os
import socket
import ssl
import struct

import tools

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Closed(Exception):
    """By the server: code, reason."""


class Client:
    """Client(server, "cam/mse_ld") as a context."""

    def __init__(self, server, path, headers="", buffer=None, status=101):
        self.socket = socket.socket()
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(20 * tools.SLOW)
        self.socket.connect(("127.0.0.1", server.web_port))
        if getattr(server, "scheme", "http") == "https":
            self.socket = ssl._create_unverified_context().wrap_socket(self.socket)
        key = base64.b64encode(os.urandom(16))
        self.socket.sendall(
            b"GET /%b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
            b"Sec-WebSocket-Key: %b\r\nSec-WebSocket-Version: 13\r\n%b\r\n" % (path.encode(), server.web_port, key, headers.encode())
        )
        self.data = b""
        while b"\r\n\r\n" not in self.data:
            self.more()
        self.head, self.data = self.data.split(b"\r\n\r\n", 1)
        assert self.head.startswith(b"HTTP/1.1 %d " % status), self.head
        if status == 101:
            accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
            assert b"Sec-WebSocket-Accept: " + accept in self.head

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def more(self):
        piece = self.socket.recv(1 << 20)
        if not piece:
            raise Closed(None, "no close frame")
        self.data += piece

    def take(self, n):
        while len(self.data) < n:
            self.more()
        taken, self.data = self.data[:n], self.data[n:]
        return taken

    def frame(self):
        """(opcode, payload)."""
        first, n = self.take(2)
        assert first & 0xF0 == 0x80 and n < 128, "whole, without extensions, not masked"
        if n >= 126:
            n = struct.unpack(">H" if n == 126 else ">Q", self.take(2 if n == 126 else 8))[0]
        return first & 15, self.take(n)

    def message(self, opcode):
        """The next of that kind; a ping is answered, a close raises."""
        while True:
            got, data = self.frame()
            if got == PING:
                self.send(PONG, data)
            elif got == CLOSE:
                raise Closed(struct.unpack(">H", data[:2])[0] if data else None, data[2:].decode())
            elif got == opcode:
                return data

    def json(self):
        return json.loads(self.message(TEXT))

    def fragment(self):
        return self.message(BINARY)

    def send(self, opcode, data, first=0x80):
        mask = os.urandom(4)
        n = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data))
        self.socket.sendall(bytes([first | opcode]) + n + mask + bytes(c ^ mask[i % 4] for i, c in enumerate(data)))

    def say(self, text):
        self.send(TEXT, text.encode())
