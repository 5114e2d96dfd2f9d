#!/usr/bin/env bash
# Part: curl 8.14.1 (Debian 13)
# curl --retry does not repeat a download that was cut off.
#
# One would guess that a broken connection is the first thing that --retry is for. Only some statuses and timeouts are: an answer that
# ends too early is error 18 at once, and the half file stays. --retry-all-errors repeats it.
# Scripts that fetch large files with --retry fail at the first hiccup of the network, and the ones that look at the file find it there.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
command_from "$(debian trixie curl=8.14.1-2+deb13u7)" curl
start_origin
version "curl 8.14.1 of Debian 13"
guess "the whole file after two requests each time"
for option in --retry-connrefused --retry-all-errors; do
    : >"$REQUESTS"
    try curl -qsS --retry 2 --retry-delay 1 "$option" -o "$work/file" "http://127.0.0.1:$origin/nar?cut=5&X=$option" >"$work/output"
    echo "--retry 2 $option: $(tail -1 "$work/output"), $(<"$work/file"), $(wc -l <"$REQUESTS") request(s)"
done >"$work/result"
result=$(<"$work/result")
seen "$result"
holds "$result" = "--retry 2 --retry-connrefused: exit status 18, 01234, 1 request(s)
--retry 2 --retry-all-errors: exit status 0, 0123456789, 2 request(s)"
