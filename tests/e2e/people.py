"""Whoever signs in: a client whose every answer is held against the description."""
import types

import api3
from test_signin import Client


class Person(Client):
    def call(self, path, method="GET", body=None, status=200, **kw):
        r, said = self.ask(method, f"/api/v3/{path}", body, **kw)
        api3.check(method, f"/{path.split('?')[0]}", types.SimpleNamespace(
            status=r.status, type=(r.headers["Content-Type"] or "").split(";")[0], body=str(said), json=said))
        assert r.status == status, f"{method} {path}: {r.status} {said}"
        return said


def sign_in(server, user, password, status=200):
    p = Person(server)
    p.sign_in(user, password, status)
    return p
