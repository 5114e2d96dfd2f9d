#!/usr/bin/env bash
# versitygw answers 200 to a repeated CompleteMultipartUpload although the object has been overwritten since.
#
# One would guess 404 NoSuchUpload, or, from a service that makes the request idempotent, 200 only while the object is
# still the one that the upload made. versitygw answers 200 with the ETag of the upload, while GET returns other bytes.
# A cache that retries a lost answer and then records "this object has that ETag" records something false. It has to
# look at the object after every Complete that was sent twice.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_versitygw
guess "404 NoSuchUpload"
result=$(probe <<'END'
from s3client import outcome, s3
upload = s3.create_multipart_upload(Bucket="cache", Key="nar")["UploadId"]
part = s3.upload_part(Bucket="cache", Key="nar", UploadId=upload, PartNumber=1, Body=b"of the upload")
complete = dict(Bucket="cache", Key="nar", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
first = s3.complete_multipart_upload(**complete)["ETag"]
s3.put_object(Bucket="cache", Key="nar", Body=b"something else")
print(outcome(s3.complete_multipart_upload, **complete))
second = s3.complete_multipart_upload(**complete)["ETag"]
now = s3.get_object(Bucket="cache", Key="nar")
print("same ETag as the first time:", second == first, "| same as GET:", second == now["ETag"], "| GET:", now["Body"].read())
END
)
seen "$result"
holds "$result" = "200
same ETag as the first time: True | same as GET: False | GET: b'something else'"
