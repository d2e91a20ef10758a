"""A stand-in for master, connector and keeper around single ms-worker processes: speaks their messages over socketpairs,
makes rings, dials cameras, hands out archive folders. For tests of the worker alone, with everything visible."""
import array
import fcntl
import mmap
import os
import selectors
import socket
import struct
import subprocess
import tempfile
import threading
import time

import tools

HELLO, WELCOME, STOP, LOG_LINE = 1, 2, 3, 6
STREAM, RING, RING_WANT, RING_MOVED, CONNECTOR_SOCK, KEEPER_SOCK, STATE = 10, 11, 12, 13, 14, 15, 16
DIAL, DIALED, UDP_BIND, UDP_BOUND, UDP_CONNECT, UDP_CONNECTED, UDP_CLOSE = 22, 23, 24, 25, 26, 27, 28
EVENT, RECORD, CAMERA_FREE = 48, 49, 112
ARCHIVE_ASK, ARCHIVE, SEG_OPENED, SEG_CLOSED, SEG_STORED, WRITE_FAILED = 37, 38, 39, 40, 41, 42

STATES = ["connecting", "active", "stale", "down", "invalid", "disabled", "idle"]
RECORD_STATES = ["off", "on", "paused", "waiting", "armed"]


def pack(v):
    if v is None or isinstance(v, bool):
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[v]
    if isinstance(v, int):
        return struct.pack(">Bq", 0xD3, v) if v < 0 else struct.pack(">BQ", 0xCF, v)
    if isinstance(v, str):
        b = v.encode()
        return struct.pack(">BH", 0xDA, len(b)) + b
    if isinstance(v, bytes):
        return struct.pack(">BI", 0xC6, len(v)) + v
    if isinstance(v, list):
        return struct.pack(">BH", 0xDC, len(v)) + b"".join(map(pack, v))
    return struct.pack(">BH", 0xDE, len(v)) + b"".join(pack(x) for kv in v.items() for x in kv)


