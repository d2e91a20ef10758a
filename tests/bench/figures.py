"""The figures, one function each; each prints its lines and returns its numbers."""
import collections
import contextlib
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse

import access_figures
import api_figures
import archive_figures
import fanout_figures
import film
import hls
import live_figures
import measure
import panel_figures
import tls_figures
import tools
import viewers
from camera import Camera
from server import MediaServer
from tools import wait_for

FPS, GOP = 25, 50
LOGIN = dict(auth="digest-md5", user="bench", password="bench")


@dataclasses.dataclass
class Scale:
    streams: int
    windows: int
    window_s: float
    settle_s: float
    kills: int
    stops: int
    many: int
    pictures: int

    @classmethod
    def full(cls, streams):
        return cls(streams, 3, 20, 12, 100, 5, 1000, 20)

    @classmethod
    def quick(cls, streams):
        return cls(min(streams, 200), 2, 5, 6, 10, 1, 300, 5)


def line(text):
    print(f"   {text}", flush=True)


@contextlib.contextmanager
def running(n, record=False, group=None, **sections):
    """(camera, server) with n streams that all play."""
    group = {"group": "cam", "source": "cam.h264", "streams": n, "start": "key", **LOGIN, **(group or {})}
    storage = tools.BUILD / "bench-storage"
    shutil.rmtree(storage, ignore_errors=True)
    storage.mkdir()
    os.chmod(storage, 0o755)
    camera = Camera(group)
    try:
        streams = {f"cam{i}": {"stream-url": camera.url(f"cam{i}"), "stream-tracks": "video", "dvr-chunk": "2m"} for i in range(n)}
        server = MediaServer(streams, record=record, storages={"default": str(storage)}, sections={"dvr": {"dvr-sync": "5s"}, **sections})
        try:
            wait_for(f"{n} sessions", lambda: camera.stats()["sessions"] >= n, timeout=60, every=0.5)
            wait_for(f"{n} streams active", lambda: server.status()["active"] >= n, timeout=60, every=0.5)
            yield camera, server
        finally:
            server.close()
    finally:
        camera.close()
        shutil.rmtree(storage, ignore_errors=True)


def show_windows(what, found, camera_n):
    s = measure.spread([w["cpu_per_gbit"] for w in found])
    share = max(w["camera_core"] for w in found)
    by = collections.Counter()
    for w in found:
        by.update({k: v / len(found) for k, v in w["by_process"].items()})
    parts = ", ".join(f"{k} {v:.3f}" for k, v in by.most_common() if v >= 0.0005)
    line(f"{what}: {s['median']:.3f} CPU s/Gbit (min {s['min']:.3f}, max {s['max']:.3f}; {len(found)} windows, {found[0]['gbit_per_s']:.2f} Gbit/s)")
    line(f"    by process: {parts}; the {camera_n} cameras took {share * 100:.0f} % of a core")
    lost = sum(w["processes_lost"] for w in found)
    if lost:
        line(f"    {lost} processes ended within the windows: the figure is too low")
    return {"n": camera_n, **s, "by_process": dict(by), "camera_core": share, "windows": found}


def reference(camera, n, scale, way):
    """The kernel's own cost: the same cameras, read and thrown away by one small process."""
    seconds = max(3, int(scale.window_s / 3))
    p = tools.run(tools.BUILD / "bin" / "bench-reference", camera.port, "cam", n, seconds, scale.windows, way, timeout=seconds * (scale.windows + 2) + 60)
    found = [json.loads(row) for row in p.stdout.splitlines()]
    values = [w["cpu_s"] / w["gbit"] for w in found]
    s = measure.spread(values)
    line(f"    kernel alone, {way}: {s['median']:.3f} (min {s['min']:.3f}, max {s['max']:.3f}; one process, one read a {'200 ms' if way == 'batch' else 'wake-up'})")
    return s


def ingest(scale):
    """CPU for capturing, nobody watching, no recording; bar 0.22, goal 0.15"""
    n, result = scale.streams, {}
    with running(n) as (camera, server):
        time.sleep(scale.settle_s)
        result["frame"] = show_windows("one piece a frame", measure.windows(server, camera, scale.windows, scale.window_s), n)
        camera.set(packets=1)
        time.sleep(2)
        result["packet"] = show_windows("one piece a packet", measure.windows(server, camera, max(1, scale.windows - 1), scale.window_s), n)
        result["state"] = check_streams(camera, server, n)
    with Camera(dict(group="cam", source="cam.h264", streams=n, start="key")) as camera:
        for way in ("batch", "wake"):
            result[f"kernel_{way}"] = reference(camera, n, scale, way)
    return result


