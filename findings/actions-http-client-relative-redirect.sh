#!/usr/bin/env bash
# Part: @actions/http-client 4.0.1 (npm)
# A redirect to a path ends a request of @actions/http-client with "Invalid URL".
#
# One would guess that the Location is taken relative to the URL of the request, as RFC 9110 has it and fetch() does: redirects are
# followed by default. Only a whole URL works.
# An action that downloads through a mirror or a cache fails on the day on which its server redirects with "Location: /path".
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
npm_install @actions/http-client@4.0.1
version "@actions/http-client 4.0.1; beside it fetch() of Node.js $(node --version)"
guess "contents each time"
result=$(run_node <<'END'
import http from "node:http";
import { HttpClient } from "@actions/http-client";
const server = http.createServer((request, answer) => {
  const location = { "/path": "/contents", "/url": `http://${request.headers.host}/contents` }[request.url];
  if (location) answer.writeHead(302, { location }).end();
  else answer.end("contents");
}).listen(0, "127.0.0.1", async () => {
  const origin = `http://127.0.0.1:${server.address().port}`;
  const client = new HttpClient("findings");
  for (const path of ["/url", "/path"]) {
    console.log(`fetch ${path}: ${await (await fetch(origin + path)).text()}`);
    console.log(`HttpClient ${path}: ${await client.get(origin + path).then((answer) => answer.readBody(), (error) => error.message)}`);
  }
  process.exit();
});
END
)
seen "$result"
holds "$result" = "fetch /url: contents
HttpClient /url: contents
fetch /path: contents
HttpClient /path: Invalid URL"
