"""Webhooks: what happens is told, once each and in order, signed, again until it is taken."""
import hashlib
import hmac
import http.server
import json
import os
import signal
import threading
import time

import pytest

from camera import Camera
from server import MediaServer, need_server
from tools import wait_for

SECRET = "the key # of it"


class Receiver:
    """Takes POSTs; `status` is answered. requests: (status, body, headers) of each."""

    def __init__(self):
        self.requests, self.status, me = [], 200, self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                me.requests.append((me.status, body, dict(self.headers)))
                self.send_response(me.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://user:planted@127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def taken(self):
        """Events of the requests that were taken, each number once."""
        seen = {}
        for status, body, _ in list(self.requests):
            if status == 200:
                for e in json.loads(body):
                    seen.setdefault((e["pid"], e["seq"]), e)
        return list(seen.values())

    def find(self, event, **data):
        return [e for e in self.taken() if e["event"] == event and all(e["data"].get(k) == v for k, v in data.items())]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def site():
    need_server()
    receiver = Receiver()
    with Camera(dict(group="cam", streams=2)) as cam:
        sections = {"server": {"cluster-controller": receiver.url, "cluster-controller-secret": f'"{SECRET}"', "node-host": "n7"}}
        with MediaServer({"gate": cam.url("cam0")}, record=True, sections=sections) as server:
            yield server, cam, receiver
    receiver.close()


def test_what_is_told(site):
    server, cam, receiver = site
    wait_for("it is up", lambda: receiver.find("service:up"))
    wait_for("a camera", lambda: receiver.find("stream:state", uid="gate", state="active"), timeout=15)
    wait_for("its recording", lambda: receiver.find("stream:dvr", uid="gate", state="on"), timeout=15)
    server.write_stream("yard", cam.url("cam1"))
    server.reload()
    wait_for("a new one", lambda: receiver.find("stream:create", uid="yard"))
    server.remove_stream("yard")
    server.reload()
    wait_for("which goes", lambda: receiver.find("stream:delete", uid="yard"))
    server.msctl("event", "gate", "door", "--payload", 'badge "17"')
    begun = wait_for("an event", lambda: receiver.find("camera:event", uid="gate", kind="door"))[0]["data"]
    assert begun["payload"] == 'badge "17"' and begun["source"] == "call" and "end" not in begun
    server.msctl("event", "gate", "door", "--end", "now")
    ended = wait_for("its end", lambda: [e for e in receiver.find("camera:event", id=begun["id"]) if "end" in e["data"]])[0]["data"]
    assert ended["end"] >= begun["start"]
    events = receiver.taken()
    assert [e["seq"] for e in events] == list(range(1, len(events) + 1)), "in order, none is missing"
    assert all(e["device"] == "mediaserver" and e["server"] == "n7" and e["pid"] == server.process.pid for e in events)


def test_deleted_footage_is_told(site):
    server, _, receiver = site
    server.close_segments(1, "gate")
    server.msctl("archive", "delete", "gate", "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z")
    told = wait_for("what has gone", lambda: receiver.find("stream:dvr:delete", uid="gate"))[0]["data"]
    assert told["segments"] >= 1 and told["bytes"] > 10000 and time.time() - 600 < told["from"] < told["to"] < time.time() + 5


def test_signed_and_in_batches(site):
    _, _, receiver = site
    for _, body, headers in receiver.requests:
        assert headers["X-Signature"] == "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        assert headers["Content-Type"] == "application/json" and 1 <= len(json.loads(body)) <= 50


def test_again_until_it_is_taken(site):
    """Refused for a while, httpd killed meanwhile: everything comes in the end, in order, in batches."""
    server, _, receiver = site
    receiver.status = 503
    before = len(receiver.requests)
    for i in range(60):
        server.msctl("event", "gate", f"kind-{i}", "--start", "now", "--end", "now")
    wait_for("it is refused", lambda: len(receiver.requests) >= before + 2, timeout=15)
    httpd = next(p for p, name in server.family().items() if name == "ms-httpd")
    server.expects_signals = True
    os.kill(httpd, signal.SIGKILL)
    receiver.status = 200
    wait_for("all of them", lambda: all(receiver.find("camera:event", kind=f"kind-{i}") for i in range(60)), timeout=40)
    events = receiver.taken()
    assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
    assert max(len(json.loads(body)) for _, body, _ in receiver.requests) == 50
    assert server.logged("webhooks-refused") and server.logged("webhooks-taken")


def test_no_secret_is_told(site):
    server, _, _ = site
    assert "planted" not in server.log() and SECRET not in server.log()


def test_the_end_is_told(site):
    server, _, receiver = site
    server.stop()
    wait_for("its end", lambda: receiver.find("service:down"))
    server.start()
    wait_for("it is up again", lambda: len(receiver.find("service:up")) == 2)
