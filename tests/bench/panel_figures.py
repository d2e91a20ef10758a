"""What the control panel costs: Chromium with a thousand cameras, and the server with a wall of live tiles."""
import contextlib
import selectors
import time

import measure
import panel
import tools
import ws
from camera import Camera
from chromium import browse, usable
from server import MediaServer
from tools import wait_for

CAMERAS = 1000
PLAYING = 100  # of them: each is a process here, and a simulated camera
TILES, WALLS = 10, 3  # tiles of a wall; walls at once, so that the difference stands out of the noise
FPS = 15
TILE = "mse_ld?pace=100"  # as cpanel/app/wall.js asks

# In the page, from its first line on: when the list is drawn with every camera, and when a letter in the search has narrowed it.
EARLY = """
new MutationObserver((_, observer) => {
  const all = document.querySelector('.chips b')?.textContent.replace(/\\D/g, '');
  if (Number(all) < %d || document.querySelectorAll('.rows .row').length < 5) return;
  observer.disconnect();
  window.drawn_ms = performance.now();
  const search = document.querySelector('input[type=search]');
  search.value = 'cam-0007';
  search.dispatchEvent(new Event('input'));
  const look = () => (document.querySelectorAll('.rows .row').length === 1 ? (window.used_ms = performance.now()) : requestAnimationFrame(look));
  look();
}).observe(document, { childList: true, subtree: true, characterData: true });
""" % CAMERAS


def line(text):
    print(f"   {text}", flush=True)


@contextlib.contextmanager
def fleet():
    """A server with CAMERAS cameras, PLAYING of which play."""
    with Camera(dict(group="cam", source="tiny.h264", fps=12.5, streams=PLAYING, start="key")) as cam:
        urls = [cam.url(f"cam{i}") if i < PLAYING else "rtsp://127.0.0.1:9/x" for i in range(CAMERAS)]
        streams = {f"cam-{i:04}": {"stream-url": url, "stream-name": f"Camera {i}", "stream-enable": "true" if i < PLAYING else "false"} for i, url in enumerate(urls)}
        with MediaServer(streams, sections={"server/module/users": panel.USERS}) as server:
            wait_for(f"{PLAYING} play", lambda: server.status()["active"] >= PLAYING, timeout=120, every=0.5)
            yield server


def opened(server, cookies):
    """Milliseconds until the fleet is drawn and until it has answered; bytes that came for it. Nothing is in the browser's cache."""
    steps = {"until": "window.used_ms > 0", "ms": 30000}, {"eval": "[window.drawn_ms, window.used_ms]"}, {"packed": True}
    _, (drawn, used), packed = browse(panel.page(server), *steps, cookies=cookies, early=EARLY, expected=panel.EXPECTED)
    return {"drawn_ms": drawn, "used_ms": used, "packed": packed}


def in_chromium(scale):
    """The fleet with CAMERAS cameras: until it is there and answers, what is loaded for it, what the page costs that nobody touches."""
    with fleet() as server:
        cookies = [panel.cookie(server, "root")]
        loads = [opened(server, cookies) for _ in range(5)]
        blank = browse("about:blank", {"wait": 8000}, {"cpu": 5000})[1]  # the pages before are cleared away first
        idle = browse(panel.page(server), panel.LIVE, {"wait": 15000}, {"cpu": 60000 if scale.window_s > 10 else 10000}, cookies=cookies, timeout=150, expected=panel.EXPECTED)[2]
    used = [x["used_ms"] for x in loads]
    line(f"{CAMERAS} cameras, {PLAYING} of them playing: drawn after {measure.percentile([x['drawn_ms'] for x in loads], 50):.0f} ms, a search has answered after p50 {measure.percentile(used, 50):.0f} ms, max {max(used):.0f} ms of {len(used)}")
    line(f"first load: {loads[0]['packed'] / 1024:.0f} KB as they came; nobody touches it: {idle * 100:.2f} % of a core, all processes of the browser (an empty page: {blank * 100:.2f} %)")
    return {"interactive_ms": {"p50": measure.percentile(used, 50), "max": max(used)}, "packed_kb": loads[0]["packed"] / 1024, "idle_core": idle, "blank_core": blank}


