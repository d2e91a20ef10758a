"""The scripts that judge the tree: what they let pass and what they refuse."""
import json
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def check_skips(tmp_path, text):
    log = tmp_path / "log"
    log.write_text(text)
    return subprocess.run([ROOT / "scripts" / "check-skips", log], capture_output=True, text=True, timeout=120)


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
    done = subprocess.run(["/usr/bin/python3", "-c", code, json.dumps(results)], capture_output=True, text=True, check=True, timeout=120, env=env)
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


def lint_sizes(tmp_path, text):
    source = tmp_path / "x.c"
    source.write_text(text)
    done = subprocess.run([ROOT / "scripts" / "lint-sizes", source], capture_output=True, text=True, timeout=120)
    return [line.split(": ", 1)[1] for line in done.stdout.splitlines() if line]


def test_parameters_and_nesting_have_ceilings(tmp_path):
    six = "static int f(int a, int b,\n    void (*c)(int, int), int d, int e, int g)\n{\n    return a;\n}\n"
    assert lint_sizes(tmp_path, six) == []
    assert lint_sizes(tmp_path, six.replace("int g)", "int g, int h)")) == ["f has 7 parameters, the ceiling is 6"]
    assert lint_sizes(tmp_path, six.replace("int g)", "int g, ...)")) == []
    body = "int f(void)\n{{\n    for (;;)\n        while (a(1, \"}}\")) {{\n            if (b) {{\n{0}            }}\n        }}\n}}\n"
    ladder = "                if (c) d(); else if (e) g(); else h();\n"
    assert lint_sizes(tmp_path, body.format(ladder)) == []
    for deeper in ("if (c) for (;;) d();\n", "EACH(x, y) { if (z) d(); }\n", "switch (c) { case 1: if (d) e(); break; default: break; }\n",
                   "do { if (c) d(); } while (e);\n", "if (c) d(); else { if (e) g(); }\n"):  # fmt: skip
        assert lint_sizes(tmp_path, body.format(deeper)) == ["f has 5 levels of nesting, the ceiling is 4"], deeper
    assert lint_sizes(tmp_path, body.format("s = (struct t){.a = {1, {2, {3}}}}; /* if (c) for (;;) { */\n")) == []
