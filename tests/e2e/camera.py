"""ms-camera as a context: starts it, speaks with its control socket, reads its truth."""
import json
import socket
import subprocess
import tempfile

import tools


class Camera:
    """Camera(dict(group="cam", streams=2, source=["cam.h264", "audio.aac"], auth="digest-md5", user="u", password="p"), ...)

    Each dict is a group; "source" names files of the media folder or paths, other keys are options and knobs, with "_"
    for "-". Without a group a single camera "cam" with small.h264 is started. within: words before the command, such as
    those of a network namespace."""

    def __init__(self, *groups, port=0, within=(), address="127.0.0.1"):
        self.groups = [dict(g) for g in groups] or [{}]
        self.dir = tempfile.TemporaryDirectory(prefix="camera-")
        self.control_path = f"{self.dir.name}/control"
        self.address = address
        args = [*within, str(tools.BUILD / "bin" / "ms-camera"), "--bind", address, "--port", str(port), "--control", self.control_path]
        for i, g in enumerate(self.groups):
            g.setdefault("group", "cam" if i == 0 else f"cam{chr(ord('a') + i)}")
            args += self._group_args(dict(g))
        self.log = open(f"{self.dir.name}/log", "w+")
        self.process = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            raise OSError(f"ms-camera did not start: {self.log.read()}")
        self.port = json.loads(line)["port"]
        self.socket = None

    @staticmethod
    def _group_args(g):
        args = ["--group", g.pop("group")]
        sources = g.pop("source", ["small.h264"])
        for s in [sources] if isinstance(sources, str) else sources:
            args += ["--source", s if "/" in s else tools.media(s)]
        if "password" in g:
            g["pass"] = g.pop("password")
        for key, value in g.items():
            args += [f"--{key.replace('_', '-')}", str(value)]
        return args

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.socket:
            self.socket.close()
            self.socket = None
        code = tools.stop(self.process)
        self.process.stdout.close()
        self.log.seek(0)
        errors = self.log.read()
        self.log.close()
        self.dir.cleanup()
        assert code == 0, f"ms-camera ended with {code}\n{errors}"

    def command(self, line):
        """One command, its answer as Python values."""
        if self.socket is None:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(10 * tools.SLOW)
            self.socket.connect(self.control_path)
            self.answers = self.socket.makefile("r")
        self.socket.sendall(f"{line}\n".encode())
        answer = json.loads(self.answers.readline())
        if isinstance(answer, dict) and "error" in answer:
            raise ValueError(f"{line}: {answer['error']}")
        return answer

    def set(self, name="*", **knobs):
        for knob, value in knobs.items():
            self.command(f"set {name} {knob.replace('_', '-')} {value}")

    def do(self, action, arg="", name="*"):
        return self.command(f"do {name} {action} {arg}".rstrip())

    def stats(self, name=""):
        return self.command(f"stats {name}".rstrip())

    def reset(self, name="*"):
        self.command(f"reset {name}")

    def truth(self, name, track=0):
        """The access units of a track: a list of {"au", "key", "pts", "bytes", "sha1"}."""
        path = f"{self.dir.name}/truth-{name}-{track}"
        self.command(f"truth {name} {track} {path}")
        with open(path) as f:
            return [json.loads(line) for line in f]

    def log_sent(self, name):
        """Logs what streams whose name begins so send; returns a function that gives what was logged so far."""
        path = f"{self.dir.name}/sent-{name}"
        self.command(f"log {name} {path}")

        def read():
            with open(path) as f:
                return [json.loads(line) for line in f if line.endswith("\n")]

        return read

    def url(self, name="cam0", login=True, scheme="rtsp"):
        """URL with the login of the stream's group."""
        user = ""
        for g in self.groups:
            if login and name.startswith(g["group"]) and "user" in g:
                user = f"{g['user']}:{g.get('password', '')}@"
        return f"{scheme}://{user}{self.address}:{self.port}/{name}"
