#!/usr/bin/env bash
# S3Proxy answers 200 to ListParts of an upload that never existed.
#
# One would guess 404 NoSuchUpload, which it does answer to the abort of the same upload. ListParts gives an empty list.
# A client that resumes an upload takes it for alive and without parts, sends all parts again and fails at the end.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_s3proxy
guess "404 NoSuchUpload for both"
result=$(probe <<'END'
from s3client import outcome, s3
unknown = dict(Bucket="cache", Key="nar", UploadId="11111111-2222-3333-4444-555555555555")
print("ListParts:", outcome(s3.list_parts, **unknown).split(":")[0])
print("Abort:", outcome(s3.abort_multipart_upload, **unknown).split(":")[0])
END
)
seen "$result"
holds "$result" = "ListParts: 200
Abort: 404 NoSuchUpload"
