#!/usr/bin/env bash
# Part: minio 7.2.20 (PyPI)
# remove_objects() of MinIO's Python client deletes nothing.
#
# One would guess that the call deletes, as remove_object() does, and returns errors. It is a generator: no request is sent until
# somebody reads the errors, and code that does not care for errors has none to read.
# A garbage collection reports success, and the bucket grows.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install minio==7.2.20 boto3==1.44.8 botocore==1.44.8
packages=$PYTHONPATH
start_minio
version "minio 7.2.20"
guess "[] after the call"
result=$(PYTHONPATH=$packages probe <<'END'
import os
from urllib.parse import urlsplit
from minio import Minio
from minio.deleteobjects import DeleteObject
from s3client import endpoint, s3
client = Minio(urlsplit(endpoint).netloc, os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], secure=False)
keys = lambda: [entry["Key"] for entry in s3.list_objects_v2(Bucket="cache").get("Contents", [])]
for key in ("a", "b"):
    s3.put_object(Bucket="cache", Key=key, Body=b"x")
errors = client.remove_objects("cache", [DeleteObject("a"), DeleteObject("b")])
print("after the call:", keys())
print("errors:", list(errors), "afterwards:", keys())
END
)
seen "$result"
holds "$result" = "after the call: ['a', 'b']
errors: [] afterwards: []"