def unpack(b, at=0):
    t = b[at]
    at += 1
    if t < 0x80:
        return t, at
    if t >= 0xE0:
        return t - 256, at
    if 0xA0 <= t < 0xC0:
        return b[at:at + t - 0xA0].decode(), at + t - 0xA0
    if t in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[t], at
    numbers = {0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
    if t in numbers:
        size = struct.calcsize(numbers[t])
        return struct.unpack(numbers[t], b[at:at + size])[0], at + size
    lengths = {0xD9: ">B", 0xDA: ">H", 0xDB: ">I", 0xC4: ">B", 0xC5: ">H", 0xC6: ">I", 0xDC: ">H", 0xDE: ">H"}
    if t in lengths:
        size = struct.calcsize(lengths[t])
        n = struct.unpack(lengths[t], b[at:at + size])[0]
        at += size
    else:
        n = t & 15
    if t in (0xD9, 0xDA, 0xDB):
        return b[at:at + n].decode(), at + n
    if t in (0xC4, 0xC5, 0xC6):
        return bytes(b[at:at + n]), at + n
    out = []
    for _ in range(n * (2 if t == 0xDE or 0x80 <= t < 0x90 else 1)):
        v, at = unpack(b, at)
        out.append(v)
    return (dict(zip(out[::2], out[1::2])) if t == 0xDE or 0x80 <= t < 0x90 else out), at


class Channel:
    """One end of a socketpair that speaks our messages; handler(number, body, fds)."""

    def __init__(self, handler):
        self.sock, self.theirs = socket.socketpair()
        self.handler = handler
        self.buffer = bytearray()
        self.fds = []

    def send(self, number, body, fds=()):
        message = pack([number, body, len(fds)])
        message = struct.pack(">I", len(message)) + message
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            sent = self.sock.sendmsg([message], ancillary)
            # Nothing may be left to send: a worker that was told to stop may be gone by now.
            if sent < len(message):
                self.sock.sendall(message[sent:])
        except (BrokenPipeError, ConnectionResetError):
            pass

    def read(self):
        try:
            data, ancillary, _, _ = self.sock.recvmsg(65536, socket.CMSG_SPACE(64))
        except ConnectionResetError:
            data = b""
        if not data:
            return False
        for level, kind, raw in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                self.fds += array.array("i", raw[:len(raw) // 4 * 4])
        self.buffer += data
        while len(self.buffer) >= 4:
            n = struct.unpack(">I", self.buffer[:4])[0]
            if len(self.buffer) < 4 + n:
                break
            (number, body, n_fds), _ = unpack(self.buffer[4:4 + n])
            del self.buffer[:4 + n]
            fds, self.fds = self.fds[:n_fds], self.fds[n_fds:]
            self.handler(number, body, fds)
        return True

    def close(self):
        for s in (self.sock, self.theirs):
            s.close()


def sealed(name, size):
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, 1033, 1 | 2 | 4)  # F_ADD_SEALS: SEAL, SHRINK, GROW
    return fd


class Ring:
    """common/ring/ring_layout.h, as far as a master and a test need it."""

    TRACKS_AT, DESC_AT = 4096, 4096 + 5 * 4096
    STATUS_AT = 192
    STATUS = struct.Struct("<IIqqqqq 20Q 9Q IIII Qqq QQQQQ q Ii IIII I 128s128s128s48s")
    FIELDS = ("state record_state state_since_us beat_mono_us record_beat_us last_frame_us last_key_us bytes_in frames_in "
              "frames_damaged frames_dropped packets_in packets_lost packets_reordered rtsp_bad rtsp_out_of_frame "
              "rtsp_channel_unknown sdp_bad rtp_bad rtcp_bad rtp_foreign payload_bad udp_stranger udp_overflow ts_repairs connects reconnects "
              "end_unreachable end_auth end_capacity end_not_found end_unsupported end_protocol end_timeout end_closed end_silent "
              "gop_frames gop_ms bitrate_in ring_want rec_segment rec_start_us rec_end_us rec_bytes rec_next_seq recorded_bytes "
              "recorded_us wanted_us clock_offset_us clock_known rec_errno video audio width height text_seq reason source rec_path rec_storage").split()

    def __init__(self, uid, generation, data=1 << 20, frames=512):
        self.generation, self.data, self.frames = generation, data, frames
        size = self.DESC_AT + frames * 64 + data
        self.fd = sealed("ms-ring", size)
        self.map = mmap.mmap(self.fd, size)
        head = struct.pack("<IIQIIq40s", 3, generation, 0, data, frames, 0, uid.encode())
        self.map[8:8 + len(head)] = head
        self.map[128:152] = struct.pack("<QQQ", 1, 1, 1)
        self.map[0:8] = struct.pack("<Q", 0x0A676E6972736D00)

    def settings_hash(self):
        return struct.unpack_from("<Q", self.map, 16)[0]

    def status(self):
        values = self.STATUS.unpack_from(self.map, self.STATUS_AT)
        s = dict(zip(self.FIELDS, values))
        for key in ("reason", "source", "rec_path", "rec_storage"):
            s[key] = s[key].split(b"\0")[0].decode()
        s["state"] = STATES[s["state"]]
        s["record_state"] = RECORD_STATES[s["record_state"]]
        return s

    def span(self):
        """Numbers of the oldest frame and of the next one."""
        next_seq, oldest = struct.unpack_from("<QQ", self.map, 128)
        return oldest, next_seq

    def frame(self, seq):
        """None: it was overwritten before it was read."""
        d = struct.unpack_from("<QQIIqIiqqBBHI", self.map, self.DESC_AT + (seq % self.frames) * 64)
        at = self.DESC_AT + self.frames * 64 + d[1] % self.data
        f = dict(seq=seq, dts=d[4], dur=d[5], cts=d[6], wall_us=d[7], arrival_us=d[8], entry=d[9], track=d[10], flags=d[11],
                    gen=d[12], data=self.map[at:at + d[2]])
        return f if d[0] == seq and self.span()[0] <= seq else None

    def close(self):
        self.map.close()
        os.close(self.fd)


class Worker:
    def __init__(self, host, uid, url, **settings):
        self.host, self.uid = host, uid
        self.settings = dict(uid=uid, hash=1, url=url, tracks="video,audio,data", on_demand=False, invalid_after=10, retry_first_us=1000000,
                             retry_most_us=5000000, record=False, mode="continuous", chunk_us=120000000, user_agent="test",
                             transport="auto", event_before_us=0, ring_max=32 << 20)
        self.settings.update(settings)
        self.ring = Ring(uid, 1)
        self.demand_fd = sealed("ms-demand", 4096)
        self.demand = mmap.mmap(self.demand_fd, 4096)
        self.frames_event = os.eventfd(0, os.EFD_NONBLOCK)
        self.demand_event = os.eventfd(0, os.EFD_NONBLOCK)
        self.states, self.opened, self.closed, self.failed, self.lines, self.dials = [], [], [], [], [], []
        self.pairs = {}
        self.store = True  # the keeper says that segments are stored
        self.folder = None
        self.process = None
        self.start()

    # --- life ---

    def start(self):
        self.master = Channel(self.on_master)
        self.process = subprocess.Popen([str(tools.BUILD / "bin" / "ms-worker"), self.uid], stdin=subprocess.DEVNULL,
                                        stdout=self.host.log, stderr=self.host.log,
                                        env={"MS_GENERATION": "1", "MS_SETTINGS": "0" * 16, "LANG": "C.UTF-8"},
                                        pass_fds=(3,), preexec_fn=lambda: os.dup2(self.master.theirs.fileno(), 3))
        self.master.theirs.close()
        self.host.watch(self.master)

    def on_master(self, number, body, fds):
        if number == HELLO:
            self.master.send(WELCOME, dict(log_level=self.host.log_level, log_json=False, log_journal=False))
            self.master.send(STREAM, self.settings)
            self.send_ring()
            self.send_connector()
            if self.host.archive:
                self.send_keeper()
        elif number == RING_WANT:
            old, self.ring = self.ring, Ring(self.uid, self.ring.generation + 1, body["bytes"], body["frames"])
            self.old_rings = getattr(self, "old_rings", []) + [old]
            self.send_ring()
        elif number == RING_MOVED:
            self.moved = body["gen"]
        elif number == STATE:
            self.states.append((STATES[body["state"]], body["reason"]))
        elif number == LOG_LINE:
            self.lines.append(body["line"])

    def send_ring(self):
        self.master.send(RING, dict(gen=self.ring.generation), [self.ring.fd, self.demand_fd, self.frames_event, self.demand_event])

    def send_connector(self):
        self.connector = Channel(self.on_connector)
        self.host.watch(self.connector)
        self.master.send(CONNECTOR_SOCK, {}, [self.connector.theirs.fileno()])
        self.connector.theirs.close()

    def send_keeper(self):
        self.keeper = Channel(self.on_keeper)
        self.host.watch(self.keeper)
        self.master.send(KEEPER_SOCK, {}, [self.keeper.theirs.fileno()])
        self.keeper.theirs.close()

    # --- connector ---

    def on_connector(self, number, body, fds):
        if number == DIAL:
            self.dials.append((time.monotonic(), body["host"], body["port"]))
            threading.Thread(target=self.dial, args=(self.connector, body), daemon=True).start()
        elif number == UDP_BIND:
            rtp, rtcp, port = self.bind_pair()
            self.pairs[body["id"]] = (rtp, rtcp)
            self.connector.send(UDP_BOUND, dict(id=body["id"], err=0, port=port), [rtp.fileno(), rtcp.fileno()])
        elif number == UDP_CONNECT:
            for s, port in zip(self.pairs[body["id"]], (body["port"], body["rtcp_port"])):
                s.connect((self.peer[0], port))
            self.connector.send(UDP_CONNECTED, dict(id=body["id"], err=0))
        elif number == UDP_CLOSE:
            for s in self.pairs.pop(body["id"], ()):
                s.close()

    def dial(self, connector, body):
        try:
            s = socket.create_connection((body["host"], body["port"]), timeout=body["timeout_us"] / 1e6)
        except OSError as e:
            connector.send(DIALED, dict(id=body["id"], err=e.errno or 110, text=f"{body['host']}: {e.strerror or e}"))
            return
        s.setblocking(False)
        self.peer = s.getpeername()
        connector.send(DIALED, dict(id=body["id"], err=0, text="", addr=f"{self.peer[0]}:{self.peer[1]}"),
                       [s.fileno()])
        s.close()

    @staticmethod
    def bind_pair():
        for port in range(21500, 21598, 2):
            rtp, rtcp = socket.socket(type=socket.SOCK_DGRAM), socket.socket(type=socket.SOCK_DGRAM)
            try:
                rtp.bind(("127.0.0.1", port))
                rtcp.bind(("127.0.0.1", port + 1))
                return rtp, rtcp, port
            except OSError:
                rtp.close()
                rtcp.close()
        raise OSError("no port pair")

    # --- keeper ---

    def on_keeper(self, number, body, fds):
        if number == ARCHIVE_ASK:
            self.give_folder()
        elif number == SEG_OPENED:
            self.opened.append(body)
        elif number == SEG_CLOSED:
            self.closed.append(body)
            if self.store:
                self.keeper.send(SEG_STORED, dict(id=body["id"]))
        elif number == WRITE_FAILED:
            self.failed.append(body["errno"])

    def give_folder(self, storage="default"):
        self.folder = self.folder or f"{self.host.archive}/{self.uid}/records"
        os.makedirs(self.folder, exist_ok=True)
        fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        self.keeper.send(ARCHIVE, dict(state="ok", errno=0, storage=storage), [fd])
        os.close(fd)

    def take_folder(self, errno):
        self.keeper.send(ARCHIVE, dict(state="wait", errno=errno, storage="default"))

    # --- viewers ---

    def follow(self, followers, wanted=None):
        self.demand[0:8] = struct.pack("<II", followers, followers if wanted is None else wanted)
        os.eventfd_write(self.demand_event, 1)

    # --- what tests ask ---

    def status(self):
        return self.ring.status()

    def wait(self, what, seconds=15):
        """Until what(worker) is true."""
        end = time.monotonic() + seconds * tools.SLOW
        while time.monotonic() < end:
            value = what(self)
            if value:
                return value
            if self.process.poll() is not None:
                raise AssertionError(f"worker ended with {self.process.returncode}")
            time.sleep(0.02)
        raise AssertionError(f"not in {seconds} s: {self.status()} {self.states} {self.lines[-10:]}")

    def wait_state(self, state, seconds=15):
        self.wait(lambda w: w.status()["state"] == state, seconds)

    def segments(self):
        return sorted(os.path.join(d, f) for d, _, names in os.walk(self.folder) for f in names if f.endswith(".mp4"))

    def memory(self):
        """Private kB without the ring, kB of the ring."""
        private = ring = 0
        in_ring = False
        for line in open(f"/proc/{self.process.pid}/smaps"):
            name = line.split()
            if "-" in name[0]:
                in_ring = "ms-ring" in line or "ms-demand" in line
            elif name[0] in ("Private_Clean:", "Private_Dirty:", "Shared_Clean:", "Shared_Dirty:"):
                if in_ring:
                    ring += int(name[1])
                elif name[0].startswith("Private"):
                    private += int(name[1])
        return private, ring

    def cpu(self):
        """Seconds of CPU so far."""
        return sum(int(open(f"/proc/{self.process.pid}/task/{t}/schedstat").read().split()[0])
                   for t in os.listdir(f"/proc/{self.process.pid}/task")) / 1e9

    def stop(self):
        if self.process.poll() is None:
            self.master.send(STOP, {})
        return self.process.wait(5 * tools.SLOW)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Host:
    def __init__(self, archive=None, log_level=6):
        self.dir = tempfile.TemporaryDirectory(prefix="worker-")
        self.archive = archive if archive is not False else None
        if archive is None:
            self.archive = f"{self.dir.name}/archive"
        self.log = open(f"{self.dir.name}/log", "w+")
        self.log_level = log_level
        self.workers = []
        self.selector = selectors.DefaultSelector()
        self.lock = threading.Lock()
        self.wake_r, self.wake_w = os.pipe()
        self.selector.register(self.wake_r, selectors.EVENT_READ, None)
        self.ended = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def watch(self, channel):
        with self.lock:
            self.selector.register(channel.sock, selectors.EVENT_READ, channel)
        os.write(self.wake_w, b"x")

    def run(self):
        while not self.ended:
            for key, _ in self.selector.select():
                if key.data is None:
                    os.read(self.wake_r, 4096)
                elif not key.data.read():
                    with self.lock:
                        self.selector.unregister(key.fileobj)
                    key.data.sock.close()

    def worker(self, uid, url, **settings):
        w = Worker(self, uid, url, **settings)
        self.workers.append(w)
        return w

    def shown(self):
        if not self.log.closed:
            self.log.seek(0)
            self.kept = self.log.read()
        return "worker log", self.kept

    def close(self):
        for w in self.workers:
            w.close()
        self.ended = True
        os.write(self.wake_w, b"x")
        self.thread.join()
        self.shown()
        self.log.close()
        self.dir.cleanup()
