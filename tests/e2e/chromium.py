"""Pages in Chromium: steps that browser/drive.mjs runs, and what came of them."""
import atexit
import contextlib
import json
import pathlib
import shutil
import subprocess
import tempfile
import threading
import urllib.parse

import tools

HERE = pathlib.Path(__file__).resolve().parent / "browser"
SHOTS = tools.BUILD / "shots"
CHROMIUM = shutil.which("chromium")
PLAYWRIGHT = (HERE / "node_modules" / "playwright-core").is_dir()


def usable():
    return bool(CHROMIUM and shutil.which("node") and PLAYWRIGHT)


class Driver:
    """browser/drive.mjs with one Chromium, for all pages of this run: to start one for each would cost more than most pages do.
    within: words before its command, such as those of a network namespace."""

    def __init__(self, within=()):
        self.said = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([*within, "node", str(HERE / "drive.mjs"), CHROMIUM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.said, text=True)

    def run(self, job, timeout, calls):
        """The answer, within so many seconds. calls: what {"call": n} of a step is."""
        late = threading.Timer(timeout, self.process.kill)
        late.start()
        try:
            self.say(json.dumps(job))
            while "call" in (answer := json.loads(self.process.stdout.readline() or "null") or {}):
                calls[answer["call"]]()
                self.say("")
        finally:
            late.cancel()
        if not answer:
            self.said.seek(0)
            raise RuntimeError(f"no answer within {timeout} s, or the browser has ended:\n{self.said.read()[-4000:]}")
        return answer

    def say(self, line):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def close(self):
        """What the browser still does is of no use to anybody."""
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


driver = None


@atexit.register
def end_driver():
    global driver
    if driver:
        driver.close()
    driver = None


def ask(job, timeout, calls=()):
    """One job. A driver that was interrupted, or has died, is replaced with the next one."""
    global driver
    driver = driver or Driver()
    try:
        return driver.run(job, timeout, calls)
    except BaseException:
        driver.process.kill()
        end_driver()
        raise


def browse(url, *steps, timeout=90, clean=True, expected=(), via=None, **job):
    """Runs the steps; the results of each. via: a driver of the caller's own. The page may ask no other host. clean: it may say nothing on its console but what is expected.
    {"call": function} is a step of ours between those of the page."""
    SHOTS.mkdir(exist_ok=True)
    calls = [step["call"] for step in steps if "call" in step]
    steps = [{"call": calls.index(step["call"])} if "call" in step else step for step in steps]
    job |= {"url": url, "steps": steps, "failed": str(SHOTS / "failed.png"), "slow": tools.SLOW}
    got = via.run(job, timeout * tools.SLOW, calls) if via else ask(job, timeout * tools.SLOW, calls)
    assert got["failure"] is None, f"{got['failure']}\n{got['errors']}\n(see {SHOTS}/failed.png)"
    host = urllib.parse.urlsplit(url).netloc
    strangers = [r for r in got["requests"] if not r.startswith("blob:") and urllib.parse.urlsplit(r).netloc != host]
    assert not strangers
    if clean:
        unexpected = [e for e in got["errors"] if not any(part in e for part in expected)]
        assert not unexpected, unexpected
    return got["steps"]


def shot(name):
    return {"shot": str(SHOTS / f"{name}.png")}
