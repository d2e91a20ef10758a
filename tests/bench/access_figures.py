"""Who may watch: the time of a refusal, another key under viewers, what taking back takes, guessing from everywhere."""
import json
import random
import socket
import threading
import time
import urllib.parse

import hls
import measure
import tools
import ws
from camera import Camera
from server import MediaServer
from tools import wait_for

SECRET = "a secret of this bench"
SOURCES = 70000  # addresses that guess
BATCH = 200  # requests that go out at once


def line(text):
    print(f"   {text}", flush=True)


class Asker:
    """One connection that is kept; requests behind each other."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = b""

    def close(self):
        self.socket.close()

    def send(self, requests):
        self.socket.sendall("".join(f"GET /{path} HTTP/1.1\r\nHost: b\r\n{fields}\r\n" for path, fields in requests).encode())

    def status(self):
        """Of the next answer; its body is thrown away."""
        while b"\r\n\r\n" not in self.data:
            self.more()
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        n = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        while len(self.data) < n:
            self.more()
        self.data = self.data[n:]
        return int(head[9:12])

    def more(self):
        got = self.socket.recv(1 << 18)
        if not got:
            raise ConnectionError("closed")
        self.data += got

    def ask(self, path, fields=""):
        self.send([(path, fields)])
        return self.status()


def mint(server, *args):
    return server.rows("token", "create", *args)[0]["token"]


# --- the time of a refusal ---


def forged(server):
    """Kinds of tokens that are refused: each call makes another one of its kind, as long as a right one."""
    good, other, ended, scope = (mint(server, *a) for a in (("door",), ("yard",), ("door", "--duration", "1s"), ("door", "--ops", "publish")))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    body, mac = good.rsplit(".", 1)

    def some(n):
        return "".join(random.choices(alphabet, k=n))

    return {
        "MAC of nobody": lambda: f"{body}.{some(len(mac) - 1)}A",
        "first digit of the MAC": lambda: f"{body}.{random.choice(alphabet)}{mac[1:]}",
        "payload of nobody": lambda: f"v1.0.{some(len(body) - 5)}.{mac}",
        "unknown key": lambda: f"v1.{some(1)}.{body[5:]}.{some(len(mac) - 1)}A",
        "cut off": lambda: good[: -random.randrange(1, 40)],
        "another stream": lambda: other,
        "ended": lambda: ended,
        "another scope": lambda: scope,
    }


def over_http(server, n):
    """Medians of the time from request to answer, by kind, in the order of the dice, each kind from addresses of its own."""
    kinds = forged(server)
    time.sleep(32)  # until the one of a second has ended, with the skew that clocks may have
    asker, times = Asker(server.web_port), {k: [] for k in kinds}
    for i in range(n * len(kinds)):
        kind = random.choice(list(kinds))
        token = kinds[kind]()
        fields = f"X-Forwarded-For: 10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}\r\n"
        began = time.perf_counter_ns()
        status = asker.ask(f"door/stream.json?token={token}", fields)
        took = time.perf_counter_ns() - began
        if status == 403:
            times[kind].append(took / 1000)
        else:
            assert kind == "first digit of the MAC" and status == 200  # by chance the right one
    asker.close()
    return {k: measure.percentile(v, 50) for k, v in times.items()}


# --- another key ---


class Players:
    """Sessions of HLS that ask for their playlist again and again, over a few connections."""

    def __init__(self, server, token, n):
        self.paths, self.errors, self.asked, self.end = [], [], 0, False
        asker = Asker(server.web_port)
        for i in range(n):
            master = server.text(f"door/index.m3u8?token={token}", headers={"User-Agent": f"player {i}"})
            url = hls.Playlist(master, server.url("door/index.m3u8")).variants[0][1]
            self.paths.append(urllib.parse.urlsplit(url).path[1:])
        asker.close()
        self.threads = [threading.Thread(target=self.run, args=(server.web_port, self.paths[i::8])) for i in range(8)]
        for t in self.threads:
            t.start()

    def run(self, port, paths):
        asker = Asker(port)
        while not self.end:
            for path in paths:
                status = asker.ask(path)
                self.asked += 1
                if status != 200:
                    self.errors.append(status)
            time.sleep(0.2)
        asker.close()

    def stop(self):
        self.end = True
        for t in self.threads:
            t.join()


def keys(server, **lines):
    server.sections["server/stream/keys"] = lines
    server.write_ini()
    server.reload()


def rotation(server, n):
    """(playlists asked for, errors while a key comes and one goes on, seconds between the end of a key and that of its sessions)."""
    keys(server, old='"the old one"')
    old = wait_for("the first key", lambda: (t := mint(server, "door", "--user", "rotating")).startswith("v1.old.") and t)
    players = Players(server, old, n)
    time.sleep(2)
    keys(server, old='"the old one"', new='"the new one"')
    wait_for("the next key", lambda: mint(server, "door").startswith("v1.new."))
    time.sleep(2)
    asked, errors = players.asked, len(players.errors)
    until = int(time.time()) + 4
    keys(server, old=f'"the old one", 2026-01-01, {until}', new='"the new one"')
    asker = Asker(server.web_port)
    late = []
    for path in players.paths[:20]:
        while asker.ask(path) == 200:
            time.sleep(0.01)
        late.append(time.time() - until)
    asker.close()
    players.stop()
    return {"sessions": n, "asked": asked, "errors": errors, "dead_after_s": {"min": min(late), "max": max(late)}}


# --- taking back ---


def until_closed(sock, began):
    sock.settimeout(30)
    try:
        while sock.recv(1 << 20):
            pass
    except ConnectionResetError:
        pass
    return time.monotonic() - began


def taking_back(server):
    """Seconds until what ran has ended, by road."""
    token = mint(server, "door", "--user", "taken")
    roads = {}
    for road in ("live.mp4", "mpegts"):
        s = socket.create_connection(("127.0.0.1", server.web_port), 30)
        s.sendall(f"GET /door/{road}?token={token} HTTP/1.1\r\nHost: b\r\n\r\n".encode())
        assert b" 200 " in s.recv(1000)
        roads[road] = s
    client = ws.Client(server, f"door/mse_ld?token={token}")
    client.json()
    roads["mse_ld"] = client.socket
    rtsp = socket.create_connection(("127.0.0.1", server.rtsp_port), 30)
    url = f"rtsp://127.0.0.1:{server.rtsp_port}/door"
    session = ""
    for i, (method, target, more) in enumerate((("DESCRIBE", f"{url}?token={token}", ""), ("SETUP", f"{url}/trackID=0?token={token}", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"), ("PLAY", f"{url}?token={token}", ""))):
        rtsp.sendall(f"{method} {target} RTSP/1.0\r\nCSeq: {i + 1}\r\n{session}{more}\r\n".encode())
        answer = rtsp.recv(65536).decode(errors="replace")
        assert " 200 " in answer.split("\r\n")[0], answer
        if "Session:" in answer:
            session = "Session: " + answer.split("Session:")[1].split(";")[0].split("\r\n")[0].strip() + "\r\n"
    roads["rtsp"] = rtsp
    url = hls.Playlist(server.text(f"door/index.m3u8?token={token}"), server.url("door/index.m3u8")).variants[0][1]
    path, found, began = urllib.parse.urlsplit(url).path[1:], {}, time.monotonic()
    asker = Asker(server.web_port)
    server.msctl("token", "revoke", "user=taken")
    threads = [threading.Thread(target=lambda r=r, s=s: found.__setitem__(r, until_closed(s, began))) for r, s in roads.items()]
    for t in threads:
        t.start()
    while asker.ask(path) == 200:
        time.sleep(0.005)
    found["hls"] = time.monotonic() - began
    for t in threads:
        t.join()
    asker.close()
    for s in roads.values():
        s.close()
    return found


# --- guessing ---


def guessing(server, guesses):
    """p99 of a login from clean addresses, in ms, and the growth of httpd, while so many guesses come from SOURCES addresses."""
    good = [mint(server, "door") for _ in range(4)]
    httpd, stop, times = server.status()["httpd_pid"], threading.Event(), []
    before = tools.private_kb(httpd)

    def clean():
        asker, i = Asker(server.web_port), 0
        while not stop.is_set():
            i += 1
            began = time.perf_counter()
            status = asker.ask(f"door/stream.json?token={good[i % 4]}", f"X-Forwarded-For: 192.168.{i >> 8 & 255}.{i & 255}\r\n")
            times.append((time.perf_counter() - began) * 1000)
            assert status == 200, status
            time.sleep(0.01)
        asker.close()

    viewer = threading.Thread(target=clean)
    viewer.start()
    asker, began, middle = Asker(server.web_port), time.monotonic(), 0
    for i in range(0, guesses, BATCH):
        asker.send([(f"door/stream.json?token=v1.0.guess{n}", f"X-Forwarded-For: 10.{(a := n % SOURCES) >> 16}.{a >> 8 & 255}.{a & 255}\r\n") for n in range(i, i + BATCH)])
        assert {asker.status() for _ in range(BATCH)} == {403}
        if i <= guesses // 2:
            middle = tools.private_kb(httpd) if i > guesses // 2 - 2 * BATCH else middle
    took = time.monotonic() - began
    after = tools.private_kb(httpd)
    stop.set()
    viewer.join()
    asker.close()
    return {"guesses": guesses, "per_s": guesses / took, "clean_logins": len(times), "p99_ms": measure.percentile(times, 99), "kb": [before, middle, after], "second_half_kb": after - middle}


def access(scale):
    """Tokens: dudect's t of a wrong MAC; medians of refusals over HTTP; another key under 1,000 sessions; taking back; 10^6 guesses"""
    samples, asks, sessions, guesses = (1000000, 4000, 1000, 1000000) if scale.kills > 10 else (50000, 200, 100, 50000)
    result = {"timing": json.loads(tools.run(tools.BUILD / "bench" / "token_timing", samples, timeout=600).stdout)}
    for r in result["timing"]:
        line(f"{r['a']} | {r['b']}: |t| {r['t']:.1f} of {r['samples']} samples, {r['a_ns']:.0f} and {r['b_ns']:.0f} ns")
    sections = {"server/stream": {"auth-secret": f'"{SECRET}"', "enable": "web, rtsp", "trusted-proxies": "127.0.0.0/8"}}
    with Camera(dict(source="small.h264")) as cam, MediaServer({"door": {"stream-url": cam.url(), "stream-access": "private"}}, sections=sections) as server:
        server.wait_state("door")
        result["http_us"] = over_http(server, asks)
        for kind, us in result["http_us"].items():
            line(f"refused, {kind}: {us:.1f} us, median of about {asks}")
        result["spread_us"] = max(result["http_us"].values()) - min(result["http_us"].values())
        result["taking_back_s"] = taking_back(server)
        line("taken back, ended within: " + ", ".join(f"{r} {s:.2f} s" for r, s in result["taking_back_s"].items()))
        result["rotation"] = r = rotation(server, sessions)
        line(f"another key under {r['sessions']} sessions: {r['asked']} playlists, {r['errors']} errors; sessions of the old one end {r['dead_after_s']['min']:.2f} to {r['dead_after_s']['max']:.2f} s behind its time")
        result["guessing"] = r = guessing(server, guesses)
        line(f"{r['guesses']} guesses from {SOURCES} addresses, {r['per_s']:.0f} a second: {r['clean_logins']} clean logins beside them, p99 {r['p99_ms']:.1f} ms; httpd grew by {r['kb'][1] - r['kb'][0]} KB, then by {r['second_half_kb']} KB")
    return result
