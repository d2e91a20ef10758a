"""The frame of the control panel: its pages by Lua, what a browser is told about them, what a site may change."""
import re

import pytest

import cpanel_shots
import tools
from server import MediaServer, need_server
from tools import wait_for

LIMIT = 300 * 1024  # of the first load, packed


@pytest.fixture(scope="module")
def panel():
    need_server()
    with MediaServer() as s:
        yield s


def get(s, path, headers=None):
    return s.get(f"http://127.0.0.1:{s.module_port}/{path}", headers=headers, status=None)


@pytest.mark.parametrize("path", ["cpanel", "cpanel/", "cpanel/camera/cam-1", "cpanel/wall", "cpanel/server/log"])
def test_pages_and_their_policy(panel, path):
    a = get(panel, path)
    assert a.status == 200 and a["Content-Type"] == "text/html; charset=utf-8"
    policy = a["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert a["Cross-Origin-Opener-Policy"] == "same-origin" and a["X-Content-Type-Options"] == "nosniff" and a["Referrer-Policy"] == "no-referrer"
    assert a["Strict-Transport-Security"] is None  # not without TLS
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|javascript:", a.text)
    assert not re.search(r"(src|href)=\"(https?:)?//", a.text)


def test_everything_it_names_is_there(panel):
    """And what a browser loads before the first page is small."""
    page = get(panel, "cpanel")
    total = len(page.body)
    for path in re.findall(r'(?:src|href)="(/cpanel/[^"]+\.\w+)"', page.text):
        a = get(panel, path[1:], {"Accept-Encoding": "gzip"})
        assert a.status == 200, path
        total += len(a.body)
    for path in ("cpanel/text/en.js", "cpanel/app/fleet.js", "cpanel/app/fleet_row.js", "cpanel/app/fleet_view.js", "cpanel/app/fleet_actions.js", "cpanel/app/virtual.js", "cpanel/app/pictures.js", "cpanel/app/spark.js", "cpanel/app/states.js"):
        total += len(get(panel, path, {"Accept-Encoding": "gzip"}).body)
    print(f"first load: {total} bytes packed")
    assert total < LIMIT


def test_every_string_is_there_in_every_language():
    """What the pages ask for by name is in both files, and none has what the other lacks."""
    folder = tools.ROOT / "cpanel"
    names = {lang: set(re.findall(r"(?:^  |, )(?:'([^']+)'|([a-z]\w*)): (?=['\"{])", (folder / "text" / f"{lang}.js").read_text(), re.M)) for lang in ("en", "ru")}
    forms = {"one", "few", "many", "other"}
    en, ru = ({a or b for a, b in names[lang]} - forms for lang in ("en", "ru"))
    assert en == ru and len(en) > 400
    asked = {name for path in (folder / "app").glob("*.js") for name in re.findall(r"\bt\('([^'$]+)'", path.read_text())}
    assert asked <= en, asked - en


def test_every_page_has_its_pictures():
    """In docs/, as scripts/cpanel-shots makes them: light, dark, on a phone; and none of a page that is gone."""
    there = {path.name for path in (tools.ROOT / "docs" / "images" / "cpanel").iterdir()}
    assert there == {f"{page}-{look}.jpg" for page in ("first", *cpanel_shots.PAGES) for look in cpanel_shots.LOOKS}


def test_language_of_the_browser(panel):
    assert '<html lang="ru"' in get(panel, "cpanel", {"Accept-Language": "de, ru-RU;q=0.9, en;q=0.8"}).text
    assert '<html lang="en"' in get(panel, "cpanel", {"Accept-Language": "de"}).text


def test_viewers_have_no_panel(panel):
    """Pages are on the panel's listener only; its files also serve the player page."""
    assert panel.get("cpanel", status=404) and panel.get("cpanel/camera/x", status=404)
    assert panel.get("cpanel/player/player.js")


def test_a_site_changes_its_pages(panel):
    """Without a restart; a mistake is refused with its line, and the last good one stays."""
    site = panel.path / "modules" / "cpanel"
    site.mkdir(parents=True)
    script = site / "cpanel.lua"
    script.write_text('-- interface: media-server 1\nlocal html = require("modules.cpanel.html")\n'
                      'return function(r) return { status = 200, type = "text/html", body = html.fill("<p>{path}</p>", r) } end\n')
    wait_for("the site's page", lambda: get(panel, "cpanel/a%3Cb%3E").text == "<p>/a&lt;b&gt;</p>", timeout=15)
    script.write_text("-- interface: media-server 1\nreturn = nothing\n")
    wait_for("it is refused", lambda: re.search(r"script-refused.*cpanel\.lua:2", panel.log()), timeout=15)
    assert get(panel, "cpanel/still").text == "<p>/still</p>"
    script.unlink()
    wait_for("ours again", lambda: "/cpanel/app/main.js" in get(panel, "cpanel").text, timeout=15)


def test_a_sites_own_files(server):
    """A folder cpanel beside media-server.ini stands before ours, file by file, from the next start on."""
    s = server({}, start=False)
    (s.path / "cpanel" / "app").mkdir(parents=True)
    (s.path / "cpanel" / "app" / "frame.css").write_text(".header { background: green }")
    (s.path / "cpanel" / "app" / "site.js").write_text("export const name = 'site';")
    s.start()
    assert get(s, "cpanel/app/frame.css").text == ".header { background: green }" and "site" in get(s, "cpanel/app/site.js").text
    assert ":root" in get(s, "cpanel/app/base.css").text


def test_switched_off_and_listed(server):
    s = server({}, sections={"server/module": {"cpanel-enable": "false"}})
    assert get(s, "cpanel").status == 404
    s.sections["server/module"] |= {"cpanel-enable": "true", "cpanel-whitelist": "10.1.2.3/32"}
    s.write_ini()
    s.reload()
    wait_for("only listed addresses", lambda: get(s, "cpanel").status == 403, timeout=10)
