"""Heartbeats without any of our code: sealed and opened by libcrypto as master/cluster/heartbeat.h says. As a program it is
node 1 for a while, its clock an hour ahead: wire.py KEY ADDRESS PORT."""
import ctypes
import ctypes.util
import hashlib
import hmac
import socket
import struct
import sys
import time

HEAD = ">IBBHIHHQQ"
BODY = ">QqIHBQQ"
ANSWERS_S = 4.0
AHEAD_S = 3600
GET_TAG, SET_TAG = 0x10, 0x11

crypto = ctypes.CDLL(ctypes.util.find_library("crypto"))
for name in ("EVP_CIPHER_CTX_new", "EVP_aes_256_gcm"):
    getattr(crypto, name).restype = ctypes.c_void_p


def gcm(key, nonce, head, body, tag=None):
    """Seals (tag None): body and tag. Opens: the body, or None."""
    c, n = ctypes.c_void_p(crypto.EVP_CIPHER_CTX_new()), ctypes.c_int()
    out = ctypes.create_string_buffer(len(body) + 16)
    enc = 1 if tag is None else 0
    crypto.EVP_CipherInit_ex(c, ctypes.c_void_p(crypto.EVP_aes_256_gcm()), None, key, nonce, enc)
    crypto.EVP_CipherUpdate(c, None, ctypes.byref(n), head, len(head))
    crypto.EVP_CipherUpdate(c, out, ctypes.byref(n), body, len(body))
    if tag is not None:
        crypto.EVP_CIPHER_CTX_ctrl(c, SET_TAG, 16, tag)
    good = crypto.EVP_CipherFinal_ex(c, ctypes.create_string_buffer(16), ctypes.byref(n))
    made = ctypes.create_string_buffer(16)
    if tag is None:
        crypto.EVP_CIPHER_CTX_ctrl(c, GET_TAG, 16, made)
    crypto.EVP_CIPHER_CTX_free(c)
    if tag is None:
        return out.raw[: len(body)], made.raw
    return out.raw[: len(body)] if good == 1 else None


class Wire:
    def __init__(self, key, cluster=1):
        self.secret, self.cluster = hashlib.sha256(key.encode()).digest(), cluster
        self.id = struct.unpack(">I", hmac.digest(self.secret, b"media-server key id", "sha256")[:4])[0]

    def _key(self, node, boot):
        return hmac.digest(self.secret, b"media-server heartbeat 1" + struct.pack(">HHQ", self.cluster, node, boot), "sha256")

    def seal(self, node, to, boot, counter, ahead_s=0.0, flags=0, answer=0):
        head = struct.pack(HEAD, 0x4D534842, 1, 0, self.cluster, self.id, node, to, boot, counter)
        body = struct.pack(BODY, 0, int((time.time() + ahead_s) * 1e6), 60, 0, flags, 0, answer) + b"\0\0"
        sealed, tag = gcm(self._key(node, boot), bytes(4) + struct.pack(">Q", counter), head, body)
        return head + sealed + tag

    def open(self, datagram):
        """(node, boot, challenge), or None."""
        head, sealed, tag = datagram[:32], datagram[32:-16], datagram[-16:]
        node, _, boot, counter = struct.unpack(HEAD, head)[5:]
        body = gcm(self._key(node, boot), bytes(4) + struct.pack(">Q", counter), head, sealed, tag)
        return body and (node, boot, struct.unpack(BODY, body[:39])[5])


def main(key, address, port):
    wire, counter, answer = Wire(key), 0, 0
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("", port))
    s.settimeout(0.1)
    end = time.monotonic() + ANSWERS_S
    while time.monotonic() < end:
        counter += 1
        s.sendto(wire.seal(1, 2, 77, counter, AHEAD_S, answer=answer), (address, port))
        try:
            answer = wire.open(s.recv(2048))[2] or answer
        except TimeoutError:
            pass


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
