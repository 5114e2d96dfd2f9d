#!/usr/bin/env bash
# Part: @actions/http-client 4.0.1 (npm)
# @actions/http-client follows the redirect of an upload from a stream with an empty body.
#
# One would guess that the redirect is an error, since the stream has been read, or that the caller gets the 307 itself. The second PUT is
# sent with the stream that is at its end: Content-Length 0, and the caller sees its 200. A body that is a string is sent twice.
# An upload that a load balancer redirects to another host ends as an empty object and a success.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
npm_install @actions/http-client@4.0.1
version "@actions/http-client 4.0.1"
guess "contents is stored twice, or the stream is an error"
result=$(run_node <<'END'
import http from "node:http";
import { Readable } from "node:stream";
import { HttpClient } from "@actions/http-client";
let stored;
const server = http.createServer(async (request, answer) => {
  const body = (await request.toArray()).join("");
  if (request.url === "/old") {
    answer.writeHead(307, { location: `http://${request.headers.host}/new` }).end();
  } else {
    stored = body;
    answer.end();
  }
}).listen(0, "127.0.0.1", async () => {
  const url = `http://127.0.0.1:${server.address().port}/old`;
  const client = new HttpClient("findings");
  for (const [name, send] of [["string", () => client.put(url, "contents")],
    ["stream", () => client.sendStream("PUT", url, Readable.from([Buffer.from("contents")]))]]) {
    const answer = await send();
    console.log(`${name}: ${answer.message.statusCode}, stored "${stored}"`);
  }
  process.exit();
});
END
)
seen "$result"
holds "$result" = 'string: 200, stored "contents"
stream: 200, stored ""'