def reference_write(n, scale):
    """The kernel's own cost of appending the same bytes to as many files; it varies with what the page cache holds."""
    folder = tools.BUILD / "bench-reference.d"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    result = {}
    try:
        for piece in (65536, 262144):
            p = tools.run(tools.BUILD / "bin" / "bench-reference-write", folder, n, 260000, piece, max(3, int(scale.window_s / 2)), 2, timeout=120)
            result[piece] = min(w["cpu_s"] / w["gbit"] for w in map(json.loads, p.stdout.splitlines()))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    line("    kernel alone, appending: " + ", ".join(f"{v:.3f} in pieces of {k >> 10} KB" for k, v in result.items()))
    return result


def touch_memory(size):
    """Writes a file of so many bytes and deletes it: on a virtual machine the first touch of a page costs the host's time,
    which a run would otherwise pay for every page that the cache takes, 0.2 CPU s a Gbit and more."""
    available = next(int(row.split()[1]) << 10 for row in open("/proc/meminfo") if row.startswith("MemAvailable"))
    size = int(min(size, available * 0.8))
    path = tools.BUILD / "bench-touch"
    piece = b"x" * (1 << 20)
    try:
        with open(path, "wb", buffering=0) as f:
            for _ in range(size >> 20):
                f.write(piece)
    finally:
        path.unlink()
    line(f"    {size / 1e9:.1f} GB of page cache touched before")


def check_streams(camera, server, n):
    """A figure only counts when all streams were really captured."""
    status, stats = server.status(), camera.stats()
    rows = server.streams().values()
    state = {
        "active": status["active"],
        "losses": sum(r.get("losses", 0) for r in rows),
        "restarts": sum(r.get("restarts", 0) for r in rows),
        "reconnects": sum(r.get("reconnects", 0) for r in rows),
        "frames_dropped": stats["frames_dropped"],
        "late_max_ms": stats["late_max_us"] / 1000,
    }
    line("    " + ", ".join(f"{k} {v:g}" for k, v in state.items()))
    assert state["active"] == n, f"only {state['active']} of {n} streams are active"
    return state


def record(scale):
    """CPU for capturing and recording, and memory of its workers; bars 0.40 (goal 0.28), 600 KB, 1.8 MB with ring"""
    n = scale.streams
    need = n * 0.27e6 * (scale.settle_s + scale.windows * scale.window_s + 30) * 1.2
    room = shutil.disk_usage(tools.BUILD).free
    assert room > need, f"needs {need / 1e9:.0f} GB of disk, {room / 1e9:.0f} GB are free"
    touch_memory(need)
    result = {"write_before": reference_write(n, scale)}
    with running(n, record=True) as (camera, server):
        wait_for("all record", lambda: server.status()["recording"] >= n, timeout=60, every=0.5)
        time.sleep(scale.settle_s)
        result["frame"] = show_windows("one piece a frame", measure.windows(server, camera, scale.windows, scale.window_s), n)
        result["memory"] = worker_memory(server)
        result["state"] = check_streams(camera, server, n)
        written = sum(p.stat().st_size for p in pathlib.Path(server.storages["default"]).rglob("*.mp4"))
        line(f"    {written / 1e9:.1f} GB recorded of {camera.stats()['bytes_sent'] / 1e9:.1f} GB sent")
        result["write_while_full"] = reference_write(n, scale)
    return result


def worker_memory(server):
    private, totals, rings = [], [], []
    for pid, name in server.family().items():
        if name != "ms-worker":
            continue
        p, in_ring, ring = measure.memory(pid)
        private.append(p)
        rings.append(ring)
        totals.append(p + ring)
    s = {"private_kb": measure.spread(private), "ring_kb": measure.spread(rings), "with_ring_kb": measure.spread(totals), "n": len(private)}
    line(f"memory of {len(private)} workers: private without ring median {s['private_kb']['median']:.0f} KB, max {s['private_kb']['max']} KB; "
         f"ring {s['ring_kb']['median']:.0f} KB; together median {s['with_ring_kb']['median']:.0f} KB, max {s['with_ring_kb']['max']} KB")  # fmt: skip
    return s


def growth(scale):
    """CPU per Gbit must not rise with the number of cameras"""
    result = {}
    for n in (50, 200):
        with running(n) as (camera, server):
            time.sleep(scale.settle_s)
            result[n] = show_windows(f"{n} cameras", measure.windows(server, camera, scale.windows, scale.window_s), n)
    return result


