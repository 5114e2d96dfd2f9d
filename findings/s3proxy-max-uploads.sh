#!/usr/bin/env bash
# S3Proxy lists multipart uploads only if the request does not say how many.
#
# One would guess that max-uploads is ignored where pages are not supported. S3Proxy answers 501 NotImplemented to a
# request with max-uploads, even with the default of 1000, and 200 without it.
# A clean-up job that bounds its pages cannot list at all; it has to ask again without the bound.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_s3proxy
guess "200 both times"
result=$(probe <<'END'
from s3client import outcome, s3
print("without:", outcome(s3.list_multipart_uploads, Bucket="cache"))
print("max-uploads=1000:", outcome(s3.list_multipart_uploads, Bucket="cache", MaxUploads=1000)[:3])
END
)
seen "$result"
holds "$result" = "without: 200
max-uploads=1000: 501"
