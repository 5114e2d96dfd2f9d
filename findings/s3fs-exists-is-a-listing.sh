#!/usr/bin/env bash
# Part: s3fs 2026.9.0 (PyPI) with moto 5.2.5 (PyPI)
# exists() of s3fs answers from the last listing for ever, and cat() does not find an object that is there.
#
# One would guess that exists() asks the service, or that a listing is remembered for some seconds. Whatever else writes to or deletes from the bucket
# is not seen until the end of the process. open() does not help: it looks at the listing, too.
# A long-running service that lists a folder once does not see what others push, and takes what was deleted for present.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_moto
packages=$PYTHONPATH
pip_install s3fs==2026.9.0
version "s3fs 2026.9.0"
guess "old does not exist, new exists with its contents"
result=$(PYTHONPATH=$PYTHONPATH:$packages probe <<'END'
import os
import s3fs
from s3client import endpoint, s3
files = s3fs.S3FileSystem(endpoint_url=endpoint, key=os.environ["AWS_ACCESS_KEY_ID"], secret=os.environ["AWS_SECRET_ACCESS_KEY"])
s3.put_object(Bucket="cache", Key="nar/old", Body=b"old")
files.ls("cache/nar")
s3.put_object(Bucket="cache", Key="nar/new", Body=b"new")
s3.delete_object(Bucket="cache", Key="nar/old")
def contents(name):
    try:
        return files.cat(name)
    except FileNotFoundError:
        return "not found"
for name in ("old", "new"):
    print(f"{name}: exists {files.exists(f'cache/nar/{name}')}, {contents(f'cache/nar/{name}')}")
files.invalidate_cache()
print(f"after invalidate_cache(): exists {files.exists('cache/nar/new')}")
END
)
seen "$result"
holds "$result" = "old: exists True, not found
new: exists False, not found
after invalidate_cache(): exists True"
