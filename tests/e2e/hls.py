"""Reads HLS playlists (RFC 8216) and fetches what they name."""
import dataclasses
import datetime
import re
import urllib.parse

import mp4


@dataclasses.dataclass
class Segment:
    url: str
    duration: float
    map_url: str
    date: float = None  # unix seconds of its start
    discontinuity: bool = False
    sequence: int = 0


def attributes(text):
    """NAME=value,NAME="value" as a dict."""
    return {k: v.strip('"') for k, v in re.findall(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)', text)}


def unix_time(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Playlist:
    def __init__(self, text, base):
        lines = [line.strip() for line in text.splitlines()]
        assert lines[0] == "#EXTM3U", text[:200]
        self.text, self.base = text, base
        self.tags = {}
        self.variants, self.segments = [], []
        self.ended = "#EXT-X-ENDLIST" in lines
        duration = date = map_url = None
        cut, variant, sequence = False, None, 0
        for line in lines[1:]:
            tag, _, value = line.partition(":")
            if tag == "#EXTINF":
                duration = float(value.split(",")[0])
            elif tag == "#EXT-X-MAP":
                map_url = urllib.parse.urljoin(base, attributes(value)["URI"])
            elif tag == "#EXT-X-PROGRAM-DATE-TIME":
                date = unix_time(value)
            elif tag == "#EXT-X-DISCONTINUITY":
                cut = True
            elif tag == "#EXT-X-STREAM-INF":
                variant = attributes(value)
            elif tag == "#EXT-X-MEDIA-SEQUENCE":
                sequence = int(value)
            elif tag.startswith("#"):
                self.tags[tag] = value
            elif line and variant is not None:
                self.variants.append((variant, urllib.parse.urljoin(base, line)))
                variant = None
            elif line:
                self.segments.append(Segment(urllib.parse.urljoin(base, line), duration, map_url, date, cut, sequence + len(self.segments)))
                duration, date, cut = None, None, False
        if "#EXT-X-MEDIA-SEQUENCE" in text:
            self.sequence = sequence

    @property
    def duration(self):
        return sum(s.duration for s in self.segments)


def open_playlist(server, path, **kw):
    """The media playlist behind a URL: follows the master playlist's first variant. (media, master or None)."""
    url = server.url(path)
    first = Playlist(server.text(url, **kw), url)
    if not first.variants:
        return first, None
    url = first.variants[0][1]
    return Playlist(server.text(url, **kw), url), first


def samples(server, segments):
    """One Mp4 of these segments, all of one MAP."""
    assert len({s.map_url for s in segments}) == 1
    return mp4.Mp4(server.get(segments[0].map_url).body + b"".join(server.get(s.url).body for s in segments))
