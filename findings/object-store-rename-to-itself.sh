#!/usr/bin/env bash
# Part: object_store, by obstore 0.12.1 (PyPI), with Garage 2.5.0
# rename() of the object_store crate to the same name deletes the object.
#
# One would guess that nothing happens, as rename(2) promises, or that it is an error. It is a copy and then a deletion of the source: on Garage,
# which takes a copy of an object onto itself, the object is gone and the call has succeeded. (MinIO and versitygw refuse the copy.)
# A job that moves objects to the names that they should have loses those that have them already.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install obstore==0.12.1 boto3==1.44.8 botocore==1.44.8
packages=$PYTHONPATH
start_garage
version "obstore 0.12.1"
guess "one object is left, or an error"
result=$(PYTHONPATH=$packages probe <<'END'
import os
import obstore
from obstore.store import S3Store
from s3client import endpoint, s3
store = S3Store("cache", endpoint=endpoint, region="us-east-1", access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
                secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"], virtual_hosted_style_request=False, client_options={"allow_http": True})
obstore.put(store, "nar", b"x")
obstore.rename(store, "nar", "nar")
print("renamed; objects left:", s3.list_objects_v2(Bucket="cache")["KeyCount"])
END
)
seen "$result"
holds "$result" = "renamed; objects left: 0"
