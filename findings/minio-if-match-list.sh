#!/usr/bin/env bash
# MinIO finds no ETag in a list of ETags.
#
# One would guess 304 and 200: RFC 9110 has lists in If-None-Match and If-Match, for clients and caches that hold several versions. The
# whole header is compared as if it were one ETag, so each list differs from the object's, wherever the right one stands. "*" is known.
# A proxy that revalidates all that it has of a URL with one request downloads it again each time, and If-Match with a list gets 412.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_minio
guess "If-None-Match gets 304 each time, If-Match gets 200 each time"
result=$(probe <<'END'
from s3client import s3, signed
s3.put_object(Bucket="cache", Key="key", Body=b"contents")
etag = s3.head_object(Bucket="cache", Key="key")["ETag"]
for name, value in (("ETAG", etag), ('ETAG, "other"', f'{etag}, "other"'), ('"other", ETAG', f'"other", {etag}')):
    for header in ("If-None-Match", "If-Match"):
        print(f"{header}: {name}: {signed('GET', '/cache/key', headers={header: value})[0]}")
END
)
seen "$result"
holds "$result" = 'If-None-Match: ETAG: 304
If-Match: ETAG: 200
If-None-Match: ETAG, "other": 200
If-Match: ETAG, "other": 412
If-None-Match: "other", ETAG: 200
If-Match: "other", ETAG: 412'
