"""The API below /api/: bodies of requests, tokens, calls of the first generation (compatibility.md 3)."""
import json
import socket

import pytest

import tools
from test_lua import HEAD, api, put_script, says
from tools import wait_for

ECHO_BODY = HEAD + """
return function(r)
    if r.path == "/ready" then return { status = 200, body = "ready" } end
    return { status = 200, body = ms.json({ #r.body, r.body:sub(1, 40), r.method, r.path, r.query, r.is_local, r.address }) }
end
"""


@pytest.fixture
def echo(server):
    s = server({}, start=False)
    put_script(s, ECHO_BODY)
    s.start()
    wait_for("it runs", lambda: api(s, "ready") == (200, "ready"))
    return s


def raw(server, *pieces):
    """All that comes back for bytes that are sent piece by piece."""
    with socket.create_connection(("127.0.0.1", server.module_port), timeout=20 * tools.SLOW) as c:
        for piece in pieces:
            c.sendall(piece)
        c.shutdown(socket.SHUT_WR)
        found = b""
        while more := c.recv(65536):
            found += more
    return found.decode()


def post(fields, path="/api/x"):
    return f"POST {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{fields}\r\n\r\n".encode()


def echoed(answer):
    assert "HTTP/1.1 200" in answer, answer
    return json.loads(answer.rsplit("\r\n\r\n", 1)[1])


# --- bodies ---


def test_bodies(echo):
    assert echoed(raw(echo, post("Content-Length: 5") + b"hello"))[:4] == [5, "hello", "POST", "/x"]
    assert echoed(raw(echo, post("Content-Length: 10"), b"hel", b"lo", b"world"))[:2] == [10, "helloworld"]
    assert echoed(raw(echo, post("Transfer-Encoding: chunked"), b"3\r\nhel\r\n", b"2\r\nlo\r", b"\n0\r\n\r\n"))[:2] == [5, "hello"]
    assert echoed(raw(echo, post("Content-Length: 0")))[0] == 0
    n = 256 * 1024
    assert echoed(raw(echo, post(f"Content-Length: {n}"), b"x" * n))[0] == n
    assert raw(echo, post(f"Content-Length: {n + 1}"), b"x").startswith("HTTP/1.1 413")
    assert raw(echo, post("Transfer-Encoding: chunked"), b"40000\r\n" + b"x" * n + b"\r\n1\r\nx\r\n0\r\n\r\n").startswith("HTTP/1.1 413")
    assert raw(echo, post("Transfer-Encoding: chunked"), b"z\r\n").startswith("HTTP/1.1 400")
    assert raw(echo, post("Content-Length: 5"), b"hel") == ""  # whoever goes before the end asks nothing


def test_expect_and_pipeline(echo):
    answer = raw(echo, post("Expect: 100-continue\r\nContent-Length: 2"), b"ab")
    assert answer.startswith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200") and echoed(answer)[0] == 2
    two = b"POST /api/a HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc" + post("Content-Length: 2", "/api/b?c=d+e&f=%41") + b"de"
    answer = raw(echo, two)
    assert answer.count("HTTP/1.1 200") == 2 and '"abc"' in answer
    assert echoed(answer)[1:5] == ["de", "POST", "/b", {"c": "d e", "f": "A"}]
    assert raw(echo, b"PATCH /api/x HTTP/1.1\r\nHost: t\r\n\r\n").startswith("HTTP/1.1 405")


def test_who_asks(echo):
    assert echoed(raw(echo, post("Content-Length: 0")))[5:] == [True, "127.0.0.1"]
    for field in ("X-Forwarded-For: 10.0.0.1", "Forwarded: for=10.0.0.1", "Via: 1.1 proxy", "X-Real-IP: 10.0.0.1"):
        assert echoed(raw(echo, post(f"{field}\r\nContent-Length: 0")))[5] is False
    assert echo.get("api/x", status=None).status == 404  # not on the viewers' listener


def test_where_it_is_open(server):
    s = server({}, sections={"server/module": {"api-whitelist": "10.0.0.0/8"}})
    assert api(s, "streams/")[0] == 403
    s.sections["server/module"]["api-whitelist"] = "127.0.0.0/8"
    put_script(s, HEAD + 'return function() return { status = 200, body = "in" } end')
    s.write_ini()
    s.msctl("reload")
    says(s, "in")
    s.sections["server/module"]["api-enable"] = "false"
    s.write_ini()
    s.msctl("reload")
    wait_for("there is none", lambda: api(s, "x")[0] == 404)
