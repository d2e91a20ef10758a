"""Reads fragmented MP4 as ISO 14496-12 has it, independently of the server's own code: tracks and samples with their bytes."""
import dataclasses
import struct

import tools


@dataclasses.dataclass
class Track:
    id: int
    handler: str = ""
    timescale: int = 0
    codec: str = ""
    entry: bytes = b""  # the sample entry's bytes


@dataclasses.dataclass
class Sample:
    track: int
    dts: int
    cts: int
    duration: int
    key: bool
    data: bytes

    @property
    def sha1(self):
        return tools.sha1(self.data)


def boxes(data, at=0, end=None):
    """(type, start of the payload, end) of each box; damaged sizes end it with an error."""
    end = len(data) if end is None else end
    while at + 8 <= end:
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", data[at + 8 : at + 16])[0], 16
        elif size == 0:
            size = end - at
        assert size >= head and at + size <= end, f"box {kind!r} at {at} of {size} bytes in {end}"
        yield kind.decode("latin-1"), at + head, at + size
        at += size


def child(data, start, end, *path):
    """Payload range of the first box of that path, or None."""
    for kind in path:
        found = next(((a, b) for k, a, b in boxes(data, start, end) if k == kind), None)
        if found is None:
            return None
        start, end = found
    return start, end


def read_track(data, start, end):
    a, _ = child(data, start, end, "tkhd")
    t = Track(struct.unpack(">I", data[a + (20 if data[a] else 12) :][:4])[0])
    a, _ = child(data, start, end, "mdia", "mdhd")
    t.timescale = struct.unpack(">I", data[a + (20 if data[a] else 12) :][:4])[0]
    a, _ = child(data, start, end, "mdia", "hdlr")
    t.handler = data[a + 8 : a + 12].decode()
    a, b = child(data, start, end, "mdia", "minf", "stbl", "stsd")
    t.codec, first, last = next(boxes(data, a + 8, b))
    t.entry = data[first:last]
    return t


def read_run(data, at, track, dts, base, defaults):
    """A trun: (samples, dts behind it)."""
    flags = struct.unpack(">I", data[at : at + 4])[0] & 0xFFFFFF
    count = struct.unpack(">I", data[at + 4 : at + 8])[0]
    at += 8
    offset = base
    if flags & 1:
        offset += struct.unpack(">i", data[at : at + 4])[0]
        at += 4
    first_flags = None
    if flags & 4:
        first_flags = struct.unpack(">I", data[at : at + 4])[0]
        at += 4
    samples = []
    for i in range(count):
        duration, size, sample_flags, cts = *defaults, 0
        if flags & 0x100:
            duration, at = struct.unpack(">I", data[at : at + 4])[0], at + 4
        if flags & 0x200:
            size, at = struct.unpack(">I", data[at : at + 4])[0], at + 4
        if flags & 0x400:
            sample_flags, at = struct.unpack(">I", data[at : at + 4])[0], at + 4
        elif i == 0 and first_flags is not None:
            sample_flags = first_flags
        if flags & 0x800:
            cts, at = struct.unpack(">i", data[at : at + 4])[0], at + 4
        body = data[offset : offset + size]
        assert len(body) == size, "sample data goes over the end of the file"
        samples.append(Sample(track, dts, cts, duration, not sample_flags & 0x10000, body))
        offset += size
        dts += duration
    return samples, dts


def footer(path):
    """What a segment says of itself at its end (archive/seginfo.c): times in microseconds."""
    data = open(path, "rb").read()
    box = data[-struct.unpack(">I", data[-4:])[0] :]
    if box[4:8] != b"uuid" or box[24:28] != b"MSS1":
        raise ValueError(f"no footer, or not yet: {path}")
    uid_n = box[36]
    at = 37 + uid_n
    start, end, size, _, samples, flags, _, *rest = struct.unpack(">qqQQIIQ4qIIBq", box[at : at + 97])
    return dict(uid=box[37:at].decode(), start_us=start, end_us=end, bytes=size, samples=samples, flags=flags,
                damaged=rest[4], repaired=rest[5], clock=("server", "camera")[rest[6]], clock_offset_us=rest[7])


class Mp4:
    """Tracks by id and samples in file order. A fragment that is not whole at the end of `data` is left out if `growing`."""

    def __init__(self, data, growing=False):
        self.tracks, self.samples, self.kinds = {}, [], []
        trex = {}
        if growing:
            data = data[: self._whole(data)]
        for kind, a, b in boxes(data):
            self.kinds.append(kind)
            if kind == "moov":
                for k, x, y in boxes(data, a, b):
                    if k == "trak":
                        t = read_track(data, x, y)
                        self.tracks[t.id] = t
                    elif k == "mvex":
                        for k2, p, _ in boxes(data, x, y):
                            if k2 == "trex":
                                track, _, duration, size, flags = struct.unpack(">5I", data[p + 4 : p + 24])
                                trex[track] = (duration, size, flags)
            elif kind == "moof":
                self._moof(data, a, b, a - 8, trex)

    @staticmethod
    def _whole(data):
        at = whole = 0
        while at + 8 <= len(data):
            size = struct.unpack(">I", data[at : at + 4])[0]
            if size < 8 or at + size > len(data):
                break
            kind = data[at + 4 : at + 8]
            at += size
            if kind != b"moof":  # which is nothing without its mdat
                whole = at
        return whole

    def _moof(self, data, start, end, base, trex):
        for k, x, y in boxes(data, start, end):
            if k != "traf":
                continue
            dts, defaults, track = 0, (0, 0, 0), 0
            for k2, p, _ in boxes(data, x, y):
                if k2 == "tfhd":
                    flags = struct.unpack(">I", data[p : p + 4])[0] & 0xFFFFFF
                    track = struct.unpack(">I", data[p + 4 : p + 8])[0]
                    defaults = list(trex.get(track, (0, 0, 0)))
                    p += 8
                    for bit, width, index in ((1, 8, None), (2, 4, None), (8, 4, 0), (16, 4, 1), (32, 4, 2)):
                        if flags & bit:
                            if index is not None:
                                defaults[index] = struct.unpack(">I", data[p : p + 4])[0]
                            p += width
                elif k2 == "tfdt":
                    wide = data[p] == 1
                    dts = struct.unpack(">Q" if wide else ">I", data[p + 4 : p + (12 if wide else 8)])[0]
                elif k2 == "trun":
                    samples, dts = read_run(data, p, track, dts, base, defaults)
                    self.samples += samples

    def track(self, handler):
        """First track of a handler ("vide", "soun"), or None."""
        return next((t for t in self.tracks.values() if t.handler == handler), None)

    def of(self, handler):
        """Samples of the first track of a handler."""
        t = self.track(handler)
        return [s for s in self.samples if t and s.track == t.id]


def bare_hash(sample, h265=False):
    """SHA-1 of a sample without the parameter sets inside it: where they change, a recorder may keep them in the stream."""
    at, kept = 0, b""
    while at + 4 < len(sample.data):
        end = at + 4 + struct.unpack(">I", sample.data[at : at + 4])[0]
        first = sample.data[at + 4]
        if (first >> 1 & 0x3F) not in (32, 33, 34) if h265 else (first & 0x1F) not in (7, 8):
            kept += sample.data[at:end]
        at = end
    return tools.sha1(kept)


def check_times(samples):
    """Decode times rise, without holes between neighbours."""
    for a, b in zip(samples, samples[1:]):
        assert b.dts > a.dts, f"dts {a.dts} then {b.dts}"
