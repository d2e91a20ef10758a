"""The scripts that judge the tree: what they let pass and what they refuse."""
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
