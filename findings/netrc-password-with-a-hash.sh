#!/usr/bin/env bash
# Part: netrc 0.1.4 (npm) with curl of the machine
# The netrc package for JavaScript cuts a password off at "#".
#
# One would guess that "#" is a letter like others, since the words of the file are separated by blanks: curl sends all of it, and so does Nix, which
# gives the file to curl. For the package a comment begins at each "#", also in the middle of a word.
# The cache answers 401 to a tool in JavaScript, with the very file with which Nix works.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_command curl curl
npm_install netrc@0.1.4
version "netrc 0.1.4, $(curl --version | cut -d' ' -f1-2 | head -1)"
guess "both pass#word"
printf 'machine 127.0.0.1\n  login user\n  password pass#word\n' >"$work/netrc"
chmod 600 "$work/netrc"
export NETRC_FILE=$work/netrc
result=$(run_node <<'END'
import { execFile } from "node:child_process";
import http from "node:http";
import netrc from "netrc";
const password = netrc(process.env.NETRC_FILE)["127.0.0.1"].password;
const server = http.createServer((request, answer) => {
  answer.end(Buffer.from(request.headers.authorization.split(" ")[1], "base64").toString());
}).listen(0, "127.0.0.1", () => {
  execFile("curl", ["-sS", "--netrc-file", process.env.NETRC_FILE, `http://127.0.0.1:${server.address().port}/`], (error, sent) => {
    console.log(`curl: ${error ?? sent.split(":")[1]}\nnetrc: ${password}`);
    process.exit();
  });
});
END
)
seen "$result"
holds "$result" = "curl: pass#word
netrc: pass"
