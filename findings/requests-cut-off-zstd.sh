#!/usr/bin/env bash
# Part: requests 2.34.2 with urllib3 2.8.0 (PyPI)
# Whether requests notices that a zstd body is cut off depends on the size of the body.
#
# One would guess an exception whenever the compressed data of a response ends in the middle of a frame, as urllib3 raises, which
# requests is made of. requests reads by pieces of 10240 bytes; a body that ends within its first piece is taken for whole,
# with status 200 and no error, and a longer one may raise "Zstandard data is incomplete" or not, by where its last piece ends.
# An object that was stored incomplete with Content-Encoding: zstd, such as a build log, is noticed in tests with a large
# file and shortened silently otherwise.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install requests==2.34.2 urllib3==2.8.0 backports.zstd==1.8.0
version "requests 2.34.2, urllib3 2.8.0, backports.zstd 1.8.0"
guess "an exception each time"
result=$(timeout 60 python3 - <<'END'
import http.server, random, threading
import requests, urllib3
from backports import zstd
bodies = {}
for size in (5000, 300000):
    bodies[f"/{size}"] = zstd.compress(random.Random(1).randbytes(size))[:-5]

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Encoding", "zstd")
        self.send_header("Content-Length", str(len(bodies[self.path])))
        self.end_headers()
        self.wfile.write(bodies[self.path])

    def log_message(self, *arguments):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
for path in bodies:
    url = f"http://127.0.0.1:{server.server_port}{path}"
    for name, get in (("urllib3", lambda: urllib3.request("GET", url, retries=False).data), ("requests", lambda: requests.get(url).content)):
        try:
            print(path, name, len(get()), "bytes, no error")
        except Exception as error:
            print(path, name, f"{type(error).__name__}: {error}")
END
)
seen "$result"
holds "$result" = "/5000 urllib3 DecodeError: Zstandard data is incomplete
/5000 requests 4995 bytes, no error
/300000 urllib3 DecodeError: Zstandard data is incomplete
/300000 requests ContentDecodingError: Zstandard data is incomplete"
