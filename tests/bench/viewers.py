"""Viewers that fetch files and throw them away, and nginx as the measure: the same bytes from the same disk."""
import os
import select
import shutil
import socket
import subprocess
import time

import tools
from tools import wait_for

NGINX = """worker_processes auto; pid {dir}/pid; error_log {dir}/error.log; daemon off; {user}
events {{ worker_connections 4096; }}
http {{ access_log off; sendfile on; keepalive_requests 1000000000; default_type video/mp4; {temp}
  server {{ listen 127.0.0.1:{port}; {tls} root {dir}/files; }} }}
"""
TEMP = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


class Nginx:
    """Serves {name: bytes}; a context. Its processes: pids(). pair: certificate and key, for tls_port."""

    def __init__(self, folder, files, pair=None):
        self.folder, self.port, self.tls_port = folder, tools.free_port(), tools.free_port()
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "files").mkdir(parents=True)
        for name, body in files.items():
            (folder / "files" / name).write_bytes(body)
        temp = " ".join(f"{t}_temp_path {folder}/{t};" for t in TEMP)
        tls = f"listen 127.0.0.1:{self.tls_port} ssl http2; ssl_certificate {pair[0]}; ssl_certificate_key {pair[1]};" if pair else ""
        conf = folder / "nginx.conf"
        conf.write_text(NGINX.format(dir=folder, port=self.port, temp=temp, tls=tls, user="user root;" if os.geteuid() == 0 else ""))
        self.process = subprocess.Popen(["nginx", "-p", str(folder), "-c", str(conf)], stderr=subprocess.DEVNULL)

    def __enter__(self):
        wait_for("nginx listens", lambda: socket.create_connection(("127.0.0.1", self.port), timeout=1).close() is None)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def cpu(self):
        kids = tools.run("pgrep", "-P", self.process.pid).stdout.split()
        return sum(tools.cpu_seconds(pid) for pid in [self.process.pid, *kids])


class Viewer:
    def __init__(self, port, paths, at):
        self.paths, self.at, self.left = paths, at, 0
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.ask()

    def ask(self):
        path = self.paths[self.at % len(self.paths)]
        self.at += 1
        self.left = None
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())

    def read(self, scratch):
        """Bytes that came; the media is dropped in the kernel, so that viewers cost little."""
        if self.left is None:
            head = self.socket.recv(16384, socket.MSG_PEEK)
            end = head.find(b"\r\n\r\n")
            if end < 0:
                raise ConnectionError(f"no head: {head[:100]!r}")
            fields = head[:end].lower()
            assert fields.startswith(b"http/1.1 200 "), fields
            self.left = int(fields.split(b"content-length:")[1].split()[0])
            self.socket.recv(end + 4)
            return end + 4
        n = self.socket.recv_into(scratch, min(self.left, len(scratch)), socket.MSG_TRUNC)
        if n == 0:
            raise ConnectionError("closed in the middle")
        self.left -= n
        if self.left == 0:
            self.ask()
        return n


def watch(port, paths, viewers, seconds):
    """So many viewers, each on its own connection, one file after the other: (bytes, requests)."""
    everybody = {}
    poll = select.epoll()
    for i in range(viewers):
        v = Viewer(port, paths, i * 7)
        everybody[v.socket.fileno()] = v
        poll.register(v.socket, select.EPOLLIN)
    scratch, got, until = bytearray(8 << 20), 0, time.monotonic() + seconds
    asked = sum(v.at for v in everybody.values())
    while time.monotonic() < until:
        for fd, _ in poll.poll(1):
            got += everybody[fd].read(scratch)
    asked = sum(v.at for v in everybody.values()) - asked
    for v in everybody.values():
        v.socket.close()
    return got, asked
