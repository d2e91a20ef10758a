"""Webhooks, as a program of its own in the cameras' namespace: receiver.py ADDRESS PORT FILE; an event a line into the file."""
import http.server
import json
import sys


def main(address, port, path):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            with open(path, "a", encoding="utf-8") as out:
                for event in json.loads(self.rfile.read(int(self.headers["Content-Length"]))):
                    out.write(json.dumps(event) + "\n")
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    http.server.ThreadingHTTPServer((address, port), Handler).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
