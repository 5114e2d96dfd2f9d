#!/usr/bin/env bash
# Part: aria2 1.37.0 (Debian 13)
# aria2 joins the halves of two versions of a file, and exits with 0.
#
# One would guess that it notices: the first answer and the one to the retry have different strong ETags, and If-Range exists for this. aria2 asks
# for the missing bytes without any condition, and compares the length only.
# A file that is replaced in place, such as a log or an index, and a connection that breaks give a file that nobody ever wrote.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
command_from "$(debian trixie aria2=1.37.0+debian-3)" aria2c
start_origin
version "aria2 1.37.0 of Debian 13"
guess "abcdefghij, or an error"
try timeout 60 aria2c -q --no-conf --retry-wait=1 -m 3 -d "$work" -o file "http://127.0.0.1:$origin/index?ETag=%221%22&then=%222%22&cut=5" >"$work/result"
result="$(<"$work/file")
$(<"$work/result")
$(sed 's/?[^ ]*//' "$REQUESTS")"
seen "$result"
holds "$result" = "01234fghij
exit status 0
GET /index
GET /index bytes=5-9"
