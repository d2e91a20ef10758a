"""EXT-X-GAP in hls.js: the playlist's time is the clock's, and playback goes over the hole."""
import time

import pytest

from chromium import browse
from test_browser import pytestmark  # noqa: F401  (the same programs are needed)
from tools import wait_for

PLAY = """(async () => {
  const Hls = (await import('../cpanel/lib/hls.light.min.mjs')).default;
  const video = document.createElement('video');
  video.muted = true;
  document.body.append(video);
  const hls = new Hls({ enableWorker: false });
  const fatal = [];
  hls.on(Hls.Events.ERROR, (_, e) => e.fatal && fatal.push(e.details));
  hls.loadSource('%s');
  hls.attachMedia(video);
  await new Promise((done) => { video.addEventListener('loadeddata', done, { once: true }); setTimeout(done, 20000); });
  await video.play();
  video.playbackRate = 2;
  const until = Date.now() + 120000;
  while (!video.ended && Date.now() < until) await new Promise((done) => setTimeout(done, 200));
  return { at: video.currentTime, length: video.duration, ended: video.ended, fatal, gaps: performance.getEntriesByType('resource').filter((r) => r.name.endsWith('gap.m4s')).length };
})()"""


@pytest.mark.limit(150)
def test_hls_js_goes_over_a_gap_that_is_listed(server, camera):
    cam = camera(dict(source=["small.h264", "audio.aac"]))
    s = server({"cam": {"stream-url": cam.url(), "dvr-chunk": "10s"}}, record=True)
    s.wait_state("cam")
    wait_for("an archive", lambda: s.ranges("cam") and s.ranges("cam")[0][1] >= 8, timeout=40)
    start = int(s.ranges("cam")[0][0])
    cam.set("cam0", freeze=1)
    cam.do("rst", name="cam0")
    time.sleep(4)  # the length of the outage
    cam.set("cam0", freeze=0)
    wait_for("two stretches", lambda: len(s.ranges("cam")) == 2 and s.ranges("cam")[1][1] >= 8, timeout=40)
    wide = sum(s.ranges("cam")[1]) - start
    got = browse(s.url("cam/embed.html"), {"playing": 20000}, {"eval": PLAY % f"archive-{start}-{wide}.m3u8?gap=1"}, timeout=150, clean=False)[1]
    assert got["ended"] and not got["fatal"] and got["gaps"] == 0, got
    assert abs(got["length"] - wide) < 6 and got["at"] > wide - 6, got
