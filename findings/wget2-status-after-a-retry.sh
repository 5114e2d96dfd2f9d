#!/usr/bin/env bash
# Part: wget2 2.2.0 (Debian 13)
# wget2 gets a file with its second try, and then exits with 7, "protocol errors".
#
# One would guess 0: the retry is the default, it was successful, and the file is whole. wget 1 exits with 0. The failure of the first try decides
# the status.
# Scripts throw away good downloads, or try again for ever on a network where each long transfer is interrupted once.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
root=$(debian trixie wget2=2.2.0+ds-1+deb13u1)
command_from "$root" wget2
sed -i "s#/usr/lib\" #/usr/lib:$root/usr/lib/x86_64-linux-gnu/libproxy\" #" "$work/bin/wget2"
start_origin
version "wget2 2.2.0 of Debian 13"
guess "exit status 0 each time"
for query in X=1 cut=5; do
    : >"$REQUESTS"
    (cd "$work" && try timeout 60 wget2 --no-config -q -O file "http://127.0.0.1:$origin/nar?$query") >"$work/output"
    echo "$query: $(tail -1 "$work/output"), $(<"$work/file"), $(wc -l <"$REQUESTS") request(s)"
done >"$work/result"
result=$(<"$work/result")
seen "$result"
holds "$result" = "X=1: exit status 0, 0123456789, 1 request(s)
cut=5: exit status 7, 0123456789, 2 request(s)"
