#!/usr/bin/env bash
# An object that was put without a Content-Type is served without one by Garage.
#
# One would guess binary/octet-stream or application/octet-stream, which MinIO, versitygw and rclone fill in. Garage sends no
# Content-Type at all, so browsers sniff, proxies in front fill in text/plain or text/html, and code that reads the header
# has to expect None.
# A cache should name the type of everything that it uploads.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_garage
guess "binary/octet-stream"
result=$(probe <<'END'
from s3client import s3, send, signed
print("PUT:", signed("PUT", "/cache/key", b"", {})[0])
print("Content-Type:", send("GET", s3.generate_presigned_url("get_object", Params={"Bucket": "cache", "Key": "key"}))[1].get("Content-Type"))
END
)
seen "$result"
holds "$result" = "PUT: 200
Content-Type: None"
