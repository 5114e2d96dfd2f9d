#!/usr/bin/env bash
# Part: s3cmd 2.4.0 (PyPI) with versitygw 1.8.0
# `s3cmd put` stores the name of the user and the access time of the file in the object's metadata.
#
# One would guess metadata only if --preserve is given, which its help calls the default of `sync`. `put` does the same: user and group
# by name and number, mode, and three times, in one header that everybody who may read the object gets.
# The same file, uploaded twice, has other metadata each time, and a public cache tells who filled it.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_versitygw
pip_install s3cmd==2.4.0 boto3==1.44.8 botocore==1.44.8
version "s3cmd 2.4.0"
guess "no metadata"
echo contents >"$work/file"
: >"$work/s3cfg"
for option in "" --no-preserve; do
    host=${ENDPOINT#http://}
    # shellcheck disable=SC2086 # none or one
    timeout 60 s3cmd --config "$work/s3cfg" --access_key="$AWS_ACCESS_KEY_ID" --secret_key="$AWS_SECRET_ACCESS_KEY" --no-ssl \
        --region=us-east-1 --host="$host" --host-bucket="$host" put $option "$work/file" "s3://cache/put$option" >"$work/s3cmd.log" 2>&1 || {
        cat "$work/s3cmd.log" >&2
        exit 1
    }
done
result=$(probe <<'END'
import getpass
from s3client import s3
for key in ("put", "put--no-preserve"):
    metadata = s3.head_object(Bucket="cache", Key=key)["Metadata"].get("s3cmd-attrs", "md5:")
    fields = dict(field.split(":", 1) for field in metadata.split("/"))
    print(f"{key}: {' '.join(sorted(fields))}", "with the user's name" if fields.get("uname") == getpass.getuser() else "")
END
)
seen "$result"
holds "$(tr -s ' \n' ' ' <<<"$result")" = "put: atime ctime gid gname md5 mode mtime uid uname with the user's name put--no-preserve: md5 "
