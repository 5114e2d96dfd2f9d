#!/usr/bin/env bash
# MinIO answers 400, not 403, if a header that a presigned URL signs is missing.
#
# One would guess 403 (SignatureDoesNotMatch or AccessDenied), as for every other signature that does not fit. MinIO
# says AccessDenied with status 400. A client that takes 403 for "my URL is no longer good, ask for another" and 400
# for "my request is wrong, give up" is misled, and so is a start-up probe that expects 403.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_minio
guess "403"
result=$(probe <<'END'
import base64, hashlib
from s3client import code, s3, send
checksum = base64.b64encode(hashlib.sha256(b"nar").digest()).decode()
url = s3.generate_presigned_url("put_object", Params={"Bucket": "cache", "Key": "nar", "ChecksumSHA256": checksum})
for headers in ({"x-amz-checksum-sha256": checksum}, {}):
    status, _, body = send("PUT", url, b"nar", headers)
    print(list(headers), status, code(body) if body else "")
END
)
seen "$result"
holds "$result" = "['x-amz-checksum-sha256'] 200 
[] 400 AccessDenied"
