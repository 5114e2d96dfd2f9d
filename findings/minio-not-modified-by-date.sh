#!/usr/bin/env bash
# MinIO answers 304 to an If-None-Match that does not match, if the If-Modified-Since beside it does.
#
# One would guess that an entity tag, if there is one, decides alone: RFC 9110 says that If-Modified-Since is ignored beside
# If-None-Match. For MinIO either is enough, and dates have seconds only. Garage, versitygw and Ceph let the tag decide.
# Browsers and HTTP proxies send both. A pin or a nix-cache-info that is overwritten within the second in which they fetched it
# stays old for them, revalidation after revalidation.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_minio
guess "200 with the new contents"
result=$(probe <<'END'
from s3client import s3, signed
for attempt in range(50):
    s3.put_object(Bucket="cache", Key="pin", Body=b"old")
    old = s3.head_object(Bucket="cache", Key="pin")
    s3.put_object(Bucket="cache", Key="pin", Body=b"new")
    if s3.head_object(Bucket="cache", Key="pin")["LastModified"] == old["LastModified"]:
        break
tag, date = old["ETag"], old["ResponseMetadata"]["HTTPHeaders"]["last-modified"]
print("tag:", *signed("GET", "/cache/pin", headers={"If-None-Match": tag})[::2])
print("tag and date:", *signed("GET", "/cache/pin", headers={"If-None-Match": tag, "If-Modified-Since": date})[::2])
END
)
seen "$result"
holds "$result" = "tag: 200 b'new'
tag and date: 304 b''"
