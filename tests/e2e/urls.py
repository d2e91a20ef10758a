"""Every URL that viewers and scripts of the original and of Flussonic use, with the issue that owes it.

1: the house, 2: the archive, 3: viewers. {uid} a recorded stream, {from} unix seconds of recorded footage, {duration} seconds,
{now} unix seconds. Rows of issues that are done must answer as `kind` says; the others must refuse without harm."""
import dataclasses

DONE = {1, 2, 3}


@dataclasses.dataclass
class Url:
    path: str
    issue: int
    kind: str  # master, media, ts-hls, ts, live-mp4, mp4, json, html, jpeg, ws, rtsp, push
    what: str = ""

    @property
    def done(self):
        return self.issue in DONE


ORIGINAL = [
    Url("live/{uid}/playlist.m3u8", 1, "master", "live HLS"),
    Url("live/{uid}/playlist_ios.m3u8", 1, "master", "live HLS"),
    Url("dvr/{uid}/playlist.m3u8?timestamp={from}&duration={duration}", 1, "media", "archive HLS"),
    Url("dvr/{uid}/playlist_ios.m3u8?timestamp={from}&duration={duration}", 1, "media", "archive HLS"),
    Url("dvr/{uid}/record.mp4?timestamp={from}&duration={duration}", 2, "mp4", "export"),
    Url("live/{uid}/preview.mp4", 1, "mp4", "last live key frame"),
    Url("dvr/{uid}/screenshot.mp4?timestamp={from}", 2, "mp4", "frame of the archive"),
    Url("rtsp:live/{uid}/", 3, "rtsp", "RTSP live"),
    Url("publish:{uid}/", 3, "push", "a camera pushes"),
    Url("rtsp:dvr/{uid}/?timestamp={from}", 3, "rtsp", "RTSP archive"),
]
FLUSSONIC = [
    Url("{uid}/index.m3u8", 1, "master", "live"),
    Url("{uid}/video.m3u8", 1, "media", "live"),
    Url("{uid}/mono.m3u8", 1, "media", "live"),
    Url("{uid}/archive-{from}-{duration}.m3u8", 1, "media", "archive"),
    Url("{uid}/index-{from}-{duration}.m3u8", 1, "master", "archive"),
    Url("{uid}/archive-{from}-now.m3u8", 2, "media", "archive, growing"),
    Url("{uid}/rewind-60.m3u8", 2, "master", "archive up to now"),
    Url("{uid}/timeshift_abs-{from}.m3u8", 2, "master", "from a time on"),
    Url("{uid}/timeshift_rel-10.m3u8", 2, "master", "so many seconds late"),
    Url("{uid}/archive-{from}-{duration}.mp4", 2, "mp4", "export"),
    Url("{uid}/preview.mp4", 1, "mp4", "last live key frame"),
    Url("{uid}/preview.jpg", 2, "jpeg", "last live key frame"),
    Url("{uid}/{from}-preview.mp4", 2, "mp4", "frame of the archive"),
    Url("{uid}/{from}-preview.jpg", 2, "jpeg", "frame of the archive"),
    Url("{uid}/{from}.jpg", 2, "jpeg", "frame of the archive"),
    Url("{uid}/recording_status.json?from={from}&to={now}&request=ranges,locks", 1, "json", "what was recorded"),
    Url("{uid}/mse_ld", 3, "ws", "live over WebSocket"),
    Url("{uid}/embed.html", 1, "html", "player page"),
    Url("rtsp:{uid}", 3, "rtsp", "RTSP live"),
]
OURS = [
    Url("{uid}/index.ll.m3u8", 3, "master", "live, low latency"),
    Url("{uid}/video.ll.m3u8", 3, "media", "live, low latency"),
    Url("{uid}/mpegts.m3u8", 3, "ts-hls", "live for old players"),
    Url("{uid}/mpegts", 3, "ts", "endless MPEG-TS"),
    Url("{uid}/live.mp4", 1, "live-mp4", "endless fragmented MP4"),
    Url("{uid}/archive-{from}-now.mp4", 2, "mp4", "export up to now"),
    Url("{uid}/strip-{from}-{duration}-3.mp4", 2, "mp4", "key frames for a timeline"),
    Url("{uid}/strip-{from}-{duration}-3.json", 2, "strip", "when they were taken"),
]
ALL = ORIGINAL + FLUSSONIC + OURS


@dataclasses.dataclass
class Call:
    """A call of the first generation's API (compatibility.md 3), below /api/."""
    method: str
    path: str
    status: int = 200
    body: str | None = None


API = [
    Call("POST", "auth/token/api/", body='{"client": "a"}'),
    Call("POST", "auth/token/access/", body='{"uid": "rec"}'),
    Call("GET", "streams/"),
    Call("POST", "streams/{uid}/", body='{"stream-name": "a"}'),
    Call("GET", "streams/{uid}/"),
    Call("GET", "streams/{uid}/ping/"),
    Call("GET", "streams/{uid}/ranges/"),
    Call("PUT", "streams/{uid}/ondemand/?record=true", 409),  # its dvr-mode is another
    Call("PUT", "streams/{uid}/enable/?enable=true"),
    Call("PUT", "streams/{uid}/restart/"),
    Call("PUT", "streams/{uid}/reconfigure/"),
    Call("POST", "streams/{uid}/transfer/", 409, '{"target_primary": "1"}'),  # it works alone
    Call("GET", "streams/broadcast/"),
    Call("GET", "cluster/backups/"),
    Call("POST", "server/"),
    Call("DELETE", "streams/{uid}/?erase_dvr=true"),
]
