#!/usr/bin/env bash
# Part: requests 2.34.2 (PyPI)
# requests replaces the Authorization header that it is given by the password in ~/.netrc.
#
# One would guess that what the program says wins over a file in the home folder, as it does in curl. If the file has an entry for the host,
# the header of the call and that of the session are both overwritten, and nothing is said.
# Who uses a private Nix cache has such an entry: there a script with a token for an API on that host gets 401, and on no other machine.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install requests==2.34.2
version "requests 2.34.2"
guess "Bearer token each time"
printf 'machine 127.0.0.1 login user password password\n' >"$work/home/.netrc"
chmod 600 "$work/home/.netrc"
result=$(HOME=$work/home timeout 60 env -u NETRC python3 - <<'END'
import http.server
import threading

import requests


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        said = self.headers["Authorization"].split()[0].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *arguments):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/"
headers = {"Authorization": "Bearer token"}
print("call:", requests.get(url, headers=headers).text)
session = requests.Session()
session.headers.update(headers)
print("session:", session.get(url).text)
session.trust_env = False
print("without the environment:", session.get(url).text)
END
)
seen "$result"
holds "$result" = "call: Basic
session: Basic
without the environment: Bearer"
