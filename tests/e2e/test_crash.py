"""Short forms of tests/crash: random kills, a power cut of ext4 and xfs, a disk that is full from the first start on."""
import os
import random
import sys

import pytest

import tools
from server import need_server

sys.path.insert(0, str(tools.ROOT / "tests" / "crash"))
import disks  # noqa: E402
import fleet  # noqa: E402
import full  # noqa: E402
import kill  # noqa: E402
import power  # noqa: E402

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to read rings")


@pytest.fixture
def seed():
    return int(os.environ.get("SEED") or random.randrange(1 << 31))


@pytest.fixture
def loop_devices():
    need_server()
    if why := disks.unusable():
        pytest.skip(why)


@root_only
@pytest.mark.slow
def test_random_kills(seed):
    need_server()
    kill.run(15, seed)


@pytest.mark.slow
def test_power_cut(loop_devices, seed):
    power.run(2, seed)


def test_full_from_the_first_start_on(loop_devices, seed):
    full.as_storage(1, random.Random(seed), print)


@root_only
def test_the_checks_find_faults():
    """A byte of a segment, a whole one, a frame: each is missed."""
    need_server()
    with fleet.Fleet(1) as f:
        f.server.wait_frames("cam0", 50)
        f.witness.look()
        assert f.server.stop() == 0
        f.check_whole()
        archive = f.archives["default"]
        path = archive.read()[0].path
        data = path.read_bytes()
        for damaged in (data[:4000] + bytes([data[4000] ^ 1]) + data[4001:], data[:-1], data[:2000]):
            path.write_bytes(damaged)
            archive.checked = {}
            with pytest.raises(AssertionError):
                archive.check_index(archive.index())
        path.unlink()
        with pytest.raises(AssertionError, match="no such file"):
            archive.check_index(archive.index())
        path.write_bytes(data)
        f.check_whole()
        last = max(f.witness.seen["cam0"])
        f.witness.seen["cam0"][last + 1] = f.witness.seen["cam0"][last]
        with pytest.raises(AssertionError, match="not recorded"):
            f.check_whole()