# --- the wall ---


def sub_stream():
    """Path of an H.264 file like a camera's sub stream. Made once a build."""
    path = tools.BUILD / f"sub-{FPS}.h264"
    if not path.exists():
        part = path.with_suffix(".part")
        tools.run("ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"testsrc2=size=640x360:rate={FPS}:duration=20", "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p",
                  "-b:v", "512k", "-maxrate", "512k", "-bufsize", "512k", "-g", 2 * FPS, "-sc_threshold", "0", "-bf", "0", "-f", "h264", part, timeout=120)
        part.rename(path)
    return str(path)


class Wall:
    """Tiles as browsers have them: WebSockets that are read and thrown away."""

    def __init__(self, server, uids):
        self.clients = [ws.Client(server, f"{uid}/{TILE}") for uid in uids]
        self.poll = selectors.DefaultSelector()
        for c in self.clients:
            c.socket.setblocking(False)
            self.poll.register(c.socket, selectors.EVENT_READ)

    def close(self):
        for c in self.clients:
            c.socket.close()

    def drain(self, seconds):
        """Bytes that came."""
        got, until = 0, time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            for key, _ in self.poll.select(left):
                piece = key.fileobj.recv(1 << 20)
                if not piece:
                    raise ConnectionError("a tile was closed")
                got += len(piece)
        return got


def core_of(server, seconds, meanwhile):
    """(share of a core by process, what meanwhile gave)."""
    cpu, began = measure.Cpu(server), time.monotonic()
    got = meanwhile(seconds)
    used, lost = cpu.since()
    assert lost == 0
    took = time.monotonic() - began
    return {name: v / took for name, v in used.items()}, got


def walls(scale):
    """What ten tiles take of a core: windows with the walls and without them, in turn; taking the streams in is taken off."""
    n = TILES * WALLS
    found = []
    with Camera(dict(group="cam", source=sub_stream(), fps=FPS, streams=n, start="key")) as cam, MediaServer({f"tile{i}": cam.url(f"cam{i}") for i in range(n)}) as server:
        wait_for("all play", lambda: server.status()["active"] >= n, timeout=60, every=0.5)
        for _ in range(scale.windows):
            without, _ = core_of(server, scale.window_s, lambda s: time.sleep(s) or 0)
            wall = Wall(server, [f"tile{i}" for i in range(n)])
            wall.drain(3)  # what each begins with
            with_walls, got = core_of(server, scale.window_s, wall.drain)
            wall.close()
            more = {name: (v - without.get(name, 0)) / WALLS for name, v in with_walls.items()}
            found.append({"core": sum(more.values()), "by_process": more, "without": sum(without.values()) / WALLS, "bits": got * 8 / scale.window_s / n})
            time.sleep(5)  # until nobody is watched any more
    s = measure.spread([f["core"] for f in found])
    line(f"ten tiles ({TILE}), {FPS} fps, {found[0]['bits'] / 1000:.0f} kbit/s each: {s['median'] * 100:.2f} % of a core (min {s['min'] * 100:.2f}, max {s['max'] * 100:.2f}; without them the ten streams take {found[0]['without'] * 100:.2f} %; {', '.join(f'{k} {v * 100:.2f}' for k, v in found[-1]['by_process'].items() if v > 0.0005)})")
    return {**s, "windows": found}


def panel_(scale):
    """The fleet of 1,000 cameras in Chromium, bars 1 s, 300 KB, 2 % of a core; ten live tiles, bar 1 % of a core of the server"""
    return {**(in_chromium(scale) if usable() else {"chromium": "none"}), "wall": walls(scale)}


panel_.__name__ = "panel"
