"""An etcd-server of this test alone, in a network's hub; its gateway asked by curl."""
import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile

from tools import wait_for

PROGRAM = "/usr/bin/etcd"


def b64(text):
    return base64.b64encode(text.encode()).decode()


class Etcd:
    def __init__(self, within, address):
        self.within, self.url, self.process = within, f"http://{address}:2379", None
        self.token = 1  # of the cluster: with the same one it would have the same cluster_id
        self.dir = tempfile.mkdtemp(prefix="ms-etcd-")
        self.start()

    def start(self):
        peer = "http://127.0.0.1:2380"
        words = [PROGRAM, "--data-dir", self.dir, "--listen-client-urls", self.url, "--advertise-client-urls", self.url, "--listen-peer-urls", peer,
                 "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}", "--initial-cluster-token", f"site-{self.token}"]
        # `ip netns exec` becomes etcd: the process is the one that is killed
        self.process = subprocess.Popen([*self.within, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("etcd answers", lambda: "header" in self.ask("kv/range", {"key": b64("x")}, ok=False), 20)

    def anew(self):
        """Another cluster at the same place: nothing of what was is there."""
        self.kill()
        shutil.rmtree(self.dir)
        os.mkdir(self.dir, 0o700)
        self.token += 1
        self.start()

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    def ask(self, path, body, ok=True):
        words = [*self.within, "curl", "-s", "--max-time", "5", f"{self.url}/v3/{path}", "-d", json.dumps(body)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=ok)
        try:
            return json.loads(done.stdout)
        except ValueError:
            return {}

    def put(self, key, text):
        assert "header" in self.ask("kv/put", {"key": b64(key), "value": b64(text)})

    def put_all(self, values, at_once=100):
        """By transactions of so many."""
        todo = list(values.items())
        for i in range(0, len(todo), at_once):
            puts = [{"request_put": {"key": b64(k), "value": b64(v)}} for k, v in todo[i:i + at_once]]
            assert self.ask("kv/txn", {"success": puts}).get("succeeded")

    def delete_below(self, prefix):
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        assert "header" in self.ask("kv/deleterange", {"key": b64(prefix), "range_end": b64(end)})

    def delete(self, key):
        assert "header" in self.ask("kv/deleterange", {"key": b64(key)})

    def get(self, key):
        """(value, create_revision), or None."""
        kvs = self.ask("kv/range", {"key": b64(key)}).get("kvs")
        return (base64.b64decode(kvs[0].get("value", "")).decode(), int(kvs[0]["create_revision"])) if kvs else None
