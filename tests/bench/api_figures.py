"""What the API costs: a thousand streams by one call, and their list again and again."""
import http.client
import json
import time

import measure
from server import MediaServer
from tools import wait_for

STREAMS = 1000
SECRET = {"server/stream": {"auth-secret": '"a secret of the bench"'}}


def line(text):
    print(f"   {text}", flush=True)


class Caller:
    """One kept connection, as a cpanel has."""

    def __init__(self, server):
        self.conn = http.client.HTTPConnection("127.0.0.1", server.module_port, timeout=60)
        wait_for("the API's scripts run", lambda: self.call("v3/streams")[0] == 401 and self.call("streams/")[0] == 403)
        self.token = json.loads(self.call("auth/token/api/", "POST", {"client": "bench", "duration": 0})[1])

    def call(self, path, method="GET", body=None):
        headers = {"Authorization": self.token} if hasattr(self, "token") else {}
        self.conn.request(method, f"/api/{path}", body if body is None else json.dumps(body), headers)
        r = self.conn.getresponse()
        return r.status, r.read()

    def ms(self, *args):
        since = time.monotonic()
        status, body = self.call(*args)
        assert status == 200, body[:300]
        return (time.monotonic() - since) * 1000


def cameras():
    return [{"uid": f"cam-{i:04}", "config": {"stream-url": f"rtsp://user:password{i}@127.0.0.1:1/Streaming/Channels/{i}", "stream-name": f"Camera {i}",
                                              "camera-uid": f"c{i}", "stream-enable": False}} for i in range(STREAMS)]


def api(scale):
    """1,000 streams by one bulk call, stored and accepted, bar 5 s; their list, p99, bar 20 ms"""
    with MediaServer({}, sections=SECRET) as server:
        caller = Caller(server)
        made = caller.ms("v3/streams", "PUT", {"items": cameras()}) / 1000
        assert len(list((server.path / "streams").glob("*.ini"))) == STREAMS
        line(f"1,000 streams made by one call: {made:.2f} s")
        lists = []
        for _ in range(100 if scale.window_s < 10 else 1000):
            lists.append(caller.ms("v3/streams?limit=1000"))
            time.sleep(0.02)  # every twenty-fifth is made anew: what the server has is half a second old at most
        line(f"their list: p50 {measure.percentile(lists, 50):.1f} ms, p99 {measure.percentile(lists, 99):.1f} ms, max {max(lists):.1f} ms of {len(lists)}")
        fields = [caller.ms("v3/streams?limit=1000&select=uid,state&sort=-since") for _ in range(50)]
        line(f"two fields of them, sorted: p50 {measure.percentile(fields, 50):.1f} ms")
    return {"made_s": made, "list_ms": {"p50": measure.percentile(lists, 50), "p99": measure.percentile(lists, 99)}, "fields_ms": {"p50": measure.percentile(fields, 50)}}
