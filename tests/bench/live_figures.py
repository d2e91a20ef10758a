"""Figures of live viewing: how late the picture is, and what clients that are slow on purpose cost the others."""
import http.client
import resource
import socket
import threading
import time

import clockwork
import measure
import tools
import ws
from camera import Camera
from chromium import browse, usable
from server import MediaServer
from tools import wait_for

ROADS = ("mse", "ll-hls", "hls")
SLOW_HEADS, ZERO_WINDOWS = 5000, 500
ROOM_S = 12  # of the 15 s that a head may take


def line(text):
    print(f"   {text}", flush=True)


def latency(scale):
    """Glass to glass: from when the camera sends a frame until Chromium shows it, loopback; bars 0.5 s by WebSocket, 2 s by LL-HLS"""
    if not usable():
        return {"skipped": "no Chromium, node or playwright-core"}
    result = {}
    with Camera(dict(source=[clockwork.footage(), "audio.aac"], start="key")) as cam, MediaServer({"cam": cam.url()}) as server:
        server.wait_state("cam")
        for road in ROADS:
            sent = cam.log_sent("cam0")
            first, _, shown, how = browse(
                server.url(f"cam/embed.html?proto={road}"), {"playing": 30000}, {"watch": 6000}, {"shown": 20000 if scale.kills > 10 else 8000}, {"eval": "document.getElementById('live').title"}
            )
            s = clockwork.delays(sent(), shown)
            result[road] = {"n": len(s), "first_ms": first["ms"], "median": measure.percentile(s, 50), "p95": measure.percentile(s, 95), "max": max(s)}
            line("{0:7} p50 {median:.3f} s, p95 {p95:.3f} s, max {max:.3f} s of {n} frames; first picture after {first_ms:.0f} ms".format(road, **result[road]))
            line(f"        the page says: {how}")
    return result


def ask(port, path):
    """Seconds of one request on a connection of its own."""
    began = time.monotonic()
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    c.request("GET", path)
    r = c.getresponse()
    r.read()
    assert r.status == 200, r.status
    c.close()
    return time.monotonic() - began


def ask_for(port, path, seconds, every=0.01):
    times, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        times.append(ask(port, path))
        time.sleep(every)
    return {"n": len(times), "p50_ms": measure.percentile(times, 50) * 1000, "p99_ms": measure.percentile(times, 99) * 1000, "max_ms": max(times) * 1000}


def stuck(port, path, upgrade=False):
    """A viewer that asks and never reads: a window of nothing."""
    if upgrade:
        return ws.Client(type("Port", (), {"web_port": port}), path, buffer=2048).socket
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    s.connect(("127.0.0.1", port))
    s.sendall(f"GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return s


class Frames(threading.Thread):
    """A WebSocket viewer beside it all: the longest time without a picture."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.client, self.longest, self.n, self.on = ws.Client(server, "cam/mse_ld?tracks=v1"), 0.0, 0, True

    def run(self):
        self.client.json()
        last = None
        while self.on:
            self.client.fragment()
            now = time.monotonic()
            if last and self.n > 60:  # the group that it begins with comes at once
                self.longest = max(self.longest, now - last)
            last = now
            self.n += 1


def siege(scale):
    """5,000 slow heads and 500 closed windows at once: a playlist's time beside them, p99; bar 100 ms"""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    want = SLOW_HEADS + ZERO_WINDOWS + 500
    if hard != resource.RLIM_INFINITY and hard < want:
        return {"skipped": f"needs {want} descriptors"}
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, want), hard))
    held = []
    with Camera(dict(source="cam.h264")) as cam, MediaServer({"cam": cam.url()}, record=True) as server:
        try:
            server.wait_recording("cam")
            wait_for("a playlist", lambda: server.text("cam/video.m3u8"))
            port = server.web_port
            result = {"quiet": ask_for(port, "/cam/video.m3u8", 4)}
            frames = Frames(server)
            frames.start()
            for i in range(ZERO_WINDOWS):
                held.append(stuck(port, "cam/mse_ld", True) if i % 3 == 0 else stuck(port, "cam/live.mp4" if i % 3 == 1 else server_segment(server)))
            began = time.monotonic()
            for _ in range(SLOW_HEADS):
                s = socket.create_connection(("127.0.0.1", port), 20)
                s.sendall(b"GET /cam/video.m3u8 HTTP/1.1\r\n")
                held.append(s)
            opened = time.monotonic() - began
            result["besieged"] = ask_for(port, "/cam/video.m3u8", max(ROOM_S - opened, 4))
            result["opened_s"] = opened
            frames.on = False
            frames.join(10)
            result["longest_without_a_frame_ms"], result["frames"] = frames.longest * 1000, frames.n
            wait_for("what was recorded meanwhile", lambda: server.ranges("cam") and server.ranges("cam")[0][1] > 10, timeout=30)
            result["gaps_of_the_recording"] = len(server.ranges("cam")) - 1
        finally:
            for s in held:
                s.close()
    for name in ("quiet", "besieged"):
        line("{0:9} p50 {p50_ms:.1f} ms, p99 {p99_ms:.1f} ms, max {max_ms:.1f} ms of {n} requests, each on a connection of its own".format(name, **result[name]))
    line("a viewer beside them: longest {longest_without_a_frame_ms:.0f} ms without one of {frames} frames; gaps of the recording: {gaps_of_the_recording}".format(**result))
    return result


def server_segment(server):
    return "cam/" + [x for x in server.text("cam/video.m3u8").splitlines() if x.endswith(".m4s")][-1]
