"""Footage whose picture says to machines which frame it is: white and black boxes along its upper edge."""
import tools

BITS, BOX = 10, 48  # as browser/drive.mjs reads them; box 10 is white, box 11 black
RATE = 25


def footage(gop=50, seconds=40):
    """Path of an H.264 file; frame n shows n in binary. Made once a build."""
    assert seconds * RATE <= 1 << BITS
    path = tools.BUILD / f"clockwork-{gop}.h264"
    if path.exists():
        return str(path)
    boxes = [f"drawbox=x=0:y=0:w={(BITS + 2) * BOX}:h={BOX}:color=black:t=fill", f"drawbox=x={BITS * BOX}:y=0:w={BOX}:h={BOX}:color=white:t=fill"]
    boxes += [f"drawbox=x={b * BOX}:y=0:w={BOX}:h={BOX}:color=white:t=fill:enable='gte(mod(n,{2 << b}),{1 << b})'" for b in range(BITS)]
    part = path.with_suffix(".part")
    tools.run(
        "ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"testsrc2=size=640x360:rate={RATE}:duration={seconds}," + ",".join(boxes),
        "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-b:v", "1M", "-g", gop, "-keyint_min", gop, "-sc_threshold", "0", "-bf", "0", "-f", "h264", part,
        timeout=120,
    )
    part.rename(path)
    return str(path)


def delays(sent, shown):
    """Seconds from when the camera sent a frame until it was shown: sent as the camera logs it, shown [number, unix ms]."""
    at = {}
    for f in sent:
        if f["track"] == 0:
            at.setdefault(f["au"], []).append(f["wall_us"] / 1e6)
    found = []
    for n, ms in shown:
        before = [t for t in at.get(n, []) if t <= ms / 1e3]
        if before:
            found.append(ms / 1e3 - before[-1])
    return found
