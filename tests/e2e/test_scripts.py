"""The scripts that judge the tree: what they let pass and what they refuse."""
import json
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def check_skips(tmp_path, text):
    log = tmp_path / "log"
    log.write_text(text)
    return subprocess.run([ROOT / "scripts" / "check-skips", log], capture_output=True, text=True, timeout=30)


def test_a_skip_that_may_be_is_listed(tmp_path):
    done = check_skips(tmp_path, "SKIPPED test_storage.py::test_full: cannot mount: no loop device\nSKIPPED media/test_h264::test_x: no corpora\n")
    assert done.returncode == 0, done.stdout
    assert "skipped test_storage.py::test_full: cannot mount: no loop device (no loop mounts in this container)" in done.stdout
    assert len(done.stdout.splitlines()) == 2


def test_any_other_skip_fails(tmp_path):
    for line in (
        "SKIPPED test_browser.py::test_live: no chromium",
        "SKIPPED archive/test_segment::test_x: no ffmpeg with libx264",
        "SKIPPED ring/test_ring::test_x: no reason is given",
        "SKIPPED test_http_media.py::test_gst: cannot mount: not that one's reason",
    ):
        done = check_skips(tmp_path, "SKIPPED media/test_h264::test_x: no corpora\n" + line + "\n")
        assert done.returncode == 1, line
        assert line.removeprefix("SKIPPED ") + " (MAY NOT BE" in done.stdout
    assert check_skips(tmp_path, "639 passed\n").returncode == 0


def verdicts(**results):
    """{what: verdict} of the bench's table."""
    code = "import bars, json, sys; print(json.dumps(bars.verdicts(json.loads(sys.argv[1]))))"
    env = {"PYTHONPATH": f"{ROOT}/tests/bench:{ROOT}/tests/e2e", "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(["/usr/bin/python3", "-c", code, json.dumps(results)], capture_output=True, text=True, check=True, timeout=30, env=env)
    return {(r["figure"], r["what"]): r["verdict"] for r in json.loads(done.stdout)}


def test_a_figure_has_its_verdict():
    found = verdicts(
        ingest={"frame": {"median": 0.22}},
        record={"failed": "no disk"},
        growth={"50": {"median": 0.2}, "200": {"median": 0.3}},
        kill={"handshake_ms": [2.0] * 97 + [30.0] * 3, "missing_of_ring": 1, "harm_to_others": 0},
    )
    assert found["ingest", "CPU for capturing"] == "met"
    assert {v for (figure, _), v in found.items() if figure == "record"} == {"failed"}
    assert found["growth", "cost at 200 cameras against 50"] == "not met"
    assert [v for (figure, _), v in found.items() if figure == "kill"] == ["not met", "not met", "met"]
    assert {v for (figure, _), v in found.items() if figure in ("stop", "start", "picture")} == {"skipped"}