def kill(scale):
    """kill -9 of workers, 50 streams: hand-shake of the next one (bar 25 ms p99), the gap of recording, frames of the ring, others"""
    n = 50
    with running(n, record=True) as (camera, server):
        wait_for("all record", lambda: server.status()["recording"] >= n, timeout=60, every=0.5)
        sent = camera.log_sent("cam")
        server.msctl("log-level", 7)
        time.sleep(3)
        kills = []
        for i in range(scale.kills):
            uid = f"cam{i % n}"
            server.wait_state(uid)
            old = server.pid(uid)
            before = camera.stats(uid)["sessions_opened"]
            # Stopped, it writes no more: what the ring has been given by now is what it holds when the worker dies.
            os.kill(old, signal.SIGSTOP)
            wait_for("the worker stands still", lambda old=old: stands(old), every=0.001)
            in_ring = server.stream(uid)["frames"]
            at = time.time()
            os.kill(old, signal.SIGKILL)
            kills.append(Kill(uid, at, in_ring))
            wait_for(f"a new session of {uid}", lambda uid=uid, before=before: camera.stats(uid)["sessions_opened"] > before, timeout=20, every=0.02)
        time.sleep(4)
        shakes = handshakes(server, kills)
        sessions = {f"cam{i}": camera.stats(f"cam{i}")["sessions_opened"] for i in range(n)}
        server.stop()
        found = recording_gaps(server, camera.truth("cam0"), sent(), kills, [f"cam{i}" for i in range(n)])
    want = collections.Counter(k.uid for k in kills)
    others = {u: s - 1 - want[u] for u, s in sessions.items() if s - 1 != want[u]}
    gaps, tails = found.gaps, found.tails
    result = {"kills": len(kills), "handshake_ms": shakes, "gap_s": gaps, "unrecorded_before_kill_s": tails, "sessions_too_many": others,
              "gaps_of_others": found.of_others, "missing_of_ring": found.missing, "harm_to_others": len(others) + found.of_others}  # fmt: skip
    assert len(shakes) == len(kills), f"{len(kills)} kills, and {len(shakes)} hand-shakes in the log"
    line(f"hand-shake of the new worker: p50 {measure.percentile(shakes, 50):.1f} ms, p99 {measure.percentile(shakes, 99):.1f} ms (by the log, which has milliseconds)")
    line(f"gap of recording: p50 {measure.percentile(gaps, 50):.2f} s, p99 {measure.percentile(gaps, 99):.2f} s (GOP 2 s)")
    line(f"newest frame recorded before the kill: p50 {measure.percentile(tails, 50) * 1000:.0f} ms, max {max(tails) * 1000:.0f} ms old")
    line(f"frames that were in the ring at a kill and are not recorded: {found.missing}")
    line(f"streams with more sessions than kills: {others or 'none'}; gaps that no kill made: {found.of_others}")
    return result


@dataclasses.dataclass
class Kill:
    uid: str
    at: float  # unix time
    in_ring: int  # frames of this stream that the ring was ever given


@dataclasses.dataclass
class Found:
    gaps: list = dataclasses.field(default_factory=list)  # seconds of footage missing, one a kill
    tails: list = dataclasses.field(default_factory=list)  # how old the newest recorded frame was when the worker died
    missing: int = 0  # frames that the ring held and no file does
    of_others: int = 0  # gaps that no kill made


