#!/usr/bin/env bash
# Part: Ceph RGW 18.2.7
# GET with partNumber has the whole object, with 200, on Ceph.
#
# One would guess 206 with the bytes of that part, or an error that the parameter is not known. Ceph ignores it, for part numbers that
# never existed too, and neither x-amz-mp-parts-count nor Content-Range is in the answer.
# Download managers that fetch by parts put the object together several times over.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_ceph
guess "206 with 5242880 and 4 bytes, and 416 for part 9"
result=$(probe <<'END'
from s3client import outcome, s3
upload = s3.create_multipart_upload(Bucket="cache", Key="nar")["UploadId"]
parts = [{"PartNumber": number, "ETag": s3.upload_part(Bucket="cache", Key="nar", UploadId=upload, PartNumber=number, Body=body)["ETag"]}
         for number, body in ((1, b"p" * (5 << 20)), (2, b"last"))]
s3.complete_multipart_upload(Bucket="cache", Key="nar", UploadId=upload, MultipartUpload={"Parts": parts})
for number in (1, 2, 9):
    answer = s3.get_object(Bucket="cache", Key="nar", PartNumber=number)
    print(number, answer["ResponseMetadata"]["HTTPStatusCode"], answer["ContentLength"], answer.get("PartsCount"), answer.get("ContentRange"))
END
)
seen "$result"
holds "$result" = "1 200 5242884 None None
2 200 5242884 None None
9 200 5242884 None None"
