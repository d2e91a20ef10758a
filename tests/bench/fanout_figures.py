"""Figures of many viewers: what each road takes of the CPU beside the same server without them, and beside nginx with the same bytes."""
import resource
import select
import shutil
import socket
import time
import urllib.parse

import film
import hls
import measure
import tools
import viewers
from rtsp import Rtsp
from tools import wait_for

VIEWERS, STREAMS = 500, 200
FIRST_N = 100  # PLAYs that are timed
ARCHIVE_S = 256  # of footage that all watch


def line(text):
    print(f"   {text}", flush=True)


class Watchers:
    """RTSP viewers over TCP that throw away what comes; a context. play False: set up, and no more."""

    def __init__(self, server, uids, play=True):
        self.poll, self.clients, self.scratch, self.got = select.epoll(), [], bytearray(1 << 20), 0
        for uid in uids:
            c = Rtsp(f"rtsp://127.0.0.1:{server.rtsp_port}/{uid}", timeout=20)
            c.describe()
            assert c.setup(0).status == 200
            if play:
                c.send("PLAY", c.base)
            c.sock.setblocking(False)
            self.clients.append(c)
            self.poll.register(c.sock, select.EPOLLIN)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for c in self.clients:
            c.close()

    def drain(self, seconds):
        """Bytes that came; they are dropped in the kernel, so that viewers cost little."""
        by_fd = {c.sock.fileno(): c.sock for c in self.clients}
        got, until = 0, time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            for fd, _ in self.poll.poll(left):
                try:
                    n = by_fd[fd].recv_into(self.scratch, len(self.scratch), socket.MSG_TRUNC)
                except BlockingIOError:
                    continue
                if n == 0:
                    raise ConnectionError("a viewer was closed")
                got += n
        return got


def cpu_of(server, seconds, meanwhile):
    """(CPU seconds of the whole server a second, by process, what `meanwhile` gave)."""
    cpu, began = measure.Cpu(server), time.monotonic()
    got = meanwhile(seconds)
    used, lost = cpu.since()
    took = time.monotonic() - began
    assert lost == 0
    return sum(used.values()) / took, {k: v / took for k, v in used.items()}, got * 8 / 1e9 / took


def against_empty(scale, server, uids, what):
    """Windows with viewers and without, in turn: what the viewers take, for each Gbit that they get."""
    found = []
    for _ in range(scale.windows):
        empty, _, _ = cpu_of(server, scale.window_s / 2, lambda s: time.sleep(s) or 0)
        with Watchers(server, uids) as w:
            w.drain(3)  # what they begin with
            full, by, gbit = cpu_of(server, scale.window_s, w.drain)
        found.append({"cpu_per_gbit": (full - empty) / gbit, "gbit_per_s": gbit, "by_process": {k: v / gbit for k, v in by.items()}, "without": empty})
        time.sleep(5)  # until nobody is watched any more
    s = measure.spread([f["cpu_per_gbit"] for f in found])
    by = ", ".join(f"{k} {v:.3f}" for k, v in sorted(found[-1]["by_process"].items(), key=lambda kv: -kv[1])[:3])
    line(f"{what}: {s['median']:.3f} CPU s/Gbit (min {s['min']:.3f}, max {s['max']:.3f}; {found[-1]['gbit_per_s']:.2f} Gbit/s; all of it: {by})")
    return {**s, "windows": found}


