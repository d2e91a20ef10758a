"""Reads what the archive holds, independently of the server's code: segments with their boxes, the LMDB index, and whether
the two agree."""
import dataclasses
import pathlib
import struct

import crcmod.predefined
import lmdb

import paths  # noqa: F401
import mp4

crc32c = crcmod.predefined.mkPredefinedCrcFun("crc-32c")
TYPE = bytes.fromhex("5b1e0c529d3a4f678b216d73")  # of our uuid boxes, then "head", "tabl" or "info"
READERS_MAX = 256  # as archive/index.h has it


@dataclasses.dataclass
class Info:
    """seg_info, as archive/seginfo.c writes it."""

    id: int
    uid: str
    start_us: int
    end_us: int
    bytes: int
    table_at: int
    samples: int
    flags: int
    crc: int

    @classmethod
    def read(cls, b):
        assert struct.unpack(">I", b[-4:])[0] == crc32c(b[:-4]), "a seg_info with a wrong checksum"
        magic, number, n = struct.unpack_from(">IQB", b)
        assert magic == 0x4D535331
        at = 13 + n
        uid = b[13:at].decode()
        start, end, size, table, samples, flags, *_, crc, _ = struct.unpack_from(">QQQQIIQ4qIIBqIH", b, at)
        return cls(number, uid, start, end, size, table, samples, flags, crc)

    @classmethod
    def read_row(cls, key, b):
        """A record of the index, as archive/segrow.c writes it."""
        uid, number = key[:-9].decode(), struct.unpack(">Q", key[-8:])[0]
        assert b[0] == 1, f"a record of form {b[0]}"
        assert struct.unpack(">I", b[-4:])[0] == crc32c(key + b[:-4]), "a record with a wrong checksum"
        row = Row(b, 1)
        start = (number >> 8) * 1000 + row.zigzag()
        length, size, behind, samples, flags = (row.varint() for _ in range(5))
        row.at += 8
        bases = row.byte().bit_count()
        for _ in range(bases + 2):
            row.varint()
        row.at += 1
        row.zigzag()
        crc = struct.unpack_from(">I", b, row.at)[0]
        return cls(number, uid, start, start + length, size, size - behind, samples, flags, crc)


class Row:
    """Numbers one behind the other."""

    def __init__(self, b, at):
        self.b, self.at = b, at

    def byte(self):
        self.at += 1
        return self.b[self.at - 1]

    def varint(self):
        n = shift = 0
        while True:
            x = self.byte()
            n |= (x & 0x7F) << shift
            shift += 7
            if x < 0x80:
                return n

    def zigzag(self):
        n = self.varint()
        return n >> 1 ^ -(n & 1)


@dataclasses.dataclass
class Segment:
    """One file. frames: {media time: SHA-1} of the video; info is None without a footer."""

    path: pathlib.Path
    frames: dict
    info: Info
    first_wall_us: int

    @classmethod
    def read(cls, path):
        data = path.read_bytes()
        info = footer(data)
        frames, start_us = {}, 0
        for kind, a, b in mp4.boxes(data[: mp4.Mp4._whole(data)]):
            if kind == "uuid" and data[a : a + 16] == TYPE + b"head":
                n = data[a + 25]
                start_us = struct.unpack_from(">Q", data, a + 26 + n)[0]
                base = struct.unpack_from(">q", data, a + 26 + n + 8 + 4 + 8 + 1 + 8)[0]
                assert struct.unpack_from(">I", data, b - 4)[0] == crc32c(data[a + 16 : b - 4]), f"{path}: its head is damaged"
                frames = {base + s.dts: s.sha1 for s in mp4.Mp4(data, growing=info is None).of("vide")}
        return cls(path, frames, info, start_us)


def footer(data):
    """Info of a file that was closed or repaired, else None."""
    size = struct.unpack(">I", data[-4:])[0] if len(data) > 32 else 0
    if size > len(data) or data[len(data) - size :][4:24] != b"uuid" + TYPE + b"info":
        return None
    return Info.read(data[len(data) - size + 24 : -4])


class Archive:
    """One storage. index_path: as the configuration has it. read() again and again: only files that changed are read anew."""

    def __init__(self, storage, index_path=None):
        self.storage, self.index_path = pathlib.Path(storage), index_path
        self.cache, self.checked = {}, {}

    def read(self):
        """Segments, oldest first."""
        found = {}
        for path in sorted(self.storage.glob("*/records/**/*.mp4")):
            try:
                st = path.stat()
                stamp = (st.st_size, st.st_mtime_ns)
                old = self.cache.get(path)
                found[path] = old if old and old[0] == stamp else (stamp, Segment.read(path))
            except FileNotFoundError:
                continue  # an empty one that the keeper removed
        self.cache = found
        return [s for _, s in found.values()]

    def frames(self):
        """{uid: {media time: SHA-1}} over all segments; two copies of a frame have to be equal."""
        out = {}
        for s in self.read():
            mine = out.setdefault(s.path.relative_to(self.storage).parts[0], {})
            for dts, sha1 in s.frames.items():
                assert mine.setdefault(dts, sha1) == sha1, f"{s.path}: another frame at {dts}"
        return out

    def bad(self):
        """Files that the keeper set aside because it could not read them."""
        return list(self.storage.rglob("*.bad"))

    def index_dir(self):
        uuid = (self.storage / ".media-server").read_text().split("\n")[1]
        return f"{self.index_path}/{uuid}" if self.index_path else f"{self.storage}/.index"

    def index(self):
        """{(uid, id): Info} as the index has it now. OSError: there is none yet."""
        try:
            env = lmdb.open(self.index_dir(), readonly=True, max_dbs=8, max_readers=READERS_MAX, create=False)
        except lmdb.Error as e:
            raise OSError(f"{self.index_dir()}: {e}") from e
        try:
            try:
                table = env.open_db(b"segments", create=False)
            except lmdb.NotFoundError as e:
                raise OSError(f"{self.index_dir()}: it is being made") from e
            with env.begin(table) as txn:
                rows = [Info.read_row(k, v) for k, v in txn.cursor()]
                return {(i.uid, i.id): i for i in rows}
        finally:
            env.close()

    def path(self, uid, number):
        """Of a segment, by its id alone: the name ends with it."""
        found = list((self.storage / uid / "records").glob(f"*/*/*/*-{number:013x}.mp4"))
        return found[0] if len(found) == 1 else None

    def check_index(self, entries):
        """What the index claims is on the disk: file, size, checksum, and the same said by the footer."""
        for (uid, number), info in entries.items():
            if self.checked.get((uid, number)) == info:
                continue
            path = self.path(uid, number)
            assert path, f"the index claims {uid} {number:x}, and there is no such file"
            data = path.read_bytes()
            assert len(data) == info.bytes, f"{path}: {len(data)} bytes, the index claims {info.bytes}"
            size = struct.unpack(">I", data[-4:])[0]
            assert crc32c(data[: len(data) - size]) == info.crc, f"{path}: another checksum than in the index"
            assert footer(data) == info, f"{path}: its footer differs from the index"
            assert len(mp4.Mp4(data).samples) == info.samples, f"{path}: not {info.samples} samples"
            self.checked[(uid, number)] = info
