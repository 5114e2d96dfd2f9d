#!/usr/bin/env bash
# Part: rclone 1.60.1 (Debian 13) with moto 5.2.5 (PyPI)
# `rclone cat` of an object that does not exist writes nothing, and exits with 0.
#
# One would guess an error, which `rclone cat` of a local file gives. In a bucket a name without an object is taken for a folder that is
# empty, by `copy`, `lsf` and `delete` as well; deletefile says that there is nothing.
# `rclone cat … | sha256sum` or `rclone copy … && …` goes on with empty contents after a wrong name or a deleted object.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
command_from "$(debian trixie rclone=1.60.1+dfsg-4)" rclone
start_moto
unset AWS_CA_BUNDLE
export RCLONE_CONFIG=/dev/null RCLONE_CONFIG_S_TYPE=s3 RCLONE_CONFIG_S_PROVIDER=Other RCLONE_CONFIG_S_ENV_AUTH=true RCLONE_CONFIG_S_ENDPOINT=$ENDPOINT
version "rclone 1.60.1 of Debian 13"
guess "an exit status other than 0 each time"
mkdir "$work/to"
run() { # NAME ARGUMENTS...
    echo "$1: $(try timeout 60 rclone --retries 1 "${@:2}" | grep status)"
}
result=$(
    run "cat of a local file" cat "$work/missing"
    run "cat" cat s:cache/missing
    run "copy" copy s:cache/missing "$work/to"
    run "lsf" lsf s:cache/missing
    run "delete" delete s:cache/missing
    run "deletefile" deletefile s:cache/missing
)
seen "$result"
holds "$result" = "cat of a local file: exit status 3
cat: exit status 0
copy: exit status 0
lsf: exit status 0
delete: exit status 0
deletefile: exit status 1"
