"""Somebody who watches live.mp4 and keeps what came, with the time of its coming."""
import http.client
import threading
import time

import mp4
import tools


class Live(threading.Thread):
    def __init__(self, server, uid):
        super().__init__(daemon=True)
        self.pieces, self.ended, self.broke = [], False, False  # (wall time, box)
        self.connection = http.client.HTTPConnection("127.0.0.1", server.web_port, timeout=30 * tools.SLOW)
        self.connection.request("GET", f"/{uid}/live.mp4")
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200
        self.start()

    def run(self):
        try:
            while not self.ended:
                head = self.answer.read(8)
                box = head + self.answer.read(int.from_bytes(head[:4], "big") - 8)
                self.pieces.append((time.time(), box))
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            self.broke = not self.ended

    def end(self):
        self.ended = True
        self.join(5 * tools.SLOW)
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def files(self):
        """[(wall time, a fragment as a file of its own)]"""
        init, moof, out = b"", b"", []
        for at, box in list(self.pieces):
            kind = box[4:8]
            if kind in (b"ftyp", b"moov"):
                init += box
            elif kind == b"moof":
                moof = box
            elif kind == b"mdat":
                out.append((at, mp4.Mp4(init + moof + box)))
        return out

    def fragments(self):
        """[(wall time, samples of the picture)]"""
        return [(at, file.of("vide")) for at, file in self.files()]

    def all_ends(self):
        """Behind each fragment: handler -> media time up to which it has come, in seconds."""
        ends = {}
        for _, file in self.files():
            for sample in file.samples:
                track = file.tracks[sample.track]
                ends[track.handler] = (sample.dts + sample.duration) / track.timescale
            yield dict(ends)

    def ends(self):
        """Of all that has come."""
        return ([{}] + list(self.all_ends()))[-1]

    def behind(self):
        """The most seconds that sound lay behind the picture."""
        return max(e["vide"] - e["soun"] for e in self.all_ends() if len(e) == 2)

    def samples(self):
        return [s for _, piece in self.fragments() for s in piece]

    def check_whole(self, least_s):
        """So many seconds come, no frame is missing, and it still plays."""
        samples = tools.wait_for(f"{least_s:.1f} s at the viewer", lambda: (s := self.samples())[-1].dts - s[0].dts >= least_s * 90000 and s)
        for a, b in zip(samples, samples[1:]):
            assert 0 < b.dts - a.dts <= 2 * a.duration, f"a frame is missing between {a.dts} and {b.dts}"
        assert not self.broke
