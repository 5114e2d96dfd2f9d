#!/usr/bin/env bash
# The markers of ListMultipartUploads name the first upload of the next page on rclone serve s3.
#
# One would guess that key-marker and upload-id-marker mean "after this upload", as S3 says. rclone begins the next page
# with the upload that the markers name. Its own next markers fit that, so paginators work; a client that continues
# from the last upload it has seen gets that upload again, for ever.
# A cache that aborts uploads page by page and remembers the last one has to notice that a page brought nothing new.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_rclone
guess "after a: b, c. After c: nothing"
result=$(probe <<'END'
from s3client import s3
ids = {key: s3.create_multipart_upload(Bucket="cache", Key=key)["UploadId"] for key in ("a", "b", "c")}
for key in ("a", "c"):
    page = s3.list_multipart_uploads(Bucket="cache", KeyMarker=key, UploadIdMarker=ids[key])
    print(f"after {key}:", [upload["Key"] for upload in page.get("Uploads", [])])
END
)
seen "$result"
holds "$result" = "after a: ['a', 'b', 'c']
after c: ['c']"
