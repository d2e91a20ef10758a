"""Evidence: the node's key, exports with their signed manifest, and what verify says of them on another machine."""
import os
import stat

import tools


def test_the_node_has_a_key(server):
    """Made once, for its owner alone; one that others may read is refused and left, while everything else goes on."""
    s = server({})
    (row,) = s.rows("key", "show")
    file = s.path / "state" / "node.key"
    assert row["file"] == str(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and file.stat().st_uid == os.geteuid()
    public = tools.run("openssl", "pkey", "-in", file, "-pubout").stdout
    assert row["public"] == public and public in s.msctl("key", "show").stdout
    s.stop()
    s.start()
    assert s.rows("key", "show") == [row]
    s.stop()
    file.chmod(0o644)
    before = file.read_bytes()
    s.start()
    p = s.msctl("key", "show", ok=False)
    assert p.returncode == 1 and "mode 0600" in p.stderr and str(file) in p.stderr
    assert file.read_bytes() == before and " node-key " in s.log()
