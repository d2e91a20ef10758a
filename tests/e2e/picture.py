"""ms-picture spoken to as httpd does (httpd/picture/wire.h), without a server around it; key frames made by ffmpeg."""
import os
import socket
import struct
import subprocess

import msgpack

import mp4
import tools

JPEG, AAC = 1, 2
H264, H265, PCMA, PCMU = 1, 2, 4, 5
AAC_SAMPLES, AAC_BYTES, RUN_IN = 1024, 768, 2


class Gone(AssertionError):
    """The helper closed its socket."""


class Helper:
    def __init__(self, *args):
        ours, theirs = socket.socketpair()
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", 'exec "$@" 3<&0 </dev/null', "sh", str(tools.BUILD / "bin" / "ms-picture"), *args], stdin=theirs)
        theirs.close()
        self.socket = ours
        self.socket.settimeout(20 * tools.SLOW)
        self.id = 0
        self.hello = self.answer()[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        try:
            self.process.wait(10 * tools.SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def read(self, n):
        got = b""
        while len(got) < n:
            piece = self.socket.recv(n - len(got))
            if not piece:
                raise Gone(f"exit {self.process.wait()}")
            got += piece
        return got

    def answer(self):
        head = msgpack.unpackb(self.read(struct.unpack(">I", self.read(4))[0]))
        return head, self.read(head["bytes"])

    def send(self, head, payload=b""):
        head = msgpack.packb(head)
        self.socket.sendall(struct.pack(">I", len(head)) + head + payload)

    def ask(self, payload, **head):
        """(answer, bytes)."""
        self.id += 1
        self.send({"id": self.id, "bytes": len(payload), **head}, payload)
        answer, out = self.answer()
        assert answer["id"] == self.id
        return answer, out

    def jpeg(self, codec, config, units, want=None, **head):
        """units: access units, or (bytes, pts)."""
        units = [u if isinstance(u, tuple) else (u, i) for i, u in enumerate(units)]
        head = {"quality": 80, "sar_w": 1, "sar_h": 1, "width": 0, **head}
        return self.ask(b"".join(u for u, _ in units), kind=JPEG, codec=codec, config=config,
                        units=[x for u, pts in units for x in (len(u), pts)], want=units[-1][1] if want is None else want, **head)

    def aac(self, samples, codec=PCMA, rate=8000, channels=1):
        """samples: run-in, frames and one frame behind them."""
        frames = len(samples) // AAC_SAMPLES // channels - RUN_IN - 1
        return self.ask(samples, kind=AAC, codec=codec, rate=rate, channels=channels, frames=frames)


def memory_kib(pid):
    """(resident, private) of a process."""
    text = open(f"/proc/{pid}/smaps_rollup").read()
    rows = {line.split(":")[0]: int(line.split()[1]) for line in text.splitlines()[1:]}
    return rows["Rss"], rows["Private_Clean"] + rows["Private_Dirty"]


def units(encoder="libx264", size="640x360", frames=1, pixels="yuv420p", options=(), source="testsrc2"):
    """(codec, configuration, [(access unit, pts)]) of a moving test picture."""
    p = subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"{source}{':' if '=' in source else '='}size={size}:rate=25", "-frames:v", str(frames), "-c:v", encoder,
         "-pix_fmt", pixels, *(("-x265-params", "log-level=none:info=0") if encoder == "libx265" else ()), "-g", "250", *options,
         "-movflags", "frag_keyframe+empty_moov+default_base_moof", "-f", "mp4", "-"], capture_output=True, timeout=60 * tools.SLOW)
    assert p.returncode == 0, p.stderr.decode()
    film = mp4.Mp4(p.stdout)
    return (H265 if encoder == "libx265" else H264, config_of(film),
            [(s.data, s.dts + s.cts) for s in film.samples])


def config_of(film):
    """The body of avcC or hvcC."""
    entry = next(iter(film.tracks.values())).entry if isinstance(film.tracks, dict) else film.tracks[0].entry
    at = max(entry.find(b"avcC"), entry.find(b"hvcC"))
    size = struct.unpack(">I", entry[at - 4 : at])[0]
    return entry[at + 4 : at - 4 + size]
