#!/usr/bin/env bash
# Part: object_store, by obstore 0.12.1 (PyPI), with Garage 2.5.0
# One key with an empty or a dotted segment makes the object_store crate unable to list the bucket.
#
# One would guess that `a//b`, a key like any other for S3, is listed, left out, or given in an encoded form. The listing ends with an
# error at the first such key, and no option goes on after it: what comes later in the bucket cannot be seen at all.
# A program on object_store that collects garbage or compares a bucket with its database stops for ever over one object that
# some other tool has put there.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install obstore==0.12.1 boto3==1.44.8 botocore==1.44.8
packages=$PYTHONPATH
start_garage
version "obstore 0.12.1"
guess "nar/a and nar/z each time"
result=$(PYTHONPATH=$packages probe <<'END'
import os
import obstore
from obstore.store import S3Store
from s3client import endpoint, s3
store = S3Store("cache", endpoint=endpoint, region="us-east-1", access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
                secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"], virtual_hosted_style_request=False, client_options={"allow_http": True})
for foreign in (None, "nar//b", "nar/./b"):
    for key in ("nar/a", "nar/z", foreign):
        if key:
            s3.put_object(Bucket="cache", Key=key, Body=b"x")
    try:
        print(foreign, [entry["path"] for page in obstore.list(store) for entry in page])
    except Exception as error:
        print(foreign, type(error).__name__)
    if foreign:
        s3.delete_object(Bucket="cache", Key=foreign)
END
)
seen "$result"
holds "$result" = "None ['nar/a', 'nar/z']
nar//b InvalidPathError
nar/./b InvalidPathError"
