#!/usr/bin/env bash
# Part: object_store, by obstore 0.12.1 (PyPI), with Garage 2.5.0
# The object_store crate lists a key that it can neither read nor delete, and says that it has deleted it.
#
# One would guess that a path that a listing gives names that object. Paths have no slash at their end, so the key `nar/`, which
# consoles and file system tools make as a folder, is listed as `nar`. Reading that fails, and deleting it succeeds and
# deletes nothing (or another object, the one whose key is `nar`).
# A garbage collection finds the same object each time and reports each time that it is gone.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install obstore==0.12.1 boto3==1.44.8 botocore==1.44.8
packages=$PYTHONPATH
start_garage
version "obstore 0.12.1"
guess "no object is left"
result=$(PYTHONPATH=$packages probe <<'END'
import os
import obstore
from obstore.store import S3Store
from s3client import endpoint, s3
store = S3Store("cache", endpoint=endpoint, region="us-east-1", access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
                secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"], virtual_hosted_style_request=False, client_options={"allow_http": True})
listed = lambda: [entry["path"] for page in obstore.list(store) for entry in page]
s3.put_object(Bucket="cache", Key="nar/", Body=b"x")
print("listed", listed())
try:
    obstore.get(store, listed()[0])
except FileNotFoundError as error:
    print("read: not found")
obstore.delete(store, listed()[0])
print("deleted; listed", listed(), "in the bucket", [entry["Key"] for entry in s3.list_objects_v2(Bucket="cache").get("Contents", [])])
END
)
seen "$result"
holds "$result" = "listed ['nar']
read: not found
deleted; listed ['nar'] in the bucket ['nar/']"
