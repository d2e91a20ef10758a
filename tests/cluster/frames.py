"""Which of its camera's frames a cluster has recorded, by number: a frame is known by its bytes, and which turn of the footage it is of by when it was.
The camera has to run by one clock for all its clients (knob start=key)."""
import mp4

FRAME_S = 0.04  # of footage with 25 frames a second
STOPS_S = 1.0  # of which a worker that is told to stop may not have read all that the camera sent


class Frames:
    """Made before the cameras play. read() when the nodes have stopped: an open segment does not say yet when it was."""

    def __init__(self, cluster, streams):
        """streams: {uid: the camera's name}, all of one footage."""
        self.cluster, self.streams = cluster, streams
        self.sent = cluster.camera.log_sent("cam")  # of all whose name begins so
        truth = cluster.camera.truth(next(iter(streams.values())))
        self.au = {f["sha1"]: f["au"] for f in truth}
        self.turn = len(truth)
        assert len(self.au) == self.turn, "footage with frames that are the same"

    def read(self):
        """Of every closed segment; a frame that no camera has sent is a KeyError."""
        self.epoch, self.have = {}, {uid: {} for uid in self.streams}
        uids = {name: uid for uid, name in self.streams.items()}
        for f in self.sent():
            uid, at = uids[f["stream"]], f["wall_us"] / 1e6 - f["n"] * FRAME_S
            self.epoch[uid] = min(self.epoch.get(uid, at), at)  # the one that left soonest
        for uid in self.streams:
            for n, node in self.cluster.nodes.items():
                for path in node.segments(uid):
                    self._read_segment(uid, n, path)
        return self

    def _read_segment(self, uid, n, path):
        start, film = mp4.footer(path)["start_us"] / 1e6, mp4.Mp4(path.read_bytes())
        scale = film.track("vide").timescale
        for s in film.of("vide"):
            self.have[uid].setdefault(self.number(uid, s.sha1, start + s.dts / scale), set()).add(n)

    def number(self, uid, sha1, at):
        """Of the frame with those bytes that was recorded as of then."""
        turns = round(((at - self.epoch[uid]) / FRAME_S - self.au[sha1]) / self.turn)
        return turns * self.turn + self.au[sha1]

    def at(self, uid, time):
        """The number of the frame that was sent then."""
        return round((time - self.epoch[uid]) / FRAME_S)

    def gap(self, uid, since, until, nodes=None):
        """Seconds of the longest row of frames of between these times that none of the nodes has."""
        at, last, longest = self.at(uid, since), self.at(uid, until), 0
        for n in [*sorted(k for k, by in self.have[uid].items() if at <= k < last and (nodes is None or by & set(nodes))), last]:
            longest, at = max(longest, n - at), n + 1
        return longest * FRAME_S

    def begins(self, uid, time, node):
        """Seconds from then to the first frame that the node has: 0 where it had it."""
        first = min(k for k, by in self.have[uid].items() if k >= self.at(uid, time) and node in by)
        return (first - self.at(uid, time)) * FRAME_S
