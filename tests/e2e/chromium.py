"""Pages in Chromium: steps that browser/drive.mjs runs, and what came of them."""
import json
import pathlib
import shutil
import subprocess
import urllib.parse

import tools

HERE = pathlib.Path(__file__).resolve().parent / "browser"
SHOTS = tools.BUILD / "shots"
CHROMIUM = shutil.which("chromium")
PLAYWRIGHT = (HERE / "node_modules" / "playwright-core").is_dir()


def usable():
    return bool(CHROMIUM and shutil.which("node") and PLAYWRIGHT)


def browse(url, *steps, timeout=90, clean=True, expected=(), **job):
    """Runs the steps; the results of each. The page may ask no other host. clean: it may say nothing on its console but what is expected."""
    SHOTS.mkdir(exist_ok=True)
    job |= {"url": url, "steps": steps, "browser": CHROMIUM, "failed": str(SHOTS / "failed.png")}
    p = subprocess.run(["node", str(HERE / "drive.mjs")], input=json.dumps(job), capture_output=True, text=True, timeout=timeout * tools.SLOW)
    assert p.returncode == 0, p.stderr[-4000:]
    got = json.loads(p.stdout)
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
