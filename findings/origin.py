"""What the findings about HTTP caches share: an origin server, and requests that tell whether the origin was asked.

The query of a URL says what the origin answers: `status` is the status, `cut` the number of bytes after which the connection
ends at the first request, `then` the ETag that the object has from the second request on. Every other name is a header. The
body is 0123456789, or abcdefghij once the ETag has changed. ETags are honoured, and ranges unless Accept-Ranges is none.
"""
import http.client
import http.server
import os
import sys
from urllib.parse import parse_qsl, urlencode, urlsplit

BODY = b"0123456789"
CHANGED = b"abcdefghij"
seen = {}


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        with open(sys.argv[2], "a") as log:
            log.write(" ".join(filter(None, (self.command, self.path, self.headers.get("Range")))) + "\n")
        fields = dict(parse_qsl(urlsplit(self.path).query))
        seen[self.path] = seen.get(self.path, 0) + 1
        cut, then = int(fields.pop("cut", 0)), fields.pop("then", None)
        status, body = int(fields.pop("status", 200)), BODY
        if then and seen[self.path] > 1:
            fields["ETag"], body = then, CHANGED
        unit, _, wanted = self.headers.get("Range", "").partition("=")
        if fields.get("Accept-Ranges") == "none":
            unit = None
        if fields.get("ETag") and fields["ETag"] in self.headers.get("If-None-Match", ""):
            status, body = 304, b""
        elif status == 200 and unit == "bytes" and "," not in wanted:
            first, _, last = wanted.partition("-")
            begin = int(first) if first else max(0, len(BODY) - int(last))
            end = min(int(last) + 1 if first and last else len(BODY), len(BODY))
            status, body = (206, body[begin:end]) if begin < len(BODY) else (416, b"")
            fields["Content-Range"] = f"bytes {begin}-{end - 1}/{len(BODY)}" if body else f"bytes */{len(BODY)}"
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if cut and seen[self.path] == 1:
            body, self.close_connection = body[:cut], True
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *arguments):
        pass


class Answer:
    """What came back; `origin` is the number of requests that reached the origin meanwhile."""

    def __init__(self, answer, origin):
        self.status, self.headers, self.body, self.origin = answer.status, answer.headers, answer.read().decode(errors="replace"), origin

    def __str__(self):
        return f"{self.status} {self.body}, from the {'origin' if self.origin else 'cache'}"


def url(name, **fields):
    """The path of an object with these headers; `_` in their names stands for `-`."""
    return f"/{name}?" + urlencode({field.replace("_", "-"): value for field, value in fields.items()})


def requests():
    with open(os.environ["REQUESTS"]) as log:
        return sum(1 for _ in log)


def ask(path, method="GET", **headers):
    """Asks the cache that listens on $PORT."""
    before = requests()
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["PORT"]), timeout=20)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    result = Answer(answer, 0)
    result.origin = requests() - before
    connection.close()
    return result


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Origin).serve_forever()
