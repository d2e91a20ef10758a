"""The whole server with a configuration, storage and state of its own; its msctl, HTTP, processes and log."""
import http.client
import json
import os
import pathlib
import signal
import ssl
import subprocess
import tempfile
import time
import urllib.parse

import pytest

import mp4
import tools
from tools import wait_for

STOP_S = 12.0
# What no log may hold: findings of the sanitizers, and broken invariants of ours.
FINDINGS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer", "runtime error: ", " failed at ")


def need_server():
    """Skips the test in a build without the server's programs."""
    for name in ("media-server", "ms-worker", "ms-keeper", "ms-httpd", "ms-picture", "ms-luahost", "ms-connector", "ms-courier", "msctl"):
        if not (tools.BUILD / "bin" / name).exists():
            pytest.skip(f"no {name} in {tools.BUILD}/bin")


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def __getitem__(self, name):
        return self.headers.get(name)

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)


class MediaServer:
    """MediaServer({"cam1": {"stream-url": url, ...}}, record=True) as a context. Keys of a stream are those of its file.
    sections: further lines for sections of media-server.ini, {"server": {...}, "server/stream": {...}, "dvr": {...}}."""

    def __init__(self, streams=None, record=False, sections=None, storages=None, start=True):
        self.dir = tempfile.TemporaryDirectory(prefix="ms-e2e-")
        self.path = pathlib.Path(self.dir.name)
        self.path.chmod(0o755)  # processes of other users find their way in
        self.record = record
        self.streams_conf = {}
        self.web_port, self.module_port, self.rtsp_port = tools.free_port(), tools.free_port(), tools.free_port()
        self.scheme = "http"  # of the viewers' listener; "https": whatever certificate it has
        self.storages = storages or {"default": str(self.path / "storage")}
        for s in self.storages.values():
            pathlib.Path(s).mkdir(parents=True, exist_ok=True)
        self.sections = {
            "server": {"state-dir": self.path / "state"},
            "server/stream": {"enable": "web, rtsp", "web": f"127.0.0.1:{self.web_port}:/", "rtsp": f"127.0.0.1:{self.rtsp_port}:/", "reconnect-timeout": "1s"},
            "server/module": {"listen": f"127.0.0.1:{self.module_port}"},
            "dvr": {"dvr-sync": "1s"},
            "streams": {"include": "streams/*.ini"},
            "storages": self.storages,
        }
        for name, keys in (sections or {}).items():
            self.sections.setdefault(name, {}).update(keys)
        (self.path / "state").mkdir()
        (self.path / "streams").mkdir()
        self.write_ini()
        for uid, keys in (streams or {}).items():
            self.write_stream(uid, keys)
        self.log_path = self.path / "log"
        self.process = None
        self.command = [str(tools.BUILD / "bin" / "media-server")]
        self.expects_signals = False  # the test sends SIGSEGV or SIGABRT, which the sanitizers report
        if start:
            self.start()

    # --- configuration ---

    @property
    def ini(self):
        return self.path / "media-server.ini"

    def write_ini(self):
        lines = []
        for name, keys in sorted(self.sections.items()):  # a section stands below its own
            depth = name.count("/") + 1
            lines.append("[" * depth + name.rsplit("/", 1)[-1] + "]" * depth)
            lines += [f"{k} = {v}" for k, v in keys.items()]
        self.ini.write_text("\n".join(lines) + "\n")

    def write_stream(self, uid, keys):
        """Writes streams/<uid>.ini; a string is the URL."""
        keys = {"stream-url": keys} if isinstance(keys, str) else dict(keys)
        if self.record:
            keys.setdefault("dvr-enable", "true")
        keys["stream-url"] = f'"{keys["stream-url"]}"'
        keys.setdefault("stream-tracks", "video, audio")
        self.streams_conf[uid] = keys
        text = f"[{uid}]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items())
        (self.path / "streams" / f"{uid}.ini").write_text(text)

    def remove_stream(self, uid):
        del self.streams_conf[uid]
        (self.path / "streams" / f"{uid}.ini").unlink()

    # --- life ---

    def start(self):
        self.log_file = open(self.log_path, "ab")
        self.process = subprocess.Popen([*self.command, "-c", str(self.ini)], stdout=self.log_file, stderr=subprocess.STDOUT)
        wait_for("the server answers", self._answers, timeout=10)

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"media-server ended with {self.process.returncode}\n{self.log()}")
        return self.msctl("status", ok=False).returncode == 0

    def stop(self):
        """SIGTERM; returns the exit code. No process of ours may be left."""
        if self.process is None:
            return 0
        kin = self.family()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_S * tools.SLOW)
        except subprocess.TimeoutExpired:
            code = None
            self.process.kill()
            self.process.wait()
        left = [pid for pid in kin if tools.alive(pid)]
        if left:
            try:
                wait_for("the children end with the master", lambda: not [p for p in left if tools.alive(p)], timeout=4)
            except tools.Late:
                code = None
        for pid in kin:
            if tools.alive(pid):
                os.kill(pid, signal.SIGKILL)
        self.process = None
        self.log_file.close()
        assert code is not None, f"the server did not end within {STOP_S} s"
        return code

    def close(self):
        try:
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError(f"media-server had ended with {self.process.returncode}")
            self.stop()
            found = [line for line in self.log().splitlines() if any(f in line for f in FINDINGS)]
            assert self.expects_signals or not found, "\n".join([*found[:10], self.log()[-6000:]])
        finally:
            self.dir.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def logged(self, words):
        """The newest line of the log that has these words, once there is one."""
        return wait_for(f"the log has {words}", lambda: next((line for line in reversed(self.log().splitlines()) if words in line), None))

    def audit_log(self):
        """What audit.log holds once its newest line is on the disk (a thread of its own writes it)."""
        path, newest = self.path / "state" / "audit.log", self.rows("audit")[0]["seq"]
        return wait_for("audit.log is written", lambda: path.exists() and f'"seq":{newest},' in (text := path.read_text()) and text)

    def shown(self):
        """For a failure: title and the end of the log."""
        return f"log of {self.path}", self.log()[-8000:]

    # --- msctl ---

    def msctl(self, *args, ok=True, timeout=10):
        return tools.run(tools.BUILD / "bin" / "msctl", "-s", self.path / "state" / "control.sock", *args, ok=ok, timeout=timeout)

    def rows(self, *args):
        """Rows of a command as dicts."""
        out = self.msctl("--json", *args).stdout
        try:
            rows = json.loads(out)
        except ValueError:
            rows = [json.loads(line) for line in out.splitlines() if line.strip()]
        return rows if isinstance(rows, list) else [rows]

    def status(self):
        return self.rows("status")[0]

    def streams(self):
        return {r["uid"]: r for r in self.rows("streams")}

    def stream(self, uid):
        return self.streams()[uid]

    def wait_state(self, uid, state="active", timeout=15):
        def reached():
            row = self.stream(uid)
            return row if row["state"] == state else None

        return wait_for(f"{uid} is {state}", reached, timeout)

    def wait_recording(self, *uids, timeout=15):
        wait_for(f"{uids} record", lambda: all(self.stream(u).get("record") == "on" for u in uids), timeout)

    def wait_frames(self, uid, more=25, timeout=15):
        """So many frames more than now."""
        before = self.stream(uid).get("frames", 0)
        wait_for(f"{more} frames of {uid}", lambda: self.stream(uid).get("frames", 0) >= before + more, timeout)

    def reload(self):
        return self.msctl("reload")

    # --- processes ---

    def family(self):
        """{pid: name} of the children of the master, and of theirs."""
        parents, names = {}, {}
        for d in pathlib.Path("/proc").iterdir():
            if not d.name.isdigit():
                continue
            try:
                stat = (d / "stat").read_text()
                parents[int(d.name)] = int(stat.rsplit(")", 1)[1].split()[1])
                names[int(d.name)] = (d / "cmdline").read_bytes().split(b"\0")[0].decode()
            except (FileNotFoundError, ProcessLookupError):
                continue
        found, todo = {}, [self.process.pid]
        while todo:
            pid = todo.pop()
            kids = [p for p, parent in parents.items() if parent == pid and tools.alive(p)]
            found |= {k: names[k].rsplit("/", 1)[-1] for k in kids}
            todo += kids
        return found

    def pid(self, uid):
        """The worker of a stream."""
        return self.stream(uid)["pid"]

    def kill(self, uid, signo=signal.SIGKILL):
        """Kills the worker of a stream; returns the pid it had and a function that waits for the next one."""
        old = self.pid(uid)
        os.kill(old, signo)

        def wait_new(timeout=10):
            return wait_for(f"a new worker of {uid}", lambda: (p := self.pid(uid)) and p != old and p, timeout)

        return old, wait_new

    # --- HTTP ---

    def url(self, path):
        return urllib.parse.urljoin(f"{self.scheme}://127.0.0.1:{self.web_port}/", path)

    def get(self, url, method="GET", headers=None, body=None, timeout=15, status=200):
        """One request on a connection of its own; status None: any."""
        u = urllib.parse.urlsplit(self.url(url))
        if u.scheme == "https":
            c = http.client.HTTPSConnection(u.hostname, u.port, timeout=timeout * tools.SLOW, context=ssl._create_unverified_context())
        else:
            c = http.client.HTTPConnection(u.hostname, u.port, timeout=timeout * tools.SLOW)
        try:
            c.request(method, u.path + (f"?{u.query}" if u.query else ""), body, headers or {})
            r = c.getresponse()
            a = Answer(r.status, r.headers, r.read())
        finally:
            c.close()
        assert status is None or a.status == status, f"{method} {url}: {a.status} {a.body[:300]!r}"
        return a

    def text(self, url, **kw):
        return self.get(url, **kw).text

    # --- what was recorded ---

    def segments(self, uid, storage="default"):
        """Segment files of a stream, oldest first."""
        return sorted(pathlib.Path(self.storages[storage], uid, "records").rglob("*.mp4"))

    def recorded(self, uid, handler="vide", storage="default", growing=True):
        """All recorded samples of a stream, over its segments."""
        found = []
        for path in self.segments(uid, storage):
            found += mp4.Mp4(path.read_bytes(), growing).of(handler)
        return found

    def indexed(self, uid):
        """How many segments of a stream are in the indexes."""
        return sum(r["segments"] for r in self.rows("archive", "list", uid))

    def close_segments(self, n, *uids, frames=25):
        """n closed segments of each stream, of so many frames at least: a worker that ends closes its own."""
        for done in range(1, n + 1):
            self.wait_recording(*uids)
            for uid in uids:
                self.wait_frames(uid, frames)
                self.msctl("restart", uid)
            wait_for("segments are in the index", lambda: all(self.indexed(uid) >= done for uid in uids), timeout=20)

    def ranges(self, uid, since=0, until=None, starting=False):
        """recording_status.json: [(from, duration)]; starting: none while the archive cannot be read yet (503)."""
        until = until or int(time.time()) + 60
        a = self.get(f"{uid}/recording_status.json?from={int(since)}&to={int(until)}&request=ranges", status=None)
        if starting and a.status == 503:
            return []
        assert a.status == 200, f"{a.status} {a.body[:300]!r}"
        return [(r["from"], r["duration"]) for r in a.json()[0]["ranges"]]
