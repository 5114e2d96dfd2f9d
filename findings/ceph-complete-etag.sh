#!/usr/bin/env bash
# Part: Ceph RGW 18.2.7
# The ETag that Ceph gives for a completed multipart upload is not the ETag that it gives for the object.
#
# One would guess the same string in the answer to CompleteMultipartUpload, in HEAD and in listings: quotation marks are part of an
# entity tag. Ceph leaves them out in the first of the three only.
# A client that records the ETag of what it wrote and compares it later finds every large object changed and no small one.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_ceph
guess "quoted each time"
result=$(probe <<'END'
from s3client import s3
upload = s3.create_multipart_upload(Bucket="cache", Key="nar")["UploadId"]
tag = s3.upload_part(Bucket="cache", Key="nar", UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
done = s3.complete_multipart_upload(Bucket="cache", Key="nar", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]})
quoted = lambda tag: "quoted" if tag[0] == tag[-1] == '"' else "not quoted"
print("PUT", quoted(s3.put_object(Bucket="cache", Key="small", Body=b"x")["ETag"]), "| part", quoted(tag), "| complete", quoted(done["ETag"]),
      "| HEAD", quoted(s3.head_object(Bucket="cache", Key="nar")["ETag"]), "| list",
      quoted(s3.list_objects_v2(Bucket="cache")["Contents"][0]["ETag"]), "| otherwise equal",
      done["ETag"].strip('"') == s3.head_object(Bucket="cache", Key="nar")["ETag"].strip('"'))
END
)
seen "$result"
holds "$result" = "PUT quoted | part quoted | complete not quoted | HEAD quoted | list quoted | otherwise equal True"
