#!/usr/bin/env bash
# Part: s3fs 2026.9.0 (PyPI) with moto 5.2.5 (PyPI)
# rm("cache/log/a?b") of s3fs deletes "log/acb" as well.
#
# One would guess that rm() and cat() with the key of an object mean this object. They take "?", "*" and "[" for a pattern, even if there is
# a key of exactly this text; there is no way to quote them. info() and exists() take the same text for a key.
# Names of derivations may contain "?", so the keys of their build logs do: deleting one log deletes those of others.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_moto
packages=$PYTHONPATH
pip_install s3fs==2026.9.0
version "s3fs 2026.9.0"
guess "log/acb is left"
result=$(PYTHONPATH=$PYTHONPATH:$packages probe <<'END'
import os
import s3fs
from s3client import endpoint, s3
files = s3fs.S3FileSystem(endpoint_url=endpoint, key=os.environ["AWS_ACCESS_KEY_ID"], secret=os.environ["AWS_SECRET_ACCESS_KEY"])
for key in ("log/a?b", "log/acb", "log/other"):
    s3.put_object(Bucket="cache", Key=key, Body=key.encode())
print("info:", files.info("cache/log/a?b")["name"])
print("cat:", files.cat("cache/log/a?b"))
files.rm("cache/log/a?b")
print("left:", [entry["Key"] for entry in s3.list_objects_v2(Bucket="cache")["Contents"]])
END
)
seen "$result"
holds "$result" = "info: cache/log/a?b
cat: {'cache/log/a?b': b'log/a?b', 'cache/log/acb': b'log/acb'}
left: ['log/other']"
