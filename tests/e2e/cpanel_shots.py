"""Pictures of the control panel's pages for docs/: cpanel_shots.py FOLDER. Small JPEGs; the cameras are those of the tests."""
import pathlib
import sys

from panel import panel, panel_site
from server import MediaServer

PAGES = {
    "signin": (None, []),
    "fleet": ("", [{"until": "[...document.querySelectorAll('.shot img')].filter((i) => i.naturalWidth > 0).length >= 5", "ms": 30000}, {"wait": 12000}]),
    "camera": ("/camera/gate", [{"until": "(document.querySelector('video')?.getVideoPlaybackQuality().totalVideoFrames ?? 0) > 25", "ms": 30000}, {"wait": 4000}]),
    "archive": ("/camera/gate", [{"click": ".line-tools >> text=Cut"}, {"click": "#tab-history"}, {"wait": 3000}]),
    "doctor": ("/camera/cellar", [{"click": "text=Why is it black?"}, {"text": "dialog .notice", "has": "wrong", "ms": 40000}]),
    "form": ("", [{"click": ".row[data-uid=yard] .c-more button"}, {"click": "[role=menu] >> text=Edit"}, {"wait": 800}]),
    "wall": ("/wall", [{"wait": 6000}]),
    "server": ("/server", [{"until": "document.querySelectorAll('.uplot canvas').length === 5", "ms": 20000}, {"wait": 5000}]),
    "cluster": ("/server/cluster", [{"text": ".server-body", "has": "Main gate"}]),
    "move": ("", [{"until": "import('/cpanel/app/feed.js').then((m) => m.server !== null)", "ms": 15000}, {"click": ".row[data-uid=gate] .c-more button"}, {"click": "[role=menu] >> text=Move to another node"}, {"text": "dialog", "has": "Cannot take it"}]),
    "sessions": ("/server/sessions", [{"wait": 1500}]),
    "changes": ("/server/changes", [{"wait": 1500}]),
    "log": ("/server/log", [{"text": ".server-body pre", "has": "httpd"}]),
    "settings": ("/server/settings", [{"until": "document.querySelectorAll('.setting').length > 50", "ms": 20000}]),
    "users": ("/server/users", [{"text": ".table", "has": "Viewer"}]),
    "tokens": ("/server/tokens", [{"wait": 1500}]),
    "audit": ("/server/audit", [{"text": ".table", "has": "sign in"}]),
}
LOOKS = {"light": ("light", 1280, 800), "dark": ("dark", 1280, 800), "phone": ("light", 390, 780)}


def shots(folder, server, name, path, steps, role="root"):
    for look, (scheme, width, height) in LOOKS.items():
        shot = {"shot": str(folder / f"{name}-{look}.jpg"), "quality": 62}
        panel(server, path, *steps, {"wait": 500}, shot, role=role, scheme=scheme, width=width, height=height)


def main(folder):
    with MediaServer() as empty:
        shots(folder, empty, "first", "", [{"text": ".signin", "has": "no account"}], role=None)
    with panel_site() as (server, _):
        for name, (path, steps) in PAGES.items():
            shots(folder, server, name, path or "", steps, role="root" if path is not None else None)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
