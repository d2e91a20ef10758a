"""Fixtures of the cluster's tests: those of tests/e2e, and how often the long ones do it."""
import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

E2E = pathlib.Path(__file__).resolve().parents[1] / "e2e"
sys.path.insert(0, str(E2E))
spec = importlib.util.spec_from_file_location("e2e_conftest", E2E / "conftest.py")
e2e = importlib.util.module_from_spec(spec)
spec.loader.exec_module(e2e)
limit, disk_image, pytest_configure, pytest_terminal_summary, pytest_runtest_makereport = (
    e2e.limit, e2e.disk_image, e2e.pytest_configure, e2e.pytest_terminal_summary, e2e.pytest_runtest_makereport)


@pytest.fixture(autouse=True, scope="session")
def namespaces():
    """One is made, with a rule, before any test relies on them."""
    name = f"msc{os.getpid()}t"
    made = [subprocess.run(words, capture_output=True, timeout=20, check=False).returncode
            for words in (["ip", "netns", "add", name], ["ip", "netns", "exec", name, "nft", "add table inet t"], ["ip", "netns", "del", name])]
    if any(made):
        pytest.skip("no network namespaces here")


@pytest.fixture(scope="session")
def rounds():
    return int(os.environ.get("MS_CLUSTER_ROUNDS", "1"))
