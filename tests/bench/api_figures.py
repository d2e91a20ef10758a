"""What the API costs: a thousand streams by one call, their list again and again, their metrics; and what viewers have of it."""
import contextlib
import http.client
import json
import multiprocessing
import select
import socket
import time
import urllib.request

import measure
from camera import Camera
from server import MediaServer
from tools import wait_for

STREAMS = 1000
CALLS_PER_S, CALLERS = 200, 4
SECRET = {"server/stream": {"auth-secret": '"a secret of the bench"'}}


def line(text):
    print(f"   {text}", flush=True)


class Caller:
    """One kept connection, as a cpanel has."""

    def __init__(self, server):
        self.conn = http.client.HTTPConnection("127.0.0.1", server.module_port, timeout=60)
        wait_for("the API's scripts run", lambda: self.call("v3/streams")[0] == 401 and self.call("streams/")[0] == 403)
        self.token = json.loads(self.call("auth/token/api/", "POST", {"client": "bench", "duration": 0})[1])

    def call(self, path, method="GET", body=None):
        headers = {"Authorization": self.token} if hasattr(self, "token") else {}
        self.conn.request(method, f"/api/{path}", body if body is None else json.dumps(body), headers)
        r = self.conn.getresponse()
        return r.status, r.read()

    def ms(self, *args):
        since = time.monotonic()
        status, body = self.call(*args)
        assert status == 200, body[:300]
        return (time.monotonic() - since) * 1000


def cameras():
    return [{"uid": f"cam-{i:04}", "config": {"stream-url": f"rtsp://user:password{i}@127.0.0.1:1/Streaming/Channels/{i}", "stream-name": f"Camera {i}",
                                              "camera-uid": f"c{i}", "stream-enable": False}} for i in range(STREAMS)]


def api(scale):
    """1,000 streams by one bulk call, stored and accepted, bar 5 s; their list, p99, bar 20 ms"""
    with MediaServer({}, sections=SECRET) as server:
        caller = Caller(server)
        made = caller.ms("v3/streams", "PUT", {"items": cameras()}) / 1000
        assert len(list((server.path / "streams").glob("*.ini"))) == STREAMS
        line(f"1,000 streams made by one call: {made:.2f} s")
        lists = []
        for _ in range(100 if scale.window_s < 10 else 1000):
            lists.append(caller.ms("v3/streams?limit=1000"))
            time.sleep(0.02)  # every twenty-fifth is made anew: what the server has is half a second old at most
        line(f"their list: p50 {measure.percentile(lists, 50):.1f} ms, p99 {measure.percentile(lists, 99):.1f} ms, max {max(lists):.1f} ms of {len(lists)}")
        fields = [caller.ms("v3/streams?limit=1000&select=uid,state&sort=-since") for _ in range(50)]
        line(f"two fields of them, sorted: p50 {measure.percentile(fields, 50):.1f} ms")
    return {"made_s": made, "list_ms": {"p50": measure.percentile(lists, 50), "p99": measure.percentile(lists, 99)}, "fields_ms": {"p50": measure.percentile(fields, 50)}}


# --- what is watched by machines ---


def metrics(scale):
    """/metrics of 1,000 streams with workers, p99, bar 50 ms"""
    n = scale.many
    streams = {f"cam-{i:04}": {"stream-url": f"rtsp://127.0.0.1:1/{i}"} for i in range(n)}  # nobody is there: all states and counters, little else
    with MediaServer(streams) as server:
        wait_for(f"{n} workers", lambda: len(server.family()) >= n, timeout=120, every=0.5)
        time.sleep(scale.settle_s)
        url, times, size = f"http://127.0.0.1:{server.module_port}/metrics", [], 0
        for _ in range(200):
            began = time.monotonic()
            size = len(urllib.request.urlopen(url, timeout=20).read())
            times.append((time.monotonic() - began) * 1000)
            time.sleep(0.05)
    line(f"{n} streams, {size / 1e6:.1f} MB: p50 {measure.percentile(times, 50):.1f} ms, p99 {measure.percentile(times, 99):.1f} ms, max {max(times):.1f} ms")
    return {"streams": n, "bytes": size, "ms": {"p50": measure.percentile(times, 50), "p99": measure.percentile(times, 99)}}


# --- playback beside the API ---

CAMERAS, VIEWERS = 10, 500
KINDS = {"idle": (False, False), "play": (True, False), "api": (False, True), "both": (True, True)}  # viewers, calls
READS = ("v3/streams?limit=100", "v3/streams/cam0", "v3/server", "v3/streams/cam1/ranges", "v3/storages")