def first_packet(server, uid):
    """Milliseconds from PLAY to the first RTP packet, while others watch, who are drained between two PLAYs."""
    with Watchers(server, [uid] * VIEWERS) as w:
        w.drain(3)
        times = []
        for _ in range(FIRST_N // 10):
            w.drain(0.3)
            times += first_packets_of(server, uid, w, 10)
    s = {p: measure.percentile(times, p) for p in (50, 99)}
    line(f"PLAY to the first packet with {VIEWERS} others: p50 {s[50]:.2f} ms, p99 {s[99]:.2f} ms")
    return {"p50": s[50], "p99": s[99], "ms": times}


def first_packets_of(server, uid, watchers, n):
    times = []
    for _ in range(n):
        with Rtsp(f"rtsp://127.0.0.1:{server.rtsp_port}/{uid}", timeout=20) as c:
            c.describe()
            c.setup(0)
            watchers.drain(0.02)
            began = time.monotonic()
            c.send("PLAY", c.base)
            c.reply()
            c.packets(1)
            times.append((time.monotonic() - began) * 1000)
    return times


def idle_memory(server, uid):
    """Private memory of httpd for each viewer that is set up and does not play."""
    pid = server.status()["httpd_pid"]
    with Watchers(server, [uid] * 20, play=False):
        before = measure.memory(pid)[0]
        with Watchers(server, [uid] * VIEWERS, play=False):
            each = (measure.memory(pid)[0] - before) / VIEWERS
    line(f"memory of an idle viewer: {each:.1f} KB")
    return each


def idle_hls(server, uid):
    """The same for each player of HLS between two requests: connections that have been answered and are kept."""
    pid, held, ask = server.status()["httpd_pid"], [], f"GET /{uid}/video.m3u8 HTTP/1.1\r\nHost: bench\r\n\r\n".encode()

    def open_some(n):
        for _ in range(n):
            s = socket.create_connection(("127.0.0.1", server.web_port), 20)
            s.sendall(ask)
            assert s.recv(65536).startswith(b"HTTP/1.1 200")
            held.append(s)

    wait_for("a playlist", lambda: server.get(f"{uid}/video.m3u8", status=None).status == 200, timeout=30)
    open_some(20)
    before = measure.memory(pid)[0]
    open_some(VIEWERS)
    each = (measure.memory(pid)[0] - before) / VIEWERS
    for s in held:
        s.close()
    line(f"memory of an HLS player between requests: {each:.1f} KB")
    return each


def live_urls(server, uid):
    wait_for("a full window", lambda: len(hls.open_playlist(server, f"{uid}/index.m3u8")[0].segments) >= 4, timeout=60, every=0.5)
    return [x.url for x in hls.open_playlist(server, f"{uid}/index.m3u8")[0].segments[1:]]


def archive_urls(server, since):
    return [x.url for x in hls.open_playlist(server, f"film/archive-{since}-{ARCHIVE_S}.m3u8")[0].segments]


def against_nginx(scale, server, what, urls_of):
    """The segments of a playlist to many viewers, and the same files from nginx."""
    seconds, found = 4, {"ours": [], "nginx": []}
    pid = server.status()["httpd_pid"]
    for _ in range(scale.windows):
        urls = urls_of()
        files = {f"{i}.m4s": server.get(u).body for i, u in enumerate(urls)}
        with viewers.Nginx(tools.BUILD / "bench-nginx", files) as nginx:
            sides = {"ours": (server.web_port, [urllib.parse.urlsplit(u).path for u in urls], lambda: tools.cpu_seconds(pid)), "nginx": (nginx.port, [f"/{n}" for n in files], nginx.cpu)}
            for who, (port, paths, cpu) in sides.items():
                before = cpu()
                got, _ = viewers.watch(port, paths, VIEWERS, seconds / 2)
                found[who].append((cpu() - before) / (got * 8 / 1e9))
    ratio = measure.spread([a / b for a, b in zip(found["ours"], found["nginx"])])
    line(f"{what} to {VIEWERS}: {measure.spread(found['ours'])['median']:.4f} CPU s/Gbit, {ratio['median']:.2f} x nginx (min {ratio['min']:.2f}, max {ratio['max']:.2f})")
    return {"ratio": ratio, **found}


def fanout(scale):
    """Live 2 Mbit/s to 500 RTSP/TCP viewers, bar 0.10 CPU s/Gbit; 200 streams to one each, bar 0.20; first packet p99 20 ms; idle viewer 32 KB; HLS, live and archive, 1.5 x nginx"""
    from figures import running

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    result = {}
    with running(1) as (_, server):
        result["one"] = against_empty(scale, server, ["cam0"] * VIEWERS, f"one stream to {VIEWERS}")
        result["first"] = first_packet(server, "cam0")
        result["idle_kb"] = idle_memory(server, "cam0")
        result["idle_hls_kb"] = idle_hls(server, "cam0")
        if shutil.which("nginx"):
            result["hls"] = against_nginx(scale, server, "live HLS", lambda: live_urls(server, "cam0"))
    n = min(STREAMS, scale.streams)
    with running(n) as (_, server):
        time.sleep(scale.settle_s)
        result["each"] = against_empty(scale, server, [f"cam{i}" for i in range(n)], f"{n} streams to one each")
    if shutil.which("nginx"):
        with film.site(ARCHIVE_S) as (server, since):
            result["archive"] = against_nginx(scale, server, "archive HLS", lambda: archive_urls(server, since))
    else:
        line("no nginx here: HLS not measured")
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return result
