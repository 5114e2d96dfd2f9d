#!/usr/bin/env bash
# Part: Ceph RGW 18.2.7
# CompleteMultipartUpload on Ceph fails if a part was uploaded that it does not name.
#
# One would guess that the parts that the request names become the object and the others are thrown away, as S3 says and as MinIO,
# versitygw, SeaweedFS and S3Proxy do. Ceph answers 400 InvalidPart for parts that are all there and right.
# An uploader that took over an upload, or cut the stream anew after a failure, cannot leave out what it does not want.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_ceph
guess "200 for parts 1 and 3"
result=$(probe <<'END'
from s3client import outcome, s3
upload = s3.create_multipart_upload(Bucket="cache", Key="nar")["UploadId"]
parts = [{"PartNumber": number, "ETag": s3.upload_part(Bucket="cache", Key="nar", UploadId=upload, PartNumber=number,
                                                       Body=bytes([number]) * (5 << 20))["ETag"]} for number in (1, 2, 3)]
for named in ([parts[0], parts[2]], parts[:2], parts):
    print([part["PartNumber"] for part in named], outcome(s3.complete_multipart_upload, Bucket="cache", Key="nar", UploadId=upload,
                                                          MultipartUpload={"Parts": named}))
END
)
seen "$result"
holds "$result" = "[1, 3] 400 InvalidPart: None
[1, 2] 400 InvalidPart: None
[1, 2, 3] 200"
