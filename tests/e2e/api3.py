"""A client of /api/v3/: every answer is JSON of the right type, and as cpanel/api/openapi.json says it."""
import http.client
import json
import pathlib
import re
import select

import jsonschema

import tools

SPEC = json.loads((pathlib.Path(__file__).parents[2] / "cpanel" / "api" / "openapi.json").read_text())
PATHS = {path: re.compile("^" + re.sub(r"\{\w+\}", "[^/]+", path) + "$") for path in sorted(SPEC["paths"], key=lambda p: p.count("{"))}


def operation(method, path):
    for pattern, expression in PATHS.items():
        if expression.match(path):
            return SPEC["paths"][pattern].get(method.lower())
    return None


def check(method, path, answer):
    """The answer is one that the description allows."""
    if answer.status == 204 or answer.status == 304:
        return
    found = operation("GET" if method == "HEAD" else method, path)
    responses = found["responses"] if found else {}
    assert found or answer.status in (404, 405), f"{method} {path} is not described"
    said = responses.get(str(answer.status)) or responses.get("default") or SPEC["components"]["responses"]["Problem"]
    if "$ref" in said:
        said = SPEC["components"]["responses"][said["$ref"].rsplit("/", 1)[1]]
    assert answer.type in said["content"], f"{method} {path}: {answer.status} {answer.type}: {answer.body[:400]}"
    schema = {**said["content"][answer.type]["schema"], "components": SPEC["components"]}
    jsonschema.Draft202012Validator(schema).validate(answer.json)


class Answer:
    def __init__(self, r):
        self.status = r.status
        self.headers = r.headers
        self.type = (r.headers.get("Content-Type") or "").split(";")[0]
        self.body = r.read().decode()

    @property
    def json(self):
        return json.loads(self.body)


class Api3:
    """call(path) -> the JSON; one connection for all, unless it was closed meanwhile: the server keeps none that rests for long."""

    def __init__(self, server, token):
        self.server = server
        self.token = token
        self.conn = None

    def ask(self, path, method="GET", body=None, headers=None, token=None):
        if self.conn is not None and (self.conn.sock is None or select.select([self.conn.sock], [], [], 0)[0]):
            self.conn.close()
            self.conn = None
        if self.conn is None:
            self.conn = http.client.HTTPConnection("127.0.0.1", self.server.module_port, timeout=30 * tools.SLOW)
        token = self.token if token is None else token
        data = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
        try:
            self.conn.request(method, f"/api/v3/{path}", data, {**({"Authorization": token} if token else {}), **(headers or {})})
            answer = Answer(self.conn.getresponse())
        except (http.client.HTTPException, OSError):
            self.conn.close()
            raise
        check(method, f"/{path.split('?')[0]}", answer)
        return answer

    def call(self, path, method="GET", body=None, status=200, headers=None):
        answer = self.ask(path, method, body, headers)
        assert answer.status == status, f"{method} {path}: {answer.status} {answer.body}"
        return answer.json if answer.body else None
