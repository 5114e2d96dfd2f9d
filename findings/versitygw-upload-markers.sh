#!/usr/bin/env bash
# versitygw refuses the markers that it gave itself.
#
# One would guess that NextKeyMarker and NextUploadIdMarker of one page of ListMultipartUploads get the next page.
# versitygw answers 400 "Invalid uploadId marker" to its own markers, so only the first page can be had.
# A cache with more open uploads than one page cannot see the rest; every SDK paginator fails on page two.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_versitygw
guess "the second page has the upload to b"
result=$(probe <<'END'
from s3client import outcome, s3
for key in ("a", "b"):
    s3.create_multipart_upload(Bucket="cache", Key=key)
page = s3.list_multipart_uploads(Bucket="cache", MaxUploads=1)
print([upload["Key"] for upload in page["Uploads"]], "IsTruncated", page["IsTruncated"])
print(outcome(s3.list_multipart_uploads, Bucket="cache", MaxUploads=1, KeyMarker=page["NextKeyMarker"],
              UploadIdMarker=page["NextUploadIdMarker"]))
END
)
seen "$result"
[[ $result == "['a'] IsTruncated True"*"400 InvalidArgument: Invalid uploadId marker"* ]] && holds 1 || holds ""