def call_on(port, token, asked, number):
    """One of CALLERS scripts that make CALLS_PER_S together, paced, each over one connection. asked[number]: calls so far."""
    conn, due, i = http.client.HTTPConnection("127.0.0.1", port, timeout=20), time.monotonic(), number
    while True:
        conn.request("GET", "/api/" + READS[i % len(READS)], headers={"Authorization": token})
        r = conn.getresponse()
        r.read()
        assert r.status == 200, r.status
        i += 1
        due += CALLERS / CALLS_PER_S
        asked[number] += 1
        time.sleep(max(0, due - time.monotonic()))


def watch_on(port):
    """Viewers of live MP4, each on its own connection; what comes is dropped in the kernel."""
    poll, sockets = select.epoll(), {}
    for i in range(VIEWERS):
        s = socket.create_connection(("127.0.0.1", port))
        s.sendall(f"GET /cam{i % CAMERAS}/live.mp4 HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        sockets[s.fileno()] = s
        poll.register(s.fileno(), select.EPOLLIN)
    scratch = bytearray(1 << 20)
    while True:
        for fd, _ in poll.poll(1):
            assert sockets[fd].recv_into(scratch, len(scratch), socket.MSG_TRUNC) > 0, "a viewer was sent away"
        time.sleep(0.02)


class Beside:
    """A process that runs while its context does."""

    def __init__(self, run, *args):
        self.process = multiprocessing.Process(target=run, args=args, daemon=True)

    def __enter__(self):
        self.process.start()
        return self

    def __exit__(self, *_):
        assert self.process.is_alive(), "it has failed meanwhile"
        self.process.terminate()
        self.process.join(10)


def window(server, playlist, seconds, times):
    """CPU seconds a second of the server's processes, by name; meanwhile a player asks for its playlist and the newest segment."""
    conn, cpu, began = http.client.HTTPConnection("127.0.0.1", server.web_port, timeout=20), measure.Cpu(server), time.monotonic()
    while time.monotonic() - began < seconds:
        path = playlist
        for _ in range(2):
            since = time.monotonic()
            conn.request("GET", f"/cam0/{path}")
            r = conn.getresponse()
            body = r.read()
            assert r.status == 200, (path, r.status)
            times.append((time.monotonic() - since) * 1000)
            path = [x for x in body.decode().splitlines() if x and not x.startswith("#")][-1] if path == playlist else path
        time.sleep(0.02)
    used, _ = cpu.since()
    took = time.monotonic() - began
    return {name: v / took for name, v in used.items()}


def beside(scale):
    """Playback beside 200 calls of the API a second: its CPU and its requests' p99 against those without, windows of each in turn; bars 1.15 and 1.25 times"""
    with Camera(dict(group="cam", source="cam.h264", streams=CAMERAS, start="key")) as cam:
        streams = {f"cam{i}": {"stream-url": cam.url(f"cam{i}"), "stream-tracks": "video"} for i in range(CAMERAS)}
        with MediaServer(streams, record=True, sections=SECRET) as server:
            server.wait_recording(*streams)
            wait_for("a playlist", lambda: server.text("cam0/video.m3u8"), timeout=30)
            caller = Caller(server)
            asked = multiprocessing.Array("l", CALLERS)
            seconds = scale.window_s / 2
            cpu, times = {k: [] for k in KINDS}, {k: [] for k in KINDS}
            time.sleep(scale.settle_s)
            for _ in range(scale.windows + 1):
                for kind, (plays, calls) in KINDS.items():
                    with contextlib.ExitStack() as stack:
                        if plays:
                            stack.enter_context(Beside(watch_on, server.web_port))
                        for number in range(CALLERS if calls else 0):
                            stack.enter_context(Beside(call_on, server.module_port, caller.token, asked, number))
                        time.sleep(1)
                        before = sum(asked)
                        used = window(server, "video.m3u8", seconds, times[kind])
                        assert not calls or sum(asked) - before > 0.9 * CALLS_PER_S * seconds, "the calls come too late: this machine is too busy"
                        cpu[kind].append(sum(used.values()))
    idle, play, calls, both = (sorted(cpu[k])[len(cpu[k]) // 2] for k in KINDS)
    alone, beside_it = play - idle, both - calls
    p99 = {k: measure.percentile(v, 99) for k, v in times.items()}
    p50 = {k: measure.percentile(v, 50) for k, v in times.items()}
    line(f"{VIEWERS} viewers of {CAMERAS} cameras, a player of HLS; {CALLS_PER_S} calls a second; medians of {scale.windows + 1} windows of {seconds:g} s")
    line(f"playback takes {alone:.3f} cores without the API, {beside_it:.3f} beside it; the API {calls - idle:.3f}; cameras and player {idle:.3f}")
    for kind, name in (("play", "without"), ("both", "beside")):
        line(f"requests of the player {name}: p50 {p50[kind]:.2f} ms, p99 {p99[kind]:.2f} ms of {len(times[kind])}")
    return {"cpu_ratio": beside_it / alone, "api_cores": calls - idle, "cpu_by_window": cpu, "p50_ms": p50, "p99_ms": p99, "p99_ratio": p99["both"] / p99["play"]}
