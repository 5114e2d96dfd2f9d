#!/usr/bin/env bash
# Part: wget2 2.2.0 (Debian 13)
# If a server sends all instead of the rest, `wget2 -c` saves it beside the half file, and exits with 0.
#
# One would guess that the file is written anew, since its name was asked for, or an error. The whole contents are in "nar.1", and "nar" is as short as it was. Each
# further run leaves one more file.
# A download that is resumed behind a cache without ranges, or from a compressing server, ends with success and a broken file.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
root=$(debian trixie wget2=2.2.0+ds-1+deb13u1)
command_from "$root" wget2
sed -i "s#/usr/lib\" #/usr/lib:$root/usr/lib/x86_64-linux-gnu/libproxy\" #" "$work/bin/wget2"
start_origin
version "wget2 2.2.0 of Debian 13"
guess "nar is 0123456789"
printf 01234 >"$work/nar"
for _ in 1 2; do
    (cd "$work" && try timeout 60 wget2 --no-config -q -c --cut-file-get-vars "http://127.0.0.1:$origin/nar?Accept-Ranges=none")
done >"$work/result"
result=$(cat "$work/result" && cd "$work" && grep . nar*)
seen "$result"
holds "$result" = "exit status 0
exit status 0
nar:01234
nar.1:0123456789
nar.2:0123456789"
