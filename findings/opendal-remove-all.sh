#!/usr/bin/env bash
# Part: opendal 0.47.12 (PyPI) with Garage 2.5.0
# remove_all("nar") of OpenDAL deletes `narinfo-index` and `nar-old/a` as well.
#
# One would guess that it removes a folder or an object called nar with all that is below, as `rm -r` does, and as OpenDAL itself does
# over a file system. On S3 every key that begins with those letters goes; only with a slash at the end it is the folder.
# A line of code that passed its tests on the `fs` service deletes siblings in the bucket.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install opendal==0.47.12 boto3==1.44.8 botocore==1.44.8
packages=$PYTHONPATH
start_garage
version "opendal 0.47.12"
guess "nar-old/a and narinfo-index are left in both"
mkdir "$work/files"
result=$(PYTHONPATH=$packages probe <<END
import os
import opendal
from s3client import endpoint
for name, store in (("fs", opendal.Operator("fs", root="$work/files")),
                    ("s3", opendal.Operator("s3", bucket="cache", endpoint=endpoint, region="us-east-1",
                                            access_key_id=os.environ["AWS_ACCESS_KEY_ID"], secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"]))):
    for key in ("nar/a", "nar/b", "nar-old/a", "narinfo-index"):
        store.write(key, b"x")
    store.remove_all("nar")
    print(name, sorted(entry.path for entry in store.scan("") if not entry.path.endswith("/")))
END
)
seen "$result"
holds "$result" = "fs ['nar-old/a', 'narinfo-index']
s3 []"
