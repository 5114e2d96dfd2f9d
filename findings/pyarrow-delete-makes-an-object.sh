#!/usr/bin/env bash
# Part: pyarrow 26.0.1 (PyPI) with moto 5.2.5 (PyPI)
# delete_file() of pyarrow deletes one object and puts another one, an empty one for the folder.
#
# One would guess one DELETE: the bucket had no object for the folder before. pyarrow lets no folder vanish with its last file, so it puts "log/"
# each time that it deletes from it or moves something out of it.
# The bucket fills with empty objects that nobody wrote, a deletion needs the right to put, and other clients list a key that ends with a slash.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_moto
packages=$PYTHONPATH
pip_install pyarrow==26.0.1
version "pyarrow 26.0.1"
guess "no object is left of log, and only moved/two of the other"
result=$(PYTHONPATH=$PYTHONPATH:$packages probe <<'END'
from pyarrow.fs import S3FileSystem
from s3client import endpoint, s3
store = S3FileSystem(endpoint_override=endpoint.removeprefix("http://"), scheme="http", region="us-east-1")
for key in ("log/one", "nar/two"):
    s3.put_object(Bucket="cache", Key=key, Body=b"contents")
store.delete_file("cache/log/one")
store.move("cache/nar/two", "cache/moved/two")
for entry in s3.list_objects_v2(Bucket="cache")["Contents"]:
    print(entry["Key"], entry["Size"])
END
)
seen "$result"
holds "$result" = "log/ 0
moved/two 8
nar/ 0"
