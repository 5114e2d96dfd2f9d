#!/usr/bin/env bash
# Part: opendal 0.47.12 (PyPI) with Garage 2.5.0
# OpenDAL lists keys that it then cannot find, since it tidies the paths that it is given.
#
# One would guess that what list() gives can be given to read(). OpenDAL takes spaces off both ends of a path and joins double slashes
# before it asks the service, but not in what it lists: the objects are seen and NotFound, and writing to such a key replaces
# the object whose key is the tidied one.
# Copying or checking a bucket object by object fails for keys that other tools have made, or takes one for another.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install opendal==0.47.12 boto3==1.44.8 botocore==1.44.8
packages=$PYTHONPATH
start_garage
version "opendal 0.47.12"
guess "each key is listed and read with its own contents"
result=$(PYTHONPATH=$packages probe <<'END'
import os
import opendal
from s3client import endpoint, s3
store = opendal.Operator("s3", bucket="cache", endpoint=endpoint, region="us-east-1", access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
                         secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"])
def read(key):
    try:
        return bytes(store.read(key)).decode()
    except opendal.exceptions.NotFound:
        return "not found"
for key in ("log/a ", "log//b", "log/c", "log/c "):
    s3.put_object(Bucket="cache", Key=key, Body=repr(key).encode())
for entry in store.scan(""):
    print(repr(entry.path), "is", read(entry.path))
END
)
seen "$result"
holds "$result" = "'log//b' is not found
'log/a ' is not found
'log/c' is 'log/c'
'log/c ' is 'log/c'"