def stands(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"


def handshakes(server, kills):
    """Milliseconds from the kill to the hand-shake of the next worker, by the master's log (debug)."""
    shook = collections.defaultdict(list)
    for text in server.log().splitlines():
        m = re.match(r"(\S+Z) \w+ master\S+ \S+ handshake of=(\S+) ", text)
        if m:
            shook[m[2]].append(hls.unix_time(m[1]))
    found = []
    for k in kills:
        # The log has whole milliseconds.
        later = [t for t in shook[k.uid] if t >= k.at - 0.001]
        if later:
            found.append(max(0.0, (min(later) - k.at) * 1000))
    return found


def unrepeated(numbers, loop, gop):
    """Without what a new segment repeats: it begins with a key frame, so at most one GOP of it may be in the one before."""
    kept = []
    for n in numbers:
        if not kept or (kept[-1] - n) % loop >= gop:
            kept.append(n)
    return kept


def recording_gaps(server, truth, sent, kills, uids):
    """Found, over all streams: what is recorded has at most one gap a kill and no other, and holds all that the ring held."""
    order = {t["sha1"]: t["au"] for t in truth}
    loop = len(order)
    log = collections.defaultdict(list)
    for f in sent:
        log[f["stream"]].append(f)
    found = Found()
    for uid in uids:
        numbers = unrepeated([order[s.sha1] for s in server.recorded(uid)], loop, GOP)
        cuts = [i for i in range(1, len(numbers)) if numbers[i] != (numbers[i - 1] + 1) % loop]
        for k in kills:
            if k.uid != uid:
                continue
            # Everything is recorded from the first frame on, so that a kill's gap lies where the ring was given so many frames.
            i = next((i for i in cuts if abs(i - k.in_ring) < GOP), None)
            if i is None:
                # The next session began with the very next frame, which was a key frame.
                found.gaps.append(0.0)
                continue
            cuts.remove(i)
            found.gaps.append(((numbers[i] - numbers[i - 1] - 1) % loop) / FPS)
            found.missing += max(0, k.in_ring - i)
            last = max((f["wall_us"] for f in log[uid] if f["au"] == numbers[i - 1] and f["wall_us"] <= k.at * 1e6 + 50000), default=None)
            if last:
                found.tails.append(max(0.0, k.at - last / 1e6))
        found.of_others += len(cuts)
    return found


def stop(scale):
    """SIGSTOP of a worker: time until the next one plays; bar 7 s"""
    found = []
    with running(10, record=True) as (camera, server):
        for i in range(scale.stops):
            uid = f"cam{i % 10}"
            server.wait_state(uid)
            time.sleep(2)
            began = time.monotonic()
            old, wait_new = server.kill(uid, signal.SIGSTOP)
            wait_new(20)
            found.append(time.monotonic() - began)
            assert not tools.alive(old)
    line(f"replaced after: median {measure.spread(found)['median']:.2f} s, max {max(found):.2f} s of {len(found)}")
    return {"seconds": found}


def start(scale):
    """Time until every camera has been asked, after a start with many streams; bar 10 s for 1,000"""
    n = scale.many
    with Camera(dict(group="cam", source="cam.h264", streams=n, start="key", **LOGIN)) as camera:
        streams = {f"cam{i}": {"stream-url": camera.url(f"cam{i}"), "stream-tracks": "video"} for i in range(n)}
        server = MediaServer(streams, start=False)
        began = time.monotonic()
        try:
            server.log_file = open(server.log_path, "ab")
            server.process = subprocess.Popen([str(tools.BUILD / "bin" / "media-server"), "-c", str(server.ini)], stdout=server.log_file, stderr=subprocess.STDOUT)
            wait_for(f"{n} cameras asked", lambda: camera.stats()["asked"] >= n, timeout=60, every=0.02)
            asked = time.monotonic() - began
            wait_for(f"{n} sessions", lambda: camera.stats()["plays"] >= n, timeout=60, every=0.05)
            playing = time.monotonic() - began
            began = time.monotonic()
            server.stop()
            ended = time.monotonic() - began
        finally:
            server.close()
    line(f"{n} streams: all asked after {asked:.2f} s, all playing after {playing:.2f} s; ended in {ended:.2f} s")
    return {"n": n, "asked_s": asked, "playing_s": playing, "ended_s": ended}


def picture(scale):
    """First picture: from the first request for live HLS until the first segment is there; bar 2 s"""
    result = {}
    for recorded in (False, True):
        found = []
        with running(scale.pictures, record=recorded) as (camera, server):
            time.sleep(5)
            for i in range(scale.pictures):
                began = time.monotonic()

                def first(i=i):
                    media, _ = hls.open_playlist(server, f"cam{i}/index.m3u8")
                    return media.segments and server.get(media.segments[-1].url).body

                wait_for("a segment", first, timeout=20, every=0.02)
                found.append(time.monotonic() - began)
        what = "recorded" if recorded else "not recorded"
        line(f"{what} streams: p50 {measure.percentile(found, 50):.2f} s, max {max(found):.2f} s of {len(found)}")
        result[what] = found
    return result


def archive(scale):
    """CPU of httpd for archive HLS to 50 viewers, and of nginx for the same bytes in the same run; bar 1.5 x nginx"""
    if not shutil.which("nginx"):
        line("no nginx here: not measured")
        return {"skipped": "no nginx"}
    n = 8
    with running(n, record=True) as (_, server):
        wait_for("all record", lambda: server.status()["recording"] >= n, timeout=60, every=0.5)
        since = int(time.time())
        wait_for("footage of 60 s", lambda: time.time() - since > 60, timeout=90, every=0.5)
        server.stop()  # closes the segments
        server.start()
        wait_for("the archive", lambda: all(server.get(f"cam{i}/archive-{since}-50.m3u8", status=None).status == 200 for i in range(n)), timeout=30)
        found = [x.url for i in range(n) for x in hls.open_playlist(server, f"cam{i}/archive-{since}-50.m3u8")[0].segments]
        return against_nginx(scale, server, found)


def against_nginx(scale, server, found):
    viewers_n, seconds = 50, max(4, scale.window_s / 3)
    files = {f"{i}.m4s": server.get(url).body for i, url in enumerate(found)}
    line(f"{viewers_n} viewers of {len(files)} segments of {sum(map(len, files.values())) / len(files) / 1e6:.2f} MB")
    httpd, windows = server.status()["httpd_pid"], {"ours": [], "nginx": []}
    with viewers.Nginx(tools.BUILD / "bench-nginx", files) as nginx:
        sides = {
            "ours": (server.web_port, [urllib.parse.urlsplit(u).path for u in found], lambda: tools.cpu_seconds(httpd)),
            "nginx": (nginx.port, [f"/{name}" for name in files], nginx.cpu),
        }
        measure_sides(scale, sides, windows, viewers_n, seconds)
    return against(windows)


def measure_sides(scale, sides, windows, viewers_n, seconds):
    """Window by window: CPU per Gbit of each side, for the same files."""
    for _ in range(scale.windows):
        for who, (port, paths, cpu) in sides.items():
            before = cpu()
            got, asked = viewers.watch(port, paths, viewers_n, seconds)
            windows[who].append({"cpu_per_gbit": (cpu() - before) / (got * 8 / 1e9), "gbit_per_s": got * 8 / 1e9 / seconds, "asked": asked})


def against(windows):
    result = {who: measure.spread([w["cpu_per_gbit"] for w in found]) for who, found in windows.items()}
    for who, s in result.items():
        line(f"{who}: {s['median']:.4f} CPU s/Gbit (min {s['min']:.4f}, max {s['max']:.4f}; {windows[who][-1]['gbit_per_s']:.1f} Gbit/s)")
    ratios = measure.spread([a["cpu_per_gbit"] / b["cpu_per_gbit"] for a, b in zip(windows["ours"], windows["nginx"])])
    line(f"{ratios['median']:.2f} x nginx (min {ratios['min']:.2f}, max {ratios['max']:.2f})")
    return {"ratio": ratios, **result, "windows": windows}


def export(scale):
    """CPU of httpd for a film of 1 GB, and of nginx for the same file; bar 1.5 x nginx. First byte for an hour: 200 ms; memory"""
    if not shutil.which("nginx"):
        line("no nginx here: not measured")
        return {"skipped": "no nginx"}
    seconds = 4096
    with film.site(seconds) as (server, since):
        # Each a second later: nothing that was laid out before is of use.
        first = [first_byte_ms(server, f"film/archive-{since + i}-3600.mp4") for i in range(max(3, scale.windows))]
        again = first_byte_ms(server, f"film/archive-{since}-3600.mp4")
        line(f"first byte for an hour: median {measure.spread(first)['median']:.1f} ms, max {max(first):.1f} ms; of one that is remembered {again:.1f} ms")
        return {"first_byte_ms": first, **film_against_nginx(scale, server, f"film/archive-{since}-{seconds}.mp4")}


def first_byte_ms(server, path):
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.web_port), 10) as s:
        s.sendall(f"GET /{path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        head = s.recv(65536)
    assert head.startswith(b"HTTP/1.1 200"), head[:200]
    return (time.monotonic() - began) * 1000


def film_against_nginx(scale, server, path):
    viewers_n, seconds = 4, max(4, scale.window_s / 3)
    httpd, windows = server.status()["httpd_pid"], {"ours": [], "nginx": []}
    with viewers.Nginx(tools.BUILD / "bench-nginx", {}) as nginx:
        copy = nginx.folder / "files" / "film.mp4"
        tools.run("curl", "-sS", "-o", copy, server.url(path), timeout=300)
        line(f"{viewers_n} viewers of a film of {copy.stat().st_size / 1e9:.2f} GB")
        before = tools.private_kb(httpd)
        sides = {
            "ours": (server.web_port, [f"/{path}"], lambda: tools.cpu_seconds(httpd)),
            "nginx": (nginx.port, ["/film.mp4"], nginx.cpu),
        }
        measure_sides(scale, sides, windows, viewers_n, seconds)
    result = against(windows)
    result["grown_kb"] = tools.private_kb(httpd) - before
    line(f"httpd's private memory: {before} KB after the first download, {result['grown_kb']:+} KB behind it")
    return result


ALL = {f.__name__: f for f in (ingest, record, growth, kill, stop, start, picture, archive, export, archive_figures.index, archive_figures.check, live_figures.latency, live_figures.siege, tls_figures.tls, fanout_figures.fanout, access_figures.access, api_figures.api, api_figures.metrics, api_figures.beside, panel_figures.panel_)}
