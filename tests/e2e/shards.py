"""Several runs of pytest that share one suite: each takes the next piece of work as soon as it is free.

--shard K/N --claims FILE: this is run K of N, and FILE, empty at first, is where the runs agree. A piece is one test, or
all tests that share a fixture of a module. Those marked `slow` go first, so that no run ends long after the others. Those
marked `heavy` (a browser, encoders) are run 1's alone: two at once would make simulated cameras late on two cores."""
import fcntl


def pieces(items):
    """[[item, ...], ...], the longest first; the same in every run."""
    by_key = {}
    for item in items:
        shared = [d.argname for defs in item._fixtureinfo.name2fixturedefs.values() for d in defs if d.scope == "module"]
        by_key.setdefault((item.location[0], *sorted(shared)) if shared else item.nodeid, []).append(item)
    return sorted(by_key.values(), key=lambda piece: -sum(40 if i.get_closest_marker("slow") else 1 for i in piece))


class Claims:
    """The pieces that no run has taken yet."""

    def __init__(self, path, all_pieces, with_heavy):
        self.path = path
        heavy = {n for n, piece in enumerate(all_pieces) if any(i.get_closest_marker("heavy") for i in piece)}
        light = [n for n in range(len(all_pieces)) if n not in heavy]
        self.order = (sorted(heavy) if with_heavy else []) + light
        self.pieces = all_pieces

    def take(self):
        """The next piece, or None."""
        with open(self.path, "r+") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            taken = {int(n) for n in f.read().split()}
            n = next((n for n in self.order if n not in taken), None)
            if n is not None:
                f.write(f"{n}\n")
        return None if n is None else self.pieces[n]


def pytest_addoption(parser):
    parser.addoption("--shard", default="1/1", help="k/n: the k-th run of n that share the tests")
    parser.addoption("--claims", help="file, empty at first, in which the runs agree who takes what")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than fifteen seconds, begins early")
    config.addinivalue_line("markers", "heavy: fills a core; one at a time")


def stopped(session):
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)


def pytest_runtestloop(session):
    part, parts = (int(x) for x in session.config.getoption("--shard").split("/"))
    if parts == 1 or session.testsfailed or session.config.option.collectonly:
        return None
    claims = Claims(session.config.getoption("--claims"), pieces(session.items), part == 1)
    piece = claims.take()
    while piece:
        # pytest keeps a module's fixtures for a next test that has them too, so that the next piece has to be known.
        following = claims.take()
        for item, after in zip(piece, [*piece[1:], following[0] if following else None]):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            stopped(session)
        piece = following
    return True
